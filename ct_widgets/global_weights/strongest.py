"""The strongest connections of every feature, kept while blocks of a matrix too large to hold come by.

Axes: r row, c column, k place in the list.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Array = npt.NDArray[Any]


class Strongest:
    """The `k` entries of largest size of each row, with their columns; columns may come in any order."""

    def __init__(self, n_rows: int, k: int, device: torch.device) -> None:
        self.value = torch.zeros(n_rows, k, device=device)
        self.column = torch.full((n_rows, k), -1, device=device)

    def add(self, rows: slice, first: int, block: Tensor) -> None:
        """Take a block [r, c] whose first column is number `first`."""
        k = self.value.shape[1]
        best = block.abs().topk(min(k, block.shape[1]), dim=1).indices
        value = torch.cat([self.value[rows], block.gather(1, best).to(self.value.dtype)], dim=1)
        column = torch.cat([self.column[rows], best + first], dim=1)
        stays = value.abs().topk(k, dim=1).indices
        self.value[rows], self.column[rows] = value.gather(1, stays), column.gather(1, stays)

    def entries(self) -> tuple[Array, Array, Array]:
        """Return row, column and value of all entries that are kept and not 0."""
        row, place = (self.value != 0).nonzero(as_tuple=True)
        parts = row, self.column[row, place], self.value[row, place]
        return parts[0].cpu().numpy(), parts[1].cpu().numpy(), parts[2].cpu().numpy()


def strongest_of(group: Array, score: Array, k: int) -> Array:
    """Find the places of the `k` entries of largest size of every group in a list of scored entries."""
    order = np.lexsort((-np.abs(score), group))
    ranked = group[order]
    rank = np.arange(len(order)) - np.searchsorted(ranked, ranked)
    return order[(rank < k) & (score[order] != 0)]
