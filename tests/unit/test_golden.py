"""Equality with circuit-tracer on the graphs it computed (tests/data/golden)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import GOLDEN
from safetensors.numpy import load_file
from scipy.sparse import csr_array

from ct_widgets.replacement_model import ReplacementModel

NAMES = ("gpt2-clt", "llama-plt", "gemma2-clt")


@pytest.fixture(scope="module", params=NAMES)
def folder(request: pytest.FixtureRequest) -> Path:
    return GOLDEN / request.param


@pytest.fixture(scope="module")
def expected(folder: Path) -> dict[str, Any]:
    return load_file(folder / "expected.safetensors")


@pytest.fixture(scope="module")
def model(folder: Path) -> ReplacementModel:
    return ReplacementModel.from_pretrained(folder / "model", folder / "transcoder")


def golden_order(expected: dict[str, Any], n_layers: int) -> list[tuple[int, int, int, int]]:
    """(kind, layer, position, index) of circuit-tracer's nodes: features, errors, embeddings, logits."""
    tokens = expected["tokens"].tolist()
    P = len(tokens)
    features = expected["active_features"][expected["selected_features"]].tolist()
    return [
        *((1, layer, position, index) for layer, position, index in features),
        *((2, layer, position, -1) for layer in range(n_layers) for position in range(P)),
        *((0, -1, position, token) for position, token in enumerate(tokens)),
        *((3, n_layers, P - 1, token) for token in expected["logit_token_ids"].tolist()),
    ]


def test_every_edge_matches(model: ReplacementModel, expected: dict[str, Any]) -> None:
    graph = model.attribute(expected["tokens"].tolist())
    n = len(graph.kind)
    ours = csr_array((graph.weight, graph.source, graph.indptr), shape=(n, n)).toarray()
    columns = zip(graph.kind.tolist(), graph.layer.tolist(), graph.position.tolist(), graph.index.tolist(), strict=True)
    row = {node: i for i, node in enumerate(columns)}
    order = golden_order(expected, model.language_model.n_layers)
    # circuit-tracer keeps the error vectors of position 0 as nodes without edges; here they are no nodes.
    silent = np.array([kind == 2 and position == 0 for kind, _, position, _ in order])
    theirs = expected["adjacency"]
    assert not theirs[silent].any()
    assert not theirs[:, silent].any()
    assert {node for node, skip in zip(order, silent, strict=True) if not skip} == row.keys()
    place = np.array([row[node] for node, skip in zip(order, silent, strict=True) if not skip])
    theirs = theirs[~silent][:, ~silent]
    ours = ours[np.ix_(place, place)]
    # An edge is a difference of terms as large as the largest of its row, and rounding is relative to those.
    rounding = 4e-6 * np.abs(theirs).max(axis=1, keepdims=True)
    assert (np.abs(ours - theirs) <= 1e-4 * np.abs(theirs) + rounding).all()
    assert np.abs(ours - theirs).max() <= 2e-5
    assert np.linalg.norm(ours - theirs) <= 5e-6 * np.linalg.norm(theirs)


def test_activations_probabilities_and_logits_match(model: ReplacementModel, expected: dict[str, Any]) -> None:
    graph = model.attribute(expected["tokens"].tolist())
    ours = {
        (int(layer), int(position), int(index)): value
        for kind, layer, position, index, value in zip(
            graph.kind, graph.layer, graph.position, graph.index, graph.activation, strict=True
        )
        if kind == 1
    }
    theirs = dict(zip(map(tuple, expected["active_features"].tolist()), expected["activation_values"], strict=True))
    assert ours.keys() == theirs.keys()
    np.testing.assert_allclose([ours[node] for node in theirs], list(theirs.values()), rtol=1e-4, atol=1e-5)
    logits = graph.kind == 3
    assert graph.index[logits].tolist() == expected["logit_token_ids"].tolist()
    np.testing.assert_allclose(graph.probability[logits], expected["logit_probabilities"], rtol=1e-4)
    tokens = model.language_model.tokens(expected["tokens"].tolist())
    np.testing.assert_allclose(model.language_model.logits(tokens[None])[0], expected["logits"], atol=1e-4)
