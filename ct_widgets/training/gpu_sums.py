"""Weighted sums of rows of a table on a GPU, in a kernel of Triton, which PyTorch brings along where it can use one.

`embedding_bag` has few reads in flight there and comes to a fifth of the memory's rate. Here a program adds up some
columns of one sum, several rows at once. Programs that run together have the same columns, and those of all rows fit in
the cache: a row that is needed often is read once.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from torch import Tensor

_COLUMNS = 256
_ROWS_TIMES_COLUMNS = 2048

tl: Any = import_module("triton.language")
if TYPE_CHECKING:  # Triton evaluates annotations, and accepts its own names alone
    value = Any
    constexpr = int
else:
    value = tl.tensor
    constexpr = tl.constexpr


def weighted_sums(table: Tensor, index: Tensor, starts: Tensor, weights: Tensor) -> Tensor:
    """Sum weights[z] table[index[z]] over the entries z from starts[i] up to starts[i + 1], into row i.

    table: [rows, columns] in float32, whose rows may be strided.
    """
    n_sums, width = len(starts) - 1, table.shape[1]
    sums = table.new_empty(n_sums, width)
    columns = max(16, min(_COLUMNS, 1 << (width - 1).bit_length()))
    grid = (n_sums, -(-width // columns))
    sizes = {"ROWS": _ROWS_TIMES_COLUMNS // columns, "COLUMNS": columns}
    _kernel[grid](table, index, starts, weights, sums, width, table.stride(0), **sizes)
    return sums


def _sum_rows(
    table: value,
    index: value,
    starts: value,
    weights: value,
    sums: value,
    width: value,
    stride: value,
    ROWS: constexpr,
    COLUMNS: constexpr,
) -> None:
    one = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    inside = column < width
    begin = tl.load(starts + one)
    count = (tl.load(starts + one + 1) - begin).to(tl.int32)
    total = tl.zeros([ROWS, COLUMNS], tl.float32)
    for first in range(0, count, ROWS):
        entry = first + tl.arange(0, ROWS)
        there = entry < count
        row = tl.load(index + begin + entry, mask=there, other=0)
        weight = tl.load(weights + begin + entry, mask=there, other=0.0)
        place = table + row[:, None] * stride + column[None, :]
        total += weight[:, None] * tl.load(place, mask=there[:, None] & inside[None, :], other=0.0)
    tl.store(sums + one * width + column, tl.sum(total, 0), mask=inside)


_kernel: Any = import_module("triton").jit(_sum_rows)
