"""Automatic labels of features by rules over their examples, without a language model.

Every rule looks at something that examples may have in common, and counts how many do; strong examples count for more
than weak ones. Automatic labels are shown as such; one that a person or a model gave takes their place.
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
"""Share of the examples' activation that must agree; half of the examples must, too."""

_FEWEST = 3
_WIDEST = 20
"""Numbers further apart than this are not a range."""

_PROMOTED = 5


class AutoLabel(NamedTuple):
    """A label and the evidence for it, in words."""

    text: str
    reason: str


Holds = Callable[[str], object]


class Vote(NamedTuple):
    """A label, the examples that speak for it [e], and what they have in common.

    holds: for a family of tokens, which are in it.
    """

    agree: Sequence[bool]
    label: str
    evidence: str
    holds: Holds = bool


Enough = Callable[[Vote], bool]


def auto_label(record: FeatureRecord, vocabulary: Vocabulary, promoted: Sequence[str]) -> AutoLabel | None:
    """Return the label that most examples speak for, or None. promoted: the tokens that the feature promotes most.

    >>> auto_label(store[2, 517], store.vocabulary, [])
    AutoLabel(text='numbers ending in 5', reason='20 of 24 examples are at numbers ending in 5')
    """
    examples = list({(e.text, e.position): e for e in (*record.top, *record.sample)}.values())
    if len(examples) < _FEWEST:
        return None
    weights = [max(example.value, 1e-9) for example in examples]  # TopK keeps negative ones too

    def enough(vote: Vote) -> bool:
        agreed = sum(weight for weight, agrees in zip(weights, vote.agree, strict=True) if agrees)
        return agreed >= _SHARE * sum(weights) * (1 - 1e-9) and 2 * sum(vote.agree) >= len(examples)

    peaks = [_plain(vocabulary, e, 0) for e in examples]
    following = [_plain(vocabulary, e, 1) for e in examples]
    rules = [
        _says(following, [token.strip() for token in promoted[:_PROMOTED]], enough),
        _one(peaks, "“{}”", "are at “{}”"),
        _few(peaks),
        *_families(peaks),
        _one([_plain(vocabulary, e, -1) for e in examples], "after “{}”", "follow “{}”"),
        _position(examples),
    ]
    for vote in rules:  # the most specific one first
        if vote is not None and enough(vote):
            return AutoLabel(vote.label, f"{sum(vote.agree)} of {len(examples)} examples {vote.evidence}")
    return None


def _plain(vocabulary: Vocabulary, example: Example, offset: int) -> str:
    """Read the token at this distance from the peak, without space around; "" beyond the ends."""
    at = example.peak + offset
    return vocabulary.text(int(example.tokens[at])).strip() if 0 <= at < len(example.tokens) else ""


def _one(tokens: Sequence[str], label: str, evidence: str) -> Vote | None:
    """Vote for one token, in capitals or not."""
    counts = Counter(token.casefold() for token in tokens if token)
    if not counts:
        return None
    most = counts.most_common(1)[0][0]
    token = next(token for token in tokens if token.casefold() == most)
    return Vote([token.casefold() == most for token in tokens], label.format(token), evidence.format(token))


def _says(following: Sequence[str], likely: Sequence[str], enough: Enough) -> Vote | None:
    """Vote for following tokens that the feature promotes: one token, or a family of them."""
    said = [token if token in likely else "" for token in following]
    for vote in (_one(said, "“{}”", ""), _few(said)):
        if vote is not None and enough(vote):
            return Vote(vote.agree, f"says {vote.label}", f"are followed by {vote.label}, promoted")
    for family in _families(following):
        if family is not None and enough(family) and _mostly(family.holds, likely):
            return Vote(family.agree, f"says {family.label}", f"are followed by {family.label}, which it promotes")
    return None


def _mostly(holds: Holds, likely: Sequence[str]) -> bool:
    return 2 * sum(bool(holds(token)) for token in likely) > len(likely)


def _families(tokens: Sequence[str]) -> list[Vote | None]:
    """Vote for families that the tokens may be of, the narrow ones first."""
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


def _range(tokens: Sequence[str]) -> Vote | None:
    """Vote for numbers close to each other."""
    numbers = sorted(int(token) for token in tokens if token.isdecimal() and len(token) < 10)
    size = math.ceil(_SHARE * len(tokens))
    if len(numbers) < size or len(set(numbers)) == 1:
        return None
    # Of all runs of so many numbers the shortest.
    start = min(range(len(numbers) - size + 1), key=lambda i: numbers[i + size - 1] - numbers[i])
    low, high = numbers[start], numbers[start + size - 1]
    if not 0 < high - low <= _WIDEST:
        return None

    def holds(token: str) -> bool:
        return token.isdecimal() and low <= int(token) <= high

    return _vote(tokens, f"numbers {low} to {high}", holds)


def _vote(tokens: Sequence[str], name: str, holds: Holds) -> Vote:
    return Vote([bool(holds(token)) for token in tokens], name, f"are at {name}", holds)


def _family(tokens: Sequence[str], families: Sequence[tuple[str, Holds]]) -> Vote | None:
    """Vote for the first family of those that hold the most tokens, of more than one kind."""
    best: Vote | None = None
    for name, holds in families:
        vote = _vote(tokens, name, holds)
        kinds = {token for token, agrees in zip(tokens, vote.agree, strict=True) if agrees}
        if len(kinds) > 1 and (best is None or sum(vote.agree) > sum(best.agree)):
            best = vote
    return best


def _few(tokens: Sequence[str]) -> Vote | None:
    """Vote for two or three tokens."""
    counts = Counter(token for token in tokens if token)
    most = [token for token, count in counts.most_common(3) if count >= max(2, len(tokens) / 10)]
    if len(most) < 2:
        return None
    names = ", ".join(f"“{token}”" for token in most)
    return Vote([token in most for token in tokens], names, f"are at one of {names}")


def _position(examples: Sequence[Example]) -> Vote:
    """Vote for one position in every row."""
    position = Counter(example.position for example in examples).most_common(1)[0][0]
    place = f"token {position + 1}"
    return Vote([example.position == position for example in examples], f"{place} of the text", f"are at {place}")
