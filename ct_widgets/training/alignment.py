"""Alignment: a last stage that trains a transcoder inside the model that it replaces.

Reconstruction treats all errors alike, predictions do not. This stage goes on from a finished run with

    loss + lambda_KL KL(model || replacement model)

where the replacement model is that of `replacement.py`: every MLP output is the reconstruction, attention and norms
stay live. Few steps are enough, and reconstruction and sparsity hardly change.
Axes: l layer, s sequence, p position, n token, d model, v vocabulary.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import kl_div

from ct_widgets.errors import TrainingError
from ct_widgets.language_model import LanguageModel, hooked_pass
from ct_widgets.progress import progress_bar
from ct_widgets.training.activations import Sequences
from ct_widgets.training.checkpoint import load_checkpoint, read_facts, save_checkpoint
from ct_widgets.training.config import TrainingConfig
from ct_widgets.training.dictionary import Dictionary
from ct_widgets.training.loss import loss
from ct_widgets.training.trainer import Training

CHECKPOINT = "aligned.safetensors"


@dataclass(frozen=True)
class Alignment:
    """Settings of the stage; `sparsity` and `preactivation` are the weights of those losses at all its steps."""

    sparsity: float
    preactivation: float
    steps: int = 400
    learning_rate: float = 5e-4
    warmup: int = 20
    decay: float = 0.5
    """Share of the steps, at the end, over which the learning rate falls to 0."""
    kl: float = 50.0
    """lambda_KL, per token, against a reconstruction loss of about l * d before training."""
    checkpoint_every: int = 50

    def rate(self, step: int) -> float:
        """Learning rate of a step."""
        left = (self.steps - step) / (self.decay * self.steps)
        return self.learning_rate * min(1.0, (step + 1) / self.warmup, left)


def align(
    training: Training,
    alignment: Alignment,
    model: LanguageModel,
    read: Callable[[int], list[Sequences]],
    *,
    directory: Path | None = None,
    show: bool | None = None,
) -> Training:
    """Align a trained dictionary in place; `read` gives the sequences of a step, by its number.

    With a `directory`, a checkpoint there is resumed from and written every `checkpoint_every` steps. The transcoder
    must read before it writes, as it does at the usual hooks.
    """
    path = None if directory is None else directory / CHECKPOINT
    config = training.config
    weights = replace(config, sparsity=alignment.sparsity, preactivation=alignment.preactivation)
    stage = _Stage(training, weights, model)
    optimizer = torch.optim.Adam(training.dictionary.parameters(), lr=alignment.learning_rate)
    settings = {"config": dataclasses.asdict(config), "alignment": dataclasses.asdict(alignment)}
    done, seconds = _resume(path, training.dictionary, optimizer, settings)
    with progress_bar("alignment", alignment.steps, unit="step", show=show) as bar:
        bar.advance(done)
        for step in range(done, alignment.steps):
            start = time.perf_counter()
            divergence = stage.gradients(read(step), alignment.kl)
            nn.utils.clip_grad_norm_(training.dictionary.parameters(), config.clip)
            for group in optimizer.param_groups:
                group["lr"] = alignment.rate(step)
            optimizer.step()
            seconds += time.perf_counter() - start
            bar.advance()
            bar.note(kl=f"{divergence:.4f}")
            if path and ((step + 1) % alignment.checkpoint_every == 0 or step + 1 == alignment.steps):
                facts = settings | {"step": step + 1, "seconds": seconds}
                save_checkpoint(path, training.dictionary, optimizer, {}, facts)
    return replace(training, seconds=training.seconds + seconds)


def _resume(
    path: Path | None, dictionary: nn.Module, optimizer: torch.optim.Optimizer, settings: dict[str, Any]
) -> tuple[int, float]:
    """Steps done and seconds spent, from the checkpoint at `path` if there is one."""
    if path is None or not path.exists():
        return 0, 0.0
    facts = read_facts(path)
    if any(facts[name] != value for name, value in settings.items()):
        raise TrainingError(f"{path} was made with other settings; choose an empty directory or the old settings")
    load_checkpoint(path, dictionary, optimizer)
    return int(facts["step"]), float(facts["seconds"])


class _Stage:
    """What a step of alignment needs besides its data."""

    def __init__(self, training: Training, config: TrainingConfig, model: LanguageModel) -> None:
        self.training, self.config, self.model = training, config, model
        self.inputs = model.hook_names(config.input_hook)
        self.outputs = model.hook_names(config.output_hook)
        self.parameters: list[nn.Parameter] = list(training.dictionary.parameters())

    def gradients(self, batch: Iterable[Sequences], weight: float) -> float:
        """Set the gradients of the dictionary for one batch; returns its mean KL(model || replacement) in nats.

        Only these gradients are asked for: the language model gets none.
        """
        batch = list(batch)
        tokens = sum(int(rows.keep.sum()) for rows in batch)
        gradients = [torch.zeros_like(p) for p in self.parameters]
        divergence = 0.0
        for rows in batch:
            total, kl = self._losses(rows, weight, tokens)
            if not bool(torch.isfinite(total)):
                raise TrainingError(f"the loss of alignment is {total.item()}; use a smaller learning_rate")
            for gradient, part in zip(gradients, torch.autograd.grad(total, self.parameters), strict=True):
                gradient += part
            divergence += kl.item()
        for p, gradient in zip(self.parameters, gradients, strict=True):
            p.grad = gradient
        return divergence

    def _losses(self, rows: Sequences, weight: float, tokens: int) -> tuple[Tensor, Tensor]:
        """What to minimise, and the divergence in it; both are shares of a batch of so many `tokens`."""
        training, config = self.training, self.config
        ids = torch.from_numpy(rows.ids).to(self.model.device)
        keep = torch.from_numpy(rows.keep).to(self.model.device)
        own, found = self.model.run(ids, [*self.inputs, *self.outputs])
        x = training.inputs(torch.stack([found[name][keep] for name in self.inputs]).float())
        y = training.targets(torch.stack([found[name][keep] for name in self.outputs]).float())
        with torch.autocast(x.device.type, torch.bfloat16, enabled=config.half_products):
            parts = loss(training.dictionary, x, y)
        replaced = self._replacement_logits(ids)[keep].log_softmax(-1)
        kl = kl_div(replaced, own[keep].log_softmax(-1), log_target=True, reduction="sum") / tokens
        share = x.shape[1] / tokens
        return share * parts.total(config, config.sparsity) + weight * kl, kl

    def _replacement_logits(self, ids: Tensor) -> Tensor:
        """Logits [s, p, v] of the replacement model, differentiable; position 0 keeps the model's own MLP outputs."""
        dictionary, inputs, targets = self.training.dictionary, self.training.inputs, self.training.targets
        written: dict[int, Tensor] = {}

        def reconstruct(layer: int, x: Tensor, own: Tensor) -> Tensor:
            y = _write(dictionary, layer, (x - inputs.mean[layer]) / inputs.scale[layer], written)
            return torch.cat([own[:, :1], (y * targets.scale[layer] + targets.mean[layer]).to(own)[:, 1:]], dim=1)

        config = self.config
        return hooked_pass(
            self.model, ids, reconstruct, input_hook=config.input_hook, output_hook=config.output_hook, grad=True
        ).logits


def _write(dictionary: Dictionary, layer: int, x: Tensor, written: dict[int, Tensor]) -> Tensor:
    """Reconstruction of one layer from its input x and what lower layers have `written`; both [s, p, d], normalised."""
    a = dictionary.activate_layer(layer, x)
    for m in range(dictionary.W_dec[layer].shape[1]):
        written[layer + m] = written.get(layer + m, 0) + a @ dictionary.W_dec[layer][:, m]
    y = written.pop(layer) + dictionary.b_dec[layer]
    return y if dictionary.W_skip is None else y + x @ dictionary.W_skip[layer]
