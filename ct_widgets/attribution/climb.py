"""Rows by meeting halfway: sources flow up to a plane, where targets from above read them.

Targets below the plane are read on the way. Axes: t target, s source, p position, l layer, d model.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch

from ct_widgets.attribution.flow import Streams
from ct_widgets.attribution.local_replacement_model import LocalReplacementModel
from ct_widgets.attribution.products import product
from ct_widgets.attribution.sweep import Rows, Targets, feature_targets
from ct_widgets.attribution.transport import Transport
from ct_widgets.attribution.workspace import Workspace

Ints = npt.NDArray[np.int64]


class Climb:
    """The streams of the sources below a plane, and what all targets read of them.

    embedding: [t, p], the rows of the embeddings for all features, then all logits: their streams pass every target
    once.
    """

    def __init__(
        self,
        local: LocalReplacementModel,
        cut: int,
        transports: Sequence[Transport],
        workspace: Workspace,
        logits: Targets,
    ) -> None:
        self.local, self.workspace, self._logits = local, workspace, logits
        self.streams = Streams(local, cut, transports)
        self.embedding = local.run.embedding.new_zeros(len(local.features) + len(logits), local.run.n_positions)

    def targets(self) -> Iterator[tuple[Targets, Ints]]:
        """Let the streams flow to the plane and the embeddings' on to the top.

        Yields the features up to the plane that share a layer and a position, and their numbers, when they can be read;
        not those of the lowest layer, which read embeddings alone.
        """
        features, run = self.local.features, self.local.run
        for layer in range(run.n_layers):
            self.streams.to_read(layer)
            starts = [features.starts[p][layer : layer + 2] for p in range(self.local.first_position, run.n_positions)]
            groups = [torch.arange(*bounds) for bounds in starts if bounds[0] < bounds[1]]
            here = feature_targets(self.local, torch.cat(groups)) if groups else None
            for targets, group in zip(here.split([len(g) for g in groups]) if here else (), groups, strict=True):
                self._read_embeddings(targets, int(group[0]))
                if 0 < layer <= self.streams.cut:
                    yield targets, group.numpy()
            self.streams.to_output(layer)
        self._read_embeddings(self._logits, len(features))

    def _read_embeddings(self, targets: Targets, begin: int) -> None:
        """Rows of the embeddings for targets at one position, numbered from `begin` on."""
        rows, position = self.embedding[begin : begin + len(targets)], int(targets.position[0])
        for flow in self.streams.embeddings:
            if flow.start <= position:
                torch.mm(targets.vector, flow.at(position).T, out=rows[:, flow.start : flow.start + flow.joined])

    def read(self, targets: Targets) -> Rows:
        """Rows of targets that have just been yielded; good until the next are read."""
        local, streams = self.local, self.streams
        rows = Rows.zeros(local, targets, self.workspace)
        position = int(targets.position[0])
        for flow in streams.features:
            if flow.start <= position and flow.joined:
                begin = local.features.starts[flow.start][0]
                rows.feature[:, begin : begin + flow.joined] = product(targets.vector, flow.at(position))
        first, n = local.first_position, local.run.n_positions - local.first_position
        if streams.errors.joined and position >= first:
            read = product(targets.vector, streams.errors.at(position)).view(len(targets), -1, n)
            rows.error[:, : read.shape[1], first:] = read[..., : position + 1 - first]
        return rows
