"""Histograms, sums, examples and co-activations of every feature, added up batch by batch over a corpus.

A batch is counted layer by layer: every activation goes into the histograms; then the largest activation of each
feature in each row of text, and of each context, becomes a candidate for the lists of examples (`topk.py`); windows of
text are cut only for candidates that entered a list.

Axes: l layer, b row of text, p position in a row, n token that counts (no padding, no BOS), f feature of one layer,
c candidate example, w token of a window, s and t features whose co-activations are summed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from ct_widgets.features.active import Active
from ct_widgets.features.bins import N_BINS, bin_of
from ct_widgets.features.coactivations import Coactivations
from ct_widgets.features.topk import Candidates, ExampleLists, Windows, by_size, context_keys

if TYPE_CHECKING:
    from ct_widgets.language_model.corpus import Batch

Array = npt.NDArray[Any]


class Window(NamedTuple):
    """How many tokens around an example are kept with it."""

    before: int
    after: int

    @property
    def width(self) -> int:
        """How many tokens the longest window has."""
        return self.before + 1 + self.after


class Tokens:
    """The tokens of a batch that count, [n], with row, position, text and context of each."""

    def __init__(self, batch: Batch, window: Window) -> None:
        self.batch = batch
        self.window = window
        self.row, self.position = np.nonzero(batch.counts)
        self.key = context_keys(batch.ids, window.before)[self.row, self.position]
        self.text = batch.text[self.row]
        self.shared, self.n_shared = _shared(self.key)
        self.precedence = np.empty(len(self.row), np.int64)  # of equal examples the earliest text's, then the first
        self.precedence[np.argsort(self.text, kind="stable")] = np.arange(len(self.row))[::-1]

    def __len__(self) -> int:
        return len(self.row)

    def windows(self, n: Array, peak: Array, active: Active, example: Array) -> Windows:
        """Cut the windows around tokens n [c], where a feature has the activation `peak` [c].

        active: all activations of these features in these rows, at least; example: [i], to which of the c each of them
        belongs, or -1.
        """
        row, position = self.row[n], self.position[n]
        start = np.maximum(position - self.window.before, 0)
        end = np.minimum(position + self.window.after + 1, self.batch.length[row])
        at = start[:, None] + np.arange(min(self.window.width, self.batch.ids.shape[1]))
        tokens = np.zeros((len(n), self.window.width), np.int32)
        shown = self.batch.ids[row[:, None], np.minimum(at, self.batch.ids.shape[1] - 1)]
        tokens[:, : at.shape[1]] = np.where(at < end[:, None], shown, 0)
        share = np.zeros((len(n), self.window.width), np.float16)
        i = np.flatnonzero(example >= 0)
        c, at = example[i], self.position[active.token[i]]
        inside = (at >= start[c]) & (at < end[c])
        i, c, at = i[inside], c[inside], at[inside]
        with np.errstate(over="ignore"):  # beside a negative peak TopK may keep what is far lower
            share[c, at - start[c]] = active.value[i] / peak[c]
        return Windows(position=position, peak=position - start, length=end - start, tokens=tokens, share=share)


def _shared(key: Array) -> tuple[Array, int]:
    """Number the contexts that several tokens have. -> the number of each token's, or -1, [n]; how many there are."""
    _, context, count = np.unique(key, return_inverse=True, return_counts=True)
    several = count > 1
    return np.where(several, np.cumsum(several) - 1, -1)[context], int(several.sum())


