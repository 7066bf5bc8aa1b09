"""A judge that needs no model: it counts the words that it is shown.

It reads the prompt alone, as any judge does. What it cannot see is meaning: an example has to share words, neighbours
of words or endings of numbers with those of its feature.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ct_widgets.errors import FeatureError
from ct_widgets.evaluation.judging.questions import CONTRASTIVE_CHOICES, SORT_CHOICES

_HEADING = re.compile(r"(Feature|Text|Prompt)(?: (\w))?:")
_PIECE = re.compile(r"<<(?P<marked>.*?)>>(?:\((?P<strength>\d+)\))?|(?P<word>\w+|[^\w\s])", re.DOTALL)

_WEIGHTS = {"at": 3.0, "before": 1.0, "like": 1.0, "in": 0.5}
"""How much a word tells where the feature is active, just ahead of that, by its make, and anywhere in the text."""

_PRIOR = 0.2


class Word(NamedTuple):
    """A word of an example, and how active the feature is on it (from 0 to 1)."""

    text: str
    strength: float


class StatisticalJudge:
    """Chooses by how often words were seen with a feature: naive Bayes over marked words, their neighbours and context.

    >>> sort_eval(model.features, StatisticalJudge())
    """

    def __call__(self, prompt: str) -> str:
        """Choose the answer that fits better."""
        shown = _read(prompt)
        if "Text" in shown:
            profiles = [_Profile.of(shown[f"Feature {choice}"]) for choice in SORT_CHOICES]
            evidence = _evidence(shown["Text"])
            scores = [profile.fit(evidence) for profile in profiles]
            return SORT_CHOICES[scores[1] > scores[0]]
        if "Feature" not in shown:
            raise FeatureError("a StatisticalJudge answers only questions of sort and contrastive evals")
        profile = _Profile.of(shown["Feature"])
        first, second = (_possible(shown[f"Prompt {choice}"][0]) for choice in CONTRASTIVE_CHOICES)
        # What both prompts have decides nothing.
        return CONTRASTIVE_CHOICES[profile.found(second - first) > profile.found(first - second)]

    def __repr__(self) -> str:
        return "StatisticalJudge()"


def _read(prompt: str) -> dict[str, list[list[Word]]]:
    """Examples below each heading."""
    found: dict[str, list[list[Word]]] = defaultdict(list)
    heading = ""
    for line in prompt.splitlines():
        if match := _HEADING.fullmatch(line):
            heading = " ".join(part for part in match.groups() if part)
        elif line.startswith("- ") and heading:
            found[heading].append(list(_words(json.loads(line[2:]))))
        elif line:
            heading = ""
    return found


def _words(text: str) -> Iterator[Word]:
    for match in _PIECE.finditer(text):
        if match["word"] is not None:
            yield Word(match["word"].casefold(), 0.0)
        else:
            strength = 1.0 if match["strength"] is None else int(match["strength"]) / 10
            yield Word(match["marked"].strip().casefold(), strength)


def _evidence(examples: Sequence[Sequence[Word]]) -> Counter[tuple[str, str]]:
    """Evidence of each kind, weighted by how active the feature was there."""
    seen: Counter[tuple[str, str]] = Counter()
    for words in examples:
        for place, word in enumerate(words):
            seen["in", word.text] += 1  # pyright: ignore[reportArgumentType]
            if word.strength > 0:
                for kind, value in _local(words, place):
                    seen[kind, value] += word.strength  # pyright: ignore[reportArgumentType]
    return seen


def _possible(words: Sequence[Word]) -> set[tuple[str, str]]:
    """All the evidence that a prompt would give if the feature were active on all of it."""
    local = {evidence for place in range(len(words)) for evidence in _local(words, place)}
    return local | {("in", word.text) for word in words}


def _local(words: Sequence[Word], place: int) -> Iterator[tuple[str, str]]:
    """Evidence of a word where it stands."""
    text = words[place].text
    yield "at", text
    yield "before", words[place - 1].text if place > 0 else ""
    if text.isdecimal():
        yield "like", f"…{text[-1]}"
        yield "like", f"{text[:-1]}…"
    else:
        yield "like", "word" if text.isalpha() else "mark"


@dataclass(frozen=True)
class _Profile:
    """Evidence of a feature, with the total of every kind."""

    seen: Mapping[tuple[str, str], float]
    total: Mapping[str, float]

    @classmethod
    def of(cls, examples: Sequence[Sequence[Word]]) -> _Profile:
        seen = _evidence(examples)
        total: dict[str, float] = defaultdict(float)
        for (kind, _), count in seen.items():
            total[kind] += count
        return cls(seen, total)

    def log_share(self, kind: str, value: str) -> float:
        """Logarithm of the smoothed share of a value among all of its kind."""
        return math.log((self.seen.get((kind, value), 0.0) + _PRIOR) / (self.total.get(kind, 0.0) + 10 * _PRIOR))

    def fit(self, evidence: Mapping[tuple[str, str], float]) -> float:
        """How well an example's evidence goes with the feature's."""
        return sum(
            _WEIGHTS[kind] * count * self.log_share(kind, value) for (kind, value), count in sorted(evidence.items())
        )

    def found(self, evidence: Iterable[tuple[str, str]]) -> float:
        """How much of this was seen with the feature; what was not seen says nothing."""
        return sum(_WEIGHTS[kind] * math.log1p(self.seen.get((kind, value), 0.0) / _PRIOR) for kind, value in evidence)
