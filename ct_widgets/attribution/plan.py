"""Where sources going up and targets coming down meet, chosen by counting multiplications and memory.

Axes: l (m) layer, p position.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch

from ct_widgets.attribution.local_replacement_model import LocalReplacementModel

Floats = npt.NDArray[np.float64]


def choose_cut(local: LocalReplacementModel, max_bytes: float) -> int:
    """The layer of the plane for which all rows cost the fewest multiplications.

    The streams of sources below it take half of `max_bytes` at most. At 0 nothing but the embeddings flows up, which
    needs no memory to speak of.
    """
    counts = _counts(local)
    n_layers, n_positions = counts.shape
    d = local.run.embedding.shape[-1]
    costs = [_multiplications(counts, cut, d, local.first_position) for cut in range(n_layers)]
    reach = n_positions - np.arange(n_positions)  # positions that a source reaches
    held = 4 * d * np.cumsum(counts @ reach)
    for cut in range(1, n_layers):
        errors = 4 * d * cut * n_positions**2
        if held[cut - 1] + errors > max_bytes / 2:
            costs[cut] = np.inf
    return int(np.argmin(costs))


def _counts(local: LocalReplacementModel) -> Floats:
    """Number of active features, [l, p]."""
    starts = np.array(local.features.starts[:-1], dtype=np.float64)
    return np.diff(starts, axis=1).T


def _multiplications(counts: Floats, cut: int, d: int, first: int) -> float:
    """Multiplications for all rows with the plane in layer `cut`. counts: [l, p]."""
    n_layers, n_positions = counts.shape
    layer, position = np.arange(n_layers)[:, None], np.arange(n_positions)
    attention = 2.0 * d * d  # per vector and position: into the heads and out of them
    up = (np.clip(cut - layer, 0, None) * counts * (n_positions - position)).sum() * attention
    down = (np.clip(layer - cut, 0, None) * counts * (position + 1 - first)).sum() * attention
    below, above = counts[:cut].sum(0), counts[cut + 1 :].sum(0)
    shared = np.clip(position[:, None] - position + 1, 0, None)  # [p_t, p_s]
    plane = d * float(above @ shared @ below)
    outputs = np.arange(cut, n_layers)
    writers = np.cumsum(np.cumsum(counts, axis=0), axis=1)[outputs]  # up to this layer and position
    readers = (counts[::-1].cumsum(0)[::-1] - counts)[outputs]  # above this layer
    return up + down + plane + d * float((writers * readers).sum())


def blocks(position: npt.NDArray[np.int64], d: int, device: torch.device) -> list[slice]:
    """Runs of targets that walk together. position: [t], rising.

    A block is as wide as its last target, so one that mixes positions multiplies zeros: that is worth it until they are
    as many vectors as an efficient product needs. It is as long as the cache of the machine allows.
    """
    largest, enough = (2**22, 2**9) if device.type == "cpu" else (2**27, 2**14)
    bounds, start, used = [0], 0, 0
    for end, width in enumerate((position + 1).tolist()):
        count = end - start
        if count and ((count + 1) * width * d > largest or count * width - used > enough):
            bounds.append(end)
            start, used = end, 0
        used += width
    return [slice(*pair) for pair in pairwise([*bounds, len(position)])] if len(position) else []
