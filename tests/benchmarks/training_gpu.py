"""Training transcoders of GPT-2 small's shape on a GPU: tokens per second, and what bounds them.

    python tests/benchmarks/training.py --device cuda [--out training_gpu.json]

12 layers, d_model 768, 16,384 features per layer, BatchTopK with 8 active ones per token and layer (96 in all),
bfloat16 products and float32 state, the trainer as users call it, activations that lie in the GPU's memory. It needs
neither a network nor TransformerLens, and about a minute. A check comes first: small runs of all activations follow the
same curve on both devices.

FLOP per token are counted twice: "dense" is what a trainer without sparse code does, 6 per weight; "done" is what ours
does, one dense product (the encoder's, forwards) and sums over active features. The first stands beside the card's
measured rate of bfloat16 products. Ours is bound by memory instead, so the bytes that a step has to move stand beside
the card's measured rate of copies.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from ct_widgets.training import Activations, Callback, Step, TrainingConfig, train

N_LAYERS, D_MODEL, FEATURES, K = 12, 768, 16_384, 8
ENCODER = N_LAYERS * FEATURES * D_MODEL
ROUND = 32_768
RUNS = (("clt", 8192), ("clt", 2048), ("clt", 4096), ("plt", 8192))
WARM_UP, TIMED, PROFILED = 100, 30, 2
SAME = 1e-3
"""Relative difference of losses up to which two runs are the same: their sums run in other orders."""

_STATE_BYTES = 52
"""Traffic per float32 weight and step, at least: read for the products and for its norm (8), gradient written, read for
the norm of all and clipped (16), Adam's update reads four numbers and writes three (28)."""


def activations(device: str, n_layers: int, d_model: int, n: int, seed: int = 0) -> Activations:
    """Inputs as a residual stream has them, and targets that are a narrow MLP's.

    A few directions carry most of the variance, the mean is far from 0, and the scale grows from layer to layer.
    """
    draw = torch.Generator(device).manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=draw, device=device)

    x, y = torch.empty(n_layers, n, d_model, device=device), torch.empty(n_layers, n, d_model, device=device)
    spectrum = torch.arange(1, d_model + 1, device=device) ** -0.5
    for layer in range(n_layers):
        basis = torch.linalg.qr(normal(d_model, d_model)).Q
        x[layer] = (normal(n, d_model) * spectrum) @ basis
        hidden = torch.relu(x[layer] @ normal(d_model, d_model) - 1)
        y[layer] = hidden @ normal(d_model, d_model) / d_model
        x[layer] = (x[layer] + 0.5 * normal(d_model)) * (1 + layer)
    return Activations(x, y)


def check() -> dict[str, float]:
    """Largest relative difference between the losses of a small run on the CPU and on the GPU, per activation."""
    found: dict[str, float] = {}
    data = activations("cpu", 3, 32, 2048)
    there = Activations(*(part.cuda() for part in data))
    for activation in ("relu", "jumprelu", "topk", "batchtopk"):
        for kind in ("clt", "plt"):
            settings: dict[str, Any] = {"activation": activation, "kind": kind, "skip": True}
            config = TrainingConfig(features=128, k=4, steps=12, batch_size=256, buffer=2048, **settings)
            ours, theirs = (train(config, lambda _, d=d: d, show=False).history for d in (data, there))
            off = max(abs(b.loss - a.loss) / a.loss for a, b in zip(ours, theirs, strict=True))
            found[f"{kind} {activation}"] = off
    print(f"losses on the CPU and the GPU differ by at most {max(found.values()):.1e}", flush=True)
    return found


def _seconds(do: Any, times: int) -> float:
    """Of one call, on the GPU."""
    do()
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(times):
        do()
    torch.cuda.synchronize()
    return (time.perf_counter() - start) / times


