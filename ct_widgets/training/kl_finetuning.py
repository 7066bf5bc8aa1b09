"""KL finetuning: a last stage that trains a transcoder inside the model that it replaces.

Reconstruction treats all errors alike, predictions do not. This stage continues a finished run with the loss

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
from ct_widgets.language_model import LanguageModel
from ct_widgets.progress import progress_bar
from ct_widgets.training.activations import Sequences
from ct_widgets.training.checkpoint import load_checkpoint, read_facts, save_checkpoint
from ct_widgets.training.config import TrainingConfig, current_names
from ct_widgets.training.loss import loss
from ct_widgets.training.process_state import flushed_denormals
from ct_widgets.training.replacement import RunningDecoder, replaced_logits
from ct_widgets.training.result import Training

_CHECKPOINT, _SETTINGS = "aligned.safetensors", "alignment"  # file and key keep the name that the stage had first


@dataclass(frozen=True)
class KLFinetuning:
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

    def learning_rate_at(self, step: int) -> float:
        """Schedule the learning rate: linear from 0, constant, linear to 0."""
        left = (self.steps - step) / (self.decay * self.steps)
        return self.learning_rate * min(1.0, (step + 1) / self.warmup, left)


def finetune_kl(
    training: Training,
    settings: KLFinetuning,
    model: LanguageModel,
    read: Callable[[int], list[Sequences]],
    *,
    directory: Path | None = None,
    show: bool | None = None,
) -> Training:
    """Finetune a trained dictionary in place; `read` gives the sequences of a step, by its number.

    With a `directory`, a checkpoint there is resumed from and written every `checkpoint_every` steps. The transcoder
    must read before it writes, as it does at the usual hooks.

    Raises TrainingError for a checkpoint of other settings, and where the loss diverges.

    >>> finetune_kl(training, KLFinetuning(sparsity=0.2, preactivation=0.01), model, sequences_of_step)
    """
    path = None if directory is None else directory / _CHECKPOINT
    stage = _Stage(training, settings, model)
    optimizer = torch.optim.Adam(stage.parameters, lr=settings.learning_rate)
    facts = {"config": dataclasses.asdict(training.config), _SETTINGS: dataclasses.asdict(settings)}
    done, seconds = _resume(path, training.dictionary, optimizer, facts)
    with flushed_denormals(), progress_bar("KL finetuning", settings.steps, unit="step", show=show) as bar:
        bar.advance(done)
        for step in range(done, settings.steps):
            start = time.perf_counter()
            divergence = stage.gradients(read(step))
            nn.utils.clip_grad_norm_(stage.parameters, training.config.max_grad_norm)
            for group in optimizer.param_groups:
                group["lr"] = settings.learning_rate_at(step)
            optimizer.step()
            seconds += time.perf_counter() - start
            bar.advance()
            bar.note(kl=f"{divergence:.4f}")
            if path and ((step + 1) % settings.checkpoint_every == 0 or step + 1 == settings.steps):
                reached = {"step": step + 1, "seconds": seconds}
                save_checkpoint(path, training.dictionary, optimizer, {}, facts | reached)
    return replace(training, seconds=training.seconds + seconds)


def _resume(
    path: Path | None, dictionary: nn.Module, optimizer: torch.optim.Optimizer, expected: dict[str, Any]
) -> tuple[int, float]:
    """Load the checkpoint at `path`, if there is one -> steps done and seconds spent."""
    if path is None or not path.exists():
        return 0, 0.0
    facts = read_facts(path)
    facts["config"] = current_names(facts["config"])
    if any(facts[name] != value for name, value in expected.items()):
        raise TrainingError(f"{path} was made with different settings; choose an empty directory or the old settings")
    load_checkpoint(path, dictionary, optimizer)
    return int(facts["step"]), float(facts["seconds"])


class _Stage:
    """Everything that a step needs besides its data."""

    def __init__(self, training: Training, settings: KLFinetuning, model: LanguageModel) -> None:
        self.training, self.settings, self.model = training, settings, model
        weights = {"sparsity": settings.sparsity, "preactivation": settings.preactivation}
        self.config: TrainingConfig = replace(training.config, **weights)
        self.inputs = model.hook_names(self.config.input_hook)
        self.outputs = model.hook_names(self.config.output_hook)
        self.parameters: list[nn.Parameter] = list(training.dictionary.parameters())

    def gradients(self, batch: Iterable[Sequences]) -> float:
        """Set the gradients of the dictionary for one batch -> its mean KL(model || replacement) in nats.

        Only these gradients are asked for: the language model gets none.
        """
        batch = list(batch)
        tokens = sum(int(rows.keep.sum()) for rows in batch)
        gradients = [torch.zeros_like(p) for p in self.parameters]
        divergence = 0.0
        for rows in batch:
            total, kl = self._losses(rows, tokens)
            if not bool(torch.isfinite(total)):
                raise TrainingError(f"the loss of KL finetuning is {total.item()}; use a smaller learning_rate")
            for gradient, part in zip(gradients, torch.autograd.grad(total, self.parameters), strict=True):
                gradient += part
            divergence += kl.item()
        for p, gradient in zip(self.parameters, gradients, strict=True):
            p.grad = gradient
        return divergence

    def _losses(self, rows: Sequences, tokens: int) -> tuple[Tensor, Tensor]:
        """Compute the loss and the divergence in it; both are shares of a batch of so many `tokens`."""
        training, config = self.training, self.config
        ids = torch.from_numpy(rows.ids).to(self.model.device)
        keep = torch.from_numpy(rows.keep).to(self.model.device)
        own, found = self.model.run(ids, [*self.inputs, *self.outputs])
        x = training.inputs(torch.stack([found[name][keep] for name in self.inputs]).float())
        y = training.targets(torch.stack([found[name][keep] for name in self.outputs]).float())
        with torch.autocast(x.device.type, torch.bfloat16, enabled=config.bf16_matmul):
            parts = loss(training.dictionary, x, y)
        replaced = self.replacement_logits(ids)[keep].log_softmax(-1)
        kl = kl_div(replaced, own[keep].log_softmax(-1), log_target=True, reduction="sum") / tokens
        share = x.shape[1] / tokens
        return share * parts.total(config, config.sparsity) + self.settings.kl * kl, kl

    def replacement_logits(self, ids: Tensor) -> Tensor:
        """Logits [s, p, v] of the replacement model, differentiable; position 0 keeps the model's own MLP outputs."""
        dictionary, inputs, targets = self.training.dictionary, self.training.inputs, self.training.targets
        decoder = RunningDecoder([*dictionary.W_dec], [*dictionary.b_dec])

        def reconstruct(layer: int, x: Tensor) -> Tensor:
            x = (x - inputs.mean[layer]) / inputs.scale[layer]
            y = decoder(layer, dictionary.activate_layer(layer, x))
            if dictionary.W_skip is not None:
                y = y + x @ dictionary.W_skip[layer]
            return y * targets.scale[layer] + targets.mean[layer]

        hooks = self.config.input_hook, self.config.output_hook
        return replaced_logits(self.model, ids, reconstruct, *hooks, grad=True)
