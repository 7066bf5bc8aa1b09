"""Several processes of torch.distributed train one dictionary: each takes its share of every batch.

Weights, optimiser and schedule are the same in all, so their steps are too; gradients and counts are summed by one
collective each. Without torch.distributed all of this is the identity.
Axes: l layer, n token, d model.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.distributed as dist
from torch import Tensor

from ct_widgets.errors import TrainingError
from ct_widgets.language_model import LanguageModel
from ct_widgets.training import activations
from ct_widgets.training.activations import Activations, Sequences


def rank() -> int:
    """Number of this process; 0 for one that is alone."""
    return dist.get_rank() if _together() else 0


def world_size() -> int:
    """How many processes there are."""
    return dist.get_world_size() if _together() else 1


def _together() -> bool:
    return dist.is_available() and dist.is_initialized()


def share(batch: Activations) -> Activations:
    """This process' tokens of a batch."""
    n, world = batch.x.shape[1], world_size()
    if n % world:
        raise TrainingError(f"batch_size is {n}, which {world} processes cannot share; make it a multiple")
    return Activations(batch.x[:, rank() :: world], batch.y[:, rank() :: world])


def average(tensors: Iterable[Tensor]) -> None:
    """Replace each by its mean over processes, all in one message."""
    world = world_size()
    if world == 1:
        return
    tensors = list(tensors)
    together = torch.cat([tensor.flatten() for tensor in tensors])
    dist.all_reduce(together)
    for tensor, value in zip(tensors, together.split([tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_((value / world).view_as(tensor))


def total(counts: Tensor) -> Tensor:
    """Sum over processes."""
    if world_size() > 1:
        counts = counts.clone()
        dist.all_reduce(counts)
    return counts


def any_of(flag: bool, device: torch.device) -> bool:
    """Whether it holds in any process, so that all do the same."""
    return flag if world_size() == 1 else bool(total(torch.tensor(int(flag), device=device)))


def barrier() -> None:
    """Wait for all processes."""
    if world_size() > 1:
        dist.barrier()


def read_activations(
    model: LanguageModel, sequences: list[Sequences], input_hook: str, output_hook: str
) -> Activations:
    """As in `activations`, where every process runs the model on its share and all get the whole, in the same order."""
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
