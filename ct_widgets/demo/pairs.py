"""Pairs of the demo's prompts with one key difference, for contrastive evals."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import takewhile

import numpy as np

from ct_widgets.demo.corpus import Statement, statements

_LONGEST = 3
"""Words that may differ."""


def contrastive_pairs(n: int, seed: int = 0) -> list[tuple[str, str]]:
    """`n` pairs of prompts that differ in one place alone, and in their answer; all tasks equally often.

    >>> contrastive_pairs(1)
    [('Fact: the capital of Texas is', 'Fact: the capital of Ohio is')]
    """
    rng = np.random.default_rng(seed)
    by_task: dict[str, list[Statement]] = defaultdict(list)
    for statement in statements(seed):
        by_task[statement.task].append(statement)
    tasks = list(by_task)
    pairs: dict[tuple[str, str], None] = {}
    while len(pairs) < n:
        world = by_task[tasks[int(rng.integers(len(tasks)))]]
        a, b = (world[int(i)] for i in rng.integers(len(world), size=2))
        same_form = a.prompt.startswith("Fact:") == b.prompt.startswith("Fact:")
        if a.answer != b.answer and same_form and max(_different_words(a.prompt, b.prompt)) <= _LONGEST:
            pairs[a.prompt, b.prompt] = None
    return list(pairs)


def _different_words(a: str, b: str) -> tuple[int, int]:
    """Words of each prompt between what both begin and end with."""
    first, second = _split(a), _split(b)
    ahead = _same(first, second)
    behind = _same(first[ahead:][::-1], second[ahead:][::-1])
    return len(first) - ahead - behind, len(second) - ahead - behind


def _same(a: Sequence[str], b: Sequence[str]) -> int:
    """How many words both begin with."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(a, b, strict=False)))


def _split(prompt: str) -> list[str]:
    return prompt.replace("+", " + ").split()
