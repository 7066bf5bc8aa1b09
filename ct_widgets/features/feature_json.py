"""The feature files that circuit-tracer and Neuronpedia share, in and out.

`index.json.gz` lists, by layer, a file and the offsets in it; the bytes from one offset to the next are the length of a
compressed JSON object (uint32, little-endian) and the object. An older layout has one file per feature, named by
the Cantor pair of layer and index. Tokens are text there, so that bytes of a character that is spread over several
tokens stand in the first of them.
"""

from __future__ import annotations

import gzip
import json
import struct
import zlib
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from ct_widgets import atomic
from ct_widgets.errors import FileFormatError
from ct_widgets.feature_name import FeatureName
from ct_widgets.features.bins import EDGES, N_BINS, bin_of, finite_edges, span
from ct_widgets.features.catalog import Feature, Features
from ct_widgets.features.fingerprint import fingerprint
from ct_widgets.features.store import Example, FeatureRecord, FeatureStore
from ct_widgets.features.store_file import write_store
from ct_widgets.features.vocabulary import Vocabulary
from ct_widgets.progress import progress_bar
from ct_widgets.transcoders import Transcoder

INDEX = "index.json.gz"
NOMINAL_TOKENS = 10**9
"""These files say how often a feature is active, not on how many tokens that was counted."""

_TOP = "Top activations"
_QUANTILES = 100
_LENGTH = struct.Struct("<I")


def write_feature_json(features: Features, directory: str | Path, *, progress: bool | None = None) -> Path:
    """Write the features of `features`, which needs a store, in the indexed layout; returns the directory.

    `histogram` holds the counts of our bins, whose edges stand beside it under `histogram_edges`.
    Raises FeatureError without a store.

    >>> write_feature_json(model.features, "features-json")
    """
    folder = Path(directory).expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    index: list[dict[str, Any]] = []
    with progress_bar("feature files", sum(features.n_features), unit="feature", show=progress) as bar:
        for layer, n in enumerate(features.n_features):
            name = f"layer_{layer}.bin"
            offsets = [0]
            with atomic.file(folder / name) as unfinished, unfinished.open("wb") as file:
                for i in range(n):
                    data = zlib.compress(json.dumps(_to_json(features[layer, i]), ensure_ascii=False).encode())
                    file.write(_LENGTH.pack(len(data)) + data)
                    offsets.append(file.tell())
                    bar.advance()
            index.append({"filename": name, "offsets": offsets})
    # Last, so that an index never names what is not there.
    atomic.write_bytes(folder / INDEX, gzip.compress(json.dumps(index).encode(), mtime=0))
    return folder


def _to_json(feature: Feature) -> dict[str, Any]:
    record, vocabulary = feature.known(), feature.vocabulary
    sections = record.sections()
    quantiles = [
        {
            "quantile_name": _TOP if section.share is None else f"Subsample interval {place}",
            "examples": [_example_to_json(example, vocabulary) for example in section.examples],
        }
        for place, section in enumerate(sections)
    ]
    return {
        "index": feature.index,
        "layer": feature.layer,
        "examples_quantiles": quantiles,
        "top_logits": feature.promoted()["token"].tolist(),
        "bottom_logits": feature.suppressed()["token"].tolist(),
        "act_min": min((section.low for section in sections), default=0.0),
        "act_max": record.maximum,
        "quantile_values": _quantiles(record),
        "histogram": record.counts.tolist(),
        "histogram_edges": finite_edges(record.edges),
        "activation_frequency": record.density,
    }


def _example_to_json(example: Example, vocabulary: Vocabulary) -> dict[str, Any]:
    tokens: list[str] = []
    for text, count in vocabulary.pieces(example.tokens.tolist()):
        tokens += [f" {text}" if vocabulary.spaced and tokens else text, *[""] * (count - 1)]
    return {
        "tokens": tokens,
        "tokens_acts_list": [float(f"{value:.6g}") for value in example.activation.tolist()],
        "train_token_ind": example.peak,
        "is_repeated_datapoint": False,
    }


