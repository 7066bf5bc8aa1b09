"""What a corpus says about every feature, added up batch by batch.

Axes: l layer, b row of text, p position in a row, n token that counts (no padding, no BOS), f feature of one layer,
c candidate example, w token of a window, s and t features whose co-activations are summed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import torch
from scipy import sparse
from torch import Tensor

from ct_widgets.features.bins import N_BINS, bin_of
from ct_widgets.features.kept import Candidates, Kept, Windows, context_keys

Array = npt.NDArray[Any]


class Window(NamedTuple):
    """Tokens kept around an example."""

    before: int
    after: int

    @property
    def width(self) -> int:
        """Tokens of the longest window."""
        return self.before + 1 + self.after


class Batch(NamedTuple):
    """Rows of text that go through the model together.

    ids: [b, p], padded on the right; length: [b]; text: [b], the number of the text that each row is from;
    first: positions before it (BOS) do not count.
    """

    ids: Array
    length: Array
    text: Array
    first: int

    @property
    def counts(self) -> npt.NDArray[np.bool_]:
        """[b, p]: which tokens count."""
        position = np.arange(self.ids.shape[1])
        return (position >= self.first) & (position < self.length[:, None])


class Tokens:
    """The tokens of a batch that count, one after the other, and where each is from."""

    def __init__(self, batch: Batch, window: Window) -> None:
        self.batch = batch
        self.window = window
        self.row, self.position = np.nonzero(batch.counts)
        self.key = context_keys(batch.ids, window.before)[self.row, self.position]
        self.text = batch.text[self.row]
        self._number = np.full(batch.ids.shape, -1)
        self._number[self.row, self.position] = np.arange(len(self.row))

    def __len__(self) -> int:
        return len(self.row)

    def windows(self, n: Array, feature: Array, a: Tensor) -> Windows:
        """The windows around tokens n [c], with the activations of one feature each. a: [n, f]."""
        row, position = self.row[n], self.position[n]
        start = np.maximum(position - self.window.before, 0)
        end = np.minimum(position + self.window.after + 1, self.batch.length[row])
        at = start[:, None] + np.arange(min(self.window.width, self.batch.ids.shape[1]))
        inside = at < end[:, None]
        at = np.minimum(at, self.batch.ids.shape[1] - 1)
        number = self._number[row[:, None], at]
        counted = inside & (number >= 0)
        columns = torch.from_numpy(feature).to(a.device)[:, None]
        activation = a[torch.from_numpy(np.maximum(number, 0)).to(a.device), columns].cpu().numpy()
        own = a[torch.from_numpy(n).to(a.device), columns[:, 0]].cpu().numpy()
        return Windows(
            position=position,
            peak=position - start,
            length=end - start,
            tokens=np.where(inside, self.batch.ids[row[:, None], at], 0),
            # Adding 0 makes 0 of -0.
            share=np.where(counted, activation / own[:, None] + 0.0, 0).astype(np.float16),
        )


class Active(NamedTuple):
    """Where features of a layer are active: token [i], feature [i], activation [i], in order of tokens."""

    token: Array
    feature: Array
    value: Array


def find_active(a: Tensor) -> Active:
    """The entries of a [n, f] that are not 0."""
    active = a != 0
    # On a CPU numpy finds them in half the time; from a GPU only those found should travel.
    flat = (
        torch.from_numpy(np.flatnonzero(active.numpy())) if a.device.type == "cpu" else active.view(-1).nonzero()[:, 0]
    )
    value = a.reshape(-1)[flat].float().cpu().numpy()
    token, feature = np.divmod(flat.cpu().numpy(), a.shape[1])
    return Active(token, feature, value)


@dataclass
class LayerTally:
    """Histogram [f, bins], sum of activations [f], and examples of the features of one layer."""

    histogram: Array
    total: Array
    top: Kept
    sample: Kept

    @classmethod
    def empty(cls, n_features: int, top: int, sample: int, width: int) -> Self:
        """Nothing seen yet."""
        return cls(
            histogram=np.zeros((n_features, N_BINS), np.uint32),
            total=np.zeros(n_features, np.float64),
            top=Kept.empty("value", n_features, top, width),
            sample=Kept.empty("chance", n_features, sample, width),
        )

    def add(self, a: Tensor, active: Active, tokens: Tokens) -> None:
        """Count the activations a [n, f] of a batch; `active` are those that are not 0."""
        n_features = len(self.total)
        cell = torch.from_numpy(active.feature * N_BINS + bin_of(active.value))
        # uint32 has no index_add in torch; the bits of an int32 are the same.
        counts = torch.from_numpy(self.histogram.view(np.int32)).view(-1)
        counts.index_add_(0, cell, torch.ones(len(cell), dtype=torch.int32))
        total = torch.from_numpy(self.total)
        total.index_add_(0, torch.from_numpy(active.feature), torch.from_numpy(active.value).double())
        peaks = _peaks(active, tokens, n_features)
        token, feature = active.token[peaks], active.feature[peaks]
        found = Candidates(feature, tokens.key[token], active.value[peaks], tokens.text[token])
        for kept in (self.top, self.sample):
            chosen = np.flatnonzero(kept.promising(found))
            if not len(chosen):
                continue
            owner, place, new = kept.insert(found.take(chosen))
            kept.set_windows(owner, place, tokens.windows(token[chosen[new]], owner, a))

    def merge(self, other: LayerTally) -> None:
        """Add what another part of the corpus gave."""
        self.histogram += other.histogram
        self.total += other.total
        self.top.merge(other.top)
        self.sample.merge(other.sample)


def _peaks(active: Active, tokens: Tokens, n_features: int) -> Array:
    """Which entries are the largest of their feature in their row of text, the first of them where several are."""
    cell = tokens.row[active.token] * n_features + active.feature
    index = torch.from_numpy(cell)
    largest = torch.full((len(tokens.batch.ids) * n_features,), -torch.inf)
    largest.scatter_reduce_(0, index, torch.from_numpy(active.value), "amax")
    peaks = np.flatnonzero(active.value == largest[index].numpy())
    if len(peaks) == int((largest > -torch.inf).sum()):
        return peaks
    return peaks[np.sort(np.unique(cell[peaks], return_index=True)[1])]  # ties in a row: the first token


@dataclass
class Coactivations:
    """What pairs of features do at the same token: with each feature's own sums, this is what ERA and TWERA ask of a
    corpus [CT25, "Global weights"].

    sources: [s], targets: [t], numbers of features over all layers; source_column, target_column: L x [f], the place of
    a feature among them, or -1; product: the sum over n of a_s a_t; present: the sum over n of a_s where a_t > 0.
    """

    sources: Array
    targets: Array
    source_column: list[Array]
    target_column: list[Array]
    product: Any  # sparse [s, t]
    present: Any  # sparse [s, t]

    @classmethod
    def of(cls, n_features: Sequence[int], sources: Array, targets: Array) -> Self:
        """Nothing seen yet of any source with any target."""
        nothing = sparse.csr_array((len(sources), len(targets)), dtype=np.float64)
        columns = [_columns(n_features, chosen) for chosen in (sources, targets)]
        return cls(sources, targets, columns[0], columns[1], product=nothing, present=nothing)

    def add(self, layers: Sequence[Active], n_tokens: int) -> None:
        """Count the active features of a batch, by layer."""
        s = _matrix(layers, self.source_column, n_tokens, len(self.sources))
        t = _matrix(layers, self.target_column, n_tokens, len(self.targets))
        self.product = self.product + s.T @ t
        self.present = self.present + s.T @ (t > 0).astype(np.float64)

    def merge(self, other: Coactivations) -> None:
        """Add what another part of the corpus gave."""
        self.product = self.product + other.product
        self.present = self.present + other.present


def _columns(n_features: Sequence[int], chosen: Array) -> list[Array]:
    column = np.full(sum(n_features), -1)
    column[chosen] = np.arange(len(chosen))
    return np.split(column, np.cumsum(n_features)[:-1])


def _matrix(layers: Sequence[Active], columns: Sequence[Array], n_tokens: int, width: int) -> Any:
    """Activations of the features that have a column, sparse [n, width]."""
    column = np.concatenate([mine[active.feature] for mine, active in zip(columns, layers, strict=True)])
    token = np.concatenate([active.token for active in layers])
    value = np.concatenate([active.value for active in layers]).astype(np.float64)
    keep = column >= 0
    return sparse.csr_array((value[keep], (token[keep], column[keep])), shape=(n_tokens, width))


@dataclass
class Tally:
    """Everything counted over a corpus: layers [l], tokens and texts that were read."""

    layers: list[LayerTally]
    coactivations: Coactivations | None
    n_tokens: int = 0
    n_texts: int = 0

    def add(self, layers: Sequence[Tensor], tokens: Tokens) -> None:
        """Count a batch. layers: L x [n, f], the activations of the tokens that count."""
        found: list[Active] = []
        for tally, a in zip(self.layers, layers, strict=True):
            active = find_active(a)
            tally.add(a, active, tokens)
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
