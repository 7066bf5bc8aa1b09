"""What the MLPs write under a change, layer by layer upwards: one writer per intervention method [CT25].

A writer is asked for every layer in order, with what the layer's transcoder reads now, and answers with the MLP's
output; it calls the model's own MLP only where that is what the method runs.
Axes: r row (see `Baseline.rows`), l layer, p position (of a window that ends with the prompt), f feature, c set
feature, u distinct feature, m output layer, d model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

from ct_widgets.interventions.baseline import Baseline, encode_at
from ct_widgets.interventions.intervention import Changes, Sets
from ct_widgets.interventions.plan import InterventionPlan

LiveMLP = Callable[[], Tensor]


class Writer(Protocol):
    """Gives the MLP output of every layer."""

    def write(self, layer: int, read: Tensor, live: LiveMLP) -> Tensor:
        """read: [r, p, d], what the layer's transcoder reads; live: runs the model's own MLP -> [r, p, d]."""
        ...


def make_writer(base: Baseline, plan: InterventionPlan, changes: Sequence[Changes], start: int = 0) -> Writer:
    """Make the writer of `plan` for several changes at once; `start` is the first position of the window."""
    if plan.method == "constrained":
        return Clamped(base, plan, direct_writes(base, plan, changes)[:, :, start:], start)
    return {"iterative": Cascading, "open": Steering}[plan.method](base, plan, changes, start)


def direct_writes(base: Baseline, plan: InterventionPlan, changes: Sequence[Changes]) -> Tensor:
    """Compute what changes write by themselves: (a' - a) W_dec and added directions. -> [r, l, p, d]."""
    pending = _Pending(base, plan, changes, 0)
    for layer in range(base.n_layers):
        for rows, one in base.rows(changes):
            pending.write_directly(rows, layer, one)
    return pending.writes


class _Pending:
    """Writes that are still to come, by the layer they are for: [r, l, p, d]."""

    def __init__(self, base: Baseline, plan: InterventionPlan, changes: Sequence[Changes], start: int) -> None:
        self.base, self.plan, self.start = base, plan, start
        shape = (base.n_rows(changes), base.n_layers, base.n_positions - start, base.transcoder.d_model)
        self.writes = base.run.mlp_out.new_zeros(shape)

    def write_directly(self, rows: slice, layer: int, change: Changes) -> None:
        """Let a change of `layer` write against the unchanged activations of the features that it sets."""
        if layer in change.sets:
            place = change.sets[layer]
            own = self.base.activations_of(layer, place)
            self.add_set(rows, layer, place, place.factor * own + place.offset - own)
        self.add_directions(rows, layer, change)

    def add_set(self, rows: slice, layer: int, place: Sets, delta: Tensor) -> None:
        """Let the features that are set write `delta` [1 or r, c] times their decoder vectors."""
        feature, which = place.feature.unique(return_inverse=True)
        spread = delta.new_zeros(len(delta), self.writes.shape[2], len(feature))
        spread[:, place.position - self.start, which] = delta  # no feature is set twice at one position
        self.add(rows, layer, feature, spread)

    def add(self, rows: slice, layer: int, feature: Tensor, delta: Tensor) -> None:
        """Let features [u] of `layer` write `delta` [r, p, u] times their decoder vectors to layers of the range."""
        vectors = self.base.transcoder.decoder_vectors(layer, feature).to(self.writes.dtype)
        for m, target in enumerate(self.base.transcoder.output_layers(layer)):
            if self.plan.covers(target):
                self.writes[rows, target] += delta.to(self.writes.dtype) @ vectors[:, m]

    def add_directions(self, rows: slice, layer: int, change: Changes) -> None:
        """Add a change's directions to the output of `layer`."""
        if layer in change.added and self.plan.covers(layer):
            added = change.added[layer]
            self.writes[rows, layer].index_add_(
                1, added.position - self.start, added.vector.to(self.writes).expand(self.writes[rows].shape[0], -1, -1)
            )


class Clamped:
    """Constrained patching: outputs of the range are the baseline's plus `writes` [r, l, p, d], whatever they read."""

    def __init__(self, base: Baseline, plan: InterventionPlan, writes: Tensor, start: int) -> None:
        self.base, self.plan, self.writes, self.start = base, plan, writes, start

    def write(self, layer: int, read: Tensor, live: LiveMLP) -> Tensor:
        """See Writer."""
        if not self.plan.covers(layer):
            return live()
        return _recorded(self.base, layer, read, self.start) + self.writes[:, layer]


class Cascading:
    """Iterative patching: features of the range are encoded from what they read now; error vectors stay."""

    def __init__(self, base: Baseline, plan: InterventionPlan, changes: Sequence[Changes], start: int) -> None:
        self.base, self.plan, self.rows, self.start = base, plan, base.rows(changes), start
        self._pending = _Pending(base, plan, changes, start)

    def write(self, layer: int, read: Tensor, live: LiveMLP) -> Tensor:
        """See Writer."""
        if not self.plan.covers(layer):
            for rows, one in self.rows:
                self._pending.write_directly(rows, layer, one)
            return live()
        own = self.base.activations(layer)[..., self.start :, :]
        now = self.base.transcoder.encode(layer, read)
        for rows, one in self.rows:
            if layer in one.sets:
                position, feature, factor, offset = one.sets[layer]
                now[rows, position - self.start, feature] = factor * own[..., position - self.start, feature] + offset
            self._pending.add_directions(rows, layer, one)
        delta = now - own
        moved = torch.nonzero(delta.flatten(0, 1).any(0))[:, 0]
        self._pending.add(slice(None), layer, moved, delta[..., moved])
        return _recorded(self.base, layer, read, self.start) + self._pending.writes[:, layer]


class Steering:
    """Open-ended steering: the model's own MLPs, plus what set features write beyond what they have become."""

    def __init__(self, base: Baseline, plan: InterventionPlan, changes: Sequence[Changes], start: int) -> None:
        self.base, self.rows, self.start = base, base.rows(changes), start
        self._pending = _Pending(base, plan, changes, start)

    def write(self, layer: int, read: Tensor, live: LiveMLP) -> Tensor:
        """See Writer."""
        for rows, one in self.rows:
            if layer in one.sets:
                place = one.sets[layer]
                now = encode_at(self.base.transcoder, layer, read[rows], place.position - self.start, place.feature)
                own = self.base.activations_of(layer, place)
                self._pending.add_set(rows, layer, place, place.factor * own + place.offset - now)
            self._pending.add_directions(rows, layer, one)
        return live() + self._pending.writes[:, layer]


def _recorded(base: Baseline, layer: int, read: Tensor, start: int) -> Tensor:
    """A clamped MLP output. A skip connection is linear and no node, so it goes on reading. -> [..., p, d]."""
    recorded = base.run.mlp_out[layer][..., start:, :]
    if base.transcoder.W_skip is None:
        return recorded
    return recorded + base.transcoder.skip(layer, read - base.run.mlp_input[layer][..., start:, :])
