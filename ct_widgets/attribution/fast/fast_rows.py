"""The order of the fast path: forward mode to the cut layer, then blocks of targets in reverse mode.

Axes: n node, t target, s source, p (k) position, l layer, d model.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from ct_widgets.attribution.active_features import FeatureWrites
from ct_widgets.attribution.fast.attention_maps import AttentionMaps
from ct_widgets.attribution.fast.forward_pass import ForwardPass
from ct_widgets.attribution.fast.matmul import Workspace
from ct_widgets.attribution.fast.padded_writes import PaddedWrites
from ct_widgets.attribution.fast.reverse_pass import ReversePass
from ct_widgets.attribution.memory_plan import MemoryPlan
from ct_widgets.attribution.nodes import Ints
from ct_widgets.attribution.row_computer import RowComputer
from ct_widgets.attribution.rows import Rows, Targets


class FastRows(RowComputer):
    """Computes rows for every family whose frozen linear map is known; raises ModelError for the others.

    It owns the `writes` that it is given, and releases them as they are used up.

    >>> rows = FastRows(targets, writes, make_plan(local, writes, None, 2**32, CPU))
    >>> for numbers in rows.all_rows(): print(numbers)
    """

    def __init__(self, targets: Targets, writes: FeatureWrites, plan: MemoryPlan) -> None:
        super().__init__(targets, plan)
        self._writes, self._workspace = writes, Workspace(self._local.run.embedding)
        layers = range(self._local.run.n_layers)
        self._attention = [AttentionMaps.of_layer(self._local, layer, self._workspace) for layer in layers]
        self._padded = PaddedWrites.of(writes) if plan.padded else None
        self._forward: ForwardPass | None = None

    @torch.inference_mode()  # thousands of small operations, each a little faster than with no_grad
    def all_rows(self) -> Iterator[Ints]:
        """Compute all rows, and free what is not read again on the way; yields the features that have theirs."""
        for numbers, rows in self._run_forward():
            self._keep(numbers, rows)
            yield numbers
        lowest = -1 if self._plan.cut is None else self._plan.cut
        self._writes.release(range(lowest))
        yield from self._run(np.flatnonzero((self._targets.layer > lowest) | (self._targets.layer == 0)))

    @torch.inference_mode()
    def before_ranking(self) -> None:
        """Compute the rows that the first ranking of features needs: those of the logits."""
        for _ in self._run_forward():
            pass
        super().before_ranking()

    def _run_forward(self) -> Iterator[tuple[Ints, Rows]]:
        """Forward mode to the cut layer, if there is one; yields the targets that are read on the way."""
        if self._plan.cut is not None:
            self._forward = ForwardPass(self._targets, self._writes, self._attention, self._workspace, self._plan)
            yield from self._forward.run()

    @torch.inference_mode()
    def _run(self, chosen: Ints) -> Iterator[Ints]:
        lowest = self._targets.layer[chosen] == 0  # reads embeddings alone, so it would only widen others' blocks
        yield from super()._run(chosen[~lowest])
        if self._forward is None:
            yield from super()._run(chosen[lowest])
        elif lowest.any():
            numbers = chosen[lowest]
            embedding = self._forward.embedding[numbers]
            self._keep(numbers, Rows(embedding, embedding, embedding[:, :0], embedding[:, :0, None]))
            yield numbers

    def _rows_of(self, numbers: Ints) -> Rows:
        forward = self._forward
        targets = self._targets.block(numbers, at_stream=True)
        writes = self._padded or self._writes
        reverse = ReversePass(self._local, writes, self._attention, self._workspace, targets, forward)
        rows = reverse.run()
        if forward:
            rows.embedding[:] = forward.embedding[numbers, : reverse.end]
            forward.release(int(targets.position.min()))
        if self._targets.n_features in numbers:  # no other target reads the last output
            self._writes.release(range(self._local.run.n_layers)[-1:])
        return rows
