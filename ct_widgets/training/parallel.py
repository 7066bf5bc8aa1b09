"""Several processes of torch.distributed train one dictionary: a grid of `data` rows times `shards` columns.

Every row has its share of a batch, every column its slice of each layer's features: their encoders, decoders, biases,
thresholds and optimiser state. Along a column, gradients and counts are summed, one collective each. Along a row, the
partial reconstructions are: the error is then the same in all, and with it a process has all that the gradients of its
own features need. One small vector, summed over the whole grid, has everything else. Without torch.distributed all of
this is the identity.
Axes: l layer, n token, d model.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from ct_widgets.errors import TrainingError
from ct_widgets.language_model import LanguageModel
from ct_widgets.training import activations
from ct_widgets.training.activations import Activations, Sequences
from ct_widgets.training.config import TrainingConfig


def rank() -> int:
    """Get the number of this process; 0 without torch.distributed."""
    return dist.get_rank() if _together() else 0


def world_size() -> int:
    """Count the processes."""
    return dist.get_world_size() if _together() else 1


def _together() -> bool:
    return dist.is_available() and dist.is_initialized()


def check(config: TrainingConfig) -> None:
    """Raise TrainingError if the processes cannot divide the work according to a run's settings."""
    world, count = world_size(), config.shards
    if world % count:
        raise TrainingError(
            f"shards is {count}, which needs {count} processes or a multiple, and there "
            f"{'is 1' if world == 1 else f'are {world}'}; start the run with torchrun --nproc-per-node {count}"
        )
    if config.batch_size % (world // count):
        raise TrainingError(
            f"batch_size is {config.batch_size}, which {world // count} processes cannot share evenly; "
            f"choose a multiple of {world // count}"
        )


@dataclass(frozen=True, eq=False)
class Shards:
    """The processes that divide every layer's features among them; `mesh` is theirs, None for one that has all."""

    mesh: Any = None

    @property
    def count(self) -> int:
        """Number of shards, all with equally many features."""
        return 1 if self.mesh is None else self.mesh.size()

    @property
    def index(self) -> int:
        """Number of this shard, from 0."""
        return 0 if self.mesh is None else self.mesh.get_local_rank()

    def own(self, whole: Tensor, axis: int) -> Tensor:
        """Cut out the slice of this process, in memory of its own; `axis` counts features."""
        return whole if self.mesh is None else whole.chunk(self.count, axis)[self.index].clone()

    def whole(self, own: Tensor, axis: int) -> Tensor:
        """Put the slices of all processes together along `axis`."""
        from torch.distributed.tensor import Shard

        return self._full(own, Shard(axis))

    def summed(self, part: Tensor) -> Tensor:
        """Sum over the shards, differentiably: a gradient that all have alike is that of every part."""
        from torch.distributed.tensor import Partial

        return self._full(part, Partial())

    def _full(self, own: Tensor, placement: Any) -> Tensor:
        if self.mesh is None:
            return own
        from torch.distributed.tensor import DTensor

        return DTensor.from_local(own.contiguous(), self.mesh, [placement]).full_tensor()


@dataclass(frozen=True, eq=False)
class Grid:
    """All processes of a run: rows that share a batch, times columns that share the features."""

    shards: Shards
    data: int = 1
    row: int = 0
    column: Any = None
    """Process group of those that have the same features; None is that of all processes."""

    @classmethod
    def of(cls, config: TrainingConfig, device: torch.device) -> Grid:
        """Arrange all processes for a run on this kind of device."""
        world, count = world_size(), config.shards
        if count == 1:
            return cls(Shards(), world, rank())
        from torch.distributed.device_mesh import init_device_mesh

        names = ("data", "features")
        mesh = init_device_mesh(device.type, (world // count, count), mesh_dim_names=names)
        return cls(Shards(mesh["features"]), world // count, mesh.get_local_rank("data"), mesh.get_group("data"))

    def share(self, batch: Activations) -> Activations:
        """Select this process' tokens of a batch."""
        return Activations(batch.x[:, self.row :: self.data], batch.y[:, self.row :: self.data])

    def average(self, tensors: Iterable[Tensor]) -> None:
        """Replace each by its mean over the processes that have the same features, all in one message."""
        if self.data == 1:
            return
        tensors = list(tensors)
        together = torch.cat([tensor.flatten() for tensor in tensors])
        dist.all_reduce(together, group=self.column)
        for tensor, value in zip(tensors, together.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_((value / self.data).view_as(tensor))

    def total(self, counts: Tensor) -> Tensor:
        """Sum over the processes that have the same features."""
        return counts if self.data == 1 else _sum(counts, self.column)


def sums(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Sum each over all processes and fetch it, all in one message: nothing else in a step waits for a GPU."""
    flat = _sum(torch.cat([value.flatten() for value in values.values()])).cpu()
    parts = flat.split([value.numel() for value in values.values()])
    return {name: part.view_as(value) for (name, value), part in zip(values.items(), parts, strict=True)}


def _sum(values: Tensor, group: Any = None) -> Tensor:
    """Sum over the processes of a group, or over all."""
    if world_size() > 1:
        values = values.clone()
        dist.all_reduce(values, group=group)
    return values


def any_of(flag: bool, device: torch.device) -> bool:
    """Whether a flag is set in any process, so that all do the same."""
    return bool(_sum(torch.tensor(int(flag), device=device)))


def from_first(values: list[float], device: torch.device) -> list[float]:
    """Send the values of process 0 to all. Every process passes equally many."""
    if world_size() == 1:
        return values
    told = torch.tensor(values, dtype=torch.float64, device=device)
    dist.broadcast(told, 0)
    return told.tolist()


def read_activations(
    model: LanguageModel, sequences: list[Sequences], input_hook: str, output_hook: str
) -> Activations:
    """Read activations as one process does, in that order; each runs the model on its share, and all get the whole."""
    world = world_size()
    if world == 1 or len(sequences) < world:
        return activations.read_activations(model, sequences, input_hook, output_hook)
    mine = activations.read_activations(model, sequences[rank() :: world], input_hook, output_hook)
    counts = [sum(int(keep.sum()) for _, keep in sequences[other::world]) for other in range(world)]
    shape = (2, len(mine.x), max(counts), mine.x.shape[-1])
    padded = mine.x.new_zeros(shape)
    padded[:, :, : counts[rank()]] = torch.stack(mine)
    parts = [torch.empty_like(padded) for _ in range(world)]
    dist.all_gather(parts, padded)
    # Back into the order of one process: pieces of the ranks in turn.
    pieces: list[Tensor] = []
    start = [0] * world
    for i, (_, keep) in enumerate(sequences):
        owner, n = i % world, int(keep.sum())
        pieces.append(parts[owner][:, :, start[owner] : start[owner] + n])
        start[owner] += n
    return Activations(*torch.cat(pieces, dim=2))
