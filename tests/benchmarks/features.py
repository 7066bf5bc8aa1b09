"""Collection on the embedded model beside its forward pass and encoding alone, and access to a large store.

Both run on the same batches, in turns; times are the best of several rounds. The target is at most 25 % more.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit"))
from features_samples import synthetic_store

from ct_widgets import collect_features, load_demo
from ct_widgets.demo.corpus import statements
from ct_widgets.features.collect import _CHUNK, Collection, Settings
from ct_widgets.features.corpus import RowMaker, in_chunks
from ct_widgets.features.tally import Batch
from ct_widgets.replacement_model import ReplacementModel

SETTINGS = Settings(
    top=20, sample=16, before=24, after=8, context=256, batch_tokens=8192, ignore_bos=True
)  # the defaults of collect_features


def forward_and_encode(model: ReplacementModel, batch: Batch) -> None:
    """What nobody can save."""
    t = model.transcoder
    hooks = [f"blocks.{layer}.{t.feature_input_hook}" for layer in range(t.n_layers)]
    x = model.language_model.activations(torch.from_numpy(batch.ids), hooks)
    counts = torch.from_numpy(batch.counts)
    for layer, hook in enumerate(hooks):
        t.encode(layer, x[hook][counts])


def throughput(texts: list[str], rounds: int, folder: Path) -> None:
    model = load_demo()
    rows = RowMaker(model.language_model, SETTINGS.context, SETTINGS.batch_tokens, ignore_bos=True)
    batches = [batch for i, chunk in enumerate(in_chunks(texts, _CHUNK)) for batch in rows.batches(chunk, _CHUNK * i)]
    n_tokens = sum(int(batch.counts.sum()) for batch in batches)
    alone, collected = np.inf, np.inf
    for _ in range(rounds):
        collection = Collection(model, folder / "never written", SETTINGS, False)
        spent = np.zeros(2)
        for batch in batches:  # in turns, so that whatever else the machine does meets both
            marks = [time.perf_counter()]
            forward_and_encode(model, batch)
            marks.append(time.perf_counter())
            collection.add(batch)
            spent += np.diff([*marks, time.perf_counter()])
        alone, collected = min(alone, spent[0]), min(collected, spent[1])
    print(f"{len(texts):,} texts, {n_tokens:,} tokens, {torch.get_num_threads()} thread(s), best of {rounds} rounds")
    print(f"forward + encode alone   {n_tokens / alone:10,.0f} tokens/s")
    print(f"collection               {n_tokens / collected:10,.0f} tokens/s   {collected / alone - 1:+.1%}")
    start = time.perf_counter()
    collect_features(model, texts, folder / "store", progress=False)
    whole = time.perf_counter() - start
    print(f"with tokens and files    {n_tokens / whole:10,.0f} tokens/s   {whole / alone - 1:+.1%}")


def access(layers: int, features: int, folder: Path) -> None:
    store = synthetic_store(folder / "large", layers, features)
    rng = np.random.default_rng(0)
    spent: list[float] = []
    for layer, index in zip(rng.integers(0, layers, 2000), rng.integers(0, features, 2000), strict=True):
        start = time.perf_counter()
        _ = store[int(layer), int(index)]
        spent.append(1000 * (time.perf_counter() - start))
    size = sum(file.stat().st_size for file in store.path.iterdir()) / 1e9
    middle, high, most = np.percentile(spent, (50, 95, 100))
    print(f"one of {layers * features:,} features ({size:.1f} GB): {middle:.2f} ms, 95 % {high:.2f}, most {most:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, default=8000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    world = statements(0)
    order = np.random.default_rng(0).permutation(len(world))[: options.texts]
    folder = Path(tempfile.mkdtemp())
    try:
        throughput([f"{world[i].prompt} {world[i].answer}" for i in order], options.rounds, folder)
        access(26, 98_304, folder)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
