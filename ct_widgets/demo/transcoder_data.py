"""Which tokens of the corpus the demo's transcoder learns from, and which it is judged on.

Two tokens of every sentence are left out of both: BOS, which is the same everywhere, and the last one, from which
nothing is predicted, so that what the language model computes there means nothing.
Axes: s statement, p position.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ct_widgets.demo.corpus import HELD_OUT, OTHER_FORM, TASKS, TRAIN, Corpus
from ct_widgets.training import Sequences

MIX: tuple[dict[str, int], ...] = (
    {"addition": 176},
    {"counting": 32, "last digit": 12, "tens digit": 12, "parity": 8, "comparison": 96},
    {"sport": 36, "state": 44, "capital": 14, "two-hop capital": 34, "english": 14, "french": 14, "spanish": 14},
)
"""Rows of each task in one part of a round, as for the language model; fewer additions, for each is read many times."""

N_REPEATED = 6
"""Rows of repeated random words: few, for they are long."""

PARTS_PER_ROUND = 8

FACT_TASKS = tuple(MIX[2])


def training_round(corpus: Corpus, seed: int, index: int) -> list[Sequences]:
    """Statements of round `index`, of the `TRAIN` split alone, by MIX."""
    rng = np.random.default_rng([seed, index])
    sequences: list[Sequences] = []
    for _ in range(PARTS_PER_ROUND):
        for group in MIX:
            chosen = corpus.draw(rng, group, (TRAIN,))
            sequences.append(_cut(corpus, chosen, _context(corpus, chosen)))
        repeated = corpus.repeated(rng, N_REPEATED).ids
        keep = np.ones(repeated.shape, dtype=np.bool_)
        keep[:, [0, -1]] = False
        sequences.append(Sequences(repeated, keep))
    return sequences


def survey(corpus: Corpus, seed: int, n: int = 4000) -> list[Sequences]:
    """What says whether a feature is dead: all facts in every form, and some `n` statements about numbers."""
    rng = np.random.default_rng([seed, 1])
    tasks = [task for task in TASKS if task not in FACT_TASKS]
    pools = [corpus.select((task,), (TRAIN, HELD_OUT)) for task in tasks]
    numbers = [rng.permutation(pool)[: n // len(tasks)] for pool in pools]
    return _in_parts(corpus, np.concatenate([corpus.select(FACT_TASKS, (TRAIN, OTHER_FORM, HELD_OUT)), *numbers]))


def unseen(corpus: Corpus, *tasks: str, answers: bool = False) -> list[Sequences]:
    """Statements that the transcoder was not trained on: what is read of them, or the first token of the answer."""
    return _in_parts(corpus, corpus.select(tasks or TASKS, (HELD_OUT, OTHER_FORM)), answers)


def _in_parts(corpus: Corpus, chosen: NDArray[np.int64], answers: bool = False, size: int = 512) -> list[Sequences]:
    by_length = chosen[np.argsort(corpus.length[chosen], kind="stable")]
    parts = [by_length[i : i + size] for i in range(0, len(by_length), size)]
    keep = _first_answer if answers else _context
    return [_cut(corpus, part, keep(corpus, part)) for part in parts]


def _context(corpus: Corpus, chosen: NDArray[np.int64]) -> NDArray[np.bool_]:
    """[s, p]: all tokens but BOS, the last and padding."""
    position = np.arange(corpus.ids.shape[1])
    return (position > 0) & (position < corpus.length[chosen, None] - 1)


def _first_answer(corpus: Corpus, chosen: NDArray[np.int64]) -> NDArray[np.bool_]:
    """[s, p]: the token that the whole prompt predicts."""
    return np.arange(corpus.ids.shape[1]) == corpus.prompt_length[chosen, None]


def _cut(corpus: Corpus, chosen: NDArray[np.int64], keep: NDArray[np.bool_]) -> Sequences:
    width = int(corpus.length[chosen].max())
    return Sequences(corpus.ids[chosen, :width], keep[:, :width])
