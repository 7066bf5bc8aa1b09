"""One step through global weights as JSON values for a view (`js/src/core/global_weights/walk.ts` reads them)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

from ct_widgets.errors import FeatureError
from ct_widgets.features.card import example_values

if TYPE_CHECKING:
    from ct_widgets.global_weights.weights import GlobalWeights, Ranking


def walk(weights: GlobalWeights, feature: str, by: Ranking, k: int) -> dict[str, Any]:
    """Collect the card of `feature`, and its `k` strongest inputs and outputs with an example of each."""
    return {
        "feature": feature,
        "by": by,
        "card": weights.features.card(feature),
        "inputs": _side(weights, feature, "inputs", by, k),
        "outputs": _side(weights, feature, "outputs", by, k),
    }


def _side(
    weights: GlobalWeights, feature: str, side: Literal["inputs", "outputs"], by: Ranking, k: int
) -> dict[str, Any]:
    try:
        chosen = weights.strongest(feature, side, by)
    except FeatureError as error:
        return {"rows": [], "kept": 0, "missing": str(error)}
    end = weights.kept.source if side == "inputs" else weights.kept.target
    measures = {name: weights.measure(name) for name in weights.rankings}
    rows: list[dict[str, Any]] = []
    for pair in chosen[:k]:
        measured = {name: _number(float(values[pair])) for name, values in measures.items()}
        if weights.measured is not None:
            measured["together"] = _number(float(weights.measured.together[pair]))
        never = bool(weights.never_coactive[pair])
        rows.append({**_neighbour(weights, weights.name(int(end[pair]))), **measured, "interference": never})
    return {"rows": rows, "kept": len(chosen), "missing": ""}


def _neighbour(weights: GlobalWeights, name: str) -> dict[str, Any]:
    feature = weights.features[name]
    auto = None if feature.label else feature.auto_label
    record = feature.record
    top = None if record is None or not record.top else record.top[0]
    return {
        "feature": name,
        "label": feature.label or (auto.text if auto is not None else ""),
        "guessed": auto is not None,
        "maximum": 0.0 if record is None else record.maximum,
        "example": None if top is None else example_values(top, feature.vocabulary),
        "spaced": feature.vocabulary.spaced,
    }


def _number(value: float) -> float | None:
    """Round to four digits; None for what a corpus does not say, since JSON has no NaN."""
    return None if math.isnan(value) else float(f"{value:.4g}")
