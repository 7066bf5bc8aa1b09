"""Attribution graphs of a random GPT-2 with a random CLT: ours and circuit-tracer's, on the same weights, in one run.

    python tests/benchmarks/attribution.py [--shape small|gpt2|long] [--device cpu|cuda ...] [--out attribution.json]

Every measurement has a process of its own (attribution_worker.py), which says wall time, CPU seconds and peak memory.
circuit-tracer needs older versions of half the stack, so it gets an environment of its own beside this script; where
that cannot be made, its half is left out. A GPU, where there is one, is measured after the CPU. Times vary with the
machine, so read the ratios.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from ct_widgets.language_model import LanguageModel, load_bridge
from ct_widgets.linear import linear
from ct_widgets.transcoders import Transcoder

HERE = Path(__file__).parent
WORKER = HERE / "attribution_worker.py"
PEER = HERE / ".peer"
PEER_PACKAGES = (
    "circuit-tracer==0.5.0",
    "transformer-lens==2.16.1",
    "transformers==4.57.3",
    "pyarrow<22",
    "numpy==1.26.4",
)
TOKENIZER = HERE.parent / "data" / "golden" / "gpt2-clt" / "model"


class Shape(NamedTuple):
    layers: int
    width: int
    positions: int
    features: int
    active: int
    """Active features per layer and position, on average."""
    budgets: tuple[int | None, ...]
    peer_batches: tuple[int, ...]
    runs: int
    """Of how many runs of each the one with the median time counts: short ones vary more."""


SHAPES = {
    "small": Shape(4, 256, 12, 1024, 20, (None,), (16, 64, 256), 5),
    "gpt2": Shape(12, 768, 16, 2048, 40, (None, 1000), (4, 64), 1),
    "long": Shape(12, 768, 200, 2048, 40, (1000,), (), 1),  # memory is the question here, so it runs alone
}

GPU_BATCHES = (64, 256, 1024)


def make_weights(shape: Shape, folder: Path, seed: int = 0) -> None:
    """A random model and a CLT whose thresholds make `shape.active` features active, and the prompt's tokens."""
    torch.manual_seed(seed)
    config = GPT2Config(n_layer=shape.layers, n_embd=shape.width, n_head=shape.width // 64, n_positions=256)
    GPT2LMHeadModel(config).save_pretrained(folder / "model")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / "model" / name).write_bytes((TOKENIZER / name).read_bytes())
    model = LanguageModel(load_bridge(folder / "model", device="cpu"))
    tokens = torch.cat([torch.zeros(1, dtype=torch.long), torch.randint(1, 60, (shape.positions - 1,))])  # after BOS
    run = model.frozen_run(tokens)
    W_enc = [torch.randn(shape.features, shape.width) / shape.width**0.5 for _ in range(shape.layers)]
    n_active = shape.active * (shape.positions - 1)
    # Between two activations, or rounding would decide whether the lowest is active.
    strongest = [(x[1:] @ w.T).flatten().topk(n_active + 1).values for x, w in zip(run.mlp_input, W_enc, strict=True)]
    lowest = [values[-2:].mean() for values in strongest]
    Transcoder(
        kind="clt",
        activation="jumprelu",
        W_enc=W_enc,
        W_dec=[0.02 * torch.randn(shape.features, shape.layers - i, shape.width) for i in range(shape.layers)],
        b_enc=[torch.zeros(shape.features)] * shape.layers,
        b_dec=[torch.zeros(shape.width)] * shape.layers,
        threshold=[value.clamp_min(1e-6).repeat(shape.features) for value in lowest],
        feature_input_hook="hook_resid_mid",
        feature_output_hook="hook_mlp_out",
        model_name="gpt2",
    ).save(folder / "transcoder")
    (folder / "tokens.json").write_text(json.dumps(tokens.tolist()))


