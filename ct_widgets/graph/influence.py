"""Influence on the output, graph scores and path lengths.

With Ahat[t, s] = |A[t, s]| / row_total[t] and p the probability at the logits, the influence of a node is the sum
over all paths from it to a logit, I = p^T (Ahat + Ahat^2 + ...) [CT25]. Ahat is strictly triangular in topological
order, so one pass from the logits down gives I exactly; nothing is inverted or iterated.

Axes: n nodes, t targets (rows), s sources, k path length.

[CT25] Ameisen et al., "Circuit Tracing: Revealing Computational Graphs in Language Models", 2025.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ct_widgets.graph.adjacency import Adjacency, Bool, Float64, Floats, blocks_from_last


class Scores(NamedTuple):
    """How much of a graph is explained, each between 0 and 1.

    `replacement`: of the influence that ends at embeddings or at errors, the share that ends at embeddings.
    `completeness`: share of the targets' inputs that is not an error, weighted by the targets' influence; targets are
    the nodes with incoming edges. `completeness_with_inputless` counts nodes without inputs as fully explained, as
    circuit-tracer does. Edges and nodes that pruning removed count as errors.
    """

    replacement: float
    completeness: float
    completeness_with_inputless: float


class PathLengths(NamedTuple):
    """`share[k]`: share of the embeddings' influence that arrives over at most k edges. `mean`: mean length."""

    share: Float64
    mean: float


def influence(adjacency: Adjacency, row_total: Floats, p: Float64) -> Float64:
    """I[s] = sum_t Ahat[t, s] (I[t] + p[t]), [n]."""
    result = np.zeros(adjacency.n)
    for block in blocks_from_last(adjacency):
        rows = slice(block.start, block.stop)
        block.scatter(_share(result[rows] + p[rows], row_total[rows]), result)
    return result


def one_step(adjacency: Adjacency, row_total: Floats, x: Float64) -> Float64:
    """x^T Ahat, [n]: what one more edge back from the nodes in `x` reaches."""
    result = np.zeros(adjacency.n)
    for block in blocks_from_last(adjacency):
        rows = slice(block.start, block.stop)
        block.scatter(_share(x[rows], row_total[rows]), result)
    return result


def influence_of(adjacency: Adjacency, row_total: Floats, sources: Sequence[int]) -> Float64:
    """B[:, s] for the rows `sources`, [n, s]: the influence of each on every node, over all paths between them."""
    result = np.zeros((adjacency.n, len(sources)))
    result[sources, np.arange(len(sources))] = 1.0
    for block in reversed(list(blocks_from_last(adjacency))):
        rows = slice(block.start, block.stop)
        result[rows] += (
            block.gather(result[: block.start]) * _share(np.ones(block.stop - block.start), row_total[rows])[:, None]
        )
    result[sources, np.arange(len(sources))] -= 1.0
    return result


def scores(influence: Floats, p: Float64, is_embedding: Bool, is_error: Bool, has_input: Bool) -> Scores:
    """Scores from the influence alone.

    Because I[s] = sum_t Ahat[t, s] (I[t] + p[t]), the error share of all targets' inputs, weighted by I + p, adds up to
    the influence of the errors; and what targets pass on less than they have is what pruning removed.
    """
    output = influence + p
    of_targets = float(output[has_input].sum())
    removed = max(0.0, of_targets - float(influence.sum()))
    errors = float(influence[is_error].sum()) + removed
    embeddings = float(influence[is_embedding].sum())
    return Scores(
        replacement=_ratio(embeddings, embeddings + errors),
        completeness=1.0 - _ratio(errors, of_targets, empty=1.0),
        completeness_with_inputless=1.0 - _ratio(errors, float(output.sum()), empty=1.0),
    )


def path_lengths(adjacency: Adjacency, row_total: Floats, p: Float64, is_embedding: Bool) -> PathLengths:
    """P_k = sum over embeddings of p^T (1 + Ahat + ... + Ahat^k), divided by its limit, for every k below it [CT25]."""
    reached = [float(p[is_embedding].sum())]
    x = p
    while (x := one_step(adjacency, row_total, x)).any():
        reached.append(float(x[is_embedding].sum()))
    arriving = np.array(reached)
    total = arriving.sum()
    if total == 0:
        return PathLengths(np.zeros(len(arriving)), float("nan"))
    return PathLengths(np.cumsum(arriving) / total, float(arriving @ np.arange(len(arriving)) / total))


def _share(value: Float64, total: Floats) -> Float64:
    """`value / total`, and 0 in rows without input."""
    return np.divide(value, total, out=np.zeros_like(value), where=total > 0)


def _ratio(part: float, whole: float, *, empty: float = 0.0) -> float:
    return part / whole if whole > 0 else empty
