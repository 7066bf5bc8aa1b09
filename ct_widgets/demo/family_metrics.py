"""The card's part on arithmetic: families of the features that are active at "=" in additions."""

from __future__ import annotations

from typing import Any

from ct_widgets.arithmetic.families import KINDS
from ct_widgets.replacement_model import ReplacementModel

PAIRS = 10
"""Features that are active for fewer pairs of operands do not count."""


def family_metrics(model: ReplacementModel) -> dict[str, Any]:
    """Of the features active for `PAIRS` additions or more: how many, and how many of each family, by layer."""
    families = model.operand_activations().families.query(f"n_active >= {PAIRS}")
    layers = range(model.transcoder.n_layers)
    count = {kind: [int((families[families["layer"] == n]["kind"] == kind).sum()) for n in layers] for kind in KINDS}
    return {
        "pairs": PAIRS,
        "features": len(families),
        "named": float((families["kind"] != "other").mean()),
        "by_layer": count,
    }
