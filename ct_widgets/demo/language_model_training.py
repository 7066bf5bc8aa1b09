"""Trains the demo's language model: AdamW on statements, resumable after any interruption."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ct_widgets.demo.corpus import Corpus, Rows
from ct_widgets.progress import progress_bar
from ct_widgets.training.checkpoint import load_checkpoint, read_facts, save_checkpoint


@dataclass(frozen=True)
class Recipe:
    """How the language model is trained. The batches of step k depend on `seed` and k alone."""

    steps: int = 3600
    learning_rate: float = 2e-3
    warmup: int = 100
    decay: float = 0.4  # the share of steps, at the end, over which the learning rate falls to 0
    weight_decay: float = 0.1
    seed: int = 0
    checkpoint_every: int = 100

    def rate(self, step: int) -> float:
        """Learning rate of a step: linear warm-up, flat, linear to 0."""
        left = (self.steps - step) / (self.decay * self.steps)
        return self.learning_rate * min(1.0, (step + 1) / self.warmup, left)


def architecture(d_vocab: int, seed: int) -> dict[str, Any]:
    """Settings of the demo's decoder, as `native_bridge` takes them."""
    return {
        "model_name": "ct-widgets-demo",
        "n_layers": 4,
        "d_model": 128,
        "n_heads": 4,
        "d_head": 32,
        "d_mlp": 512,
        "n_ctx": 32,
        "d_vocab": d_vocab,
        "act_fn": "gelu",
        "normalization_type": "LN",
        "positional_embedding_type": "standard",
        "seed": seed,
    }


def train(model: nn.Module, corpus: Corpus, recipe: Recipe, scratch: Path) -> tuple[list[float], float]:
    """Train `model` (a native bridge's module) in place; returns the loss of every step, and the seconds they took.

    A checkpoint in `scratch` is resumed from and written every `checkpoint_every` steps.
    """
    torch.set_flush_denormal(True)
    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": recipe.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=(0.9, 0.98), fused=True)
    checkpoint = scratch / "language_model.safetensors"
    losses: list[float] = []
    seconds = 0.0
    if checkpoint.exists():
        seconds = read_facts(checkpoint)["seconds"]
        losses = load_checkpoint(checkpoint, model, optimizer)["losses"].tolist()
    model.train()
    with progress_bar("language model", recipe.steps, unit="step", show=True) as bar:
        bar.advance(len(losses))
        for step in range(len(losses), recipe.steps):
            start = time.perf_counter()
            for group in optimizer.param_groups:
                group["lr"] = recipe.rate(step)
            loss = _gradients(model, corpus.batch(recipe.seed, step))
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            losses.append(loss)
            seconds += time.perf_counter() - start
            bar.advance()
            bar.note(loss=f"{loss:.4f}")
            if len(losses) % recipe.checkpoint_every == 0:
                history = torch.tensor(losses, dtype=torch.float64)
                save_checkpoint(checkpoint, model, optimizer, {"losses": history}, {"seconds": seconds})
    model.eval()
    return losses, seconds


def _gradients(model: nn.Module, batch: list[Rows]) -> float:
    """Backward pass of one batch, group by group; returns the mean loss per unit of weight."""
    total = float(sum(rows.weight.sum() for rows in batch))
    device = next(model.parameters()).device
    losses: list[Tensor] = []
    for rows in batch:
        ids = torch.from_numpy(rows.ids).to(device)
        weight = torch.from_numpy(rows.weight).to(device)[:, 1:]
        # Products in bfloat16, weights and their updates in float32: twice as fast on current CPUs and GPUs.
        with torch.autocast(device.type, dtype=torch.bfloat16):
            logits = logits_at(model, ids[:, :-1], weight > 0)
        nll = nn.functional.cross_entropy(logits.float(), ids[:, 1:][weight > 0], reduction="none")
        loss = (nll * weight[weight > 0]).sum() / total
        loss.backward()  # pyright: ignore[reportUnknownMemberType]
        losses.append(loss.detach())
    return float(torch.stack(losses).sum())


def logits_at(model: Any, ids: Tensor, wanted: Tensor) -> Tensor:
    """Logits [n, v] at the wanted positions of ids [s, p].

    The unembedding is the dearest product, and most positions do not need it.
    """
    residual = model.tok_embed(ids) + model.pos(torch.arange(ids.shape[1], device=ids.device))
    for block in model.layers:
        (residual,) = block(residual)
    return model.head(model.ln_out(residual[wanted]))


@torch.no_grad()
def right_answers(model: nn.Module, corpus: Corpus, chosen: NDArray[np.int64]) -> NDArray[np.bool_]:
    """[s]: whether the greedy answer of each chosen statement is right, all its tokens included."""
    device = next(model.parameters()).device
    right: list[NDArray[np.bool_]] = []
    for part in np.array_split(chosen, max(1, math.ceil(len(chosen) / 1024))):
        mask = corpus.answer_mask(part)[:, 1:]
        ids = torch.from_numpy(corpus.ids[part]).to(device)
        best = logits_at(model, ids[:, :-1], torch.from_numpy(mask).to(device)).argmax(-1).cpu().numpy()
        wrong = np.zeros(mask.shape, dtype=bool)
        wrong[mask] = best != corpus.ids[part][:, 1:][mask]
        right.append(~np.asarray(wrong.any(1)))
    return np.concatenate(right)
