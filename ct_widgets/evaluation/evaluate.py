"""Every measurement of a dictionary in one call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ct_widgets.attribution import attribute
from ct_widgets.errors import PromptError
from ct_widgets.evaluation.dictionaries import (
    Measured,
    Variant,
    cut,
    density_table,
    dictionaries_table,
    layers_table,
    measure,
    sparsity_variants,
)
from ct_widgets.evaluation.graphs import graphs_table, paths_table, pruning_table
from ct_widgets.evaluation.report import Evaluation
from ct_widgets.evaluation.texts import Row, Text, tokenize
from ct_widgets.evaluation.validation import Validation, validate
from ct_widgets.graph import AttributionGraph
from ct_widgets.neurons import neuron_transcoder
from ct_widgets.progress import progress_bar
from ct_widgets.transcoded_model import TranscodedModel
from ct_widgets.transcoders import Transcoder

if TYPE_CHECKING:
    import pandas as pd

PROMPTS = 12
"""Texts that become prompts of graphs where none are named."""
ABLATIONS, PERTURBATIONS = 64, 8
NEURONS = "neurons"


def evaluate(
    model: TranscodedModel,
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
    """Measure a transcoder on texts and its graphs on prompts; see `ReplacementModel.evaluate` for the arguments.

    Raises PromptError for texts that cannot be read, TranscoderError for a transcoder `beside` that does not fit.

    >>> evaluate(model, [("calc: 36+59=", "95"), ("calc: 2+2=", "4")]).summary
    """
    rows = tokenize(model.language_model, texts)
    asked = _prompts(rows, seed) if prompts is None else list(prompts)
    if not asked:
        raise PromptError("prompts is empty; name at least one, or leave it out to take some of the texts")
    models = _dictionaries(model, beside or {})
    parts = cut(model.language_model, rows)
    variants = [
        variant
        for name, one in models.items()
        for variant in (sparsity_variants(one, name, parts) if sparsity_curve else [Variant(name, 0.0, one.transcoder)])
    ]
    if neurons and not model.transcoder.is_neurons:
        own_neurons = model.with_transcoder(neuron_transcoder(model.language_model))
        variants += sparsity_variants(own_neurons, NEURONS, parts)
    with progress_bar("evaluation", len(variants) * len(parts), unit="step", show=progress) as bar:
        measured = measure(model, variants, parts, progress=bar)
        compared = {one.name: one for one in measured if one.name in models and not one.size}
        compared |= _neurons_beside(measured, next(iter(models)))
        chosen = {name: model.with_transcoder(one.transcoder) for name, one in compared.items()}
        bar.extend(2 * len(chosen) * len(asked))
        graphs: dict[str, list[AttributionGraph]] = {name: [] for name in chosen}
        tested: dict[str, list[Validation]] = {name: [] for name in chosen}
        for name, one in chosen.items():
            for text in asked:
                graph = attribute(one, text, max_feature_nodes=max_feature_nodes)
                bar.advance()
                graphs[name].append(graph)
                tested[name].append(validate(one, graph, ablations=ABLATIONS, perturbations=PERTURBATIONS, seed=seed))
                bar.advance()
    return Evaluation(
        model=model.language_model.name,
        points={name: (one.name, one.size) for name, one in compared.items()},
        dictionaries=dictionaries_table(measured),
        layers=layers_table(measured),
        density=density_table(measured),
        graphs=graphs_table(graphs),
        paths=paths_table(graphs),
        pruning=pruning_table(graphs),
        correlations=_by_dictionary(tested, "correlations"),
        faithfulness=_by_dictionary(tested, "faithfulness"),
    )


def _prompts(rows: Sequence[Row], seed: int) -> list[str | list[int]]:
    """The prompts of some of the texts."""
    chosen = np.random.default_rng(seed).permutation(len(rows))[:PROMPTS]
    return [rows[i].prompt for i in sorted(chosen.tolist())]


def _dictionaries(model: TranscodedModel, beside: Mapping[str, Transcoder]) -> dict[str, TranscodedModel]:
    own = NEURONS if model.transcoder.is_neurons else model.transcoder.kind.upper()
    taken = [name for name in (own, NEURONS) if name in beside]
    if taken:
        raise PromptError(f"{taken[0]!r} is already the name of a dictionary here; give the one beside it another name")
    return {own: model, **{name: model.with_transcoder(one) for name, one in beside.items()}}


def _neurons_beside(measured: Sequence[Measured], main: str) -> dict[str, Measured]:
    """Neurons whose graphs are compared: about as many active as features of the main dictionary, and the fewest that
    reconstruct as well as it does.
    """
    own = next(one for one in measured if one.name == main)
    points = [one for one in measured if one.name == NEURONS and main != NEURONS]
    if not points:
        return {}
    as_sparse = min(points, key=lambda one: abs(np.log(max(one.l0, 1e-9) / max(own.l0, 1e-9))))
    good = [one for one in points if one.dictionary.overall_mse <= own.dictionary.overall_mse]
    as_exact = min(good, key=lambda one: one.l0) if good else as_sparse
    return {f"{NEURONS}, L0 {one.l0:,.0f}": one for one in (as_sparse, as_exact)}


def _by_dictionary(tested: Mapping[str, Sequence[Validation]], table: str) -> pd.DataFrame:
    """The tables of all validations below each other, with dictionary and prompt in the first columns."""
    import pandas as pd

    tables = {(name, one.prompt): getattr(one, table) for name, some in tested.items() for one in some}
    stacked = pd.concat(tables, names=["dictionary", "prompt"])
    return stacked.reset_index(level=[0, 1]).reset_index(drop=True)
