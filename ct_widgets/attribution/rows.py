"""All rows, or the most influential ones: which targets are computed when, and where their rows go.

Axes: n node, t target, s source, p (k) position, l layer, d model.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ct_widgets.attribution.flow import Streams
from ct_widgets.attribution.local_replacement_model import LocalReplacementModel
from ct_widgets.attribution.nodes import Nodes
from ct_widgets.attribution.plan import Plan, blocks
from ct_widgets.attribution.row_store import RowStore
from ct_widgets.attribution.sweep import Rows, Targets, read_streams, sweep
from ct_widgets.attribution.targets import LogitTargets
from ct_widgets.attribution.transport import Transport
from ct_widgets.attribution.workspace import Workspace

Ints = npt.NDArray[np.int64]


class RowComputer:
    """Computes rows for one prompt and keeps them in `store`.

    `climb` comes first; `sweep_logits` and `sweep_features` give the rows of targets above the plane in layer
    `plan.cut`.
    """

    def __init__(self, local: LocalReplacementModel, asked: LogitTargets, nodes: Nodes, plan: Plan) -> None:
        self.local, self.asked, self.nodes, self.plan = local, asked, nodes, plan
        self.store = RowStore(nodes)
        self.has_logits = False
        self.workspace = Workspace(local.run.embedding)
        self.transports = [Transport.of_layer(local, layer, self.workspace) for layer in range(local.run.n_layers)]
        self.streams = Streams(local, plan.cut, self.transports)
        last_scale = local.run.scales["final"][-1:].expand(len(asked.text))
        self.logits = Targets(
            layer=torch.full((len(asked.text),), local.run.n_layers),
            position=torch.full((len(asked.text),), local.run.n_positions - 1),
            vector=local.frozen_map.ln_final.pull_back(asked.direction, last_scale),
        )
        # Rows of the embeddings for all features, then all logits, [t, p]: the streams pass every target once.
        n_features, n_targets = len(local.features), len(local.features) + len(asked.text)
        self.logit_numbers = torch.arange(n_features, n_targets)
        self.embedding = local.run.embedding.new_zeros(n_targets, local.run.n_positions)

    def every_row(self) -> Iterator[Ints]:
        """Compute all rows; yields the features that have theirs."""
        yield from self.climb(keep_rows=True)
        self.sweep_logits()
        yield from self.sweep_features(np.flatnonzero(self.local.features.layer.numpy() > self.streams.cut))

    def before_ranking(self) -> None:
        """Compute the rows that the first ranking of features needs: those of the logits."""
        for _ in self.climb(keep_rows=False):
            pass
        self.sweep_logits()

    def climb(self, *, keep_rows: bool) -> Iterator[Ints]:
        """Let the streams flow; with `keep_rows`, all targets up to the plane get theirs, and it yields which."""
        features, run = self.local.features, self.local.run
        for layer in range(run.n_layers):
            self.streams.to_read(layer)
            starts = [features.starts[p][layer : layer + 2] for p in range(self.local.first_position, run.n_positions)]
            groups = [torch.arange(*bounds) for bounds in starts if bounds[0] < bounds[1]]
            here = feature_targets(self.local, torch.cat(groups)) if groups else None
            for targets, group in zip(here.split([len(g) for g in groups]) if here else (), groups, strict=True):
                self._read_embeddings(targets, int(group[0]))
                if keep_rows and layer <= self.streams.cut:
                    rows = read_streams(self.local, self.streams, targets, self.workspace)
                    self._keep(rows, self.nodes.feature[group.numpy()], group)
                    yield group.numpy()
            self.streams.to_output(layer)
        self._read_embeddings(self.logits, len(features))

    def _read_embeddings(self, targets: Targets, begin: int) -> None:
        """Rows of the embeddings for targets at one position, numbered from `begin` on, while the streams are there."""
        rows, position = self.embedding[begin : begin + len(targets)], int(targets.position[0])
        for flow in self.streams.embeddings:
            if flow.start <= position:
                torch.mm(targets.vector, flow.at(position).T, out=rows[:, flow.start : flow.start + flow.joined])

    def sweep_logits(self) -> None:
        """Compute the rows of the logits."""
        self._sweep(self.logits, self.nodes.logit, self.logit_numbers)
        self.has_logits = True

    def sweep_features(self, chosen: Ints) -> Iterator[Ints]:
        """Compute the rows of the features numbered `chosen`; yields those of each block when it is done."""
        features, run = self.local.features, self.local.run
        chosen = np.sort(chosen)  # features are numbered by position
        layer, position = features.layer.numpy(), features.position.numpy()
        d, device = run.embedding.shape[-1], run.embedding.device
        lowest = layer[chosen] == 0  # they read embeddings alone, so they would only widen the blocks of others
        for group in (chosen[~lowest], chosen[lowest]):
            for part in blocks(position[group], d, device, self.plan.block):
                block = group[part]
                block = block[np.argsort(-layer[block], kind="stable")]
                numbers = torch.from_numpy(block)
                self._sweep(feature_targets(self.local, numbers), self.nodes.feature[block], numbers)
                yield block

    def _sweep(self, targets: Targets, node: Ints, numbers: Tensor) -> None:
        self._keep(sweep(self.local, self.streams, self.transports, targets, self.workspace), node, numbers)

    def _keep(self, rows: Rows, node: Ints, numbers: Tensor) -> None:
        rows.embedding[:] = self.embedding[numbers, : rows.embedding.shape[1]]
        self.store.add(rows, node)


def feature_targets(local: LocalReplacementModel, chosen: Tensor) -> Targets:
    """What the features numbered `chosen`, sorted by layer, read of the residual stream at their layer and position."""
    features, run = local.features, local.run
    layer, position = features.layer[chosen], features.position[chosen]
    vector = features.activation.new_empty(len(chosen), run.embedding.shape[-1])
    # To the device at once, not layer by layer: each transfer waits for it.
    index, at = torch.stack([features.index[chosen], position]).to(vector.device)
    layers, counts = layer.unique_consecutive(return_counts=True)
    parts = zip(layers.tolist(), *(x.split(counts.tolist()) for x in (index, at, vector)), strict=True)
    for one, index_part, at_part, vector_part in parts:
        read = local.transcoder.encoder_vectors(one, index_part)
        vector_part[:] = run.pull_back_read(local.frozen_map, one, read, at_part)
    return Targets(layer, position, vector)
