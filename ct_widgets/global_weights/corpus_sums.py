"""Statistics of a corpus for pairs of features, summed in one pass, or read from a store that has them.

Axes: g feature over all layers, s source, t target, n token that counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ct_widgets.errors import FeatureError
from ct_widgets.features import FeatureStore
from ct_widgets.features.coactivations import Coactivations
from ct_widgets.features.collect import active_in_batch
from ct_widgets.features.fingerprint import fingerprint
from ct_widgets.global_weights.feature_set import FeatureSet
from ct_widgets.language_model.corpus import RowMaker, Source, count_texts, in_chunks, read_texts
from ct_widgets.progress import progress_bar
from ct_widgets.transcoded_model import TranscodedModel

Array = npt.NDArray[Any]

_TEXTS = 1024
_CONTEXT, _BATCH_TOKENS = 256, 8192
_MOST_PAIRS = 50_000**2


class Pairs(NamedTuple):
    """Pairs of features [e]: their numbers over all layers, and their places (row, column) in the sets of the sums."""

    source: Array
    target: Array
    row: Array
    column: Array


@dataclass(frozen=True, eq=False)
class CorpusSums:
    """n_tokens: that count; count, total: [g], tokens where each feature is active and the sum of its activations;
    product, present: sparse [s, t], the sums over n of a_s a_t, and of a_s where a_t > 0.
    """

    n_tokens: int
    count: Array
    total: Array
    product: Any
    present: Any


def sum_corpus(
    model: TranscodedModel,
    corpus: FeatureStore | Source,
    sources: FeatureSet,
    targets: FeatureSet,
    *,
    progress: bool | None,
) -> CorpusSums:
    """Sum over texts that stream through the model, or take the sums of a store with co-activations.

    Raises FeatureError for too many pairs, for texts without tokens and for a store that lacks some of the features.
    """
    if isinstance(corpus, FeatureStore):
        return _of_store(model, corpus, sources, targets)
    if len(sources) * len(targets) > _MOST_PAIRS:
        raise FeatureError(
            f"statistics of {len(sources):,} sources with {len(targets):,} targets are too many; "
            'name those you need: sources=["L2/517", ...] or targets=[...]'
        )
    sizes = list(sources.n_features)
    coactivations = Coactivations.of(sizes, sources.number, targets.number)
    count, total = np.zeros(sum(sizes), np.int64), np.zeros(sum(sizes))
    first = np.cumsum([0, *sizes])
    rows = RowMaker(model.language_model, _CONTEXT, _BATCH_TOKENS, ignore_bos=True)
    n_tokens = 0
    with progress_bar("statistics", count_texts(corpus) or 0, unit="text", show=progress) as bar:
        for number, chunk in enumerate(in_chunks(read_texts(corpus), _TEXTS)):
            for batch in rows.batches(chunk, number * _TEXTS):
                layers = list(active_in_batch(model, batch))
                n = int(batch.counts.sum())
                coactivations.add(layers, n)
                for layer, active in enumerate(layers):
                    place = first[layer] + active.feature
                    count += np.bincount(place, minlength=len(count))
                    total += np.bincount(place, active.value, minlength=len(total))
                n_tokens += n
            bar.advance(len(chunk))
    if not n_tokens:
        raise FeatureError("there is no token to count in these texts; pass longer ones")
    return CorpusSums(n_tokens, count, total, coactivations.product, coactivations.present)


def _of_store(model: TranscodedModel, store: FeatureStore, sources: FeatureSet, targets: FeatureSet) -> CorpusSums:
    t = model.transcoder
    store.check(fingerprint(t), t.name)
    sums = store.coactivations()
    place = np.full(sum(store.n_features), -1)
    place[sums.sources] = np.arange(len(sums.sources))
    rows, columns = place[sources.number], place[targets.number]
    if min(rows.min(), columns.min()) < 0:
        raise FeatureError(
            f"the store {store.path} has co-activations of {len(sums.sources):,} features only; "
            "name sources and targets among them, or collect again with those you need"
        )
    product, present = (matrix[rows][:, columns] for matrix in (sums.product, sums.present))
    return CorpusSums(store.n_tokens, store.column("count").astype(np.int64), store.column("total"), product, present)


class Measured(NamedTuple):
    """Measures of pairs [e] on a corpus; NaN where one of the two features is never active.

    together: mean activation of the source where the target is active, as a share of that where it is active itself.
    """

    n_tokens: int
    era: Array
    twera: Array
    together: Array


def measure(sums: CorpusSums, pairs: Pairs, virtual: Array) -> Measured:
    """Compute ERA and TWERA of pairs with these virtual weights [e]."""
    product, present = (entries(matrix, pairs.row, pairs.column) for matrix in (sums.product, sums.present))
    total = sums.total
    with np.errstate(divide="ignore", invalid="ignore"):  # features that are never active
        usual = total[pairs.source] / sums.count[pairs.source]
        return Measured(
            n_tokens=sums.n_tokens,
            era=present / sums.n_tokens * virtual,
            twera=product / total[pairs.target] * virtual,
            together=present / sums.count[pairs.target] / usual,
        )


def entries(matrix: Any, row: Array, column: Array) -> Array:
    """Look up entries of a sparse matrix at many places; 0 where there is none."""
    csr = matrix.tocsr()
    csr.sort_indices()
    width = csr.shape[1]
    known = np.repeat(np.arange(csr.shape[0]), np.diff(csr.indptr)) * width + csr.indices
    wanted = row * width + column
    place = np.minimum(np.searchsorted(known, wanted), max(len(known) - 1, 0))
    return np.where(known[place] == wanted, csr.data[place], 0.0) if len(known) else np.zeros(len(wanted))
