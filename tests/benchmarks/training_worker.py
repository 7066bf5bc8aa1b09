"""Trains one dictionary and prints speed and quality as JSON; `training.py` calls it, once per measurement.

    python training_worker.py ours|dense|peer ACTIVATIONS '{"steps": 300, "rate": 0.001, "half": false}'

"peer" runs in OpenMOSS's environment, so imports are local. The clock starts after a few steps.
Axes: l layer, n token, f feature, d model.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from safetensors.torch import load_file

FEATURES, K, BATCH = 1024, 16, 1024
WARM_UP = 10
Data = dict[str, torch.Tensor]
Encoded = tuple[torch.Tensor, torch.Tensor]
"""Reconstruction and activations of some tokens, both [l, n, ...]."""


class Clock:
    """Processor time from the end of the warm-up to the last step."""

    def __init__(self) -> None:
        self.steps = 0
        self.start = self.end = 0.0

    def tick(self) -> None:
        self.steps += 1
        if self.steps == WARM_UP:
            self.start = time.process_time()
        self.end = time.process_time()

    @property
    def tokens_per_second(self) -> float:
        return (self.steps - WARM_UP) * BATCH / (self.end - self.start)


def product_rate(dtype: torch.dtype) -> float:
    """Billions of floating point operations per second of a square matrix product."""
    a = torch.randn(2048, 2048).to(dtype)
    rates: list[float] = []
    for _ in range(4):
        start = time.process_time()
        _ = a @ a
        rates.append(2 * 2048**3 / (time.process_time() - start) / 1e9)
    return max(rates)


def ours(data: Data, steps: int, rate: float, half: bool, clock: Clock) -> Callable[[torch.Tensor], Encoded]:
    """ct_widgets: the trainer as users call it, and the transcoder that it exports."""
    from ct_widgets.training import Activations, Callback, TrainingConfig, train

    class Ticks(Callback):
        def stepped(self, number: int, step: Any) -> None:
            clock.tick()

    config = TrainingConfig(
        features=FEATURES,
        k=K,
        batch_size=BATCH,
        steps=steps,
        learning_rate=rate,
        bf16_matmul=half,
        buffer=data["x"].shape[1],
    )
    training = train(config, lambda index: Activations(data["x"], data["y"]), callbacks=[Ticks()], show=False)

    def encode(x: torch.Tensor) -> Encoded:
        transcoder = training.transcoder
        a = [transcoder.encode(layer, x[layer]) for layer in range(len(x))]
        return torch.stack(transcoder.decode(a)), torch.stack(a)

    return encode


def dense(data: Data, steps: int, rate: float, half: bool, clock: Clock) -> Callable[[torch.Tensor], Encoded]:
    """A cross-layer transcoder as one writes it down: dense, BatchTopK by a top-k per batch."""
    n_layers, n, d = data["x"].shape
    draw = torch.Generator().manual_seed(0)

    def uniform(*shape: int, bound: float) -> torch.nn.Parameter:
        return torch.nn.Parameter((2 * torch.rand(shape, generator=draw) - 1) * bound)

    W_enc = uniform(n_layers, d, FEATURES, bound=FEATURES**-0.5)
    b_enc = torch.nn.Parameter(torch.zeros(n_layers, 1, FEATURES))
    W_dec = [uniform(layer + 1, FEATURES, d, bound=(n_layers * d) ** -0.5) for layer in range(n_layers)]
    b_dec = torch.nn.Parameter(torch.zeros(n_layers, 1, d))

    def encode(x: torch.Tensor) -> Encoded:
        h = torch.relu(torch.baddbmm(b_enc, x, W_enc))
        kept = h.flatten().topk(K * n_layers * x.shape[1], sorted=False)
        a = torch.zeros_like(h).flatten().scatter(0, kept.indices, kept.values).view_as(h)
        y = [torch.einsum("snf,sfd->nd", a[: layer + 1], W) for layer, W in enumerate(W_dec)]
        return torch.stack(y) + b_dec, a

    parameters = [W_enc, b_enc, *W_dec, b_dec]
    optimizer = torch.optim.Adam(parameters, lr=rate)
    for step in range(steps):
        chosen = torch.randint(n, (BATCH,), generator=draw)
        loss = (encode(data["x"][:, chosen])[0] - data["y"][:, chosen]).square().sum() / BATCH
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.param_groups[0]["lr"] = rate * min(1.0, (steps - step) / (0.2 * steps))
        optimizer.step()
        clock.tick()
    return encode


def peer(data: Data, steps: int, rate: float, half: bool, clock: Clock) -> Callable[[torch.Tensor], Encoded]:
    """OpenMOSS's trainer and model, its metrics switched off."""
    from llamascopium.models.clt import CLTConfig, CrossLayerTranscoder
    from llamascopium.trainer import Trainer, TrainerConfig

    n_layers, n, d = data["x"].shape
    names_in, names_out = [f"in.{layer}" for layer in range(n_layers)], [f"out.{layer}" for layer in range(n_layers)]
    model = CrossLayerTranscoder(
        CLTConfig(
            d_model=d,
            expansion_factor=FEATURES / d,
            act_fn="batchtopk",
            top_k=K,  # of every layer
            hook_points_in=names_in,
            hook_points_out=names_out,
            norm_activation="inference",
            decode_with_csr=False,
            dtype=torch.float32,
            device="cpu",
        )
    )
    model.init_parameters()
    draw = torch.Generator().manual_seed(0)

    def batch(x: torch.Tensor, y: torch.Tensor) -> dict[str, torch.Tensor]:
        named = dict(zip(names_in + names_out, [*x, *y], strict=True))
        tokens = torch.zeros(x.shape[1], dtype=torch.long)
        return named | {"tokens": tokens, "mask": torch.ones_like(tokens, dtype=torch.bool)}

    def stream() -> Iterator[dict[str, torch.Tensor]]:
        while True:
            chosen = torch.randint(n, (BATCH,), generator=draw)
            yield batch(data["x"][:, chosen], data["y"][:, chosen])

    def ticking() -> Iterator[dict[str, torch.Tensor]]:
        for one in stream():
            clock.tick()
            yield one

    class Stream:
        def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
            return ticking()

    with tempfile.TemporaryDirectory() as folder:
        config = TrainerConfig(
            lr=rate,
            lr_warm_up_steps=1,
            lr_cool_down_steps=0.2,
            lr_end_ratio=0.01,
            lr_scheduler_name="constantwithwarmup",
            clip_grad_norm=1.0,
            l1_coefficient=None,
            initial_k=K,
            k_warmup_steps=0,
            amp_dtype=torch.bfloat16 if half else torch.float32,
            skip_metrics_calculation=True,
            n_checkpoints=0,
            total_training_tokens=steps * BATCH,
            exp_result_path=folder,
        )
        Trainer(config).fit(model, Stream())

    def encode(x: torch.Tensor) -> Encoded:
        a = model.encode(x.transpose(0, 1))
        return model.decode(a), a.transpose(0, 1)

    return encode


