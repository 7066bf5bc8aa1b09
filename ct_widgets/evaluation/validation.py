"""How far to trust one graph: what it says of itself, and what ablations and perturbations of the model say."""

from __future__ import annotations

import html
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from ct_widgets.evaluation.ablation import Ablation, ablate, correlations
from ct_widgets.evaluation.faithfulness import KINDS, MEASURES, faithfulness
from ct_widgets.graph import AttributionGraph, Audit
from ct_widgets.progress import SILENT, Progress
from ct_widgets.transcoded_model import TranscodedModel

if TYPE_CHECKING:
    import pandas as pd

ABLATIONS, PERTURBATIONS = 128, 16
SAME, LIKE = 0.7, 0.4
"""Correlations and cosines from which on two things are called the same, and alike."""


@dataclass(frozen=True, eq=False, repr=False)
class Validation:
    """One graph tested on its model. `ablation` and `faithfulness` are all measurements, as tables.

    >>> graph.audit(model)
    >>> graph.audit(model).correlations
    """

    prompt: str
    audit: Audit
    ablation: Ablation
    faithfulness: pd.DataFrame

    @cached_property
    def correlations(self) -> pd.DataFrame:
        """Rank correlations of the graph's influence with ablation effects (KL); see `ablation.correlations`."""
        return correlations(self.ablation)

    @cached_property
    def responses(self) -> pd.DataFrame:
        """Medians of `faithfulness` by kind of perturbation and layers above it, with their number n."""
        groups = self.faithfulness.groupby(["kind", "on"])
        return groups[list(MEASURES)].median().assign(n=groups.size()).reset_index()

    def correlation(self, what: str) -> float:
        """Return one of `correlations`, where only the feature's own layer is clamped."""
        found = self.correlations.query("what == @what and above == 0")
        return float(found["correlation"].iloc[0])

    @property
    def verdict(self) -> tuple[str, ...]:
        """Sentences that say what the numbers mean for whoever reads the graph."""
        ranks, between = self.correlation("influence"), self.correlation("knock-on")
        return (
            f"{100 * self.audit.on_errors:.0f} % of the influence on the output comes from errors: "
            "what computes it is not in the graph.",
            f"Features that the graph calls influential {_are(ranks, 'are', 'are roughly', 'are not')} those that "
            f"matter to the model (rank correlation {_signed(ranks)}).",
            f"Its paths between features {_are(between, 'say', 'roughly say', 'do not say')} "
            f"where changes go (rank correlation {_signed(between)}, more than one layer apart).",
            self._horizon(),
        )

    def _horizon(self) -> str:
        """How many layers a change of one feature can be followed."""
        steps = self.responses.query("kind == 'encoder'").sort_values("on")
        cosines = dict(zip(steps["on"].tolist(), steps["cosine"].tolist(), strict=True))
        if not cosines:
            return "There is no feature above the first layer whose response could be tested."
        n = next((on - 1 for on, cosine in cosines.items() if not cosine >= SAME), len(cosines))
        first = cosines.get(1, float("nan"))
        measured = f"cosine {_signed(first)} one layer on"
        if not n:
            return f"Even one layer on, the model responds to a change of a feature unlike the graph does ({measured})."
        far = "one layer" if n == 1 else f"{n} layers"
        return (
            f"A change of a feature can be followed for {far}; further up the model responds differently ({measured})."
        )

    def _rows(self) -> list[tuple[str, str]]:
        n = self.correlations.set_index("what")["n"].groupby(level=0).first()
        rows = [
            (f"influence, ranked against ablations ({n['influence']:,} features)", "influence"),
            ("  direct edge to the output", "direct"),
            ("  activation", "activation"),
            (f"influence between features, against changes ({n['feature to feature']:,} pairs)", "feature to feature"),
            ("  more than one layer apart", "knock-on"),
        ]
        lines = [(name, _signed(self.correlation(what))) for name, what in rows]
        one_on = self.responses.query("on == 1").set_index("kind")
        for i, kind in enumerate(kind for kind in KINDS if kind in one_on.index):
            name = f"  {KINDS[kind]}" if i else f"response one layer on, cosine / MSE: {KINDS[kind]}"
            lines.append((name, "{cosine:.2f} / {normalised_mse:.2f}".format(**one_on.loc[kind])))
        return lines

    def __repr__(self) -> str:
        rows = self._rows()
        width = max(len(name) for name, _ in rows)
        table = "\n".join(f"{name:<{width}}  {value:>11}" for name, value in rows)
        return "\n\n".join(["\n".join(self.verdict), repr(self.audit), table])

    def _repr_html_(self) -> str:
        own = [tuple(line.rsplit("  ", 1)) for line in repr(self.audit).splitlines()]
        cells = "".join(
            f'<tr><td style="text-align:left;white-space:pre">{html.escape(name.rstrip())}</td>'
            f'<td style="font-variant-numeric:tabular-nums">{html.escape(value.strip())}</td></tr>'
            for name, value in [*own, *self._rows()]
        )
        verdict = "".join(f"<li>{html.escape(sentence)}</li>" for sentence in self.verdict)
        return f"<ul>{verdict}</ul><table>{cells}</table>"


def validate(
    model: TranscodedModel,
    graph: AttributionGraph,
    *,
    ablations: int = ABLATIONS,
    perturbations: int = PERTURBATIONS,
    seed: int = 0,
    progress: Progress = SILENT,
) -> Validation:
    """Test a graph on its model: at most `ablations` features, and `perturbations` features per layer.

    Raises GraphError for a graph of another model or transcoder.

    >>> validate(model, graph).verdict
    """
    return Validation(
        graph.prompt,
        graph.audit(),
        ablate(model, graph, max_features=ablations, seed=seed, progress=progress),
        faithfulness(model, graph, per_layer=perturbations, seed=seed, progress=progress),
    )


def _are(value: float, *words: str) -> str:
    return words[0] if value >= SAME else words[1] if value >= LIKE else words[2]


def _signed(value: float) -> str:
    return f"{value:.2f}".replace("-", "\u2212")
