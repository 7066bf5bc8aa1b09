"""A feature as JSON values for the browser (`js/src/core/feature_card.ts` reads them).

Texts are pieces that read on: tokens that share a character make one piece, with the activation of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ct_widgets.features.auto_label import AutoLabel
from ct_widgets.features.bins import finite_edges
from ct_widgets.features.labels import Label
from ct_widgets.features.store import Example, FeatureRecord, Section
from ct_widgets.features.vocabulary import Vocabulary

_DIGITS = 5

Scored = Sequence[tuple[str, float]]


def card(
    name: str,
    *,
    record: FeatureRecord | None,
    vocabulary: Vocabulary,
    label: Label | None,
    auto: AutoLabel | None,
    promotes: Scored,
    suppresses: Scored,
    drives: Scored,
) -> dict[str, Any]:
    """Collect everything about the feature `name`; without a record, what follows from the weights alone."""
    values: dict[str, Any] = {
        "feature": name,
        "label": None if label is None else {"text": label.text, "origin": label.origin, "model": label.model},
        "guess": None if auto is None else {"text": auto.text, "reason": auto.reason},
        "promotes": _scored(promotes),
        "suppresses": _scored(suppresses),
        "drives": _scored(drives),
        "spaced": vocabulary.spaced,
    }
    if record is None:
        return values
    return values | {
        "count": record.count,
        "tokens": record.n_tokens,
        "density": record.density,
        "maximum": record.maximum,
        "histogram": {
            "counts": record.counts.tolist(),
            "edges": finite_edges(record.edges),  # the browser draws open bins as wide as the others
        },
        "sections": [_section(section, vocabulary) for section in record.sections()],
    }


def _scored(tokens: Scored) -> list[list[Any]]:
    return [[text, _short(value)] for text, value in tokens]


def _section(section: Section, vocabulary: Vocabulary) -> dict[str, Any]:
    return {
        "share": section.share,
        "low": _short(section.low),
        "high": _short(section.high),
        "examples": [example_values(example, vocabulary) for example in section.examples],
    }


def example_values(example: Example, vocabulary: Vocabulary) -> dict[str, Any]:
    """Turn one example into JSON values."""
    pieces: list[list[Any]] = []
    peak = at = 0
    for text, tokens in vocabulary.pieces(example.tokens.tolist()):
        if at <= example.peak < at + tokens:
            peak = len(pieces)
        pieces.append([text, [_short(value) for value in example.activation[at : at + tokens].tolist()]])
        at += tokens
    return {"pieces": pieces, "peak": peak, "position": example.position, "text": example.text}


def _short(value: float) -> float:
    """Round to digits that can be seen: cards travel with every hover."""
    return float(f"{value:.{_DIGITS}g}")
