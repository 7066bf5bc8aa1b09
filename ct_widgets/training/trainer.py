"""Trains a transcoder on rounds of activations: resumable, safe to interrupt, and determined by its seed."""

from __future__ import annotations

import math
import signal
import threading
import time
import warnings
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor

from ct_widgets.errors import TrainingError
from ct_widgets.progress import progress_bar
from ct_widgets.training import parallel
from ct_widgets.training.activations import ActivationBuffer, Activations, Place
from ct_widgets.training.checkpoint import Part, load_checkpoint, read_facts, save_checkpoint
from ct_widgets.training.config import TrainingConfig
from ct_widgets.training.dictionary import Dictionary
from ct_widgets.training.loss import Loss, loss
from ct_widgets.training.normalisation import Normaliser
from ct_widgets.training.parallel import Grid
from ct_widgets.training.records import Files
from ct_widgets.training.watching import Callback, Evaluation, Start, Step, TrainingControl
from ct_widgets.transcoders import Transcoder

CHECKPOINT = "checkpoint.safetensors"
_DENSITY_TOKENS = 8192  # enough to place biases by
_TARGET_STEPS = 20  # steps over which L0 is compared with its target


@dataclass(frozen=True, eq=False)
class Training:
    """A run's outcome, whole or interrupted: one `Step` per step taken, and the time they took together."""

    config: TrainingConfig
    dictionary: Dictionary
    inputs: Normaliser
    targets: Normaliser
    history: list[Step]
    seconds: float
    finished: bool
    evaluations: list[Evaluation] = field(default_factory=list[Evaluation])
    model_name: str | None = None
    name: str = "transcoder"

    @cached_property
    def transcoder(self) -> Transcoder:
        """The dictionary in the model's own units."""
        return self.dictionary.export(self.inputs, self.targets, model_name=self.model_name, name=self.name)


def train(
    config: TrainingConfig,
    read: Callable[[int], Activations],
    directory: Path | None = None,
    *,
    data: str = "",
    model_name: str | None = None,
    name: str = "transcoder",
    evaluate: Callable[[int, Transcoder], Evaluation] | None = None,
    cards: Callable[[Transcoder], list[dict[str, Any]]] = lambda _: [],
    callbacks: Sequence[Callback] = (),
    control: TrainingControl | None = None,
    show: bool | None = None,
) -> Training:
    """Train on the rounds that `read` gives (see `ActivationBuffer`).

    With a `directory`, a checkpoint there is resumed from and written every `checkpoint_every` steps, and `Files` keeps
    records. Ctrl-C and `control.stop` end the run after the step at hand, save it and return it unfinished; a second
    Ctrl-C stops at once. In several processes of `torch.distributed`, call it in all; each does its share of a batch,
    or has its share of the features (`config.shards`). Process 0 alone measures, and has the transcoder of shards.
    data: what the checkpoint knows the rounds by; another one is refused.
    evaluate: measures on held-out text, every `evaluate_every` steps and at the end; cards: that of `Start`; show: that
    of `progress`.
    """
    torch.set_flush_denormal(True)  # decaying activations become denormal numbers, many times slower on a CPU
    control = control or TrainingControl()
    run = _Run(config, read, None if directory is None else directory / CHECKPOINT, data, control)
    if directory is not None and parallel.rank() == 0:
        callbacks = [Files(directory), *callbacks]

    def outcome() -> Training:
        finished = len(run.history) >= run.end
        dictionary = run.dictionary.whole()
        inputs, targets = (normaliser.to(dictionary.b_enc.device) for normaliser in (run.inputs, run.targets))
        values = (run.history, run.seconds, finished, run.evaluations, model_name, name)
        return Training(config, dictionary, inputs, targets, *values)

    def measure(number: int, evaluate: Callable[[int, Transcoder], Evaluation]) -> None:
        training, found = outcome(), [0.0] * len(Evaluation._fields)
        if parallel.rank() == 0:
            found = [*evaluate(number, training.transcoder)]
        _, *values = parallel.from_first(found, run.device)
        run.evaluations.append(Evaluation(number, *values))
        if parallel.rank() == 0:
            for callback in callbacks:
                callback.evaluated(run.evaluations[-1], training.transcoder)

    for callback in callbacks:
        callback.started(Start(config, control, name, cards, tuple(run.history), tuple(run.evaluations)))
    shown = progress_bar("transcoder", run.end, unit="step", show=False if parallel.rank() else show)
    with _failure_told(callbacks), _interruption(control), shown as bar:
        bar.advance(len(run.history))
        while len(run.history) < run.end and not run.stopped:
            step = run.step()
            number = len(run.history)
            bar.advance()
            bar.note(mse=f"{step.mean_mse:.4f}", l0=f"{step.total_l0:.1f}")
            for callback in callbacks:
                callback.stepped(number, step)
            if evaluate and (number % config.evaluate_every == 0 or number == run.end):
                measure(number, evaluate)
            if number % config.checkpoint_every == 0 or run.paused:
                run.save()
            control.wait()
        run.save()
    training = outcome()
    for callback in callbacks:
        callback.finished(training)
    return training


