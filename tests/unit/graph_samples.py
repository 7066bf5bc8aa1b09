"""Small graphs for tests: random ones in topological order, and those that circuit-tracer computed."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from ct_widgets.graph import AttributionGraph, NodeId

DATA = Path(__file__).parent.parent / "data"
GOLDEN = ("gpt2-clt", "llama-plt", "gemma2-clt")
L, P, V = 3, 4, 50


def random_columns(seed: int = 0, *, per_cell: int = 2, density: float = 0.7, logits: int = 3) -> dict[str, Any]:
    """Columns of a random graph of L layers and P positions; rows close exactly."""
    rng = np.random.default_rng(seed)
    token_ids = rng.integers(0, V, P)
    ids = [NodeId("embedding", -1, p, int(token_ids[p])) for p in range(P)]
    for layer in range(L):
        for p in range(P):
            found = sorted(rng.choice(40, per_cell, replace=False).tolist())
            ids += [NodeId("feature", layer, p, i) for i in found]
        ids += [NodeId("error", layer, p, -1) for p in range(P)]
    ids += [NodeId("logit", L, P - 1, 7 * k) for k in range(logits)]
    dense = np.zeros((len(ids), len(ids)), dtype=np.float32)
    for t, target in enumerate(ids):
        if target.kind in ("feature", "logit"):
            feeds = [
                s for s, source in enumerate(ids) if source.layer < target.layer and source.position <= target.position
            ]
            chosen = [s for s in feeds if rng.random() < density]
            dense[t, chosen] = rng.standard_normal(len(chosen))
    return columns_of(ids, dense, rng.dirichlet(np.ones(logits)), token_ids, rng)


def columns_of(
    ids: list[NodeId], dense: np.ndarray, probability: np.ndarray, token_ids: np.ndarray, rng: np.random.Generator
) -> dict[str, Any]:
    n = len(ids)
    kind = np.array([("embedding", "feature", "error", "logit").index(node.kind) for node in ids])
    is_target = (kind == 1) | (kind == 3)
    bias = np.where(is_target, rng.standard_normal(n), np.nan).astype(np.float32)
    edges = [np.flatnonzero(row) for row in dense]
    p = np.full(n, np.nan)
    p[kind == 3] = np.sort(probability)[::-1]
    tokens = [f" t{i}" for i in token_ids]
    return {
        "prompt": "".join(tokens),
        "tokens": tokens,
        "token_ids": token_ids,
        "n_layers": max(node.layer for node in ids),
        "kind": kind,
        "layer": [node.layer for node in ids],
        "position": [node.position for node in ids],
        "index": [node.index for node in ids],
        "activation": np.where(kind == 1, rng.random(n) + 0.5, np.nan),
        "probability": p,
        "node_token": [
            tokens[node.position] if node.kind == "embedding" else f" out{node.index}" * (node.kind == "logit")
            for node in ids
        ],
        "indptr": np.cumsum([0, *map(len, edges)]),
        "source": np.concatenate(edges),
        "weight": np.concatenate([row[some] for row, some in zip(dense, edges, strict=True)]),
        "bias": bias,
        "preactivation": dense.sum(1) + bias,
        "provenance": {"model": "random"},
    }


def random_graph(seed: int = 0, **options: Any) -> AttributionGraph:
    return AttributionGraph.from_columns(**random_columns(seed, **options))


def dense_of(graph: AttributionGraph) -> np.ndarray:
    """A[t, s] as a float64 matrix."""
    dense = np.zeros((graph.n_nodes, graph.n_nodes))
    dense[graph.adjacency.targets, graph.source] = graph.weight
    return dense


def normalised(dense: np.ndarray) -> np.ndarray:
    magnitude = np.abs(dense)
    total = magnitude.sum(1, keepdims=True)
    return np.divide(magnitude, total, out=np.zeros_like(magnitude), where=total > 0)


def golden(name: str) -> tuple[AttributionGraph, np.ndarray, dict[str, np.ndarray], dict[str, Any]]:
    """Graph of a golden adjacency, the golden row of each of our rows, and circuit-tracer's arrays and facts."""
    folder = DATA / "golden" / name
    arrays = load_file(folder / "expected.safetensors")
    facts = json.loads((folder / "expected.json").read_text())
    token_ids = arrays["tokens"]
    positions, layers = len(token_ids), facts["n_layers"]
    theirs = [NodeId("feature", *map(int, row)) for row in arrays["active_features"][arrays["selected_features"]]]
    theirs += [NodeId("error", layer, p, -1) for layer in range(layers) for p in range(positions)]
    theirs += [NodeId("embedding", -1, p, int(token)) for p, token in enumerate(token_ids)]
    theirs += [NodeId("logit", layers, positions - 1, int(token)) for token in arrays["logit_token_ids"]]
    rank = {"embedding": 0, "feature": 0, "error": 1, "logit": 0}
    order = sorted(
        range(len(theirs)),
        key=lambda row: (
            (theirs[row].layer, rank[theirs[row].kind], theirs[row].position)
            + ((row,) if theirs[row].kind == "logit" else (theirs[row].index,))
        ),
    )
    dense = arrays["adjacency"][np.ix_(order, order)]
    columns = columns_of(
        [theirs[row] for row in order], dense, arrays["logit_probabilities"], token_ids, np.random.default_rng(0)
    )
    return AttributionGraph.from_columns(**columns), np.array(order), arrays, facts


def fetched_by(page: str) -> list[str]:
    """Addresses that the elements of a page name: a page that is one file has none."""
    found: list[str] = []

    class Parser(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.extend(value or tag for name, value in attrs if name in ("src", "href", "srcset", "data"))

    Parser().feed(page)
    return found