def product_rate(device: str) -> float:
    """Operations per second of a large float32 matrix product with all threads, by the faster library."""
    a, b = torch.randn(4096, 768, device=device), torch.randn(768, 768, device=device)

    def rate(multiply: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> float:
        rates: list[float] = []
        for _ in range(10):
            start = time.perf_counter()
            multiply(a, b)
            if device != "cpu":
                torch.cuda.synchronize()
            rates.append(2 * a.numel() * b.shape[1] / (time.perf_counter() - start))
        return float(np.median(rates[2:]))

    return max(rate(torch.mm), rate(linear))


def bound(shape: Shape, graph: dict[str, Any]) -> float:
    """Floating point operations that rows need if every target walks down by itself, to layer 0 and up to its position.

    graph: layer and position of the features that have rows. Products of attention only; reading sources is on top.
    """
    layer, position = np.array(graph["layer"]), np.array(graph["position"])
    return float(((layer + 1) * (position + 1)).sum()) * 4 * shape.width**2


def peer_python() -> Path | None:
    """Python of circuit-tracer's environment, made if need be; None, with a line that says why, where it cannot be."""
    python = PEER / "bin" / "python"
    if (PEER / "ready").exists():
        return python
    print("making an environment for circuit-tracer (once, a few minutes)", flush=True)
    venv.create(PEER, with_pip=True)
    torch_version = torch.__version__.split("+")[0]
    for packages in ((f"torch=={torch_version}",), PEER_PACKAGES):
        done = subprocess.run([python, "-m", "pip", "install", "-q", *packages], capture_output=True, text=True)
        if done.returncode:
            print(f"circuit-tracer cannot be installed, so only ours is measured: {done.stderr.strip()[-300:]}")
            return None
    (PEER / "ready").touch()
    return python


def measure(python: Path | str, who: str, folder: Path, *watch: str, **settings: Any) -> dict[str, Any]:
    """One attribution in a process of its own; with "watch", its memory."""
    command = [str(python), str(WORKER), who, str(folder), json.dumps(settings), *watch]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{who} {settings} failed:\n{done.stderr[-2000:]}")
    return settings | json.loads(done.stdout.splitlines()[-1])


def median(shape: Shape, python: Path | str, who: str, folder: Path, **settings: Any) -> dict[str, Any]:
    """The run of median time among as many as the shape takes."""
    runs = [measure(python, who, folder, **settings) for _ in range(shape.runs)]
    return sorted(runs, key=lambda one: one["wall_s"])[len(runs) // 2]


def compare(shape: Shape, folder: Path, device: str) -> list[dict[str, Any]]:
    """Ours against the peer's best batch size, for every budget of rows."""
    peer = peer_python() if shape.peer_batches else None
    table: list[dict[str, Any]] = []
    for budget in shape.budgets:
        rate = product_rate(device)
        settings = {"budget": budget, "device": device}
        ours = median(shape, sys.executable, "ours", folder, **settings)
        needed = bound(shape, ours.pop("rows"))
        ours["own_mb"] = measure(sys.executable, "ours", folder, "watch", **settings)["own_mb"]
        batches = shape.peer_batches if device == "cpu" else GPU_BATCHES
        theirs = [median(shape, peer, "peer", folder, **settings, batch=b) for b in batches] if peer else []
        row: dict[str, Any] = {**settings, "ours": ours, "circuit-tracer": theirs}
        row["product_rate_gflops"], row["bound_gflop"] = rate / 1e9, needed / 1e9
        row["fraction_of_bound"] = needed / rate / ours["wall_s"]
        if theirs:
            best = min(theirs, key=lambda one: one["wall_s"])
            best["own_mb"] = measure(peer, "peer", folder, "watch", **settings, batch=best["batch"])["own_mb"]
            row["times_faster"] = best["wall_s"] / ours["wall_s"]
            row["memory_share"] = ours["peak_mb"] / best["peak_mb"]
            row["own_memory_share"] = ours["own_mb"] / best["own_mb"]
        table.append(row)
        print(describe(row), flush=True)
    return table


def taken(one: dict[str, Any]) -> str:
    """Time and memory of one measurement."""
    on_gpu = f", {one['gpu_mb']:.0f} MB on the GPU" if "gpu_mb" in one else ""
    own = f", {one['own_mb']:.0f} MB of it for the attribution" if "own_mb" in one else ""
    return f"{one['wall_s']:8.3f} s {one['cpu_s']:8.1f} CPU s {one['peak_mb']:6.0f} MB{own}{on_gpu}"


def describe(row: dict[str, Any]) -> str:
    """One budget as lines of text."""
    ours = row["ours"]
    what = "all rows" if row["budget"] is None else f"{row['budget']:,} feature rows"
    lines = [
        f"{row['device']}: {what}, {ours['features']:,} features; {row['product_rate_gflops']:.0f} GFLOP/s, "
        f"{row['fraction_of_bound']:.0%} of the bound of {row['bound_gflop']:.0f} GFLOP",
        f"  ours                  {taken(ours)}",
    ]
    for one in row["circuit-tracer"]:
        lines.append(f"  circuit-tracer, {one['batch']:>4}  {taken(one)}")
    if "times_faster" in row:
        lines.append(
            f"  {row['times_faster']:.1f} times faster than its best batch; {row['memory_share']:.0%} of its memory, "
            f"{row['own_memory_share']:.0%} of what it takes for the attribution"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, default="small")
    parser.add_argument("--device", choices=("cpu", "cuda"), nargs="+", help="by default all that there are")
    parser.add_argument("--out", type=Path, default=Path("attribution.json"))
    arguments = parser.parse_args()
    shape = SHAPES[arguments.shape]
    with tempfile.TemporaryDirectory() as folder:
        make_weights(shape, Path(folder))
        present = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
        table = [row for device in arguments.device or present for row in compare(shape, Path(folder), device)]
    machine = {"machine": platform.processor() or platform.machine(), "threads": torch.get_num_threads()}
    arguments.out.write_text(json.dumps({"shape": shape._asdict(), **machine, "results": table}, indent=1) + "\n")


if __name__ == "__main__":
    main()
