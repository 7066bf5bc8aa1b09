"""Checkpoints of a training run, which it resumes from exactly: one safetensors file, replaced atomically.

Where processes divide the features, each writes its slices to a file of its own, and the one file, written last, names
them: until then the files before are the checkpoint. Any number of processes reads any number of files, since a slice
is found by its place. These are no `torch.distributed.checkpoint` directories, whose index is a pickle, which runs
whatever code somebody has put into it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ct_widgets import atomic
from ct_widgets.errors import FileFormatError
from ct_widgets.training.parallel import Shards

_MODEL, _OPTIMIZER, _EXTRA = "model.", "optimizer.", "extra."


class Part(NamedTuple):
    """A process' part of a run: all of it, or slices of the tensors whose features `axis` finds.

    axis: from the name of a parameter or of a further tensor to the axis of its features; None for a tensor that is the
    same in all processes.
    """

    shards: Shards = Shards()
    axis: Callable[[str], int | None] = lambda _: None


_ALL = Part()


def save_checkpoint(
    path: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    extra: Mapping[str, Tensor],
    facts: Mapping[str, Any],
    part: Part = _ALL,
) -> None:
    """Write weights, optimiser state, further tensors and JSON facts; an older file stays until the new one is whole.

    Every process that has a part has to call it; if one cannot write, all raise OSError or SafetensorError.
    """
    shards = part.shards
    tensors = {f"{_MODEL}{name}": p.detach() for name, p in _weights(model).items()}
    for i, state in optimizer.state_dict()["state"].items():
        tensors |= {f"{_OPTIMIZER}{i}.{key}": value for key, value in state.items()}
    tensors |= {f"{_EXTRA}{name}": value for name, value in extra.items()}
    metadata = {"facts": json.dumps(dict(facts))}
    if shards.count == 1:
        _write(path, tensors, metadata)
        _remove_parts(path, but=[])
        return
    axis_of = _axes(model, part)
    divided = {name: value for name, value in tensors.items() if axis_of(name) is not None}
    steps = max((int(value) for name, value in tensors.items() if name.endswith(".step")), default=0)
    files = [f"{path.stem}-{steps}-{i}-of-{shards.count}{path.suffix}" for i in range(shards.count)]
    common = {name: value for name, value in tensors.items() if name not in divided}
    first, own = shards.index == 0, path.with_name(files[shards.index])
    metadata |= {"parts": json.dumps(files)}
    try:
        _together(shards, model, lambda: _write(own, divided, {}))
        _together(shards, model, lambda: _write(path, common, metadata) if first else None)
    except (SafetensorError, OSError):
        own.unlink(missing_ok=True)
        raise
    if first:
        _remove_parts(path, but=files)


def _together(shards: Shards, model: nn.Module, write: Callable[[], None]) -> None:
    """Write in every process; an error in one is raised in all, so that all continue alike."""
    error: Exception | None = None
    try:
        write()
    except (SafetensorError, OSError) as found:
        error = found
    failed = torch.tensor(float(error is not None), device=next(model.parameters()).device)
    if bool(shards.summed(failed)):
        raise error or OSError("another process could not write its part")


def _write(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic.file(path) as unfinished:
        save_file({name: value.contiguous() for name, value in tensors.items()}, unfinished, metadata)


def _remove_parts(path: Path, but: list[str]) -> None:
    """Remove the parts of older checkpoints, which nothing names any more."""
    for file in path.parent.glob(f"{path.stem}-*-of-*{path.suffix}"):
        if file.name not in but:
            file.unlink(missing_ok=True)


def read_facts(path: Path) -> dict[str, Any]:
    """Read the JSON facts of a checkpoint. Raises FileFormatError for a file that is not one."""
    try:
        with safe_open(path, framework="pt") as file:
            missing = [part for part in _parts(path, file) if not part.is_file()]
            if not missing:
                return json.loads(file.metadata()["facts"])
            error = FileNotFoundError(f"{missing[0].name} is missing")
    except (SafetensorError, OSError, KeyError, TypeError) as found:
        error = found
    raise FileFormatError(f"{path} is not a complete checkpoint ({error}); delete it to start over") from error


def _parts(path: Path, file: Any) -> list[Path]:
    """List the files that have slices of divided tensors, in order."""
    names = file.metadata().get("parts")
    return [path.with_name(Path(name).name) for name in json.loads(names)] if names else [path]


def load_checkpoint(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, part: Part = _ALL
) -> dict[str, Tensor]:
    """Restore weights and optimiser in place, each process its part; returns the further tensors."""
    axis_of = _axes(model, part)
    state = optimizer.state_dict()
    extra: dict[str, Tensor] = {}
    with ExitStack() as opened, torch.no_grad():
        file = opened.enter_context(safe_open(path, framework="pt"))
        files = [opened.enter_context(safe_open(other, framework="pt")) for other in _parts(path, file)]

        def read(name: str) -> Tensor:
            axis = axis_of(name)
            return file.get_tensor(name) if axis is None else _slice(files, name, axis, part.shards)

        for name, p in _weights(model).items():
            p.copy_(read(f"{_MODEL}{name}"))
        for name in {*file.keys(), *files[0].keys()}:
            if name.startswith(_OPTIMIZER):
                i, key = name.removeprefix(_OPTIMIZER).split(".")
                state["state"].setdefault(int(i), {})[key] = read(name)
            elif name.startswith(_EXTRA):
                extra[name.removeprefix(_EXTRA)] = read(name)
        optimizer.load_state_dict(state)
    return extra


def _axes(model: nn.Module, part: Part) -> Callable[[str], int | None]:
    """Map the name of a tensor in a file to the axis of its features."""
    parameters = [name for name, _ in model.named_parameters()]

    def axis_of(name: str) -> int | None:
        if not name.startswith(_OPTIMIZER):
            return part.axis(name.split(".", 1)[1])
        i, key = name.removeprefix(_OPTIMIZER).split(".")
        return None if key == "step" else part.axis(parameters[int(i)])

    return axis_of


def _slice(files: list[Any], name: str, axis: int, shards: Shards) -> Tensor:
    """Put the features of this process together from the slices in the files."""
    slices = [file.get_slice(name) for file in files]
    sizes = [piece.get_shape()[axis] for piece in slices]
    size = sum(sizes) // shards.count
    first, start = size * shards.index, 0
    pieces: list[Tensor] = []
    for piece, held in zip(slices, sizes, strict=True):
        begin, end = max(first - start, 0), min(first + size - start, held)
        if begin < end:
            pieces.append(piece[(slice(None),) * axis + (slice(begin, end),)])
        start += held
    return torch.cat(pieces, axis)


def _weights(model: nn.Module) -> dict[str, Tensor]:
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}
