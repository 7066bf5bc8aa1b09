"""The binary column codec: named arrays and JSON facts in one byte string.

It is the safetensors format, used for two things: `.ctgraph` files, and the columns that widgets send to the
browser (`js/src/core/columns.ts` reads the same bytes). Metadata values are JSON, one document per key, because
safetensors holds strings only.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load as _load

from ct_widgets.errors import FileFormatError

Array = npt.NDArray[Any]
JSON = Any

_HEADER_BYTES = 8
_MAX_HEADER = 100_000_000  # the limit that safetensors itself sets
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
    """
    for name, array in arrays.items():
        if array.dtype.name not in _CODES:
            raise FileFormatError(f"column {name!r} has dtype {array.dtype}; a column is one of {', '.join(_CODES)}")
    try:
        facts = {key: json.dumps(value, allow_nan=False) for key, value in metadata.items()}
    except (TypeError, ValueError) as error:
        raise FileFormatError(f"metadata must be JSON values without NaN or infinity: {error}") from error
    header: dict[str, Any] = {"__metadata__": facts}
    body: list[bytes] = []
    end = 0
    # Wide values first: then every column starts at a multiple of its item size, as readers that map files like it.
    for name, array in sorted(arrays.items(), key=lambda item: -item[1].dtype.itemsize):
        data = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).tobytes()
        shape = list(array.shape)
        header[name] = {"dtype": _CODES[array.dtype.name], "shape": shape, "data_offsets": [end, end + len(data)]}
        end += len(data)
        body.append(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _HEADER_BYTES)
    return b"".join([struct.pack("<Q", len(text)), text, *body])


def decode(data: bytes) -> tuple[dict[str, Array], dict[str, JSON]]:
    """Read what `encode` wrote as (arrays, metadata); raises FileFormatError on truncated or foreign bytes."""
    header = _read_header(data)
    try:
        arrays = _load(data)
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise FileFormatError(f"columns are damaged or truncated ({error}); write the file again") from error
    facts = cast("dict[str, str]", header.get("__metadata__", {}))
    try:
        return arrays, {key: json.loads(value) for key, value in facts.items()}
    except (TypeError, ValueError) as error:
        raise FileFormatError(
            f"metadata is not JSON ({error}); the file is safetensors, but not one that ct_widgets wrote"
        ) from error


def _read_header(data: bytes) -> dict[str, Any]:
    if len(data) < _HEADER_BYTES:
        raise FileFormatError(f"{len(data)} bytes are too short for a file of columns; is it truncated?")
    (length,) = struct.unpack_from("<Q", data)
    if length > min(_MAX_HEADER, len(data) - _HEADER_BYTES):
        raise FileFormatError(
            "not a file of columns, or a truncated one: "
            f"its header claims {length:,} bytes and {len(data) - _HEADER_BYTES:,} follow"
        )
    try:
        header = json.loads(data[_HEADER_BYTES : _HEADER_BYTES + length].decode("utf-8"))
    except ValueError as error:
        raise FileFormatError(f"not a file of columns: its header is not JSON ({error})") from error
    if not isinstance(header, dict):
        raise FileFormatError("not a file of columns: its header is not a JSON object")
    return cast("dict[str, Any]", header)
