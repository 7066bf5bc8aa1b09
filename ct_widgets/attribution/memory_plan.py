"""How the rows of one prompt are computed within a budget of memory, chosen by counting multiplications and bytes.

Reverse mode goes down to the embeddings, or meets forward mode at a cut layer (see `fast/`).
Axes: l (m) layer, p position.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch

from ct_widgets.attribution.active_features import FeatureWrites
from ct_widgets.attribution.local_replacement_model import LocalReplacementModel
from ct_widgets.attribution.nodes import Ints
from ct_widgets.attribution.row_store import Floats
from ct_widgets.attribution.tuning import CPU, Tuning
from ct_widgets.errors import GraphError

# Buffers of a block that are as large as its vectors: the vectors, attention's two, and the rows.
_BUFFERS = 4


class MemoryPlan(NamedTuple):
    """How rows are computed.

    cut: the cut layer, at which forward and reverse mode meet, if they do; block: floats that the vectors of a block of
    targets have at most; padded: whether to multiply zeros for fewer and larger operations; rows_device: the device
    that keeps the rows in whole blocks, None for small parts on the CPU.
    """

    cut: int | None
    block: int
    padded: bool = False
    rows_device: torch.device | None = None
    tuning: Tuning = CPU


def make_plan(
    local: LocalReplacementModel, writes: FeatureWrites, n: int | None, max_memory: float, tuning: Tuning
) -> MemoryPlan:
    """Choose the plan for all rows (None), or of `n` features; raises GraphError for more than `max_memory` bytes."""
    counts, device = local.features.counts.T.double().numpy(), local.run.embedding.device
    written = sum(4.0 * rows.numel() for rows in writes.rows)
    rows = _bytes_of_all(counts, local.first_position) if n is None else _bytes_of_some(counts, n)
    least, spare = 4 * _BUFFERS * tuning.smallest_block, max_memory - written - rows
    if spare < least:
        raise GraphError(_does_not_fit(counts, written, n, rows, max_memory, least))
    block = max(tuning.smallest_block, int(min(tuning.largest_block, spare / 2 / (4 * _BUFFERS))))
    if device.type == "cpu":
        cut = choose_cut(local, spare / 2, tuning) if n is None else _cut_for_some(local, n)
        return MemoryPlan(cut, block, tuning=tuning)
    # A GPU multiplies faster than it is told what to: no cut layer, and rows stay there if they fit, with their zeros.
    fits = device.type == "cuda" and 4 * rows < torch.cuda.mem_get_info(device)[0]
    return MemoryPlan(None, block, True, device if fits else None, tuning)


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


def _does_not_fit(counts: Floats, written: float, n: int | None, rows: float, max_memory: float, least: float) -> str:
    """The error's text, with how many rows would fit."""
    what = "all rows" if n is None else f"the rows of {n:,} features"
    needs = f"{what} of this prompt take {(written + rows) / 2**30:.2f} GiB, of max_memory {max_memory / 2**30:.2f} GiB"
    fitting = int(counts.sum()) if n is None else n
    while fitting and _bytes_of_some(counts, fitting) > max_memory - written - 2 * least:
        fitting = fitting * 9 // 10
    if not fitting:
        return f"{needs}; raise max_memory"
    return f"{needs}; pass max_feature_nodes={fitting} for the most influential features, or a larger max_memory"


def choose_cut(local: LocalReplacementModel, max_bytes: float, tuning: Tuning = CPU) -> int | None:
    """Choose the cut layer, with streams of `max_bytes` at most, for which all rows take the fewest multiplications."""
    counts = local.features.counts.T.double().numpy()  # [l, p]
    n_layers, n_positions = counts.shape
    d, first = local.run.embedding.shape[-1], local.first_position
    costs: dict[int | None, float] = {None: _multiplications(counts, None, d, first, tuning)}
    reach = n_positions - np.arange(n_positions)  # positions that a source reaches
    held = 4 * d * np.cumsum(counts @ reach)
    for cut in range(n_layers):
        features_and_errors = held[cut - 1] + 4 * d * cut * n_positions**2 if cut else 0
        if features_and_errors <= max_bytes:
            costs[cut] = _multiplications(counts, cut, d, first, tuning)
    return min(costs, key=costs.__getitem__)


def _cut_for_some(local: LocalReplacementModel, n: int) -> int | None:
    """The cut layer for the rows of `n` features: 0, where forward mode carries nothing but embeddings, or None.

    Going down to the embeddings takes a target through one more layer and position.
    """
    n_layers, n_positions = local.run.n_layers, local.run.n_positions
    return 0 if n_layers * n_positions**2 < n * (n_layers + n_positions) else None


def _multiplications(counts: Floats, cut: int | None, d: int, first: int, tuning: Tuning) -> float:
    """Multiplications for all rows with this cut layer. counts: [l, p]."""
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
    forward = (counts * _passes(cut - layer, n_positions - position)).sum() * attention
    forward += cut * (n_positions - first) * tuning.block_call
    reverse = (counts * _passes(layer - cut, position + 1 - first)).sum() * attention
    embeddings = n_layers * n_positions * (n_positions + 1) / 2 * attention
    below, above = counts[:cut].sum(0), counts[cut + 1 :].sum(0)
    shared = np.clip(position[:, None] - position + 1, 0, None)  # [p_t, p_s]
    meeting = d * float(above @ shared @ below)
    return forward + reverse + embeddings + meeting + reading


def _passes(n_layers: Ints, n_positions: Ints) -> Ints:
    """How many vectors one vector makes attention take in so many layers, at so many positions."""
    return np.clip(n_layers, 0, 1) + np.clip(n_layers - 1, 0, None) * n_positions


def target_blocks(position: Ints, d: int, largest: int, padding: int) -> list[slice]:
    """Split targets into runs that are computed together, with vectors of `largest` floats. position: [t], rising.

    A block is as wide as its last target, so one that mixes positions multiplies zeros, `padding` vectors at most.
    """
    bounds, start, used = [0], 0, 0
    for end, width in enumerate((position + 1).tolist()):
        count = end - start
        if count and ((count + 1) * width * d > largest or count * width - used > padding):
            bounds.append(end)
            start, used = end, 0
        used += width
    return [slice(*pair) for pair in pairwise([*bounds, len(position)])] if len(position) else []
