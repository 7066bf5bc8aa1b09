"""The strongest virtual weights, ERAs and TWERAs of every feature, over all prompts at once [CT25, "Global weights"].

    ERA[s, t]   = E[1(a_t > 0) a_s] V[s, t]
    TWERA[s, t] = E[a_t a_s] / E[a_t] V[s, t]

with means over the tokens of a corpus, both features at the same token. Axes: s source, t target, e pair.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ct_widgets.errors import FeatureError
from ct_widgets.features import FeatureStore
from ct_widgets.features.catalog import WithFeatures
from ct_widgets.global_weights.corpus_sums import CorpusSums, Pairs, entries, measure, sum_corpus
from ct_widgets.global_weights.feature_set import Chosen, FeatureSet
from ct_widgets.global_weights.strongest import Strongest, strongest_of
from ct_widgets.global_weights.virtual import Block, blocks, n_parts
from ct_widgets.global_weights.weights import GlobalWeights
from ct_widgets.language_model.corpus import Source
from ct_widgets.progress import progress_bar

Array = npt.NDArray[Any]


def global_weights(
    model: WithFeatures,
    corpus: FeatureStore | Source | None = None,
    *,
    sources: Chosen | None = None,
    targets: Chosen | None = None,
    k: int = 20,
    progress: bool | None = None,
) -> GlobalWeights:
    """Find the strongest connections of features; see `ReplacementModel.global_weights`.

    >>> global_weights(model, texts).inputs("L3/12")
    """
    if k < 1:
        raise FeatureError(f"k is {k}; keep at least one connection of each feature")
    features, device = model.features, model.transcoder.device
    s, r = (FeatureSet.of(features.n_features, chosen) for chosen in (sources, targets))
    sums = None if corpus is None else sum_corpus(features.model, corpus, s, r, progress=progress)
    outputs, inputs = Strongest(len(s), k, device), Strongest(len(r), k, device)
    coactive = None if sums is None else CoactivePairs(sums)
    with progress_bar("global weights", n_parts(s), unit="part", show=progress) as bar:
        for block in blocks(features.model, s, r, bar.advance):
            outputs.add(block.sources, block.targets.start, block.virtual)
            inputs.add(block.targets, block.sources.start, block.virtual.T)
            if coactive is not None:
                coactive.add(block)
    by_row, by_column = outputs.entries(), inputs.entries()
    row, column = np.concatenate([by_row[0], by_column[1]]), np.concatenate([by_row[1], by_column[0]])
    virtual = np.concatenate([by_row[2], by_column[2]])
    if sums is not None and coactive is not None:
        found = coactive.strongest(sums.total[r.number], k)
        row, column, virtual = (np.concatenate(pair) for pair in zip((row, column, virtual), found, strict=True))
    # A pair may be strong by several measures, and from both ends.
    unique = np.unique(row.astype(np.int64) * len(r) + column, return_index=True)[1]
    row, column, virtual = row[unique], column[unique], virtual[unique]
    pairs = Pairs(s.number[row], r.number[column], row, column)
    return GlobalWeights(features, s, r, pairs, virtual, None if sums is None else measure(sums, pairs, virtual))


class CoactivePairs:
    """Virtual weights of all pairs that are active at the same token at least once in a corpus."""

    def __init__(self, sums: CorpusSums) -> None:
        self._sums = sums
        self._pairs = abs(sums.product) + abs(sums.present)  # sparse [s, t]
        self._pairs.sort_indices()
        self._virtual = np.zeros(self._pairs.nnz, np.float32)  # aligned with the entries
        self._part: slice | None = None

    def add(self, block: Block) -> None:
        """Take the weights of the pairs that are in a block; blocks of the same sources follow each other."""
        if block.sources != self._part:
            self._open(block.sources)
        begin, end = np.searchsorted(self._column, (block.targets.start, block.targets.stop))
        mine = slice(int(begin), int(end))
        row, column = (torch.from_numpy(ids[mine].astype(np.int64)) for ids in (self._row, self._column))
        found = block.virtual[row.to(block.virtual.device), (column - block.targets.start).to(block.virtual.device)]
        self._virtual[self._place[mine]] = found.cpu().numpy()

    def _open(self, part: slice) -> None:
        """Put the entries of some rows in order of columns, so that those of a block are consecutive."""
        start = self._pairs.indptr[part.start : part.stop + 1]
        order = np.argsort(self._pairs.indices[start[0] : start[-1]], kind="stable")
        self._row = np.repeat(np.arange(len(start) - 1), np.diff(start))[order]
        self._place = order + start[0]
        self._column = self._pairs.indices[self._place]
        self._part = part

    def strongest(self, total: Array, k: int) -> tuple[Array, Array, Array]:
        """Return source, target and V of the pairs of largest ERA or TWERA of each end. total: of activations, [t]."""
        row = np.repeat(np.arange(self._pairs.shape[0]), np.diff(self._pairs.indptr))
        column = self._pairs.indices.astype(np.int64)
        product, present = (entries(sums, row, column) for sums in (self._sums.product, self._sums.present))
        # Only the order counts: means of the same target, or over the same tokens, need no divisor but its own total.
        era = present * self._virtual
        twera = product * self._virtual / np.where(total == 0, 1, total)[column]
        chosen = [strongest_of(end, score, k) for score in (era, twera) for end in (row, column)]
        places = np.unique(np.concatenate(chosen))
        return row[places], column[places], self._virtual[places]