@dataclass
class LayerTally:
    """Histograms [f, bins], sums of activations [f], and lists of examples of the features of one layer."""

    histogram: Array
    total: Array
    top: ExampleLists
    sample: ExampleLists

    @classmethod
    def empty(cls, n_features: int, top: int, sample: int, width: int) -> Self:
        """Make a tally of nothing yet."""
        return cls(
            histogram=np.zeros((n_features, N_BINS), np.uint32),
            total=np.zeros(n_features, np.float64),
            top=ExampleLists.empty("activation", n_features, top, width),
            sample=ExampleLists.empty("random", n_features, sample, width),
        )

    def add(self, active: Active, tokens: Tokens) -> None:
        """Count the active features of a batch."""
        np.add.at(self.histogram.reshape(-1), active.feature * N_BINS + bin_of(active.value), np.uint32(1))
        np.add.at(self.total, active.feature, active.value.astype(np.float64))
        both = (self.top, self.sample)
        key = tokens.key[active.token]
        enters = [kept.may_enter(active.feature, key, active.value) for kept in both]
        active = active.take(_with_their_rows(active, enters[0] | enters[1], tokens, len(self.total)))
        cell, peaks = _examples(active, tokens, len(self.total))
        token, feature, value = active.take(peaks)
        found = Candidates(feature, tokens.key[token], value, tokens.text[token])
        placed = [kept.insert(found) for kept in both]
        new = np.unique(np.concatenate([number for *_, number in placed]))
        if not len(new):
            return
        example = np.full(len(cell), -1)
        example[cell[peaks[new]]] = np.arange(len(new))
        windows = tokens.windows(token[new], value[new], active, example[cell])
        for kept, (owner, slot, number) in zip(both, placed, strict=True):
            kept.set_windows(owner, slot, windows.take(np.searchsorted(new, number)))

    def merge(self, other: LayerTally) -> None:
        """Add what another part of the corpus gave."""
        self.histogram += other.histogram
        self.total += other.total
        self.top.merge(other.top)
        self.sample.merge(other.sample)


def _with_their_rows(active: Active, wanted: Array, tokens: Tokens, n_features: int) -> Array:
    """Select the entries that are wanted, and all others of the same feature in the same row of text."""
    cell = tokens.row[active.token] * n_features + active.feature
    # A table for the entries there are, not for all cells: those that share a place come along, which does no harm.
    size = 1 << (8 * len(cell)).bit_length()
    place = cell & (size - 1)
    marked = np.zeros(size, np.bool_)
    marked[place[wanted]] = True
    return np.flatnonzero(marked[place])


def _examples(active: Active, tokens: Tokens, n_features: int) -> tuple[Array, Array]:
    """Find the entries that are the largest of their feature in their row of text, and of the context that they show.

    -> a number for the feature and row of every entry [i], and the entries [c].
    """
    score = (by_size(active.value) << 32) + tokens.precedence[active.token]
    cell = _numbered(tokens.row[active.token] * n_features + active.feature, len(tokens.batch.ids) * n_features)
    peaks = _largest(cell, score)
    context = tokens.shared[active.token[peaks]]
    several = np.flatnonzero(context >= 0)
    again = peaks[several]
    same = _numbered(context[several] * n_features + active.feature[again], tokens.n_shared * n_features)
    stays = context < 0
    stays[several[_largest(same, score[again])]] = True
    return cell, peaks[stays]


def _numbered(cell: Array, n_cells: int) -> Array:
    """Renumber cells, which are below `n_cells`, below the length of `cell`, equal where they are."""
    if n_cells > 128 * len(cell):  # memory for the cells that are there, not for all
        return np.unique(cell, return_inverse=True)[1]
    number = np.empty(n_cells, np.int64)
    number[cell] = np.arange(len(cell))
    return number[cell]


def _largest(cell: Array, score: Array) -> Array:
    """Find the entries of the largest score of their cell."""
    largest = np.full(len(cell), np.iinfo(np.int64).min)
    np.maximum.at(largest, cell, score)
    return np.flatnonzero(largest[cell] == score)


@dataclass
class Tally:
    """Everything counted over a corpus: layers [l], tokens and texts that were read."""

    layers: list[LayerTally]
    coactivations: Coactivations | None
    n_tokens: int = 0
    n_texts: int = 0

    def add(self, layers: Iterable[Active], tokens: Tokens) -> None:
        """Count a batch. layers: the active features of each, wanted one after the other."""
        found: list[Active] = []
        for tally, active in zip(self.layers, layers, strict=True):
            tally.add(active, tokens)
            if self.coactivations is not None:
                found.append(active)
        if self.coactivations is not None:
            self.coactivations.add(found, len(tokens))
        self.n_tokens += len(tokens)

    def merge(self, other: Tally) -> None:
        """Add what another part of the corpus gave."""
        for mine, theirs in zip(self.layers, other.layers, strict=True):
            mine.merge(theirs)
        if self.coactivations is not None and other.coactivations is not None:
            self.coactivations.merge(other.coactivations)
        self.n_tokens += other.n_tokens
        self.n_texts += other.n_texts
