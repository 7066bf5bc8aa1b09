"""Vectors of active features, padded to one length per output so that one product reads all positions.

It multiplies zeros to spare launches, of which a GPU manages fewer than it could multiply meanwhile.
Axes: t target, s source, p (k) position, l (m) layer (of an output), d model.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ct_widgets.attribution.active_features import FeatureWrites
from ct_widgets.attribution.rows import upload


@dataclass(frozen=True, eq=False)
class PaddedWrites:
    """vector: [m][p, s, d], zeros behind the last feature of a position; number: [m][p, s], the features' numbers."""

    vector: list[Tensor]
    number: list[Tensor]

    @classmethod
    def of(cls, writes: FeatureWrites) -> PaddedWrites:
        """Pad what the active features of a prompt write, and release the original, output by output."""
        n_positions = writes.features.n_positions
        vectors: list[Tensor] = []
        numbers: list[Tensor] = []
        for m, rows in enumerate(writes.rows):
            columns = [writes.columns(m, k) for k in range(n_positions)]
            longest = max(one.stop - one.start for one in columns)
            within = torch.arange(longest)
            first = torch.tensor([one.start for one in columns])[:, None]
            used = first + within < torch.tensor([one.stop for one in columns])[:, None]
            vector = rows.new_zeros(n_positions * longest, rows.shape[1])
            vector.index_copy_(0, upload(used.flatten().nonzero().flatten(), rows.device), rows)
            vectors.append(vector.view(n_positions, longest, -1))
            # Behind the last feature any number will do: nothing is added to it.
            numbers.append(upload(torch.where(used, first + within, 0), rows.device))
            writes.release(range(m, m + 1))
        return cls(vectors, numbers)

    def read(self, m: int, G: Tensor, first: int, to: Tensor) -> None:
        """Add what all features wrote to output m, read by G: [t, p - first, d], to their columns of `to`: [t, s]."""
        window = slice(first, first + G.shape[1])
        read = torch.bmm(G.transpose(0, 1), self.vector[m][window].transpose(1, 2))  # [p, t, s]
        to.index_add_(1, self.number[m][window].flatten(), read.transpose(0, 1).flatten(1))
