"""How the rows of one prompt are computed within a budget of memory, chosen by counting multiplications and bytes.

Targets walk down to the embeddings, or sources going up and targets coming down meet at a plane.
Axes: l (m) layer, p position.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from ct_widgets.attribution.local_replacement_model import LocalReplacementModel
from ct_widgets.errors import GraphError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# Multiplications that take as long as the calls for one stream in one layer.
_STREAM = 2**23
# Buffers of a block that are as large as its vectors: the vectors, attention's two, and the rows.
_BUFFERS = 4
# Numbers in each of them: a block is as long as a processor's cache, or the launch of a kernel on a GPU, rewards.
_LARGEST = {"cpu": 2**21, "cuda": 2**27}
_SMALLEST = 2**18


class Plan(NamedTuple):
    """cut: the layer of the plane, if there is one; block: the most floats that the vectors of a block of targets have;
    at_once: whether to multiply zeros for fewer and larger operations; keep_on: the device that keeps the rows in whole
    blocks, None for small parts on the CPU.
    """

    cut: int | None
    block: int
    at_once: bool = False
    keep_on: torch.device | None = None


def make_plan(local: LocalReplacementModel, max_feature_nodes: int | None, max_memory: float) -> Plan:
    """Choose the plan for all rows (None), or for as many; raises GraphError if they do not fit `max_memory` bytes."""
    counts = _counts(local)
    writes = sum(4.0 * rows.numel() for rows in local.writes.rows)
    if max_feature_nodes is None:
        rows = _bytes_of_all(counts, local.first_position)
    else:
        rows = _bytes_of_some(counts, max_feature_nodes)
    rest = max_memory - writes - rows
    if rest < 4 * _BUFFERS * _SMALLEST:
        raise GraphError(_does_not_fit(counts, writes, max_feature_nodes, rows, max_memory))
    device = local.run.embedding.device
    block = int(min(_LARGEST.get(device.type, _LARGEST["cuda"]), rest / 2 / (4 * _BUFFERS)))
    if device.type == "cpu":
        cut = choose_cut(local, rest / 2) if max_feature_nodes is None else _cut_for_some(local, max_feature_nodes)
        return Plan(cut, max(block, _SMALLEST))
    # A GPU multiplies faster than it is told what to: no plane, and rows stay there if they fit, with their zeros.
    fits = device.type == "cuda" and 4 * rows < torch.cuda.mem_get_info(device)[0]
    return Plan(None, max(block, _SMALLEST), True, device if fits else None)


def _bytes_of_all(counts: Floats, first: int) -> float:
    """Bytes of all rows while the graph is put together: the rows, and the graph's source and weight of each edge."""
    n_layers, n_positions = counts.shape
    below = np.cumsum(np.cumsum(counts, axis=0), axis=1) - np.cumsum(counts, axis=1)  # [l, p]: features that it reads
    layer, position = np.arange(n_layers)[:, None], np.arange(n_positions)
    others = position + 1 + layer * np.clip(position + 1 - first, 0, None)
    return 12 * float((counts * (below + others)).sum())


def _bytes_of_some(counts: Floats, n: int) -> float:
    """Bytes of the rows of `n` features, whose edges from features without rows are dropped in the end."""
    n_layers, n_positions = counts.shape
    others = n_positions * (n_layers + 1)
    return 4 * n * float(counts.sum() + others) + 8 * n * (n / 2 + others)


def _does_not_fit(counts: Floats, writes: float, n: int | None, rows: float, max_memory: float) -> str:
    """What to say, and how many rows would fit."""
    what = "all rows" if n is None else f"the rows of {n:,} features"
    needs = f"{what} of this prompt take {(writes + rows) / 2**30:.2f} GiB, of max_memory {max_memory / 2**30:.2f} GiB"
    room = max_memory - writes - 8 * _BUFFERS * _SMALLEST
    fitting = int(counts.sum()) if n is None else n
    while fitting and _bytes_of_some(counts, fitting) > room:
        fitting = fitting * 9 // 10
    if not fitting:
        return f"{needs}; raise max_memory"
    return f"{needs}; pass max_feature_nodes={fitting} for the most influential features, or a larger max_memory"


