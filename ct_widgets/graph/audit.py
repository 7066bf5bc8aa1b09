"""A graph's own quality: does it reproduce the model, do its rows close, how much is unexplained?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np

from ct_widgets.graph.adjacency import Float64, row_sums
from ct_widgets.graph.data import GraphData
from ct_widgets.graph.influence import Scores, influence

V = TypeVar("V", covariant=True)


class Validates(Protocol[V]):
    """A model that can test the claims of its graphs: a ReplacementModel."""

    def validate(self, graph: Any) -> V:
        """Test the claims of `graph` on the model."""
        ...


@dataclass(frozen=True, repr=False)
class Audit:
    """A small table of checks; None where the graph does not hold what the check needs."""

    logit_error: float | None
    """Largest |logit of the local replacement model - logit of the model|, as attribution measured it on the prompt."""
    largest_residual: float | None
    """Largest |h - sum A - bias| of a target; None for a pruned graph, whose rows cannot close."""
    relative_residual: float | None
    """Largest |h - sum A - bias| of a target, relative to sum |A| + |bias| of that target."""
    on_embeddings: float
    """Share of the output's influence that ends at embeddings. This and the next three count bias as a source, and
    add up to 1 less what ends at features without any input."""
    on_errors: float
    on_bias: float
    on_removed: float
    """Share that ends at what pruning removed."""
    scores: Scores

    def __repr__(self) -> str:
        rows = [
            ("logits, local replacement model - model", _number(self.logit_error)),
            ("largest row residual", _number(self.largest_residual)),
            ("  relative to the row's input", _number(self.relative_residual)),
            ("influence that ends at embeddings", _percent(self.on_embeddings)),
            ("  at errors", _percent(self.on_errors)),
            ("  at biases", _percent(self.on_bias)),
            ("  at what pruning removed", _percent(self.on_removed)),
            ("replacement score", f"{self.scores.replacement:.3f}"),
            ("completeness", f"{self.scores.completeness:.3f}"),
            ("  with inputless nodes as explained", f"{self.scores.completeness_with_inputless:.3f}"),
        ]
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"{name:<{width}}  {value:>8}" for name, value in rows)


def audit(graph: GraphData, scores: Scores) -> Audit:
    """Measure what Audit lists."""
    largest, relative = _residuals(graph)
    return Audit(_logit_error(graph), largest, relative, *_where_influence_ends(graph), scores)


def _logit_error(graph: GraphData) -> float | None:
    value = graph.provenance.get("logit_error")
    return float(value) if isinstance(value, int | float) else None


def _residuals(graph: GraphData) -> tuple[float | None, float | None]:
    known = np.isfinite(graph.preactivation) & np.isfinite(graph.bias)
    if "pruning" in graph.provenance or not known.any():
        return None, None
    total = row_sums(graph.indptr, graph.weight.astype(np.float64)) + graph.bias
    residual = np.abs(graph.preactivation - total)[known]
    scale = _input_with_bias(graph)[known]
    return float(residual.max()), float(np.divide(residual, scale, out=np.zeros_like(residual), where=scale > 0).max())


def _where_influence_ends(graph: GraphData) -> tuple[float, float, float, float]:
    """Shares that end at embeddings, errors, biases and removed edges, in the graph with bias as one more source."""
    total, p = _input_with_bias(graph), graph.output_weight
    reached = influence(graph.adjacency, total, p)
    per_input = np.divide(reached + p, total, out=np.zeros_like(total), where=total > 0)
    kept = row_sums(graph.indptr, np.abs(graph.weight))
    ends = (
        reached[graph.is_kind("embedding")].sum(),
        reached[graph.is_kind("error")].sum(),
        per_input @ _magnitude_of_bias(graph),
        per_input @ np.maximum(graph.row_total - kept, 0.0),
    )
    whole = p.sum()
    embeddings, errors, bias, removed = (float(end / whole) if whole > 0 else 0.0 for end in ends)
    return embeddings, errors, bias, removed


def _input_with_bias(graph: GraphData) -> Float64:
    return graph.row_total + _magnitude_of_bias(graph)


def _magnitude_of_bias(graph: GraphData) -> Float64:
    return np.abs(np.nan_to_num(graph.bias.astype(np.float64)))


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1e}"


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"
