"""The safetensors format, in one place: named arrays and JSON facts, as bytes or as a file that is mapped.

As bytes they are `.ctgraph` files, and the columns that widgets send to the browser (`js/src/core/columns.ts` reads
them). Metadata values are JSON, one document per key, because safetensors holds strings only.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load as _load

from ct_widgets import atomic
from ct_widgets.errors import FileFormatError

Array = npt.NDArray[Any]
JSON = Any
Pieces = Mapping[str, Sequence[Array]]

_HEADER_BYTES = 8
_CODES = {
    "bool": "BOOL",
    "uint8": "U8",
    "int8": "I8",
    "uint16": "U16",
    "int16": "I16",
    "uint32": "U32",
    "int32": "I32",
    "uint64": "U64",
    "int64": "I64",
    "float16": "F16",
    "float32": "F32",
    "float64": "F64",
}
"""Names of dtypes in the format, by their names in numpy."""


def encode(arrays: Mapping[str, Array], metadata: Mapping[str, JSON]) -> bytes:
    """Pack `arrays` and `metadata` into safetensors bytes; `decode` gives equal values back.

    Metadata must be JSON without NaN or infinity, so that browsers read it too. The same content gives the same bytes,
    which safetensors' own writer, whose metadata come in random order, does not promise.

    >>> decode(encode({"weight": np.zeros(3, np.float32)}, {"prompt": "calc: 36+59="}))[1]
    {'prompt': 'calc: 36+59='}
    """
    return b"".join(_blocks({name: [array] for name, array in arrays.items()}, metadata))


def write_arrays(path: Path, pieces: Pieces, metadata: Mapping[str, JSON]) -> None:
    """Write a file of arrays, each given as pieces that follow each other along its first axis, and of JSON facts.

    The file appears under its name when it is whole, not before. safetensors' own writer takes whole arrays only.
    """
    with atomic.file(path) as unfinished, unfinished.open("wb") as file:
        for block in _blocks(pieces, metadata):
            file.write(block)


def _blocks(pieces: Pieces, metadata: Mapping[str, JSON]) -> Iterator[bytes | memoryview]:
    """Yield the bytes of the format: the header, then piece by piece the arrays."""
    for name, parts in pieces.items():
        if parts[0].dtype.name not in _CODES:
            raise FileFormatError(f"column {name!r} has dtype {parts[0].dtype}; a column is one of {', '.join(_CODES)}")
    try:
        facts = {key: json.dumps(value, allow_nan=False) for key, value in metadata.items()}
    except (TypeError, ValueError) as error:
        raise FileFormatError(f"metadata must be JSON values without NaN or infinity: {error}") from error
    header: dict[str, Any] = {"__metadata__": facts}
    # Wide values first: then every array starts at a multiple of its item size, as readers that map files like it.
    order = sorted(pieces, key=lambda name: -pieces[name][0].dtype.itemsize)
    end = 0
    for name in order:
        parts = pieces[name]
        begin, end = end, end + sum(part.nbytes for part in parts)
        shape = [sum(len(part) for part in parts), *parts[0].shape[1:]]
        header[name] = {"dtype": _CODES[parts[0].dtype.name], "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _HEADER_BYTES)
    yield struct.pack("<Q", len(text)) + text
    for name in order:
        for part in pieces[name]:
            yield np.ascontiguousarray(part, part.dtype.newbyteorder("<")).data


class ArrayFile:
    """A mapped file of arrays: `file["name", a:b]` reads rows a to b, `file["name"]` all of them.

    Raises FileFormatError for a file that is missing, truncated or of another format.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file: Any = safe_open(path, framework="np")
            self.metadata: dict[str, JSON] = {
                key: json.loads(value) for key, value in (self._file.metadata() or {}).items()
            }
        except (SafetensorError, OSError, ValueError) as error:
            raise FileFormatError(f"{path} is missing, truncated or not safetensors ({error})") from error
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


def decode(data: bytes) -> tuple[dict[str, Array], dict[str, JSON]]:
    """Read what `encode` wrote as (arrays, metadata); raises FileFormatError on truncated or foreign bytes."""
    try:
        arrays = _load(data)
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise FileFormatError(f"not a file of columns, or a damaged or truncated one ({error})") from error
    (length,) = struct.unpack_from("<Q", data)  # of a header that safetensors found sound
    facts = json.loads(data[_HEADER_BYTES : _HEADER_BYTES + length]).get("__metadata__", {})
    try:
        return arrays, {key: json.loads(value) for key, value in facts.items()}
    except (TypeError, ValueError) as error:
        raise FileFormatError(
            f"metadata is not JSON ({error}); the file is safetensors, but not one that ct_widgets wrote"
        ) from error
