"""Sums over the tokens of a corpus for pairs of features active together, as sparse matrices [CT25, "Global weights"].

Axes: n token that counts, s source, t target, f feature of one layer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy import sparse

from ct_widgets.features.active import Active

Array = npt.NDArray[Any]

_SUMS, _CSR = ("product", "present"), ("data", "indices", "indptr")
"""Names of the sums, and of the arrays that a sparse matrix takes."""


@dataclass
class Coactivations:
    """Sums over tokens for pairs of features: with each feature's own sums, all that ERA and TWERA take of a corpus.

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
        """Make sums of nothing yet. n_features: of every layer."""
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

    def arrays(self) -> dict[str, Array]:
        """Return the arrays of both sparse matrices by name, as they are written to files."""
        matrices = {name: getattr(self, name).tocsr() for name in _SUMS}
        return {f"{name}_{part}": getattr(matrix, part) for name, matrix in matrices.items() for part in _CSR}

    def fill(self, read: Callable[[str], Array]) -> None:
        """Replace the sums by those in a file, of which `read` gives each of `arrays` by name."""
        for name in _SUMS:
            parts = tuple(read(f"{name}_{part}") for part in _CSR)
            setattr(self, name, sparse.csr_array(parts, shape=getattr(self, name).shape))


def _columns(n_features: Sequence[int], chosen: Array) -> list[Array]:
    column = np.full(sum(n_features), -1)
    column[chosen] = np.arange(len(chosen))
    return np.split(column, np.cumsum(n_features)[:-1])


def _matrix(layers: Sequence[Active], columns: Sequence[Array], n_tokens: int, width: int) -> Any:
    """Put the activations of the features that have a column into a sparse matrix [n, width]."""
    column = np.concatenate([mine[active.feature] for mine, active in zip(columns, layers, strict=True)])
    token = np.concatenate([active.token for active in layers])
    value = np.concatenate([active.value for active in layers]).astype(np.float64)
    keep = column >= 0
    return sparse.csr_array((value[keep], (token[keep], column[keep])), shape=(n_tokens, width))
