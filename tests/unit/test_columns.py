"""The column codec: equal values back, and a clear error for bytes that are not columns."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from ct_widgets.columns import decode, encode
from ct_widgets.errors import FileFormatError

INTEGERS = ["uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64"]
DTYPES = ["bool", *INTEGERS, "float16", "float32", "float64"]


def test_round_trip_of_every_dtype_and_of_json() -> None:
    rng = np.random.default_rng(0)
    arrays = {dtype: (rng.random(7) * 3).astype(dtype) for dtype in DTYPES}
    arrays["empty"] = np.zeros(0, np.float32)
    arrays["matrix"] = rng.random((3, 4)).T  # not contiguous
    facts = {
        "prompt": "calc: 36+59=",
        "tokens": ["<b>", "\u202e", "half a character \ud83d", 'quote " and \\'],
        "n": 3,
        "none": None,
        "deep": {"a": [1.5]},
    }
    back, facts_back = decode(encode(arrays, facts))
    assert facts_back == facts
    assert set(back) == set(arrays)
    for name, array in arrays.items():
        assert back[name].dtype == array.dtype
        np.testing.assert_array_equal(back[name], array)


def test_bytes_are_plain_safetensors(tmp_path: Path) -> None:
    path = tmp_path / "columns.safetensors"
    path.write_bytes(encode({"weight": np.array([0.5, -0.25], np.float16)}, {"prompt": "a"}))
    with safe_open(path, framework="np") as file:
        assert json.loads(file.metadata()["prompt"]) == "a"
        np.testing.assert_array_equal(file.get_tensor("weight"), np.array([0.5, -0.25], np.float16))


def test_the_same_content_gives_the_same_bytes() -> None:
    arrays = {"a": np.arange(3, dtype=np.uint8), "b": np.arange(2.0), "c": np.arange(4, dtype=">i4")}
    facts = {f"fact {i}": i for i in range(20)}
    data = encode(arrays, facts)
    assert all(encode(arrays, facts) == data for _ in range(5))
    back, _ = decode(data)
    np.testing.assert_array_equal(back["c"], np.arange(4))
    # Columns can be mapped in place: each starts at a multiple of its item size.
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + length])
    assert length % 8 == 0
    assert all(header[name]["data_offsets"][0] % array.itemsize == 0 for name, array in arrays.items())


def test_every_truncation_is_an_error() -> None:
    data = encode({"kind": np.arange(5, dtype=np.uint8), "weight": np.arange(4, dtype=np.float16)}, {"prompt": "x"})
    for length in range(len(data)):
        with pytest.raises(FileFormatError):
            decode(data[:length])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK\x03\x04 a zip file, longer than eight bytes",
        b'{"metadata": {"prompt": "a graph in JSON"}}',
        struct.pack("<Q", 2) + b"[]",
        struct.pack("<Q", 4) + b"\xff\xfe\x00\x01",
    ],
)
def test_foreign_bytes_are_an_error(data: bytes) -> None:
    with pytest.raises(FileFormatError):
        decode(data)


def test_metadata_that_is_not_json_is_an_error() -> None:
    header = json.dumps({"__metadata__": {"format": "pt"}}).encode()
    with pytest.raises(FileFormatError, match="not one that ct_widgets wrote"):
        decode(struct.pack("<Q", len(header)) + header)


def test_encode_refuses_what_a_browser_cannot_read() -> None:
    with pytest.raises(FileFormatError, match="NaN"):
        encode({}, {"score": float("nan")})
    with pytest.raises(FileFormatError, match="dtype"):
        encode({"text": np.array(["a"])}, {})
