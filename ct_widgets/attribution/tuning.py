"""Sizes that decide how fast attribution is, and never what it finds.

Measured in float32: CPU on two cores of an AMD EPYC (1 MiB of L2 cache each, 32 MiB of L3), GPU on an NVIDIA H200.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch


@dataclass(frozen=True)
class Tuning:
    """Sizes for one kind of device, counted in numbers of a tensor where nothing else is said.

    encoded: activations of neighbouring layers that are searched together, since a GPU is waited for once each time;
    moved: numbers of a decoder that are moved together, on a CPU so few that they stay in its largest cache;
    smallest_block, largest_block: vectors of a block of targets, which a cache, or the launch of a kernel, rewards;
    padding: vectors of padding up to which targets of different positions share a block;
    block_call: multiplications that take as long as the calls for one block of sources in one layer;
    embedding_block: vectors of a block of embeddings, whose zeros take as long as the calls; embedding_blocks: at most.
    """

    encoded: int = 2**26
    moved: int = 2**20
    smallest_block: int = 2**18
    largest_block: int = 2**21
    padding: int = 2**8
    block_call: int = 2**23
    embedding_block: int = 2**11
    embedding_blocks: int = 8


CPU = Tuning()
GPU = replace(CPU, moved=2**28, largest_block=2**27, padding=2**13)

# Operations from which oneDNN's preparation of a kernel pays off: for a shape that may never come again, for one that
# will; and the numbers of vectors that pass through weights together, so that few shapes need a kernel.
ONEDNN_ONCE = 2**28
ONEDNN_AGAIN = 2**27
ONEDNN_LENGTHS = (512, 256, 128, 64, 32, 16)


def tuning_for(device: torch.device) -> Tuning:
    """Return the sizes measured for a device of this kind."""
    return CPU if device.type == "cpu" else GPU
