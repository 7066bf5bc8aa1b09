"""Pruning and scores of a graph of 7,418 nodes and 13.1 million edges, against a dense implementation of the formulas.

    python tests/benchmarks/pruning.py [--out pruning.json]

The reference is what METHODS says, written with dense float32 matrices: normalise, add up powers of Ahat, sort all
scores. Both run in this process on the same graph; times are the best of a few runs, memory is what numpy allocated at
its peak beyond the graph itself.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ct_widgets.graph import AttributionGraph

Float32 = npt.NDArray[np.float32]
Bool = npt.NDArray[np.bool_]

LAYERS, POSITIONS, PER_CELL, LOGITS = 12, 16, 37, 10
NODES = 7_418
"""Of a graph of the GPT-2-small shape; the cells of the first layers have one feature more to reach it."""
LIMIT_S = 0.25
COLUMNS = (
    *("prompt", "tokens", "token_ids", "n_layers", "kind", "layer", "position", "index", "activation", "probability"),
    *("node_token", "indptr", "source", "weight", "bias", "preactivation", "provenance"),
)


def big_graph(seed: int = 0) -> AttributionGraph:
    """A random graph with every edge that the order of layers and positions allows."""
    rng = np.random.default_rng(seed)
    kind, layer, position, index = [0] * POSITIONS, [-1] * POSITIONS, list(range(POSITIONS)), list(range(POSITIONS))
    more = NODES - LAYERS * POSITIONS * (PER_CELL + 1) - POSITIONS - LOGITS
    for at in range(LAYERS):
        for p in range(POSITIONS):
            features = PER_CELL + (1 if at * POSITIONS + p < more else 0)
            kind += [1] * features
            layer += [at] * features
            position += [p] * features
            index += range(features)
        kind += [2] * POSITIONS
        layer += [at] * POSITIONS
        position += range(POSITIONS)
        index += [-1] * POSITIONS
    kind += [3] * LOGITS
    layer += [LAYERS] * LOGITS
    position += [POSITIONS - 1] * LOGITS
    index += range(LOGITS)
    kinds, layers, positions = np.array(kind), np.array(layer), np.array(position)
    rows = [
        np.flatnonzero((layers < layers[t]) & (positions <= positions[t])) if kinds[t] in (1, 3) else np.zeros(0, int)
        for t in range(len(kinds))
    ]
    source = np.concatenate(rows).astype(np.int32)
    probability = np.full(len(kinds), np.nan)
    probability[kinds == 3] = np.sort(rng.dirichlet(np.ones(LOGITS)))[::-1]
    nothing = np.full(len(kinds), np.nan)
    tokens = [f"t{p}" for p in range(POSITIONS)]
    return AttributionGraph.from_columns(
        prompt="".join(tokens),
        tokens=tokens,
        token_ids=range(POSITIONS),
        n_layers=LAYERS,
        kind=kinds,
        layer=layers,
        position=positions,
        index=index,
        activation=nothing,
        probability=probability,
        node_token=[""] * len(kinds),
        indptr=np.cumsum([0, *map(len, rows)]),
        source=source,
        weight=rng.standard_normal(len(source)).astype(np.float32) ** 3,
        bias=nothing,
        preactivation=nothing,
        provenance={},
    )


def ours(graph: AttributionGraph) -> tuple[int, int, float, float]:
    """From columns on, so that checks and row sums count too."""
    fresh = AttributionGraph.from_columns(**{name: getattr(graph, name) for name in COLUMNS})
    pruned, scores = fresh.prune(), fresh.scores()
    return pruned.n_nodes, pruned.n_edges, scores.replacement, scores.completeness_with_inputless


def dense(graph: AttributionGraph) -> Callable[[], tuple[int, int, float, float]]:
    """The same by dense matrices; the matrix is made beforehand, as an attribution that is dense would have it."""
    matrix = np.zeros((graph.n_nodes, graph.n_nodes), dtype=np.float32)
    matrix[graph.adjacency.targets, graph.source] = graph.weight
    p = graph.output_weight.astype(np.float32)
    features, errors = graph.is_kind("feature"), graph.is_kind("error")
    ends = graph.is_kind("embedding", "logit")

    def run() -> tuple[int, int, float, float]:
        a_hat = normalised(matrix)
        influence = powers(a_hat, p)
        keep = (influence >= threshold_score(influence, 0.8)) | ends
        survivors = normalised(np.where(keep[:, None] & keep, matrix, 0))
        edge_score = survivors * (powers(survivors, p) + p)[:, None]
        edges = edge_score >= threshold_score(edge_score.ravel(), 0.98)
        before = None
        while before is None or (before != keep).any():
            before = keep.copy()
            keep &= ends | edges.any(0)
            keep &= ~features | edges.any(1)
            edges &= keep[:, None] & keep
        embedding = influence[graph.is_kind("embedding")].sum()
        error = influence[errors].sum()
        explained = 1 - a_hat[:, errors].sum(1)
        output = influence + p
        return (
            int(keep.sum()),
            int(edges.sum()),
            float(embedding / (embedding + error)),
            float((explained * output).sum() / output.sum()),
        )

    return run


def normalised(matrix: Float32) -> Float32:
    magnitude = np.abs(matrix)
    return magnitude / np.maximum(magnitude.sum(1, keepdims=True), 1e-10)


def powers(a_hat: Float32, p: Float32) -> Float32:
    total = step = p @ a_hat
    while step.any():
        step = step @ a_hat
        total = total + step
    return total


def threshold_score(score: Float32, share: float) -> float:
    falling = np.sort(score)[::-1]
    reached = np.cumsum(falling, dtype=np.float64)
    return float(falling[min(np.searchsorted(reached, share * reached[-1]), len(falling) - 1)])


def measured(work: Callable[[], Any], runs: int) -> tuple[float, float, Any]:
    """Best wall time in seconds, peak of numpy's memory in MB in a run of its own, and the result."""
    times: list[float] = []
    result: Any = None
    for _ in range(runs):
        start = time.perf_counter()
        result = work()
        times.append(time.perf_counter() - start)
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    return min(times), peak, result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="write the numbers as JSON")
    options = parser.parse_args()
    graph = big_graph()
    our_time, our_memory, our_result = measured(lambda: ours(graph), 5)
    their_time, their_memory, their_result = measured(dense(graph), 2)
    assert abs(our_result[0] - their_result[0]) <= 2, (our_result, their_result)
    assert np.allclose(our_result[1:], their_result[1:], rtol=1e-3), (our_result, their_result)
    numbers = {
        "nodes": graph.n_nodes,
        "edges": graph.n_edges,
        "kept_nodes": our_result[0],
        "kept_edges": our_result[1],
        "ours_s": round(our_time, 3),
        "dense_s": round(their_time, 3),
        "time_ratio": round(their_time / our_time, 1),
        "ours_peak_mb": round(our_memory),
        "dense_peak_mb": round(their_memory),
        "memory_ratio": round(their_memory / our_memory, 1),
        "limit_s": LIMIT_S,
        "machine": f"{platform.machine()}, numpy {np.__version__}",
    }
    print(
        f"prune + scores, {graph.n_nodes:,} nodes, {graph.n_edges:,} edges -> {our_result[0]:,} and {our_result[1]:,}"
    )
    print(f"  ct_widgets {our_time:6.3f} s {our_memory:7.0f} MB   (limit {LIMIT_S} s)")
    print(f"  dense      {their_time:6.3f} s {their_memory:7.0f} MB")
    print(f"  ratio      {their_time / our_time:6.1f}   {their_memory / our_memory:7.1f}")
    if options.out:
        options.out.write_text(json.dumps(numbers, indent=2) + "\n")


if __name__ == "__main__":
    main()