class _Run:
    """The state that a step changes: weights, optimiser, place in the data, history."""

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
        self.place = Place(0, 0)
        self.history: list[Step] = []
        self.evaluations: list[Evaluation] = []
        self.seconds = 0.0
        self.reached: int | None = None
        self._saved = -1  # steps in the checkpoint
        saved = path if path is not None and path.exists() else None
        if saved:
            facts = read_facts(saved)
            self._check(saved, facts)
            self.place, self.seconds = Place(*facts["place"]), facts["seconds"]
            self.reached = facts["reached"]
            self.evaluations = [Evaluation(*row) for row in facts["evaluations"]]
        first = self.buffer.round(self.place.round)
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
            self.idle = extra["idle"].to(device)
            self.history = [Step.of(row, n_layers) for row in extra["history"].tolist()]
            self._saved = len(self.history)
        else:
            self._check_finite(first)
            self.inputs, self.targets = Normaliser.of(first.x), Normaliser.of(first.y)
            density = config.k / config.features if config.chooses_k else config.density
            some = first.x[:, :: max(1, first.x.shape[1] // _DENSITY_TOKENS)]
            self.dictionary.set_density(self.inputs(some), density)
            self.idle = torch.zeros_like(self.dictionary.b_enc, dtype=torch.long)
        self._asked = [parallel.any_of(control.stopped, device), False]

    def _check(self, path: Path, facts: dict[str, Any]) -> None:
        differing = self.config.differences(TrainingConfig(**facts["config"]))
        if differing:
            raise TrainingError(
                f"{path} was made with another {', '.join(differing)}; choose an empty directory or the old settings"
            )
        if facts["data"] != self.data:
            raise TrainingError(f"{path} was made with other data; choose an empty directory or give the old texts")

    @property
    def _part(self) -> Part:
        return Part(self.grid.shards, self._axis)

    @property
    def end(self) -> int:
        """Number of steps after which the run is finished."""
        return self.config.end(self.reached)

    def step(self) -> Step:
        """One update."""
        start = time.perf_counter()
        config, n = self.config, len(self.history)
        batch, following = self.buffer.batch(self.place)
        own = self.grid.share(batch)
        x, y = self.inputs(own.x), self.targets(own.y)
        with torch.autocast(x.device.type, torch.bfloat16, enabled=config.half_products):
            parts = loss(self.dictionary, x, y)
        penalty = 0.0 if config.chooses_k else config.sparsity_at(n, self.reached)
        self.optimizer.zero_grad()
        parts.total(config, penalty).backward()  # pyright: ignore[reportUnknownMemberType]
        gradients = {name: p.grad for name, p in self.dictionary.named_parameters() if p.grad is not None}
        self.grid.average(gradients.values())
        step, norm = self._measure(parts, gradients, penalty)
        if not math.isfinite(step.loss):
            self._check_finite(batch)
            raise TrainingError(
                f"step {n} ({self._where()}): the loss is {step.loss} on finite data; "
                "the weights diverged, use a smaller learning_rate"
            )
        if norm > config.clip:
            for gradient in gradients.values():
                gradient.mul_(config.clip / norm)
        for group in self.optimizer.param_groups:
            group["lr"] = step.rate
        self.optimizer.step()
        if config.activation == "batchtopk":
            self.dictionary.follow(step.total_l0)
        if config.chooses_k:
            self.dictionary.revive(self._dead)
        self.history.append(step)
        self.place = following
        self.seconds += time.perf_counter() - start
        self._look_at_target()
        return step

    def _look_at_target(self) -> None:
        """Note the step at which L0, over some steps, has come down to its target."""
        target, n = self.config.target_l0, len(self.history)
        if target is None or self.reached is not None or n <= _TARGET_STEPS:
            return
        l0 = [step.total_l0 for step in self.history[-_TARGET_STEPS - 1 :]]
        if sum(l0[1:]) <= target * _TARGET_STEPS < sum(l0[:-1]):
            self.reached = n

    @torch.no_grad()
    def _measure(self, parts: Loss, gradients: dict[str, Tensor], penalty: float) -> tuple[Step, float]:
        """What the step says and the norm of its gradient, over all processes.

        Everything is summed and fetched together: nothing else here waits for a GPU.
        """
        config, grid, n_layers = self.config, self.grid, len(parts.reconstruction)
        fired = grid.total(parts.fired)
        self.idle = torch.where(fired > 0, 0, self.idle + config.batch_size)
        squares = {name: torch.linalg.vector_norm(gradient).square() for name, gradient in gradients.items()}
        common = [square for name, square in squares.items() if self._axis(name) is None]
        own = [square for name, square in squares.items() if self._axis(name) is not None]
        # What processes of a row have alike, what they have of their features, and what is asked of anybody.
        alike = [parts.reconstruction, torch.stack(common).sum()[None]]
        apart = [
            torch.stack([torch.stack(own).sum(), parts.sparsity, parts.preactivation]),
            fired.sum(1),
            self._dead.sum(1),
        ]
        asked = parts.sparsity.new_tensor([self.control.stopped, self.control.paused])
        means = torch.cat([torch.cat(alike) / grid.shards.count, *apart]) / grid.data
        sums = parallel.everywhere(torch.cat([means, asked])).cpu()
        sizes = (n_layers, 2, 1, 1, n_layers, n_layers, 2)
        reconstruction, square, sparsity, preactivation, active, dead, asked = sums.split(sizes)
        self._asked = asked.tolist()
        total = Loss(reconstruction, sparsity, preactivation, active).total(config, penalty)
        per_layer = [
            reconstruction / self.dictionary.b_dec.shape[1],
            active / config.batch_size,
            dead / config.features,
        ]
        row = torch.cat([*per_layer, total.view(1), sparsity, preactivation]).tolist()
        rate = config.rate(len(self.history), self.reached)
        return Step.of([*row, rate, penalty], n_layers), math.sqrt(square.sum())

    @property
    def _dead(self) -> Tensor:
        return self.idle >= self.config.dead_after

    def _axis(self, name: str) -> int | None:
        """Where a tensor of this name, in the dictionary or beside it, has its features."""
        return 1 if name == "idle" else self.dictionary.feature_axis(name)

    @property
    def stopped(self) -> bool:
        """Whether somebody asked for the end: in several processes, by the last step at the latest."""
        return self.control.stopped if parallel.world_size() == 1 else bool(self._asked[0])

    @property
    def paused(self) -> bool:
        """Whether somebody asked for a pause, likewise."""
        return self.control.paused if parallel.world_size() == 1 else bool(self._asked[1])

    def _where(self) -> str:
        return f"batch {self.place.batch} of round {self.place.round}"

    def _check_finite(self, batch: Activations) -> None:
        for what, values in (("inputs", batch.x), ("targets", batch.y)):
            wrong = (~torch.isfinite(values)).nonzero()
            if len(wrong):
                layer, token, _ = wrong[0].tolist()
                raise TrainingError(
                    f"{self._where()}: {len(wrong)} {what} are not finite, first in layer {layer}, token {token}; "
                    "look at what the language model gives there"
                )

    def save(self) -> None:
        """Write the checkpoint, if there is a directory for it and anything new."""
        if self.path is None or self._saved == len(self.history) or self.grid.row:
            return  # the first row writes what all have alike
        extra: dict[str, Tensor] = {
            "x_mean": self.inputs.mean,
            "x_scale": self.inputs.scale,
            "y_mean": self.targets.mean,
            "y_scale": self.targets.scale,
            "idle": self.idle,
            "history": torch.tensor([step.row() for step in self.history], dtype=torch.float64),
        }
        facts = {"place": self.place, "seconds": self.seconds, "reached": self.reached, "data": self.data}
        facts |= {"evaluations": self.evaluations, "config": asdict(self.config)}
        try:
            save_checkpoint(self.path, self.dictionary, self.optimizer, extra, facts, self._part)
            self._saved = len(self.history)
        except (SafetensorError, OSError) as error:  # a run that goes on is worth more than its checkpoint
            warnings.warn(
                f"step {len(self.history)}: {self.path} could not be written ({error}); "
                "the one before stays, and training goes on",
                stacklevel=2,
            )


@contextmanager
def _failure_told(callbacks: Sequence[Callback]) -> Generator[None]:
    """Tell the watchers of an error that ends the run."""
    try:
        yield
    except BaseException as error:
        for callback in callbacks:
            callback.failed(error)
        raise


@contextmanager
def _interruption(control: TrainingControl) -> Generator[None]:
    """The first Ctrl-C stops the run instead of raising, so that no step stops half-way."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals reach the main thread alone
        return
    before = signal.getsignal(signal.SIGINT)

    def once(signum: int, frame: FrameType | None) -> None:
        control.stop()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, once)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
