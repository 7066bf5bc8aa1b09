"""Examples as text for a language model: active tokens are marked as <<token>>(strength)."""

from __future__ import annotations

import json

from ct_widgets.features.store import Example
from ct_widgets.features.vocabulary import Vocabulary

STRENGTHS = 10


def marked(example: Example, vocabulary: Vocabulary, maximum: float, *, strengths: bool = True) -> str:
    """Write the example as a JSON string; strengths go from 1 to 10 of `maximum`, and may be left out."""
    out: list[str] = []
    at = 0
    for text, count in vocabulary.pieces(example.tokens.tolist()):
        activation = float(example.activation[at : at + count].max())
        at += count
        strength = round(STRENGTHS * activation / maximum) if maximum > 0 else 0
        note = f"({strength})" if strengths else ""
        out.append(f"<<{text}>>{note}" if strength > 0 else text)
    return json.dumps((" " if vocabulary.spaced else "").join(out), ensure_ascii=False)