def _quantiles(record: FeatureRecord) -> list[float]:
    """Interpolate 100 quantiles of the activations in the histogram."""
    if not record.count:
        return []
    share = np.concatenate([[0], np.cumsum(record.counts)]) / record.counts.sum()
    edges = np.clip(record.edges.astype(np.float64), -record.maximum, record.maximum)
    return [float(f"{value:.6g}") for value in np.interp(np.linspace(0, 1, _QUANTILES), share, edges)]


def read_feature_json(directory: str | Path, path: str | Path, transcoder: Transcoder) -> FeatureStore:
    """Read the feature files in `directory`, which belong to `transcoder`, into a store at `path`.

    Promoted tokens come from the weights, not from the files. Raises FileFormatError for damaged files, for those of
    another number of layers or features, and if `path` already exists.

    >>> store = read_feature_json("features-json", "features", model.transcoder)
    """
    folder = Path(directory).expanduser()
    layers = _read_indexed(folder, transcoder) if (folder / INDEX).is_file() else _read_single(folder, transcoder)
    words: dict[str, int] = {}
    columns = [_columns(objects, transcoder.n_features(layer), words, folder) for layer, objects in enumerate(layers)]
    vocabulary = Vocabulary.of((word.encode("utf-8", "replace") for word in words), spaced=False)
    facts = {
        "transcoder": {"name": transcoder.name, "kind": transcoder.kind, "hash": fingerprint(transcoder)},
        "model": transcoder.model_name,
        "settings": None,
        "n_features": [transcoder.n_features(layer) for layer in range(transcoder.n_layers)],
        "n_tokens": NOMINAL_TOKENS,
        "n_texts": 0,
    }
    write_store(Path(path).expanduser(), columns, None, vocabulary, facts)
    return FeatureStore(path)


Objects = Mapping[int, Mapping[str, Any]]
"""JSON objects by the index of the feature; features without one were never active."""


def _read_indexed(folder: Path, transcoder: Transcoder) -> Iterator[Objects]:
    try:
        index = json.loads(gzip.decompress((folder / INDEX).read_bytes()))
        places = [(folder / Path(entry["filename"]).name, list(map(int, entry["offsets"]))) for entry in index]
    except (OSError, EOFError, ValueError, LookupError, TypeError, zlib.error) as error:
        raise FileFormatError(f"{folder / INDEX} is damaged ({error}); copy it again") from error
    if len(places) != transcoder.n_layers:
        raise FileFormatError(f"{folder} has {len(places)} layers, {transcoder.name} has {transcoder.n_layers}")
    for layer, (file, offsets) in enumerate(places):
        if len(offsets) != transcoder.n_features(layer) + 1:
            raise FileFormatError(
                f"{file.name} has {len(offsets) - 1} features, layer {layer} of {transcoder.name} has "
                f"{transcoder.n_features(layer)}"
            )
        data = np.memmap(file, mode="r") if file.is_file() and file.stat().st_size else np.zeros(0, np.uint8)
        yield {
            i: _unpack(data[begin:end].tobytes(), f"feature {i} in {file}")
            for i, (begin, end) in enumerate(pairwise(offsets))
            if end > begin
        }


def _unpack(data: bytes, what: str) -> Mapping[str, Any]:
    try:
        (length,) = _LENGTH.unpack_from(data)
        if length > len(data) - _LENGTH.size:
            raise ValueError(f"{length} bytes are announced, {len(data) - _LENGTH.size} follow")
        packed = data[_LENGTH.size : _LENGTH.size + length]
        return _object(zlib.decompress(packed, zlib.MAX_WBITS | 32))  # with the header of zlib or of gzip
    except (struct.error, zlib.error, ValueError) as error:
        raise FileFormatError(f"{what} is damaged ({error}); copy it again") from error


def _read_single(folder: Path, transcoder: Transcoder) -> Iterator[Objects]:
    layers: list[dict[int, Mapping[str, Any]]] = [{} for _ in range(transcoder.n_layers)]
    for file in folder.glob("*.json"):
        if not file.stem.isdecimal():
            continue
        layer, index = name = FeatureName.from_cantor(int(file.stem))
        if layer >= transcoder.n_layers or index >= transcoder.n_features(layer):
            raise FileFormatError(f"{file} is of feature {name}, which {transcoder.name} does not have")
        try:
            layers[layer][index] = _object(file.read_bytes())
        except ValueError as error:
            raise FileFormatError(f"{file} is damaged ({error}); copy it again") from error
    if not any(layers):
        raise FileFormatError(f"{folder} has neither {INDEX} nor feature files such as {FeatureName(0, 3).cantor}.json")
    yield from layers


