"""A small corpus and model for tests of features; run as a script, one process that collects over it.

python features_samples.py PATH KIND [--rank R --rendezvous FILE] [--dies-after N]
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from conftest import random_transcoder, tiny_bridge

from ct_widgets.columns import write_arrays
from ct_widgets.features import FeatureStore, collect, collect_features
from ct_widgets.features.store_file import ARRAYS, FORMAT, VERSION
from ct_widgets.replacement_model import ReplacementModel
from ct_widgets.transcoders import Transcoder

CHUNK = 16
SETTINGS: dict[str, Any] = {
    "top": 4,
    "sample": 5,
    "before": 5,
    "after": 3,
    "context": 12,
    "batch_tokens": 64,
    "progress": False,
}
KINDS: dict[str, dict[str, Any]] = {
    "clt": {"kind": "clt"},
    "plt": {"kind": "plt", "activation": "relu", "skip": True},
    "topk": {"kind": "plt", "activation": "topk", "k": 3},
}


def transcoder(kind: str) -> Transcoder:
    """A random transcoder of each kind."""
    return random_transcoder(3, 24, seed=4, **KINDS[kind])


def model(kind: str) -> ReplacementModel:
    """A random model without tokenizer, and the transcoder."""
    return ReplacementModel(tiny_bridge("native ln", Path()), transcoder(kind))


def corpus(n: int = 110) -> list[list[int]]:
    """Token ids of texts shorter and longer than a row; some are repeated, some share their beginning."""
    rng = np.random.default_rng(7)
    texts = [rng.integers(0, 60, rng.integers(1, 31)).tolist() for _ in range(n)]
    for i in range(5, n, 9):
        texts[i] = texts[i - 3][: 1 + i % 7] + texts[i]
    for i in range(8, n, 10):
        texts[i] = list(texts[i - 5])
    return texts


def gather(path: Path, kind: str, texts: Any = None, **settings: Any) -> FeatureStore:
    """Collect with few texts at a time."""
    collect._CHUNK = CHUNK
    return collect_features(model(kind), corpus() if texts is None else texts, path, **{**SETTINGS, **settings})


def synthetic_store(path: Path, layers: int, features: int) -> FeatureStore:
    """A store of the given size, every feature with two examples of four tokens and three bins."""
    n = layers * features
    path.mkdir()
    columns = {
        "count": np.full(n, 9, np.uint32),
        "maximum": np.arange(n, dtype=np.float32),
        "total": np.ones(n),
        "histogram": np.tile(np.array([4, 3, 2], np.uint32), n),
        "histogram_start": np.arange(0, 3 * n + 1, 3, dtype=np.uint64),
        "histogram_first": np.full(n, 40, np.uint8),
        "n_top": np.ones(n, np.uint16),
        "example_start": np.arange(0, 2 * n + 1, 2, dtype=np.uint64),
        "value": np.arange(2 * n, dtype=np.float32),
        "text": np.arange(2 * n, dtype=np.uint32),
        "position": np.full(2 * n, 7, np.uint32),
        "peak": np.full(2 * n, 2, np.uint16),
        "token_start": np.arange(0, 8 * n + 1, 4, dtype=np.uint64),
        "tokens": np.tile(np.arange(4, dtype=np.uint16), 2 * n),
        "share": np.tile(np.array([0, 0.5, 1, 0.25], np.float16), 2 * n),
        "vocabulary": np.frombuffer(b"abcd", np.uint8),
        "vocabulary_start": np.arange(5, dtype=np.uint32),
    }
    facts = {
        "format": FORMAT,
        "version": VERSION,
        "spaced": False,
        "transcoder": {"name": "synthetic", "kind": "clt", "hash": "sha256:0"},
        "n_features": [features] * layers,
        "n_tokens": 1000,
        "n_texts": 10,
    }
    write_arrays(path / ARRAYS, {name: [column] for name, column in columns.items()}, facts)
    return FeatureStore(path)


def dying(texts: list[list[int]], after: int) -> Iterator[list[int]]:
    """The texts, and a violent end after some."""
    yield from texts[:after]
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("path", type=Path)
    parser.add_argument("kind")
    parser.add_argument("--rank", type=int)
    parser.add_argument("--rendezvous")
    parser.add_argument("--dies-after", type=int)
    options = parser.parse_args()
    if options.rank is not None:
        import torch.distributed as dist

        dist.init_process_group("gloo", init_method=f"file://{options.rendezvous}", rank=options.rank, world_size=2)
    texts: Any = corpus()
    if options.dies_after:
        texts = dying(texts, options.dies_after)
    print(gather(options.path, options.kind, texts, save_every=0.0).n_tokens)


if __name__ == "__main__":
    main()