@torch.no_grad()
def quality(encode: Callable[[torch.Tensor], Encoded], data: Data) -> dict[str, float]:
    """Normalised MSE over all layers, active features per token, and the share of features that are never active."""
    x, y = data["held_out_x"], data["held_out_y"]
    error = variance = active = 0.0
    used = torch.zeros(len(x), FEATURES, dtype=torch.bool)
    for start in range(0, x.shape[1] - BATCH + 1, BATCH):
        target = y[:, start : start + BATCH]
        yhat, a = encode(x[:, start : start + BATCH])
        error += float((yhat - target).square().sum())
        variance += float((target - y.mean(1, keepdim=True)).square().sum())
        active += float((a != 0).sum())
        used |= (a != 0).any(1)
    n = x.shape[1] // BATCH * BATCH
    return {"mse": error / variance, "l0": active / n, "dead": float((~used).float().mean())}


def main() -> None:
    who, settings = sys.argv[1], json.loads(sys.argv[3])
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    torch.manual_seed(0)
    data = load_file(sys.argv[2])
    clock = Clock()
    encode = {"ours": ours, "dense": dense, "peer": peer}[who](data, **settings, clock=clock)
    found = {"tokens_per_cpu_s": clock.tokens_per_second, **quality(encode, data)}
    found["gflops"] = product_rate(torch.bfloat16 if settings["half"] else torch.float32)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