def _object(data: bytes) -> Mapping[str, Any]:
    value = json.loads(data)
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return cast("dict[str, Any]", value)


def _columns(objects: Objects, n: int, words: dict[str, int], folder: Path) -> dict[str, npt.NDArray[Any]]:
    """Make the columns of one layer for `write_store`; `words` grows."""
    histogram = np.zeros((n, N_BINS), np.uint32)
    count, maximum, total = np.zeros(n, np.uint32), np.zeros(n, np.float32), np.zeros(n)
    n_top, n_examples = np.zeros(n, np.uint16), np.zeros(n, np.int64)
    examples: list[tuple[list[int], npt.NDArray[np.float32], int]] = []
    for i in sorted(objects):
        try:
            count[i], maximum[i], total[i] = _statistics(objects[i], histogram[i])
            quantiles: list[Any] = objects[i].get("examples_quantiles") or []
            for place, quantile in enumerate(quantiles):
                mine = [_example(example, words) for example in quantile["examples"] if example["tokens"]]
                examples += mine
                n_examples[i] += len(mine)
                if place == 0:
                    n_top[i] = len(mine)
        except (LookupError, TypeError, ValueError, OverflowError) as error:
            raise FileFormatError(f"feature {i} of {folder} has a form that is not expected ({error!r})") from error
    first, last = span(histogram)
    bins = np.arange(N_BINS)
    value = np.array([acts[peak] for _, acts, peak in examples], np.float32)
    share = [acts / own if own else np.zeros_like(acts) for (_, acts, _), own in zip(examples, value, strict=True)]
    peaks = np.array([peak for _, _, peak in examples], np.uint16)
    return {
        "count": count,
        "maximum": maximum,
        "total": total,
        "histogram": histogram[(bins >= first[:, None]) & (bins < last[:, None])],
        "histogram_start": last - first,
        "histogram_first": first.astype(np.uint8),
        "n_top": n_top,
        "example_start": n_examples,
        "value": value,
        "text": np.arange(len(examples), dtype=np.uint32),
        "position": peaks.astype(np.uint32),
        "peak": peaks,
        "token_start": np.array([len(ids) for ids, _, _ in examples], np.int64),
        "tokens": np.array([i for ids, _, _ in examples for i in ids], np.uint32),
        "share": np.concatenate([np.zeros(0), *share]).astype(np.float16),
    }


def _statistics(values: Mapping[str, Any], histogram: npt.NDArray[np.uint32]) -> tuple[int, float, float]:
    """Read count, maximum and sum of activations; fills the histogram, from quantiles where the edges are not ours."""
    count = round(float(values.get("activation_frequency") or 0) * NOMINAL_TOKENS)
    counts = np.array(values.get("histogram") or (), np.float64)
    edges = values.get("histogram_edges")
    if edges and len(edges) == len(counts) + 1:
        first = 0 if edges[0] is None else int(np.searchsorted(EDGES, edges[0]))
        histogram[first : first + len(counts)] = counts
    quantiles = np.array(values.get("quantile_values") or (), np.float32)
    if not edges and len(quantiles):
        np.add.at(histogram, bin_of(quantiles), 1)
    mean = float(quantiles.mean()) if len(quantiles) else 0.0
    return count, float(values.get("act_max") or 0), mean * count


def _example(values: Mapping[str, Any], words: dict[str, int]) -> tuple[list[int], npt.NDArray[np.float32], int]:
    ids = [words.setdefault(str(token), len(words)) for token in values["tokens"]]
    activation = np.array(values["tokens_acts_list"], np.float32)
    if len(activation) != len(ids):
        raise ValueError(f"{len(ids)} tokens and {len(activation)} activations")
    peak = values.get("train_token_ind")
    return ids, activation, peak if isinstance(peak, int) and 0 <= peak < len(ids) else int(activation.argmax())
