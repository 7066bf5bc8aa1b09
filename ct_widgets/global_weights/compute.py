"""global_weights: the strongest virtual weights, ERAs and TWERAs of every feature [CT25, "Global weights"].

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
from ct_widgets.features.corpus import Source
from ct_widgets.global_weights.corpus_sums import CorpusSums, Pairs, entries, measure, sum_corpus
from ct_widgets.global_weights.feature_set import Chosen, FeatureSet
from ct_widgets.global_weights.strongest import Strongest, strongest_of
from ct_widgets.global_weights.virtual import Block, blocks, n_parts
from ct_widgets.global_weights.weights import GlobalWeights
from ct_widgets.progress import progress_bar
from ct_widgets.replacement_model import ReplacementModel

Array = npt.NDArray[Any]


def global_weights(
    model: ReplacementModel,
    corpus: FeatureStore | Source | None = None,
    *,
    sources: Chosen | None = None,
    targets: Chosen | None = None,
    k: int = 20,
    progress: bool | None = None,
) -> GlobalWeights:
    """See `ReplacementModel.global_weights`."""
    if k < 1:
        raise FeatureError(f"k is {k}; keep one connection of each feature at least")
    t = model.transcoder
    sizes = [t.n_features(layer) for layer in range(t.n_layers)]
    s, r = FeatureSet.of(sizes, sources), FeatureSet.of(sizes, targets)
    sums = None if corpus is None else sum_corpus(model, corpus, s, r, progress=progress)
    outputs, inputs = Strongest(len(s), k, t.device), Strongest(len(r), k, t.device)
    together = None if sums is None else Together(sums)
    with progress_bar("global weights", n_parts(s), unit="part", show=progress) as bar:
        for block in blocks(model, s, r, bar.advance):
            outputs.add(block.sources, block.targets.start, block.virtual)
            inputs.add(block.targets, block.sources.start, block.virtual.T)
            if together is not None:
                together.add(block)
    by_row, by_column = outputs.entries(), inputs.entries()
    row, column = np.concatenate([by_row[0], by_column[1]]), np.concatenate([by_row[1], by_column[0]])
    virtual = np.concatenate([by_row[2], by_column[2]])
    if sums is not None and together is not None:
        found = together.strongest(sums.total[r.number], k)
        row, column, virtual = (np.concatenate(pair) for pair in zip((row, column, virtual), found, strict=True))
    # A pair may be strong by several measures, and from both ends.
    unique = np.unique(row.astype(np.int64) * len(r) + column, return_index=True)[1]
    row, column, virtual = row[unique], column[unique], virtual[unique]
    pairs = Pairs(s.number[row], r.number[column], row, column)
    return GlobalWeights(model, s, r, pairs, virtual, None if sums is None else measure(sums, pairs, virtual))


class Together:
    """V of all pairs that are ever active together."""

    def __init__(self, sums: CorpusSums) -> None:
        self._sums = sums
        self._pairs = abs(sums.product) + abs(sums.present)  # sparse [s, t]
        self._pairs.sort_indices()
        self._virtual = np.zeros(self._pairs.nnz, np.float32)  # aligned with the entries
        self._part: slice | None = None

    def add(self, block: Block) -> None:
        """Note the weights of the pairs that are in a block; blocks of the same sources follow each other."""
        if block.sources != self._part:
            self._open(block.sources)
        begin, end = np.searchsorted(self._column, (block.targets.start, block.targets.stop))
        mine = slice(int(begin), int(end))
        row, column = (torch.from_numpy(ids[mine].astype(np.int64)) for ids in (self._row, self._column))
        found = block.virtual[row.to(block.virtual.device), (column - block.targets.start).to(block.virtual.device)]
        self._virtual[self._place[mine]] = found.cpu().numpy()

    def _open(self, part: slice) -> None:
        """The entries of some rows in order of columns: those of a block are consecutive."""
        start = self._pairs.indptr[part.start : part.stop + 1]
        order = np.argsort(self._pairs.indices[start[0] : start[-1]], kind="stable")
        self._row = np.repeat(np.arange(len(start) - 1), np.diff(start))[order]
        self._place = order + start[0]
        self._column = self._pairs.indices[self._place]
        self._part = part

    def strongest(self, total: Array, k: int) -> tuple[Array, Array, Array]:
        """Source, target and V of the pairs of largest ERA or TWERA of each end. total: [t], sums of activations."""
        row = np.repeat(np.arange(self._pairs.shape[0]), np.diff(self._pairs.indptr))
        column = self._pairs.indices.astype(np.int64)
        product, present = (entries(sums, row, column) for sums in (self._sums.product, self._sums.present))
        # Only the order counts: means of the same target, or over the same tokens, need no divisor but its own total.
        era = present * self._virtual
        twera = product * self._virtual / np.where(total == 0, 1, total)[column]
        chosen = [strongest_of(end, score, k) for score in (era, twera) for end in (row, column)]
        places = np.unique(np.concatenate(chosen))
        return row[places], column[places], self._virtual[places]
