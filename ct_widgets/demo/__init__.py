"""The embedded model: a small language model of real facts and additions, and a cross-layer transcoder of it.

`CARD.md` beside this file says what both were trained on and how good they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ct_widgets.replacement_model import ReplacementModel


def load_demo() -> ReplacementModel:
    """The embedded replacement model with examples of its features; a new one at every call. No network, no GPU.

    >>> model = load_demo()
    >>> graph = model.attribute("calc: 36+59=")
    """
    # torch and TransformerLens take seconds to import: not before they are needed.
    from ct_widgets.demo.artifact_files import ARTIFACTS, load_bridge, load_transcoder
    from ct_widgets.demo.feature_store import load_features
    from ct_widgets.replacement_model import ReplacementModel

    return ReplacementModel(load_bridge(ARTIFACTS), load_transcoder(ARTIFACTS), load_features(ARTIFACTS))


__all__ = ["load_demo"]
