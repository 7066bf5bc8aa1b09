"""A model as views need it: a protocol, so that they need not know the module of ReplacementModel, which is one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from ct_widgets.graph import AttributionGraph, NodeId

if TYPE_CHECKING:
    from ct_widgets.arithmetic.operands import OperandActivations
    from ct_widgets.features.catalog import Features
    from ct_widgets.interventions import PerturbationSession
    from ct_widgets.language_model import LanguageModel


class Model(Protocol):
    """A model whose features are known, can be changed, and can be followed through many prompts."""

    @property
    def language_model(self) -> LanguageModel:
        """The language model, with its tokenizer."""
        ...

    @property
    def features(self) -> Features:
        """All features of its transcoder."""
        ...

    def operand_activations(
        self, template: str, a: Iterable[int], b: Iterable[int], position: int
    ) -> OperandActivations:
        """Compute the activations of all features at one position, for all pairs of operands."""
        ...

    def perturbation(self, graph: AttributionGraph, groups: Mapping[str, Sequence[NodeId]], /) -> PerturbationSession:
        """Hold the prompt of `graph` ready for fast changes of groups of features."""
        ...
