"""Synthetic graphs with the shape of real ones, of any size."""

from __future__ import annotations

import numpy as np

from ct_widgets import AttributionGraph
from ct_widgets.graph.node_id import EMBEDDING, FEATURE, LOGIT

HOSTILE = '<img src=x onerror="window.hacked=1">'


def layered_graph(
    *, features: int = 240, edges: int = 3_000, tokens: int = 5, layers: int = 4, logits: int = 3, seed: int = 0
) -> AttributionGraph:
    """A random graph whose features read from earlier tokens and lower layers, the near ones most."""
    rng = np.random.default_rng(seed)
    names = [f" tok{place}" for place in range(tokens - 1)] + [HOSTILE]
    rows = [(EMBEDDING, -1, place, 100 + place) for place in range(tokens)]
    drawn = zip(
        rng.integers(0, layers, features),
        np.minimum(tokens - 1, (tokens * rng.beta(1.6, 1.0, features)).astype(int)),
        rng.integers(0, 100_000, features),
        strict=True,
    )
    active = sorted({(int(layer), int(position), int(index)) for layer, position, index in drawn})
    for layer in range(layers):
        rows += [(FEATURE, *feature) for feature in active if feature[0] == layer]
        rows += [(2, layer, place, -1) for place in range(1, tokens)]
    rows += [(LOGIT, layers, tokens - 1, 500 + place) for place in range(logits)]
    kind, layer, position, index = (np.array(column) for column in zip(*rows, strict=True))
    n = len(rows)
    per_row = edges / max(1, int(np.isin(kind, (FEATURE, LOGIT)).sum()))
    indptr, sources = [0], []
    for target in range(n):
        near = np.flatnonzero((layer < layer[target]) & (position <= position[target]) & (kind != LOGIT))
        count = 0
        if kind[target] in (FEATURE, LOGIT):
            count = min(len(near), 1 + int(rng.poisson(per_row * (8 if kind[target] == LOGIT else 1))))
            closeness = np.exp((position[near] - position[target]) / 2 + (layer[near] - layer[target]) / 6)
            sources.append(np.sort(rng.choice(near, count, replace=False, p=closeness / closeness.sum())))
        indptr.append(indptr[-1] + count)
    source = np.concatenate(sources)
    probability = np.full(n, np.nan)
    falling = np.exp(-1.2 * np.arange(logits))
    probability[kind == LOGIT] = 0.98 * falling / falling.sum()
    texts = [names[p] if k == EMBEDDING else f" out{i}" if k == LOGIT else "" for k, _, p, i in rows]
    return AttributionGraph.from_columns(
        prompt="".join(names),
        tokens=names,
        token_ids=np.arange(tokens),
        n_layers=layers,
        kind=kind,
        layer=layer,
        position=position,
        index=index,
        activation=np.where(kind == FEATURE, rng.gamma(2.0, 2.0, n), np.nan),
        probability=probability,
        node_token=texts,
        indptr=indptr,
        source=source,
        weight=rng.standard_t(3, len(source)) * 0.2 + 0.08,
        bias=np.zeros(n),
        preactivation=np.full(n, np.nan),
        provenance={"model": "random"},
        labels={f"L{active[0][0]}/{active[0][2]}": HOSTILE},
    )


def large_graph(features: int, edges: int, tokens: int = 100, layers: int = 26) -> AttributionGraph:
    """Features that read from anywhere in lower layers."""
    rng = np.random.default_rng(0)
    layer = np.concatenate([np.full(tokens, -1), np.sort(rng.integers(0, layers, features)), np.full(5, layers)])
    n = len(layer)
    kind = np.where(layer < 0, EMBEDDING, np.where(layer == layers, LOGIT, FEATURE))
    below = np.searchsorted(layer, layer)
    targets = np.sort(np.concatenate([rng.integers(tokens, n - 5, edges - 5_000), rng.integers(n - 5, n, 5_000)]))
    pairs = np.unique(targets * n + (rng.random(len(targets)) * below[targets]).astype(np.int64))
    targets, source = pairs // n, pairs % n
    position = np.where(kind == EMBEDDING, np.arange(n), rng.integers(0, tokens, n))
    position[kind == LOGIT] = tokens - 1
    position = position[np.lexsort((position, layer))]
    names = [f" tok{place}" for place in range(tokens)]
    return AttributionGraph.from_columns(
        prompt="".join(names),
        tokens=names,
        token_ids=np.arange(tokens),
        n_layers=layers,
        kind=kind,
        layer=layer,
        position=position,
        index=np.arange(n),
        activation=np.where(kind == FEATURE, rng.gamma(2.0, 2.0, n), np.nan),
        probability=np.where(kind == LOGIT, 0.19, np.nan),
        node_token=[f" w{row}" if kind[row] in (EMBEDDING, LOGIT) else "" for row in range(n)],
        indptr=np.concatenate([[0], np.cumsum(np.bincount(targets, minlength=n))]),
        source=source,
        weight=rng.standard_t(3, len(source)),
        bias=np.zeros(n),
        preactivation=np.full(n, np.nan),
        provenance={"model": "random"},
    )
