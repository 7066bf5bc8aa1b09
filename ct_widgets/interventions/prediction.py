"""What a graph predicts of a change, to first order and without a model [CT25, "Attribution graphs"].

With r_s the relative change of a source's activation (M - 1 for one that is set to M times its own), a target's
pre-activation or logit moves by sum_s A[t, s] r_s. Axes: n nodes, t targets (rows), s sources.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ct_widgets.graph import AttributionGraph

Float64 = npt.NDArray[np.float64]


class Prediction(NamedTuple):
    """Change of every node's pre-activation (features) or logit, [n]; 0 for sources that are set, and for tokens.

    direct: along single edges from what is set, exactly a column of the edge matrix times the change; total: along all
    paths, as if every feature kept its slope.
    """

    direct: Float64
    total: Float64


def predict(graph: AttributionGraph, scales: Mapping[int, float], *, clamped_to: int = -1) -> Prediction:
    """Predict the change when row s is set to `scales[s]` times its activation.

    clamped_to: other features of layers up to this one pass nothing on, since the MLPs that they write are clamped.
    """
    n, features = graph.n_nodes, graph.is_kind("feature")
    is_set = np.zeros(n, dtype=np.bool_)
    is_set[list(scales)] = True
    given = np.zeros(n)
    given[list(scales)] = [scale - 1 for scale in scales.values()]
    relative, direct, total = given.copy(), np.zeros(n), np.zeros(n)
    # A slope is activation / pre-activation, so both change by the same share; files may lack the latter.
    own = np.where(np.isfinite(graph.preactivation), graph.preactivation, graph.activation).astype(np.float64)
    passes = features & ~is_set & (graph.layer > clamped_to) & (own != 0)
    for t in np.flatnonzero((graph.adjacency.in_degree > 0) & ~is_set).tolist():
        edges = graph.adjacency.row(t)
        source, weight = graph.source[edges], graph.weight[edges].astype(np.float64)
        direct[t], total[t] = weight @ given[source], weight @ relative[source]
        if passes[t]:
            relative[t] = total[t] / own[t]
    return Prediction(direct, total)
