"""The state of a run and its steps: weights, optimiser, position in the data, history, and the checkpoint of them all.

Axes: l layer, n token, f feature, d model.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor

from ct_widgets.errors import TrainingError
from ct_widgets.training import parallel
from ct_widgets.training.activations import ActivationBuffer, Activations, DataPosition
from ct_widgets.training.callbacks import TrainingControl
from ct_widgets.training.checkpoint import Part, load_checkpoint, read_facts, save_checkpoint
from ct_widgets.training.config import TrainingConfig, current_names
from ct_widgets.training.dictionary import Dictionary
from ct_widgets.training.loss import Loss, loss
from ct_widgets.training.normalisation import Normaliser
from ct_widgets.training.parallel import Grid
from ct_widgets.training.result import Evaluation, Step, Training
from ct_widgets.transcoders import Transcoder

_DENSITY_TOKENS = 8192  # enough to set biases by
_TARGET_STEPS = 20  # steps over which L0 is compared with its target


class Run:
    """A run in progress, new or resumed from the checkpoint at `path`; the arguments are those of `train`."""

    def __init__(
        self,
        config: TrainingConfig,
        read: Callable[[int], Activations],
        path: Path | None,
        data: str,
        control: TrainingControl,
    ) -> None:
        parallel.check(config)
        self.config, self.path, self.data, self.control = config, path, data, control
        self.buffer = ActivationBuffer(read, config.batch_size, config.seed)
        saved = path if path is not None and path.exists() else None
        facts = self._facts(saved) if saved else {}
        self.position = DataPosition(*facts.get("place", (0, 0)))
        self.seconds: float = facts.get("seconds", 0.0)
        self.reached: int | None = facts.get("reached")
        self.evaluations = [Evaluation(*row) for row in facts.get("evaluations", ())]
        first = self.buffer.fill(self.position.buffer)
        n_layers, _, d_model = first.x.shape
        self.device = device = first.x.device
        self.grid = Grid.of(config, device)
        self.dictionary = Dictionary(n_layers, d_model, config, self.grid.shards).to(device)
        parameters = list(self.dictionary.parameters())
        self.optimizer = torch.optim.Adam(parameters, lr=config.learning_rate, betas=(0.9, 0.999), fused=True)
        if saved:
            extra = load_checkpoint(saved, self.dictionary, self.optimizer, self._part)
            self.inputs = Normaliser(extra["x_mean"], extra["x_scale"]).to(device)
            self.targets = Normaliser(extra["y_mean"], extra["y_scale"]).to(device)
            self.tokens_since_active = extra["idle"].to(device)
            self.history = [Step.of(row, n_layers) for row in extra["history"].tolist()]
        else:
            self._check_finite(first)
            self.inputs, self.targets = Normaliser.of(first.x), Normaliser.of(first.y)
            density = config.k / config.features if config.chooses_k else config.density
            some = first.x[:, :: max(1, first.x.shape[1] // _DENSITY_TOKENS)]
            self.dictionary.set_density(self.inputs(some), density)
            self.tokens_since_active = torch.zeros_like(self.dictionary.b_enc, dtype=torch.long)
            self.history: list[Step] = []
        self._steps_saved = len(self.history) if saved else -1
        self._requests = parallel.any_of(control.stopped, device), False

    def _facts(self, path: Path) -> dict[str, Any]:
        facts = read_facts(path)
        differing = self.config.differences(TrainingConfig(**current_names(facts["config"])))
        if differing:
            raise TrainingError(
                f"{path} was made with a different {', '.join(differing)}; "
                "choose an empty directory or the settings of that run"
            )
        if facts["data"] != self.data:
            raise TrainingError(f"{path} was made with different data; choose an empty directory or the same texts")
        return facts

    @property
    def _part(self) -> Part:
        return Part(self.grid.shards, self._axis)

    def _axis(self, name: str) -> int | None:
        """Look up which axis of a tensor, in the dictionary or beside it in a checkpoint, counts features."""
        return 1 if name == "idle" else self.dictionary.feature_axis(name)

    @property
    def end(self) -> int:
        """Number of steps after which the run is finished."""
        return self.config.end(self.reached)

    def step(self) -> Step:
        """Take one step: batch, loss, gradients, update."""
        start = time.perf_counter()
        config = self.config
        batch, following = self.buffer.batch(self.position)
        own = self.grid.share(batch)
        x, y = self.inputs(own.x), self.targets(own.y)
        with torch.autocast(x.device.type, torch.bfloat16, enabled=config.bf16_matmul):
            parts = loss(self.dictionary, x, y)
        penalty = 0.0 if config.chooses_k else config.sparsity_at(len(self.history), self.reached)
        self.optimizer.zero_grad()
        parts.total(config, penalty).backward()  # pyright: ignore[reportUnknownMemberType]
        gradients = {name: p.grad for name, p in self.dictionary.named_parameters() if p.grad is not None}
        self.grid.average(gradients.values())
        step, norm = self._measure(parts, gradients, penalty)
        if not math.isfinite(step.loss):
            self._check_finite(batch)
            raise TrainingError(
                f"step {len(self.history)} ({self._where()}): the loss is {step.loss} on finite data; "
                "the weights diverged, use a smaller learning_rate"
            )
        if norm > config.max_grad_norm:
            for gradient in gradients.values():
                gradient.mul_(config.max_grad_norm / norm)
        for group in self.optimizer.param_groups:
            group["lr"] = step.learning_rate
        self.optimizer.step()
        if config.activation == "batchtopk":
            self.dictionary.update_level(step.total_l0)
        if config.chooses_k:
            self.dictionary.raise_dead_biases(self._dead)
        self.history.append(step)
        self.position = following
        self.seconds += time.perf_counter() - start
        self._compare_with_target()
        return step

    @torch.no_grad()
    def _measure(self, parts: Loss, gradients: dict[str, Tensor], penalty: float) -> tuple[Step, float]:
        """Measure the step, and the norm of its gradient, over all processes.

        Processes of a row of the grid have the same tokens, and features of their own; rows have other tokens.
        """
        config, rows, processes = self.config, self.grid.data, self.grid.data * self.grid.shards.count
        fired = self.grid.total(parts.fired)
        self.tokens_since_active = torch.where(fired > 0, 0, self.tokens_since_active + config.batch_size)
        squares = {name: torch.linalg.vector_norm(gradient).square() for name, gradient in gradients.items()}
        sums = parallel.sums(
            {
                "reconstruction": parts.reconstruction,
                "shared_square": torch.stack([v for name, v in squares.items() if self._axis(name) is None]).sum(),
                "own_square": torch.stack([v for name, v in squares.items() if self._axis(name) is not None]).sum(),
                "sparsity": parts.sparsity,
                "preactivation": parts.preactivation,
                "active": fired.sum(1),
                "dead": self._dead.sum(1),
                "requests": parts.sparsity.new_tensor([self.control.stopped, self.control.paused]),
            }
        )
        stop, pause = sums["requests"].tolist()
        self._requests = bool(stop), bool(pause)
        own = ("sparsity", "preactivation", "active")
        mean = Loss(sums["reconstruction"] / processes, *(sums[name] / rows for name in own))
        step = Step(
            mse=tuple((mean.reconstruction / self.dictionary.b_dec.shape[1]).tolist()),
            l0=tuple((mean.fired / config.batch_size).tolist()),
            dead=tuple((sums["dead"] / rows / config.features).tolist()),
            loss=mean.total(config, penalty).item(),
            sparsity=mean.sparsity.item(),
            preactivation=mean.preactivation.item(),
            learning_rate=config.learning_rate_at(len(self.history), self.reached),
            penalty=penalty,
        )
        return step, math.sqrt(sums["shared_square"] / processes + sums["own_square"] / rows)

    def _compare_with_target(self) -> None:
        """Note the step at which L0, over some steps, has come down to its target."""
        target, n = self.config.target_l0, len(self.history)
        if target is None or self.reached is not None or n <= _TARGET_STEPS:
            return
        l0 = [step.total_l0 for step in self.history[-_TARGET_STEPS - 1 :]]
        if sum(l0[1:]) <= target * _TARGET_STEPS < sum(l0[:-1]):
            self.reached = n

    @property
    def _dead(self) -> Tensor:
        return self.tokens_since_active >= self.config.dead_after

    @property
    def requests(self) -> tuple[bool, bool]:
        """Whether a stop and a pause were requested: of several processes, in any before its last step."""
        return (self.control.stopped, self.control.paused) if parallel.world_size() == 1 else self._requests

    def _where(self) -> str:
        return f"batch {self.position.batch} of buffer {self.position.buffer}"

    def _check_finite(self, batch: Activations) -> None:
        for what, values in (("inputs", batch.x), ("targets", batch.y)):
            wrong = (~torch.isfinite(values)).nonzero()
            if len(wrong):
                layer, token, _ = wrong[0].tolist()
                raise TrainingError(
                    f"{self._where()}: {len(wrong)} {what} are not finite, first in layer {layer}, token {token}; "
                    "check the activations of the language model there"
                )

    def result(self, model_name: str | None, name: str) -> Training:
        """Gather the run as it is now. Every process has to call it; process 0 gets the features of all."""
        dictionary = self.dictionary.whole()
        inputs, targets = (normaliser.to(dictionary.b_enc.device) for normaliser in (self.inputs, self.targets))
        finished = len(self.history) >= self.end
        values = (self.history, self.seconds, finished, self.evaluations, model_name, name)
        return Training(self.config, dictionary, inputs, targets, *values)

    def evaluate(self, measure: Callable[[int, Transcoder], Evaluation], now: Training) -> Evaluation:
        """Measure the transcoder of the run as it is now, in process 0, and tell all processes."""
        number, found = len(self.history), [0.0] * len(Evaluation._fields)
        if parallel.rank() == 0:
            found = [*measure(number, now.transcoder)]
        _, *values = parallel.from_first(found, self.device)
        self.evaluations.append(Evaluation(number, *values))
        return self.evaluations[-1]

    def save(self) -> None:
        """Write the checkpoint, if there is a directory for it and anything new."""
        if self.path is None or self._steps_saved == len(self.history) or self.grid.row:
            return  # the first row writes what all have alike
        extra: dict[str, Tensor] = {
            "x_mean": self.inputs.mean,
            "x_scale": self.inputs.scale,
            "y_mean": self.targets.mean,
            "y_scale": self.targets.scale,
            "idle": self.tokens_since_active,
            "history": torch.tensor([step.row() for step in self.history], dtype=torch.float64),
        }
        facts = {"place": self.position, "seconds": self.seconds, "reached": self.reached, "data": self.data}
        facts |= {"evaluations": self.evaluations, "config": asdict(self.config)}
        try:
            save_checkpoint(self.path, self.dictionary, self.optimizer, extra, facts, self._part)
            self._steps_saved = len(self.history)
        except (SafetensorError, OSError) as error:  # a run is worth more than its checkpoint
            warnings.warn(
                f"step {len(self.history)}: {self.path} could not be written ({error}); "
                "the previous checkpoint is kept, and training continues",
                stacklevel=2,
            )
