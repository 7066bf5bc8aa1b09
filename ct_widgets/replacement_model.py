"""The object a user holds: a language model together with its transcoder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Unpack, overload

from torch import Tensor

from ct_widgets.language_model import load_bridge
from ct_widgets.progress import progress_bar
from ct_widgets.transcoded_model import TranscodedModel
from ct_widgets.transcoders import Transcoder

if TYPE_CHECKING:
    import torch
    from plotly.graph_objects import Figure

    from ct_widgets.arithmetic import OperandActivations
    from ct_widgets.attribution import AttributionOptions, OnInterrupt, Target
    from ct_widgets.evaluation import Evaluation, Text, Validation
    from ct_widgets.features import Features, FeatureStore
    from ct_widgets.global_weights import GlobalWeights
    from ct_widgets.global_weights.feature_set import Chosen
    from ct_widgets.graph import AttributionGraph, NodeId
    from ct_widgets.interventions import (
        Generated,
        Intervention,
        InterventionOptions,
        InterventionResult,
        InterventionResults,
        Method,
        PerturbationSession,
    )
    from ct_widgets.language_model.corpus import Source


class ReplacementModel(TranscodedModel):
    """A language model whose MLPs a transcoder explains [CT25, "From cross-layer transcoder to replacement model"].

    bridge: a TransformerLens `TransformerBridge`, which is never changed; transcoder: trained on that model;
    features: a FeatureStore, or its path, with examples of the transcoder's features.
    Raises TranscoderError when the first two do not fit each other, FeatureError for a store of another transcoder.

    >>> model = ct_widgets.load_demo()
    >>> graph = model.attribute("calc: 36+59=")
    """

    def __init__(self, bridge: Any, transcoder: Transcoder, features: FeatureStore | str | Path | None = None) -> None:
        super().__init__(bridge, transcoder)
        self._store = features
        if features is not None:
            _ = self.features  # a store that does not belong here is refused now

    @classmethod
    def from_pretrained(
        cls,
        model: str | Path,
        transcoder: str | Path,
        *,
        device: str | torch.device | None = None,
        dtype: torch.dtype | None = None,
        features: FeatureStore | str | Path | None = None,
    ) -> ReplacementModel:
        """Load a model and its transcoder by hub name or from a directory, with a store of its features if given.

        >>> ReplacementModel.from_pretrained("google/gemma-2-2b", "mntss/clt-gemma-2-2b-426k")  # doctest: +SKIP
        """
        return cls(load_bridge(model, device=device, dtype=dtype), Transcoder.from_pretrained(transcoder), features)

    @property
    def features(self) -> Features:
        """All features by (layer, index), with examples if there is a store: tokens, statistics, labels, search.

        >>> model.features[2, 517]
        >>> model.features.search("basketball")
        """
        return self._features

    @cached_property  # behind a property: pyright takes no cached one of `self` for a protocol's
    def _features(self) -> Features:
        from ct_widgets.features import Features

        return Features(self, self._store)

    @overload
    def attribute(self, prompt: list[str], **options: Unpack[AttributionOptions]) -> list[AttributionGraph]: ...

    @overload
    def attribute(
        self, prompt: str | Sequence[int] | Tensor, **options: Unpack[AttributionOptions]
    ) -> AttributionGraph: ...

    def attribute(
        self,
        prompt: str | Sequence[int] | Tensor | list[str],
        *,
        targets: Sequence[Target] | None = None,
        max_feature_nodes: int | None = None,
        ignore_bos: bool = True,
        max_memory: float = 4 * 2**30,
        on_interrupt: OnInterrupt = "raise",
        progress: bool | None = None,
    ) -> AttributionGraph | list[AttributionGraph]:
        """Compute the attribution graph of a prompt: how its tokens lead to the top next tokens [CT25].

        prompt: text, or token ids; a list of texts gives a list of graphs.
        targets: what to explain: tokens, token ids, pairs of tokens (the difference of their logits), or directions [d]
            that read the final norm's output; by default the likeliest tokens up to 95 % probability, at most 10.
        max_feature_nodes: compute rows for this many features only, the most influential first; the others are left
            out and count as unexplained.
        ignore_bos: position 0 has no feature or error nodes; what its MLPs write counts as bias, so rows still close.
        max_memory: bytes that all this may take besides the model; less can mean more time, never another result.
        on_interrupt: "partial" returns the graph of the rows done so far on Ctrl-C, marked in its provenance.
        progress: True or False shows or hides the bar; by default it appears after one second.

        Raises PromptError for a prompt that does not fit the model, TargetError for a target that does not exist,
        GraphError for more rows than fit `max_memory` (it says how many do), ModelError for a model that is not
        understood exactly.

        >>> graph = model.attribute("calc: 36+59=", targets=[("95", "94")])
        """
        from ct_widgets.attribution import attribute

        several = isinstance(prompt, list) and len(prompt) > 0 and isinstance(prompt[0], str)
        prompts: list[Any] = list(prompt) if several else [prompt]
        with progress_bar("attribution", unit="row", show=progress) as bar:
            graphs = [
                attribute(
                    self,
                    one,
                    targets=targets,
                    max_feature_nodes=max_feature_nodes,
                    ignore_bos=ignore_bos,
                    max_memory=max_memory,
                    on_interrupt=on_interrupt,
                    progress=bar,
                ).with_features(self.features)
                for one in prompts
            ]
        return graphs if several else graphs[0]

    @overload
    def intervene(
        self,
        prompt: str | Sequence[int] | Tensor,
        interventions: Sequence[Intervention],
        **options: Unpack[InterventionOptions],
    ) -> InterventionResult: ...

    @overload
    def intervene(
        self,
        prompt: str | Sequence[int] | Tensor,
        interventions: Mapping[str, Sequence[Intervention]],
        **options: Unpack[InterventionOptions],
    ) -> InterventionResults: ...

    def intervene(
        self,
        prompt: str | Sequence[int] | Tensor,
        interventions: Sequence[Intervention] | Mapping[str, Sequence[Intervention]],
        *,
        method: Method = "constrained",
        layers: tuple[int, int] | range | None = None,
        freeze_attention: bool | None = None,
        freeze_norms: bool | None = None,
    ) -> InterventionResult | InterventionResults:
        """Change features of a prompt and run the model on [CT25, "Validating attribution graph hypotheses"].

        interventions: what to change at once; a mapping from names to such lists runs them all in one pass.
        method: "constrained", "iterative" or "open"; see `ct_widgets.interventions.InterventionPlan`.
        layers: (first, last) layer of the range, by default from the lowest changed layer to the highest one
            ("constrained") or the last ("iterative").
        freeze_attention: hold attention patterns; by default for all methods but "open".
        freeze_norms: hold norm denominators; by default where a constrained range holds all layers.

        Raises InterventionError for what the model lacks or settings that exclude each other.

        >>> model.intervene("calc: 36+59=", [ct.Intervention(2, -1, 517, scale=-1)]).outputs()
        """
        from ct_widgets.interventions import intervene

        return intervene(
            self,
            prompt,
            interventions,
            method=method,
            layers=layers,
            freeze_attention=freeze_attention,
            freeze_norms=freeze_norms,
        )

    def global_weights(
        self,
        corpus: FeatureStore | Source | None = None,
        *,
        sources: Chosen | None = None,
        targets: Chosen | None = None,
        k: int = 20,
        progress: bool | None = None,
    ) -> GlobalWeights:
        """Find the strongest connections of features whatever the prompt [CT25, "Global weights"].

        corpus: texts as `collect_features` takes them, or a FeatureStore with co-activations, which say which virtual
            weights join features that are active together (ERA, TWERA); without one there are virtual weights alone.
        sources, targets: features by name or as (layer, index); by default all.
        k: connections kept of each feature at both ends and by each measure.

        >>> weights = model.global_weights(texts)
        >>> weights.inputs("L3/12")
        """
        from ct_widgets.global_weights import global_weights

        return global_weights(self, corpus, sources=sources, targets=targets, k=k, progress=progress)

    def neurons(self, threshold: float = 0.0) -> ReplacementModel:
        """Take the model's own neurons as features: the baseline that a transcoder has to beat.

        threshold: neurons that write less than this, |activation| times the norm of their output weights, are inactive.
        Neurons of gated MLPs read with the gate held fixed. Raises ModelError for MLPs that are not understood exactly.

        >>> model.neurons(0.5).attribute("calc: 36+59=").scores()
        """
        from ct_widgets.neurons import neuron_transcoder

        return self.with_transcoder(neuron_transcoder(self.language_model, threshold))

    def perturbation(self, graph: AttributionGraph, groups: Mapping[str, Sequence[NodeId]]) -> PerturbationSession:
        """Hold the prompt of `graph` ready for fast changes of the strengths of named groups of features.

        >>> session = model.perturbation(graph, {name: nodes for name, nodes in graph.supernodes})
        >>> session.run({"sum = _5": -1.0}).activity
        """
        from ct_widgets.interventions import PerturbationSession

        return PerturbationSession(self, graph, groups)

    def validate(
        self, graph: AttributionGraph, *, ablations: int = 128, perturbations: int = 16, seed: int = 0
    ) -> Validation:
        """Test the claims of a graph of this model: what `graph.audit(model)` shows.

        At most `ablations` random features are ablated, and the residual stream is perturbed around `perturbations`
        random features per layer. Raises GraphError for a graph of another model or transcoder.

        >>> model.validate(graph).correlations
        """
        from ct_widgets.evaluation import validate

        with progress_bar("validation", unit="run") as bar:
            return validate(self, graph, ablations=ablations, perturbations=perturbations, seed=seed, progress=bar)

    def evaluate(
        self,
        texts: Iterable[Text],
        *,
        prompts: Sequence[str | Sequence[int]] | None = None,
        beside: Mapping[str, Transcoder] | None = None,
        neurons: bool = True,
        sparsity_curve: bool = True,
        max_feature_nodes: int | None = 5000,
        seed: int = 0,
        progress: bool | None = None,
    ) -> Evaluation:
        """Measure the transcoder on texts and its graphs on prompts, beside other dictionaries [CT25, "Evaluating"].

        texts: each a text, token ids, or a pair (prompt, answer), of which only the answer's tokens are compared.
        prompts: what graphs are made of; by default 12 random texts, up to the answer or without their last token.
        beside: other transcoders of the same model by name, e.g. {"PLT": other}.
        neurons: the model's own neurons too, at several thresholds.
        sparsity_curve: transcoders also without the features that write little, which reads their decoders whole.
        max_feature_nodes: of each graph; see `attribute`.

        >>> report = model.evaluate([("calc: 36+59=", "95"), ("calc: 2+2=", "4")])
        >>> report.to_html("report.html")
        """
        from ct_widgets.evaluation import evaluate

        return evaluate(
            self,
            texts,
            prompts=prompts,
            beside=beside,
            neurons=neurons,
            sparsity_curve=sparsity_curve,
            max_feature_nodes=max_feature_nodes,
            seed=seed,
            progress=progress,
        )

    def generate(
        self,
        prompt: str | Sequence[int] | Tensor,
        interventions: Sequence[Intervention] = (),
        *,
        max_new_tokens: int = 20,
        temperature: float = 0.0,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int = 0,
    ) -> Generated:
        """Continue a prompt with and without open-ended steering, side by side.

        Interventions at position None act on every token after the first, generated ones too; a feature's own
        activation, which `scale` multiplies, is the one in the unsteered model on the same text.
        temperature: 0 takes the likeliest token; top_k and top_p narrow what is drawn from, `seed` draws.

        >>> model.generate("calc: 36+59=", [ct.Intervention(2, -1, 517, scale=-1)], max_new_tokens=1)
        """
        from ct_widgets.interventions import generate

        return generate(
            self,
            prompt,
            interventions,
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            seed=seed,
        )

    def operand_activations(
        self,
        template: str = "calc: {a}+{b}=",
        a: Iterable[int] = range(100),
        b: Iterable[int] = range(100),
        position: int = -1,
        *,
        interventions: Sequence[Intervention] = (),
        method: Method = "constrained",
        layers: tuple[int, int] | range | None = None,
        progress: bool | None = None,
    ) -> OperandActivations:
        """Compute all features at one position for all pairs of operands in a template [CT25, "Addition"].

        template: a prompt with {a} and {b}, any operator between; a, b: the operands, each one token of the model.
        interventions: what is changed in every prompt, at the same positions; `method` and `layers` as for
            `intervene`. The result is what features do then, with `.before` and `.difference`.

        Raises PromptError where the tokenizer splits one of the numbers, and names them.

        >>> operands = model.operand_activations()
        >>> operands.plot(2, 517)
        """
        from ct_widgets.arithmetic.collect import operand_activations

        return operand_activations(
            self,
            template,
            a,
            b,
            position,
            interventions=interventions,
            method=method,
            layers=layers,
            progress=progress,
        )

    def operand_plot(self, feature: str | tuple[int, int], operands: OperandActivations | None = None) -> Figure:
        """Draw a feature's activation for all pairs of operands, as a plotly figure; its title names the family.

        operands: what `operand_activations` gave, by default for "calc: {a}+{b}="; give it to draw several features.

        >>> model.operand_plot("L2/517", operands)
        """
        from ct_widgets.arithmetic.figures import operand_plot

        return operand_plot(feature, self.operand_activations() if operands is None else operands)

    def output_weight_plot(
        self, feature: str | tuple[int, int], numbers: Iterable[int] = range(100), *, template: str = "calc: {a}+{b}="
    ) -> Figure:
        """Draw what a feature adds to the logit of each of `numbers` as the template's answer, as a plotly figure.

        Ten numbers a row and all as a strip; by all its decoder vectors together, norms left out.
        """
        from ct_widgets.arithmetic.figures import output_weight_plot

        return output_weight_plot(self, feature, numbers, template=template)

    def embedding_weight_plot(
        self,
        feature: str | tuple[int, int],
        numbers: Iterable[int] = range(100),
        *,
        template: str = "calc: {a}+{b}=",
        slot: Literal["a", "b"] = "a",
    ) -> Figure:
        """Draw what the embedding of each of `numbers` adds to a feature's pre-activation, as a plotly figure.

        slot: the operand as which the template shows the number; it can decide which token that is.
        """
        from ct_widgets.arithmetic.figures import embedding_weight_plot

        return embedding_weight_plot(self, feature, numbers, template=template, slot=slot)
