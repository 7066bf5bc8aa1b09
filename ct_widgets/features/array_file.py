"""Large safetensors files: written piece by piece, read slice by slice.

`safetensors` itself writes from memory only. A store of millions of features is written layer by layer instead, and
of a mapped file only what is asked for is read.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open

from ct_widgets import atomic
from ct_widgets.errors import FileFormatError

Array = npt.NDArray[Any]
Pieces = Mapping[str, Sequence[Array]]

_CODES = {"uint8": "U8", "uint16": "U16", "uint32": "U32", "uint64": "U64", "int32": "I32", "int64": "I64"} | {
    f"float{bits}": f"F{bits}" for bits in (16, 32, 64)
}


def write_arrays(path: Path, pieces: Pieces, metadata: Mapping[str, Any]) -> None:
    """Write each array, given as pieces that follow each other along its first axis, and JSON facts.

    The file appears under its name when it is whole, not before.
    """
    header: dict[str, Any] = {"__metadata__": {key: json.dumps(value) for key, value in metadata.items()}}
    # Wide values first, so that every array starts at a multiple of its item size.
    order = sorted(pieces, key=lambda name: -pieces[name][0].dtype.itemsize)
    end = 0
    for name in order:
        parts = pieces[name]
        shape = [sum(len(part) for part in parts), *parts[0].shape[1:]]
        begin, end = end, end + math.prod(shape) * parts[0].dtype.itemsize
        header[name] = {"dtype": _CODES[parts[0].dtype.name], "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with atomic.file(path) as unfinished, unfinished.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name in order:
            for part in pieces[name]:
                np.ascontiguousarray(part, part.dtype.newbyteorder("<")).tofile(file)


class ArrayFile:
    """A mapped file of arrays: `file["name", a:b]` reads rows a to b, `file["name"]` all of them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file: Any = safe_open(path, framework="np")
            self.metadata: dict[str, Any] = {
                key: json.loads(value) for key, value in (self._file.metadata() or {}).items()
            }
        except (SafetensorError, OSError, ValueError) as error:
            raise FileFormatError(f"{path} is missing, truncated or no safetensors file ({error})") from error
        self._slices: dict[str, Any] = {name: self._file.get_slice(name) for name in self._file.keys()}  # noqa: SIM118

    def __contains__(self, name: str) -> bool:
        return name in self._slices

    def __getitem__(self, key: str | tuple[str, slice]) -> Array:
        name, rows = (key, slice(None)) if isinstance(key, str) else key
        if name not in self._slices:
            raise FileFormatError(f"{self.path} has no {name!r}; it holds {', '.join(sorted(self._slices))}")
        # An empty slice of a mapped array is an error to safetensors.
        empty = rows.stop is not None and rows.start is not None and rows.stop <= rows.start
        return self._slices[name][0:0] if empty else self._slices[name][rows]
