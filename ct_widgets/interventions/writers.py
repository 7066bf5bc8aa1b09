"""What the MLPs write under a change, layer by layer upwards: one writer per method of METHODS [CT25].

A writer is asked for every layer in order, with what the layer's transcoder reads now, and answers with the MLP's
output; it calls the model's own MLP only where that is what the method runs.
Axes: n intervention, l layer, p position (of a window that ends with the prompt), f feature, m output layer, d model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from torch import Tensor

from ct_widgets.interventions.baseline import Baseline
from ct_widgets.interventions.intervention import Changes
from ct_widgets.interventions.plan import Plan

LiveMLP = Callable[[], Tensor]


class Writer(Protocol):
    """Gives the MLP output of every layer; `start` is the first position of the window."""

    def write(self, layer: int, read: Tensor, live: LiveMLP) -> Tensor:
        """read: [n, p, d], what the layer's transcoder reads; live: runs the model's own MLP -> [n, p, d]."""
        ...


def make_writer(base: Baseline, plan: Plan, changes: Sequence[Changes], start: int = 0) -> Writer:
    """The writer of `plan` for several changes at once."""
    if plan.method == "constrained":
        return Clamped(base, plan, direct_writes(base, plan, changes)[:, :, start:], start)
    return {"iterative": Cascading, "open": Steering}[plan.method](base, plan, changes, start)


def direct_writes(base: Baseline, plan: Plan, changes: Sequence[Changes]) -> Tensor:
    """What changes write by themselves, computed once from the baseline: (a' - a) W_dec and pushes. -> [n, l, p, d]."""
    pending = _Pending(base, plan, len(changes), 0)
    for layer in range(base.n_layers):
        activations = base.activations(layer) if any(layer in one.sets for one in changes) else None
        for n, one in enumerate(changes):
            if activations is not None and layer in one.sets:
                place = one.sets[layer]
                own = activations[place.position, place.feature]
                delta = place.factor * own + place.offset - own
                pending.add(n, layer, place.position, place.feature, delta)
            pending.push(n, layer, one)
    return pending.writes


class _Pending:
    """Writes that are still to come, by the layer they are for: [n, l, p, d]."""

    def __init__(self, base: Baseline, plan: Plan, n: int, start: int) -> None:
        self.base, self.plan, self.start = base, plan, start
        d = base.run.mlp_out.shape[-1]
        self.writes = base.run.mlp_out.new_zeros(n, base.n_layers, base.n_positions - start, d)

    def add(self, n: int, layer: int, position: Tensor, feature: Tensor, delta: Tensor) -> None:
        """Let features [c] of `layer` write `delta` [c] times their decoder vectors to the layers of the range."""
        vectors = self.base.transcoder.decoder_vectors(layer, feature) * delta[:, None, None]
        for m, target in enumerate(self.base.transcoder.output_layers(layer)):
            if self.plan.covers(target):
                self.writes[n, target].index_add_(0, position - self.start, vectors[:, m].to(self.writes.dtype))

    def push(self, n: int, layer: int, change: Changes) -> None:
        """Add a change's directions of `layer`."""
        if layer in change.pushes and self.plan.covers(layer):
            pushes = change.pushes[layer]
            self.writes[n, layer].index_add_(0, pushes.position - self.start, pushes.vector.to(self.writes.dtype))


class Clamped:
    """Constrained patching: outputs of the range are the baseline's plus `writes` [n, l, p, d], whatever they read."""

    def __init__(self, base: Baseline, plan: Plan, writes: Tensor, start: int) -> None:
        self.base, self.plan, self.writes, self.start = base, plan, writes, start

    def write(self, layer: int, read: Tensor, live: LiveMLP) -> Tensor:
        """See Writer."""
        if not self.plan.covers(layer):
            return live()
        return _recorded(self.base, layer, read, self.start) + self.writes[:, layer]


class Cascading:
    """Iterative patching: features of the range are encoded from what they read now; error vectors stay."""

    def __init__(self, base: Baseline, plan: Plan, changes: Sequence[Changes], start: int) -> None:
        self.base, self.plan, self.changes, self.start = base, plan, changes, start
        self._pending = _Pending(base, plan, len(changes), start)

    def write(self, layer: int, read: Tensor, live: LiveMLP) -> Tensor:
        """See Writer."""
        base, start = self.base, self.start
        encoded = self.plan.covers(layer)
        if encoded or any(layer in one.sets for one in self.changes):
            own = base.activations(layer)[start:]
            now = base.transcoder.encode(layer, read) if encoded else own.repeat(len(self.changes), 1, 1)
            for n, one in enumerate(self.changes):
                if layer in one.sets:
                    place = one.sets[layer]
                    where = (place.position - start, place.feature)
                    now[(n, *where)] = place.factor * own[where] + place.offset
                position, feature = (now[n] != own).nonzero(as_tuple=True)
                delta = (now[n] - own)[position, feature]
                self._pending.add(n, layer, position + start, feature, delta)
        for n, one in enumerate(self.changes):
            self._pending.push(n, layer, one)
        if not encoded:
            return live()
        return _recorded(base, layer, read, start) + self._pending.writes[:, layer]


class Steering:
    """Open-ended steering: the model's own MLPs, plus what set features write beyond what they have become."""

    def __init__(self, base: Baseline, plan: Plan, changes: Sequence[Changes], start: int) -> None:
        self.base, self.changes, self.start = base, changes, start
        self._pending = _Pending(base, plan, len(changes), start)

    def write(self, layer: int, read: Tensor, live: LiveMLP) -> Tensor:
        """See Writer."""
        for n, one in enumerate(self.changes):
            if layer in one.sets:
                place = one.sets[layer]
                now = self.base.transcoder.encode(layer, read[n])[place.position - self.start, place.feature]
                own = self.base.activations(layer)[place.position, place.feature]
                delta = place.factor * own + place.offset - now
                self._pending.add(n, layer, place.position, place.feature, delta)
            self._pending.push(n, layer, one)
        return live() + self._pending.writes[:, layer]


def _recorded(base: Baseline, layer: int, read: Tensor, start: int) -> Tensor:
    """A clamped MLP output. A skip connection is linear and no node, so it goes on reading. -> [p, d] or [n, p, d]."""
    recorded = base.run.mlp_out[layer, start:]
    if base.transcoder.W_skip is None:
        return recorded
    return recorded + base.transcoder.skip(layer, read - base.run.mlp_input[layer, start:])
