"""Global weights of a synthetic dictionary beside the naive dense way: whole matrices, then the strongest of each row.

    python tests/benchmarks/global_weights.py [--layers L] [--features F] [--texts N] [--out FILE]

Each way runs in a process of its own on the same model, texts and threads, in turns; times are the best of the rounds,
memory is the peak above what the process held before. Both must find the same strongest inputs.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from conftest import random_transcoder

from ct_widgets.features.collect import encode_batch
from ct_widgets.language_model import native_bridge
from ct_widgets.language_model.corpus import RowMaker
from ct_widgets.replacement_model import ReplacementModel

D_MODEL, K = 256, 20
LEVEL = 3.1
"""Standard deviations above its mean at which a feature is active: one in a thousand is, as in large dictionaries."""


def synthetic(layers: int, features: int) -> ReplacementModel:
    """A random model and cross-layer transcoder."""
    config = {"n_layers": layers, "d_model": D_MODEL, "n_heads": 4, "d_head": 64, "d_mlp": 512, "n_ctx": 64}
    rest = {"d_vocab": 500, "act_fn": "gelu", "positional_embedding_type": "standard", "normalization_type": "LN"}
    bridge = native_bridge(config | rest | {"seed": 0})
    t = random_transcoder(layers, D_MODEL, features, seed=0, activation="relu")
    model = ReplacementModel(bridge, t)
    probe = torch.randint(0, 500, (16, 64), generator=torch.Generator().manual_seed(1))
    hooks = [f"blocks.{layer}.{t.feature_input_hook}" for layer in range(layers)]
    x = model.language_model.activations(probe, hooks)
    for layer, hook in enumerate(hooks):
        h = x[hook].flatten(0, 1) @ t.W_enc[layer].T
        t.b_enc[layer][:] = -(h.mean(0) + LEVEL * h.std(0))
    return model


def texts(n: int) -> list[list[int]]:
    return np.random.default_rng(2).integers(0, 500, (n, 64)).tolist()


def ours(model: ReplacementModel, corpus: list[list[int]] | None) -> Tensor:
    weights = model.global_weights(corpus, k=K, progress=False)
    value = torch.zeros(sum(model.features.n_features))
    size = np.abs(np.nan_to_num(weights.measure()))
    return value.scatter_reduce_(0, torch.from_numpy(weights.kept.target), torch.from_numpy(size).float(), "amax")


def dense(model: ReplacementModel, corpus: list[list[int]] | None) -> Tensor:
    """Every product of every pair; decoders are summed anew for each pair of layers."""
    t = model.transcoder
    sizes = [t.n_features(layer) for layer in range(t.n_layers)]
    first = np.cumsum([0, *sizes]).tolist()
    virtual = torch.zeros(first[-1], first[-1])
    for source in range(t.n_layers):
        for target in range(source + 1, t.n_layers):
            written = t.W_dec[source][:, : target - source].sum(1)
            block = slice(first[source], first[source + 1]), slice(first[target], first[target + 1])
            virtual[block] = written @ t.W_enc[target].T
    measures = [virtual]
    if corpus is not None:
        rows = RowMaker(model.language_model, 256, 8192, ignore_bos=True)
        a = torch.cat([torch.cat(list(encode_batch(model, batch)), 1) for batch in rows.batches(corpus, 0)])
        product, present, total = a.T @ a, a.T @ (a > 0).float(), a.sum(0)
        measures += [virtual * present / len(a), torch.nan_to_num(virtual * product / total)]
    for measure in measures:
        for axis in (0, 1):
            measure.abs().topk(K, dim=axis)
    return measures[-1].abs().max(0).values


WAYS: dict[str, Callable[[ReplacementModel, list[list[int]] | None], Tensor]] = {"ours": ours, "dense": dense}


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def work(options: argparse.Namespace) -> None:
    model, corpus = synthetic(options.layers, options.features), texts(options.texts) if options.texts else None
    before, start = peak(), time.perf_counter()
    strongest = WAYS[options.worker](model, corpus)
    seconds = time.perf_counter() - start
    result = {"seconds": seconds, "bytes": peak() - before, "strongest": [round(float(v), 4) for v in strongest]}
    print(json.dumps(result))


def measure(way: str, options: argparse.Namespace, n_texts: int) -> dict[str, Any]:
    settings = {"worker": way, "layers": options.layers, "features": options.features, "texts": n_texts}
    arguments = [f"--{name}={value}" for name, value in settings.items()]
    ran = subprocess.run([sys.executable, __file__, *arguments], capture_output=True, text=True, check=True)
    return json.loads(ran.stdout.splitlines()[-1])


def compare(options: argparse.Namespace, n_texts: int) -> dict[str, Any]:
    """The best of each way, and how much more the dense one takes."""
    runs: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
    for _ in range(options.rounds):
        for way in WAYS:
            runs[way].append(measure(way, options, n_texts))
    mine, theirs = (np.array(runs[way][0]["strongest"]) for way in WAYS)
    assert np.allclose(mine, theirs, rtol=1e-2, atol=1e-3), "the two ways find different weights"
    best = {way: {key: min(run[key] for run in runs[way]) for key in ("seconds", "bytes")} for way in WAYS}
    # What little ours takes may fit into what the process held before.
    ratio = {
        key: best["dense"][key] / max(best["ours"][key], least) for key, least in (("seconds", 0), ("bytes", 2**20))
    }
    return {**best, "ratio": ratio}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--features", type=int, default=1536)
    parser.add_argument("--texts", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--out", type=Path, help="also write the figures as JSON")
    parser.add_argument("--worker", choices=WAYS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(options)
        return
    n = options.layers * options.features
    print(f"{n:,} features in {options.layers} layers, d_model {D_MODEL}, {torch.get_num_threads()} thread(s)")
    found: dict[str, Any] = {"features": n, "layers": options.layers, "texts": options.texts}
    for what, n_texts in (("virtual", 0), ("statistics", options.texts)):
        found[what] = compare(options, n_texts)
        print(f"virtual weights, ERA and TWERA of {64 * n_texts:,} tokens" if n_texts else "virtual weights alone")
        for way in WAYS:
            print(f"    {way:<8}{found[what][way]['seconds']:8.2f} s{found[what][way]['bytes'] / 2**20:10,.0f} MiB")
        print("    dense / ours: {seconds:.1f} x time, {bytes:.1f} x memory".format(**found[what]["ratio"]))
    if options.out:
        options.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
