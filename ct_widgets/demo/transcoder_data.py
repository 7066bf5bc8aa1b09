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
    {"addition": 264},
    {"counting": 144, "last digit": 16, "tens digit": 16, "parity": 4, "comparison": 40},
    {"sport": 24, "state": 24, "capital": 8, "two-hop capital": 40, "english": 16, "french": 16, "spanish": 16},
)
"""Rows of each task in one part of a round. Counting is what features find hardest, so there is most of it."""

N_REPEATED = 4
"""Rows of repeated random words: few, for they are long."""

PARTS_PER_ROUND = 16

ALIGNMENT_MIX: tuple[dict[str, int], ...] = (
    {"addition": 176},
    {"counting": 144, "last digit": 20, "tens digit": 20, "parity": 4, "comparison": 32},
    {"sport": 16, "state": 16, "capital": 6, "two-hop capital": 24, "english": 8, "french": 8, "spanish": 8},
)
"""Rows of each task in one step of alignment: most where the replacement model is least like the model."""

SHARE_OF_CONTEXT, SHARE_OF_LATER = 0.2, 0.4
"""Of the tokens that predict no answer, and of those that predict an answer's second token or a later one, these shares
are learned from. There are many, most of them alike, while what the language model computes, it computes where it
begins to answer."""

FACT_TASKS = tuple(MIX[2])


def training_round(corpus: Corpus, seed: int, index: int) -> list[Sequences]:
    """Statements of round `index`, of the `TRAIN` split alone, by MIX."""
    rng = np.random.default_rng([seed, index])
    sequences: list[Sequences] = []
    for _ in range(PARTS_PER_ROUND):
        sequences += _drawn(corpus, MIX, rng)
        repeated = corpus.repeated(rng, N_REPEATED).ids
        keep = np.ones(repeated.shape, dtype=np.bool_)
        keep[:, [0, -1]] = False
        sequences.append(Sequences(repeated, keep))
    return sequences


def alignment_batch(corpus: Corpus, seed: int, step: int) -> list[Sequences]:
    """Statements of one step of alignment, of the `TRAIN` split alone."""
    return _drawn(corpus, ALIGNMENT_MIX, np.random.default_rng([seed, 2, step]))


def _drawn(corpus: Corpus, mix: tuple[dict[str, int], ...], rng: np.random.Generator) -> list[Sequences]:
    """Draw one `Sequences` per group of `mix` from the `TRAIN` split."""
    chosen = (corpus.draw(rng, group, (TRAIN,)) for group in mix)
    return [_cut(corpus, rows, _learned_from(corpus, rows, rng)) for rows in chosen]


def survey(corpus: Corpus, seed: int, n: int = 4000) -> list[Sequences]:
    """Statements that tell whether a feature is dead: all facts in every form, and `n` statements about numbers."""
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


def _learned_from(corpus: Corpus, chosen: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.bool_]:
    """[s, p]: every token that predicts the first one of an answer, and some of the others."""
    first = np.roll(_first_answer(corpus, chosen), -1, axis=1)
    later = np.roll(corpus.answer_mask(chosen), -1, axis=1)
    share = np.where(first, 1.0, np.where(later, SHARE_OF_LATER, SHARE_OF_CONTEXT))
    return _context(corpus, chosen) & (rng.random(share.shape) < share)


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
