"""PLANNING.md: its tables follow from its formulas and measured costs, and the formulas are what a run really takes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from test_training import D, F, L, config, sparse_world

import ct_widgets.training
from ct_widgets import load_demo
from ct_widgets.training import TrainingConfig, cache_activations, train
from ct_widgets.training.dictionary import Dictionary

PLAN = Path(ct_widgets.training.__file__).parent / "PLANNING.md"
MODELS = {"GPT-2 small": (12, 768), "Llama-3.2-1B": (16, 2048), "Gemma-2-2B": (26, 2304)}
KINDS = ("clt", "plt")
FEATURES, K, BATCH, BUFFER, TOKENS = 16_384, 8, 8192, 32_768, 300e6
STATE_MS, ACTIVE_US, ENCODER_US = 20.8, 3.8, 10.7
"""Of one H200, from a CLT's run of `tests/benchmarks/training.py --device cuda`; PLANNING.md says how."""


def decoder_vectors(n_layers: int, kind: str) -> int:
    return n_layers * (n_layers + 1) // 2 if kind == "clt" else n_layers


def parameters(n_layers: int, d: int, f: int, kind: str) -> int:
    return n_layers * f * d + decoder_vectors(n_layers, kind) * f * d + n_layers * f + n_layers * d


def tokens_per_second(n_layers: int, d: int, kind: str) -> float:
    active = K * d * decoder_vectors(n_layers, kind) / 1e6
    encoder = n_layers * FEATURES * d / 1e9
    step = STATE_MS * parameters(n_layers, d, FEATURES, kind) / 1e9
    step += BATCH / 1e3 * (ACTIVE_US * active + ENCODER_US * encoder)
    return BATCH / step * 1e3


def rows() -> list[str]:
    """The lines of the tables."""
    found: list[str] = []
    for name, (n_layers, d) in MODELS.items():
        clt, plt = (parameters(n_layers, d, FEATURES, kind) / 1e9 for kind in KINDS)
        vectors = [decoder_vectors(n_layers, kind) for kind in KINDS]
        encoder = n_layers * FEATURES * d / 1e9
        found.append(
            f"| {name} | {n_layers} | {d:,} | {encoder:.2f} G | {vectors[0]} x 16,384 x {d:,} = "
            f"{vectors[0] * FEATURES * d / 1e9:.2f} G | {clt:.2f} G | {plt:.2f} G |"
        )
    for name, (n_layers, d) in MODELS.items():
        clt, plt = (16 * parameters(n_layers, d, FEATURES, kind) / 1e9 for kind in KINDS)
        buffer = 8 * n_layers * d * BUFFER / 1e9
        written = [4 * d * (decoder_vectors(n_layers, kind) + 2 * n_layers) for kind in KINDS]
        step = [(3 * n_layers * FEATURES + part) * BATCH / 1e9 for part in written]
        found.append(
            f"| {name} | {clt:.1f} GB | {plt:.1f} GB | {buffer:.1f} GB | {step[0]:.1f} GB | {step[1]:.1f} GB | "
            f"{clt + buffer + step[0]:.0f} GB | {plt + buffer + step[1]:.0f} GB |"
        )
    for name, (n_layers, d) in MODELS.items():
        per_token = 4 * n_layers * d
        clt, plt = (12 * parameters(n_layers, d, FEATURES, kind) / 1e9 for kind in KINDS)
        found.append(
            f"| {name} | {per_token:,} B | {per_token * 10e6 / 1e12:.2f} TB | {per_token * TOKENS / 1e12:.1f} TB | "
            f"{clt:.1f} GB | {plt:.1f} GB |"
        )
    for name, (n_layers, d) in MODELS.items():
        rates = [tokens_per_second(n_layers, d, kind) for kind in KINDS]
        hours = [TOKENS / rate / 3600 for rate in rates]
        found.append(f"| {name} | {rates[0]:,.0f} | {hours[0]:.1f} | {rates[1]:,.0f} | {hours[1]:.1f} |")
    for name, (n_layers, d) in MODELS.items():
        clt = 4 * parameters(n_layers, d, FEATURES, "clt") / 1e9
        found.append(f"| {name} | {clt:.1f} GB | {4 * n_layers * BATCH * d / 1e9:.2f} GB |")
    return found


def test_tables_follow_from_formulas() -> None:
    lines = PLAN.read_text(encoding="utf-8").splitlines()
    named = [line for line in lines if line.startswith(tuple(f"| {name}" for name in MODELS))]
    assert named == rows()


@pytest.mark.parametrize("kind", KINDS)
def test_parameters_are_counted(kind: str) -> None:
    dictionary = Dictionary(5, 7, TrainingConfig(features=11, k=2, kind=kind, skip=True))  # pyright: ignore
    expected = parameters(5, 7, 11, kind) + 5 * 7 * 7  # and W_skip
    assert sum(p.numel() for p in dictionary.parameters()) == expected
    jumps = Dictionary(5, 7, TrainingConfig(features=11, k=2, kind=kind, activation="jumprelu"))  # pyright: ignore
    assert sum(p.numel() for p in jumps.parameters()) == parameters(5, 7, 11, kind) + 5 * 11


def test_bytes_are_what_a_run_takes(tmp_path: Path) -> None:
    """12 bytes per parameter in a checkpoint: a weight and two moments; with its gradient, 16 in memory."""
    training = train(config(activation="batchtopk", k=2), sparse_world, tmp_path, show=False)
    n = parameters(L, D, F, "clt")
    gradients = sum(p.grad.nbytes for p in training.dictionary.parameters() if p.grad is not None)
    with safe_open(tmp_path / "checkpoint.safetensors", framework="pt") as file:
        kept = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    of_weights = [t for name, t in kept.items() if name.startswith(("model.", "optimizer.")) and t.ndim]
    assert sum(t.nbytes for t in of_weights) == 12 * n
    assert gradients == 4 * n
    assert {t.dtype for t in of_weights} == {torch.float32}


def test_a_cache_takes_four_bytes(tmp_path: Path) -> None:
    model = load_demo()
    lm = model.language_model
    texts = [f"calc: {a}+{b}={a + b}" for a in range(40) for b in range(40)]
    settings = TrainingConfig(features=16, batch_size=64, buffer=4096, held_out=100)
    cache = cache_activations(model, texts, tmp_path, settings, progress=False)
    taken = sum(file.stat().st_size for file in tmp_path.glob("shard-*"))
    assert taken == pytest.approx(4 * lm.n_layers * lm.d_model * cache.n_tokens, rel=1e-3)
