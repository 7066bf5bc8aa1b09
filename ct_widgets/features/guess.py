"""A first guess at what a feature is about, from statistics alone.

Every rule looks at what the examples have in common, and says how many do. Guesses are shown as guesses, and a label
that a person or a model gave takes their place.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ct_widgets.features.store import Example, FeatureRecord
from ct_widgets.features.vocabulary import Vocabulary

_SHARE = 0.8
"""Of the examples, so many must agree."""

_FEWEST = 3
_WIDEST = 20
"""Numbers further apart than this are no range."""

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
    rules = [
        _says(examples, vocabulary, promoted),
        _one(peaks, "“{}”", "examples are at “{}”"),
        _few(peaks),
        *_families(peaks),
        _one([_plain(vocabulary, e, -1) for e in examples], "after “{}”", "examples follow “{}”"),
        _position(examples),
    ]
    for vote in rules:  # what says most comes first
        if vote is not None and vote[0] >= _SHARE * len(examples):
            return Guess(vote[1][0], f"{vote[0]} of {len(examples)} {vote[1][1]}")
    return None


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
    said = [token if token in likely else "" for token in following]
    for vote in (_one(said, "“{}”", "“{}”"), _few(said)):
        if vote is not None and vote[0] >= _SHARE * len(examples):
            count, (names, _) = vote
            return count, (f"says {names}", f"examples are followed by {names}, promoted")
    for family in _families(following):
        if family is not None and family[0] >= _SHARE * len(examples) and _mostly(family[2], likely):
            count, (name, _), _ = family
            return count, (f"says {name}", f"examples are followed by {name}, which it promotes")
    return None


def _mostly(holds: Holds, likely: Sequence[str]) -> bool:
    return sum(bool(holds(token)) for token in likely) > len(likely) / 2


Holds = Callable[[str], object]
Family = tuple[int, tuple[str, str], Holds]
"""A vote, and what tells whether a token belongs."""


def _families(tokens: Sequence[str]) -> list[Family | None]:
    """Families that the tokens may be of, the narrow ones first."""
    return [_family(tokens, _ENDINGS), _range(tokens), _family(tokens, _KINDS)]


_ENDINGS: tuple[tuple[str, Holds], ...] = tuple(
    (f"numbers ending in {digit}", re.compile(rf"\d*{digit}").fullmatch) for digit in range(10)
)
_KINDS: tuple[tuple[str, Holds], ...] = (
    ("numbers over 99", re.compile(r"\d{3,}").fullmatch),
    ("numbers", re.compile(r"\d+").fullmatch),
    ("capitalised words", re.compile(r"[^\W\d_a-z][\w'’-]*").fullmatch),
    ("punctuation", re.compile(r"[^\w\s]+").fullmatch),
)


def _range(tokens: Sequence[str]) -> Family | None:
    """Numbers close to each other."""
    numbers = sorted(int(token) for token in tokens if token.isdecimal() and len(token) < 10)
    size = math.ceil(_SHARE * len(tokens))
    if len(numbers) < size or len(set(numbers)) == 1:
        return None
    # Of all runs of so many numbers the shortest.
    start = min(range(len(numbers) - size + 1), key=lambda i: numbers[i + size - 1] - numbers[i])
    low, high = numbers[start], numbers[start + size - 1]
    if not 0 < high - low <= _WIDEST:
        return None
    name = f"numbers {low} to {high}"

    def holds(token: str) -> bool:
        return token.isdecimal() and low <= int(token) <= high

    return sum(low <= number <= high for number in numbers), (name, f"examples are at {name}"), holds


def _family(tokens: Sequence[str], families: Sequence[tuple[str, Holds]]) -> Family | None:
    """The first family of those that hold the most tokens, of more than one kind."""
    best: Family | None = None
    for name, holds in families:
        members = [token for token in tokens if holds(token)]
        if len(set(members)) > 1 and (best is None or len(members) > best[0]):
            best = len(members), (name, f"examples are at {name}"), holds
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
