"""Checkpoints of a training run: one safetensors file, replaced atomically, that a run resumes from exactly."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ct_widgets.errors import FileFormatError

_MODEL, _OPTIMIZER, _EXTRA = "model.", "optimizer.", "extra."


def save_checkpoint(
    path: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    extra: Mapping[str, Tensor],
    facts: Mapping[str, Any],
) -> None:
    """Write weights, optimiser state, further tensors and JSON facts; an older file stays until this one is whole."""
    tensors = {f"{_MODEL}{name}": p.detach() for name, p in _weights(model).items()}
    for i, state in optimizer.state_dict()["state"].items():
        tensors |= {f"{_OPTIMIZER}{i}.{key}": value for key, value in state.items()}
    tensors |= {f"{_EXTRA}{name}": value for name, value in extra.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".part")
    save_file(
        {name: value.contiguous() for name, value in tensors.items()}, unfinished, {"facts": json.dumps(dict(facts))}
    )
    unfinished.replace(path)


def read_facts(path: Path) -> dict[str, Any]:
    """The JSON facts of a checkpoint. Raises FileFormatError for a file that is not one."""
    try:
        with safe_open(path, framework="pt") as file:
            return json.loads(file.metadata()["facts"])
    except (SafetensorError, OSError, KeyError, TypeError) as error:
        raise FileFormatError(f"{path} is not a whole checkpoint ({error}); delete it to start anew") from error


def load_checkpoint(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Restore weights and optimiser in place; returns the further tensors."""
    with safe_open(path, framework="pt") as file, torch.no_grad():
        for name, p in _weights(model).items():
            p.copy_(file.get_tensor(f"{_MODEL}{name}"))
        state = optimizer.state_dict()
        extra: dict[str, Tensor] = {}
        for name in file.keys():  # noqa: SIM118 (not a mapping)
            if name.startswith(_OPTIMIZER):
                i, key = name.removeprefix(_OPTIMIZER).split(".")
                state["state"].setdefault(int(i), {})[key] = file.get_tensor(name)
            elif name.startswith(_EXTRA):
                extra[name.removeprefix(_EXTRA)] = file.get_tensor(name)
        optimizer.load_state_dict(state)
    return extra


def _weights(model: nn.Module) -> dict[str, Tensor]:
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}
