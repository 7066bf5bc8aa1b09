"""Which tokens of the corpus the demo's transcoder learns from, and which it is judged on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ct_widgets.demo.corpus import HELD_OUT, MIX, N_INDUCTION, OTHER_FORM, TASKS, TRAIN, Corpus
from ct_widgets.training import Sequences

BATCHES_PER_ROUND = 8
"""One round is as many statements as this many batches of the language model: some 40,000 tokens."""

FACT_TASKS = tuple(MIX[2])


def training_round(corpus: Corpus, seed: int, index: int) -> list[Sequences]:
    """Statements of round `index`, of the `TRAIN` split alone, in the language model's mix; all tokens but BOS."""
    rng = np.random.default_rng([seed, index])
    sequences: list[Sequences] = []
    for _ in range(BATCHES_PER_ROUND):
        sequences += [_sequences(corpus, corpus.draw(rng, group, (TRAIN,))) for group in MIX]
        repeated = corpus.repeated(rng, N_INDUCTION).ids
        keep = np.ones(repeated.shape, dtype=np.bool_)
        keep[:, 0] = False  # BOS
        sequences.append(Sequences(repeated, keep))
    return sequences


def survey(corpus: Corpus, seed: int, n: int = 4000) -> list[Sequences]:
    """What says whether a feature is dead: all facts in every form, and `n` statements about numbers of every task."""
    rng = np.random.default_rng([seed, 1])
    chosen = [corpus.select(FACT_TASKS, (TRAIN, OTHER_FORM, HELD_OUT))]
    tasks = [task for task in TASKS if task not in FACT_TASKS]
    for task in tasks:
        pool = corpus.select((task,), (TRAIN, HELD_OUT))
        chosen.append(rng.permutation(pool)[: n // len(tasks)])
    return _in_parts(corpus, np.concatenate(chosen))


def unseen(corpus: Corpus, *tasks: str, answers: bool = False) -> list[Sequences]:
    """Statements that the transcoder was not trained on: all tokens but BOS, or the answers alone."""
    return _in_parts(corpus, corpus.select(tasks or TASKS, (HELD_OUT, OTHER_FORM)), answers)


def _in_parts(corpus: Corpus, chosen: NDArray[np.int64], answers: bool = False, size: int = 512) -> list[Sequences]:
    by_length = chosen[np.argsort(corpus.length[chosen], kind="stable")]
    return [_sequences(corpus, by_length[i : i + size], answers) for i in range(0, len(by_length), size)]


def _sequences(corpus: Corpus, chosen: NDArray[np.int64], answers: bool = False) -> Sequences:
    width = int(corpus.length[chosen].max())
    keep = corpus.answer_mask(chosen) if answers else corpus.inside_mask(chosen)
    keep[:, 0] = False  # BOS
    return Sequences(corpus.ids[chosen, :width], keep[:, :width])
