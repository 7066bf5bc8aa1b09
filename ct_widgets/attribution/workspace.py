"""Memory for the sweep: buffers that are used again and again, and uploads that nobody waits for."""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor


class Workspace:
    """Named buffers of one dtype and device; each grows to the largest size that was asked for.

    Fresh memory costs more than the products that fill it.
    """

    def __init__(self, like: Tensor) -> None:
        self._like = like
        self._buffers: dict[str, Tensor] = {}

    def take(self, name: str, *shape: int) -> Tensor:
        """The buffer `name` in this shape. It holds what was left in it, and is good until it is taken again."""
        size = prod(shape)
        buffer = self._buffers.get(name)
        if buffer is None or buffer.numel() < size:
            buffer = self._buffers[name] = self._like.new_empty(size)
        return buffer[:size].view(shape)


def upload(values: Tensor, device: torch.device) -> Tensor:
    """A tensor of the CPU on `device`. A GPU goes on with what it has to do, and so does the caller."""
    return values.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else values.to(device)
