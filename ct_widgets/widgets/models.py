"""What views ask of a model, as protocols: a ReplacementModel fulfils all of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from ct_widgets.graph import AttributionGraph, NodeId

if TYPE_CHECKING:
    from ct_widgets.arithmetic.operands import OperandActivations
    from ct_widgets.features.catalog import Features
    from ct_widgets.interventions import PerturbationSession
    from ct_widgets.language_model import LanguageModel


class HasFeatures(Protocol):
    """A model whose features are known by their number."""

    @property
    def features(self) -> Features:
        """All features of its transcoder."""
        ...


class OperandModel(HasFeatures, Protocol):
    """A model that can calculate with many pairs of operands."""

    @property
    def language_model(self) -> LanguageModel:
        """The language model, with its tokenizer."""
        ...

    def operand_activations(
        self, template: str, a: Iterable[int], b: Iterable[int], position: int
    ) -> OperandActivations:
        """Compute the activations of all features at one position, for all pairs of operands."""
        ...


class PerturbationModel(Protocol):
    """A model whose features can be changed on the prompt of a graph."""

    def perturbation(self, graph: AttributionGraph, groups: Mapping[str, Sequence[NodeId]], /) -> PerturbationSession:
        """Hold the prompt of `graph` ready for fast changes of groups of features."""
        ...


class ExplorerModel(OperandModel, PerturbationModel, Protocol):
    """A model that every panel of a CircuitExplorer can work with."""
