"""The result of a run."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from ct_widgets.training.config import TrainingConfig
from ct_widgets.training.dictionary import Dictionary
from ct_widgets.training.normalisation import Normaliser
from ct_widgets.training.steps import Evaluation, Step
from ct_widgets.transcoders import Transcoder


@dataclass(frozen=True, eq=False)
class Training:
    """A run's outcome, finished or interrupted: one `Step` per step taken, and the seconds that they took together."""

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
        """The trained dictionary as a transcoder, in the model's own units."""
        return self.dictionary.export(self.inputs, self.targets, model_name=self.model_name, name=self.name)