def product_rate() -> float:
    """FLOP per second of a large bfloat16 product of random matrices."""
    a, b = (torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    return 2 * 8192**3 / _seconds(lambda: a @ b, 20)


def copy_rate() -> float:
    """Bytes per second of a copy within the GPU's memory, those read and those written."""
    a = torch.randn(2**29, device="cuda")
    b = torch.empty_like(a)
    return 2 * a.numel() * 4 / _seconds(lambda: b.copy_(a), 10)


class Clock(Callback):
    """Wall time of the timed steps, then a profile of the last ones."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.timed: list[Step] = []
        self._profile = profile(activities=[ProfilerActivity.CUDA])

    def stepped(self, number: int, step: Step) -> None:
        if number == WARM_UP:
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
            self.start = time.perf_counter()
        elif number == WARM_UP + TIMED:
            torch.cuda.synchronize()
            self.seconds = time.perf_counter() - self.start
            self.memory = torch.cuda.max_memory_allocated()
            self._profile.start()
        elif number == WARM_UP + TIMED + PROFILED:
            torch.cuda.synchronize()
            self._profile.stop()
        if WARM_UP < number <= WARM_UP + TIMED:
            self.timed.append(step)

    def kernels(self, most: int = 16) -> dict[str, float]:
        """Milliseconds per step of those that take longest."""
        times: dict[str, float] = {}
        for event in self._profile.key_averages():
            name = event.key.removeprefix("void ").replace("at::native::", "").replace("(anonymous namespace)::", "")
            times[name[:80]] = times.get(name[:80], 0.0) + event.self_device_time_total / 1e3 / PROFILED
        longest = sorted(times, key=times.__getitem__, reverse=True)
        return {name: round(times[name], 3) for name in longest[:most]}


def measure(kind: str, batch: int, data: Activations, peak: float, copies: float) -> dict[str, Any]:
    """One run."""
    config = TrainingConfig(
        features=FEATURES,
        kind=kind,  # pyright: ignore[reportArgumentType]
        k=K,
        batch_size=batch,
        buffer=ROUND,
        steps=WARM_UP + TIMED + PROFILED,
        bf16_matmul=True,
    )
    clock = Clock()
    start = time.perf_counter()
    training = train(config, lambda _: data, callbacks=[clock], show=False)
    whole = time.perf_counter() - start
    written = [W.shape[1] for W in training.dictionary.W_dec]
    n_weights = FEATURES * D_MODEL * (N_LAYERS + sum(written))
    l0 = [sum(step.l0[layer] for step in clock.timed) / TIMED for layer in range(N_LAYERS)]
    active = D_MODEL * sum(
        count * m for count, m in zip(l0, written, strict=True)
    )  # weights of what a token has active
    dense = 6 * n_weights
    done = 2 * FEATURES * D_MODEL * N_LAYERS + 6 * active + 2 * D_MODEL * sum(l0)
    rate = batch * TIMED / clock.seconds
    moved = _STATE_BYTES * n_weights * rate / batch + 3 * 4 * active * rate
    found: dict[str, Any] = {
        "kind": kind,
        "batch": batch,
        "tokens_per_s": rate,
        "ms_per_step": 1e3 * clock.seconds / TIMED,
        "weights": n_weights,
        "l0": sum(l0),
        "active_weights": active,
        "dense_flop_per_token": dense,
        "done_flop_per_token": done,
        "dense_share_of_peak": dense * rate / peak,
        "done_share_of_peak": done * rate / peak,
        "share_of_copy_rate": moved / copies,
        "peak_memory_gb": clock.memory / 1e9,
        "bytes_per_weight": clock.memory / n_weights,
        "seconds_with_start": whole,
        "kernels_ms_per_step": clock.kernels(),
    }
    print(
        f"{kind}, {n_weights / 1e9:.2f} G weights, {batch:,} tokens per step: {rate:9,.0f} tokens per second "
        f"({found['ms_per_step']:.1f} ms per step) at L0 {found['l0']:.0f}\n"
        f"    FLOP per token: dense {dense / 1e9:.2f} G, {found['dense_share_of_peak']:.0%} of peak; done "
        f"{done / 1e9:.2f} G, {found['done_share_of_peak']:.1%}; bytes at {found['share_of_copy_rate']:.0%} of the "
        f"rate of copies; peak memory {found['peak_memory_gb']:.1f} GB",
        flush=True,
    )
    for name, ms in found["kernels_ms_per_step"].items():
        print(f"    {ms:8.3f} ms  {name}", flush=True)
    return found


def fit(runs: list[dict[str, Any]]) -> dict[str, float]:
    """What a step costs, by what it does; from it follow the rates of other sizes.

    ms per step = state_ms * weights / 1e9
                + tokens / 1e3 * (active_us * active weights of a token / 1e6 + encoder_us * encoder weights / 1e9)
    """
    rows = torch.tensor(
        [
            [run["weights"] / 1e9, run["batch"] / 1e3 * run["active_weights"] / 1e6, run["batch"] / 1e3 * ENCODER / 1e9]
            for run in runs
        ],
        dtype=torch.float64,
    )
    took = torch.tensor([[run["ms_per_step"]] for run in runs], dtype=torch.float64)
    found = torch.linalg.lstsq(rows / took, torch.ones_like(took)).solution[:, 0].tolist()
    costs = dict(zip(("state_ms", "active_us", "encoder_us"), found, strict=True))
    fitted = (rows @ torch.tensor(found, dtype=torch.float64)).tolist()
    print(f"a step costs {costs}; fitted {[f'{ms:.1f}' for ms in fitted]} ms")
    return costs


def main(out: Path) -> None:
    """Measure all and write JSON, which grows with every run. Exits with an error if the check failed."""
    table: dict[str, Any] = {"device": torch.cuda.get_device_name(), "torch": torch.__version__}
    table["check"] = check()
    table["peak_flops"], table["copy_bytes_per_s"] = peak, copies = product_rate(), copy_rate()
    print(f"{table['device']}: {peak / 1e12:.0f} TFLOP/s in bfloat16, copies at {copies / 1e12:.2f} TB/s", flush=True)
    data = activations("cuda", N_LAYERS, D_MODEL, ROUND)
    table["runs"] = []
    for kind, batch in RUNS:
        table["runs"].append(measure(kind, batch, data, peak, copies))
        out.write_text(json.dumps(table, indent=1) + "\n")
        torch.cuda.empty_cache()
    table["costs"] = fit(table["runs"])
    out.write_text(json.dumps(table, indent=1) + "\n")
    if max(table["check"].values()) > SAME:
        raise SystemExit(f"the GPU trains something else: {table['check']}")
