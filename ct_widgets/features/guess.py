"""A first guess at what a feature is about, from statistics alone.

Every rule looks at what the examples have in common, and says how many do. Guesses are shown as guesses, and a label
that a person or a model gave takes their place.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ct_widgets.features.store import Example, FeatureRecord
from ct_widgets.features.vocabulary import Vocabulary

_SHARE = 0.8
"""Of the examples, so many must agree."""

_FEWEST = 3
_PROMOTED = 5


class Guess(NamedTuple):
    """A label and the evidence for it, in words."""

    text: str
    reason: str


def guess(record: FeatureRecord, vocabulary: Vocabulary, promoted: Sequence[str]) -> Guess | None:
    """The label that most examples speak for, or None. `promoted`: the tokens that the feature promotes most."""
    examples = list({(e.text, e.position): e for e in (*record.top, *record.sample)}.values())
    if len(examples) < _FEWEST:
        return None
    peaks = [_plain(vocabulary, e, 0) for e in examples]
    found = [
        _says(examples, vocabulary, promoted),
        _one(peaks, "“{}”", "examples are at “{}”"),
        _few(peaks),
        _family(peaks),
        _one([_plain(vocabulary, e, -1) for e in examples], "after “{}”", "examples follow “{}”"),
        _position(examples),
    ]
    # The first rule of those with the most examples: rules are in order of how much they say.
    votes = [(count, -place, label) for place, (count, label) in enumerate(filter(None, found))]
    if not votes or max(votes)[0] < _SHARE * len(examples):
        return None
    count, _, (text, evidence) = max(votes)
    return Guess(text, f"{count} of {len(examples)} {evidence}")


Vote = tuple[int, tuple[str, str]]
"""How many examples agree; the label, and the evidence."""


def _plain(vocabulary: Vocabulary, example: Example, offset: int) -> str:
    """The token at this distance from the peak, without space around; "" beyond the ends."""
    at = example.peak + offset
    return vocabulary.text(int(example.tokens[at])).strip() if 0 <= at < len(example.tokens) else ""


def _one(tokens: Sequence[str], label: str, evidence: str) -> Vote | None:
    """One token, in capitals or not."""
    counts = Counter(token.casefold() for token in tokens if token)
    if not counts:
        return None
    most, count = counts.most_common(1)[0]
    token = next(token for token in tokens if token.casefold() == most)
    return count, (label.format(token), evidence.format(token))


def _says(examples: Sequence[Example], vocabulary: Vocabulary, promoted: Sequence[str]) -> Vote | None:
    """What follows is what the feature promotes: one token, or a family of them."""
    following = [_plain(vocabulary, example, 1) for example in examples]
    likely = [token.strip() for token in promoted[:_PROMOTED]]
    vote = _one([token if token in likely else "" for token in following], "says “{}”", "examples are followed by “{}”")
    if vote is not None and vote[0] >= _SHARE * len(examples):
        return vote
    promoted_family, following_family = _family(likely), _family(following)
    if promoted_family is None or following_family is None or promoted_family[1][0] != following_family[1][0]:
        return None
    if promoted_family[0] < len(likely):
        return None
    family = following_family[1][0]
    return following_family[0], (f"says {family}", f"examples are followed by {family}, which it promotes")


_FAMILIES: tuple[tuple[str, Callable[[str], bool]], ...] = (
    *((f"numbers ending in {digit}", re.compile(rf"\d*{digit}").fullmatch) for digit in range(10)),  # pyright: ignore
    *((f"numbers {tens}0 to {tens}9", re.compile(rf"{tens}\d").fullmatch) for tens in range(1, 10)),  # pyright: ignore
    ("numbers over 99", re.compile(r"\d{3,}").fullmatch),
    ("numbers", re.compile(r"\d+").fullmatch),
    ("capitalised words", re.compile(r"[^\W\d_a-z][\w'’-]*").fullmatch),
    ("punctuation", re.compile(r"[^\w\s]+").fullmatch),
)  # fmt: skip


def _family(tokens: Sequence[str]) -> Vote | None:
    """The narrowest family that holds enough tokens, of more than one kind."""
    best: Vote | None = None
    for name, holds in _FAMILIES:
        members = [token for token in tokens if holds(token)]
        if len(set(members)) > 1 and (best is None or len(members) > best[0]):
            best = len(members), (name, f"examples are at {name}")
    return best


def _few(tokens: Sequence[str]) -> Vote | None:
    """Two or three tokens."""
    counts = Counter(token for token in tokens if token)
    most = [(token, count) for token, count in counts.most_common(3) if count >= max(2, len(tokens) / 10)]
    if len(most) < 2:
        return None
    names = ", ".join(f"“{token}”" for token, _ in most)
    return sum(count for _, count in most), (names, f"examples are at one of {names}")


def _position(examples: Sequence[Example]) -> Vote | None:
    """The same place in every row."""
    position, count = Counter(example.position for example in examples).most_common(1)[0]
    return count, (f"token {position + 1} of the text", f"examples are at token {position + 1}")