def choose_cut(local: LocalReplacementModel, max_bytes: float) -> int | None:
    """The layer of the plane for which all rows cost the fewest multiplications; None if none saves any.

    The streams of sources below it take `max_bytes` at most.
    """
    counts = _counts(local)
    n_layers, n_positions = counts.shape
    d = local.run.embedding.shape[-1]
    costs: dict[int | None, float] = {None: _multiplications(counts, None, d, local.first_position)}
    reach = n_positions - np.arange(n_positions)  # positions that a source reaches
    held = 4 * d * np.cumsum(counts @ reach)
    for cut in range(n_layers):
        features_and_errors = held[cut - 1] + 4 * d * cut * n_positions**2 if cut else 0
        if features_and_errors <= max_bytes:
            costs[cut] = _multiplications(counts, cut, d, local.first_position)
    return min(costs, key=costs.__getitem__)


def _cut_for_some(local: LocalReplacementModel, n: int) -> int | None:
    """The same for the rows of `n` features: 0, where nothing but embeddings flows up, or None.

    Walking to the embeddings takes a target through one more layer and position.
    """
    n_layers, n_positions = local.run.n_layers, local.run.n_positions
    return 0 if n_layers * n_positions**2 < n * (n_layers + n_positions) else None


def _counts(local: LocalReplacementModel) -> Floats:
    """Number of active features, [l, p]."""
    starts = np.array(local.features.starts[:-1], dtype=np.float64)
    return np.diff(starts, axis=1).T


def _multiplications(counts: Floats, cut: int | None, d: int, first: int) -> float:
    """Multiplications for all rows with the plane in layer `cut`. counts: [l, p]."""
    n_layers, n_positions = counts.shape
    layer, position = np.arange(n_layers)[:, None], np.arange(n_positions)
    attention = 2.0 * d * d  # per vector and position, into the heads and out of them; in its first layer, per vector
    lowest = 0 if cut is None else cut
    outputs = np.arange(lowest, n_layers)
    writers = np.cumsum(np.cumsum(counts, axis=0), axis=1)[outputs]  # up to this layer and position
    readers = (counts[::-1].cumsum(0)[::-1] - counts)[outputs]  # above this layer
    reading = d * float((writers * readers).sum())
    if cut is None:
        return (counts * _passes(layer + 1, position + 1)).sum() * attention + reading
    up = (counts * _passes(cut - layer, n_positions - position)).sum() * attention
    up += cut * (n_positions - first) * _STREAM
    down = (counts * _passes(layer - cut, position + 1 - first)).sum() * attention
    embeddings = n_layers * n_positions * (n_positions + 1) / 2 * attention
    below, above = counts[:cut].sum(0), counts[cut + 1 :].sum(0)
    shared = np.clip(position[:, None] - position + 1, 0, None)  # [p_t, p_s]
    plane = d * float(above @ shared @ below)
    return up + down + embeddings + plane + reading


def _passes(n_layers: Ints, n_positions: Ints) -> Ints:
    """How many vectors one vector makes attention take in so many layers, at so many positions."""
    return np.clip(n_layers, 0, 1) + np.clip(n_layers - 1, 0, None) * n_positions


def blocks(position: Ints, d: int, device: torch.device, largest: int) -> list[slice]:
    """Runs of targets that walk together. position: [t], rising.

    A block is as wide as its last target, so one that mixes positions multiplies zeros: that is worth it until they are
    as many vectors as an efficient product needs. Its vectors have `largest` floats at most.
    """
    enough = 2**8 if device.type == "cpu" else 2**13
    bounds, start, used = [0], 0, 0
    for end, width in enumerate((position + 1).tolist()):
        count = end - start
        if count and ((count + 1) * width * d > largest or count * width - used > enough):
            bounds.append(end)
            start, used = end, 0
        used += width
    return [slice(*pair) for pair in pairwise([*bounds, len(position)])] if len(position) else []
