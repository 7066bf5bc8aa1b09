"""Tallies on disk: as the columns of a store, read back from one to merge it exactly, and unfinished to resume from.

Axes as in `tally.py` and `store.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ct_widgets.columns import ArrayFile, write_arrays
from ct_widgets.errors import FeatureError
from ct_widgets.features.bins import span
from ct_widgets.features.store_file import StoreFile, write_store
from ct_widgets.features.tally import LayerTally, Tally, Window
from ct_widgets.features.topk import Candidates, Windows, context_keys

Array = npt.NDArray[Any]


def layer_columns(layer: LayerTally) -> dict[str, Array]:
    """Make the columns of one layer for `write_store`; those named *_start hold the lengths of runs."""
    first, last = span(layer.histogram)
    bins = np.arange(layer.histogram.shape[1])
    (top, top_windows), (sample, sample_windows) = layer.top.examples(), layer.sample.examples()
    found = Candidates(*(np.concatenate(pair) for pair in zip(top, sample, strict=True)))
    windows = Windows(*(np.concatenate(pair) for pair in zip(top_windows, sample_windows, strict=True)))
    order = np.argsort(found.feature, kind="stable")  # of every feature first the top, then the sample
    length = windows.length[order]
    inside = np.arange(windows.tokens.shape[1]) < length[:, None]
    n = len(layer.total)
    return {
        "count": layer.histogram.sum(1, dtype=np.uint32),
        "maximum": np.where(np.isfinite(layer.top.value[:, 0]), layer.top.value[:, 0], 0).astype(np.float32),
        "total": layer.total,
        "histogram": layer.histogram[(bins >= first[:, None]) & (bins < last[:, None])],
        "histogram_start": last - first,
        "histogram_first": first.astype(np.uint8),
        "n_top": np.bincount(top.feature, minlength=n).astype(np.uint16),
        "example_start": np.bincount(found.feature, minlength=n),
        "value": found.value[order],
        "text": found.text[order],
        "position": windows.position[order],
        "peak": windows.peak[order],
        "token_start": length.astype(np.int64),
        "tokens": windows.tokens[order][inside],
        "share": windows.share[order][inside],
    }


def read_layer(store: StoreFile, layer: int) -> LayerTally:
    """Rebuild the tally that one layer of `store` was written from."""
    settings, file = store.facts["settings"], store.arrays
    window = Window(settings["before"], settings["after"])
    n = store.n_features[layer]
    begin = store.number(layer, 0)
    tally = LayerTally.empty(n, settings["top"], settings["sample"], window.width)
    tally.total[:] = file["total", slice(begin, begin + n)]
    runs = file["histogram_start", slice(begin, begin + n + 1)].astype(np.int64)
    feature, offset = _runs(runs)
    first = file["histogram_first", slice(begin, begin + n)].astype(np.int64)
    tally.histogram[feature, first[feature] + offset] = file["histogram", slice(int(runs[0]), int(runs[-1]))]
    runs = file["example_start", slice(begin, begin + n + 1)].astype(np.int64)
    feature, place = _runs(runs)
    mine = slice(int(runs[0]), int(runs[-1]))
    starts = file["token_start", slice(mine.start, mine.stop + 1)].astype(np.int64)
    example, token = _runs(starts)
    tokens = np.zeros((len(feature), window.width), np.int32)
    share = np.zeros((len(feature), window.width), np.float16)
    if len(feature):
        tokens[example, token] = file["tokens", slice(int(starts[0]), int(starts[-1]))]
        share[example, token] = file["share", slice(int(starts[0]), int(starts[-1]))]
    peak = file["peak", mine]
    found = Candidates(
        feature,
        context_keys(tokens, window.before)[np.arange(len(feature)), peak],
        file["value", mine],
        file["text", mine],
    )
    windows = Windows(file["position", mine], peak, np.diff(starts), tokens, share)
    is_top = place < file["n_top", slice(begin, begin + n)][feature]
    for kept, chosen in ((tally.top, is_top), (tally.sample, ~is_top)):
        kept.fill(found.take(chosen), windows.take(np.flatnonzero(chosen)))
    return tally


def _runs(starts: Array) -> tuple[Array, Array]:
    """Return the run of every item of runs that begin at `starts`, and its place in the run."""
    length = np.diff(starts)
    run = np.repeat(np.arange(len(length)), length)
    return run, np.arange(len(run)) - (starts[:-1] - starts[0])[run]


def merge_files(stores: Sequence[StoreFile], path: Path) -> None:
    """Write the store `path` of what several saw, without labels; see `FeatureStore.merge`."""
    if not stores:
        raise FeatureError("there are no stores to merge; pass at least one")
    first = stores[0]
    for other in stores[1:]:
        first.check(other.facts["transcoder"]["hash"], other.facts["transcoder"]["name"])
        if other.facts["settings"] != first.facts["settings"]:
            raise FeatureError(
                f"{first.path} and {other.path} were collected with different settings "
                f"({first.facts['settings']} and {other.facts['settings']}); collect one of them again"
            )
    if first.facts["settings"] is None:
        raise FeatureError(f"{first.path} was read from files that do not hold all it takes to merge it exactly")

    def layers() -> Iterable[dict[str, Array]]:
        for layer in range(len(first.n_features)):
            merged = read_layer(first, layer)
            for other in stores[1:]:
                merged.merge(read_layer(other, layer))
            yield layer_columns(merged)

    facts = dict(sorted(first.facts.items()))  # safetensors gives them back in random order
    for name in ("n_tokens", "n_texts"):
        facts[name] = sum(store.facts[name] for store in stores)
    merged = first.coactivations() if first.has_coactivations else None
    if merged is not None:
        for other in stores[1:]:
            merged.merge(other.coactivations())
    write_store(path, layers(), merged, first.vocabulary, facts)


def save_tally(path: Path, tally: Tally, facts: Mapping[str, Any]) -> None:
    """Write an unfinished tally, from which `load_tally` resumes."""
    pieces: dict[str, list[Array]] = {}
    for number, layer in enumerate(tally.layers):
        for name, array in _state(layer).items():
            pieces[f"{number}.{name}"] = [array]
    if tally.coactivations is not None:
        pieces |= {f"coactivation.{name}": [array] for name, array in tally.coactivations.arrays().items()}
    write_arrays(path, pieces, {**facts, "n_tokens": tally.n_tokens, "n_texts": tally.n_texts})


def load_tally(file: ArrayFile, into: Tally) -> Tally:
    """Fill the empty tally `into` from the file that `save_tally` wrote; returns it."""
    for number, layer in enumerate(into.layers):
        for name, array in _state(layer).items():
            array[...] = file[f"{number}.{name}"]
    if into.coactivations is not None:
        into.coactivations.fill(lambda name: file[f"coactivation.{name}"])
    into.n_tokens, into.n_texts = file.metadata["n_tokens"], file.metadata["n_texts"]
    return into


def _state(layer: LayerTally) -> dict[str, Array]:
    arrays = {"histogram": layer.histogram, "total": layer.total}
    for name, kept in (("top", layer.top), ("sample", layer.sample)):
        arrays |= {f"{name}.{column}": array for column, array in kept.arrays().items()}
    return arrays
