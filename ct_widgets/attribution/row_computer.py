"""Which rows are computed when, whatever computes them, and where they go. Axes: n node, t target, p position."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

import numpy as np

from ct_widgets.attribution.memory_plan import MemoryPlan, target_blocks
from ct_widgets.attribution.nodes import Ints
from ct_widgets.attribution.row_store import RowStore
from ct_widgets.attribution.rows import Rows, Targets


class RowComputer(ABC):
    """Computes the rows of one prompt, block by block, and keeps them in `store`. Numbers are those of `targets`.

    has_logits: whether the logits have their rows, without which there is no graph.
    """

    def __init__(self, targets: Targets, plan: MemoryPlan) -> None:
        self.store = RowStore(targets.nodes, plan.rows_device)
        self.has_logits = False
        self._targets, self._local, self._plan = targets, targets.local, plan

    @abstractmethod
    def _rows_of(self, numbers: Ints) -> Rows:
        """Compute the rows of a block of targets, by falling layer; good until the next call."""

    def all_rows(self) -> Iterator[Ints]:
        """Compute all rows; yields the features that have just got theirs."""
        yield from self._run(np.arange(len(self._targets.node)))

    def before_ranking(self) -> None:
        """Compute the rows that the first ranking of features needs: those of the logits."""
        for _ in self._run(np.flatnonzero(self._targets.layer == self._local.run.n_layers)):
            pass

    def feature_rows(self, chosen: Ints) -> Iterator[Ints]:
        """Compute the rows of the features numbered `chosen`; yields those of each block when it is done."""
        yield from self._run(np.sort(chosen))

    def _run(self, chosen: Ints) -> Iterator[Ints]:
        """Compute rows of targets, whose numbers rise, from the last position to the first."""
        d, plan = self._local.run.embedding.shape[1], self._plan
        for part in reversed(target_blocks(self._targets.position[chosen], d, plan.block, plan.tuning.padding)):
            block = chosen[part]
            block = block[np.argsort(-self._targets.layer[block], kind="stable")]
            self._keep(block, self._rows_of(block))
            yield block[block < self._targets.n_features]

    def _keep(self, numbers: Ints, rows: Rows) -> None:
        self.store.add(rows, self._targets.node[numbers])
        if self._targets.n_features in numbers:  # the first of the logits, and the last to come
            self.has_logits = True
