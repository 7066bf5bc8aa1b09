"""The demo model: a small language model of real facts and additions, and a cross-layer transcoder of it.

`CARD.md` beside this file says what both were trained on and how good they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ct_widgets.replacement_model import ReplacementModel
    from ct_widgets.transcoders import Kind


def load_demo(transcoder: Kind = "clt") -> ReplacementModel:
    """The demo's replacement model with examples of its features; a new one at every call. No network, no GPU.

    transcoder: "clt" for the cross-layer one, "plt" for a per-layer one of the same language model, which comes without
    examples.

    >>> model = load_demo()
    >>> graph = model.attribute("calc: 36+59=")
    """
    # torch and TransformerLens take seconds to import: not before they are needed.
    from ct_widgets.demo.artifact_files import ARTIFACTS, load_bridge, load_features
    from ct_widgets.errors import TranscoderError
    from ct_widgets.replacement_model import ReplacementModel
    from ct_widgets.transcoders import Transcoder

    if transcoder not in ("clt", "plt"):
        raise TranscoderError(f"the demo model has no transcoder {transcoder!r}; it has 'clt' and 'plt'")
    features = load_features(ARTIFACTS) if transcoder == "clt" else None
    return ReplacementModel(load_bridge(ARTIFACTS), Transcoder.load(ARTIFACTS / transcoder), features)


def load_texts(n: int | None = None) -> list[tuple[str, str]]:
    """Statements that the demo's transcoders were not trained on, as (prompt, answer), in random order.

    >>> load_demo().evaluate(load_texts(500))
    """
    import numpy as np

    from ct_widgets.demo.corpus import HELD_OUT, OTHER_FORM, statements

    unseen = [statement for statement in statements(0) if statement.split in (HELD_OUT, OTHER_FORM)]
    order = np.random.default_rng(0).permutation(len(unseen))[:n]
    return [(unseen[i].prompt, f" {unseen[i].answer}") for i in order]


__all__ = ["load_demo", "load_texts"]
