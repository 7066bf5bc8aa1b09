"""Labels from a mapping, a file, or an object that holds some; kept with the graph."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from graph_samples import random_graph

from ct_widgets.errors import FileFormatError, GraphError
from ct_widgets.graph import AttributionGraph, NodeId

GRAPH = random_graph()
ONE, OTHER = (node for node in GRAPH.node_ids if node.kind == "feature" and node.layer == 2 and node.position == 1)
NAME, OTHER_NAME = (f"L{node.layer}/{node.index}" for node in (ONE, OTHER))
TEXT = 'sum = _5, “a "quoted" word”\nand <b>more</b>'


def test_a_mapping_adds_to_what_is_there() -> None:
    graph = GRAPH.with_labels({NAME: "first", OTHER_NAME: "stays"}).with_labels({NAME: "second", ONE: "here"})
    assert graph.labels == {NAME: "second", OTHER_NAME: "stays", ONE: "here"}
    assert (graph.label(ONE), graph.label(OTHER)) == ("here", "stays")
    assert GRAPH.labels == {}


@pytest.mark.parametrize("suffix", ["ctgraph", "json"])
def test_labels_are_saved_with_the_graph(tmp_path: Path, suffix: str) -> None:
    labelled = GRAPH.with_labels({NAME: TEXT})
    again = AttributionGraph.load(labelled.save(tmp_path / f"graph.{suffix}"))
    assert [again.label(row) for row in range(again.n_nodes)] == [labelled.label(row) for row in range(GRAPH.n_nodes)]
    assert again.label(ONE) == TEXT


def csv_of(**labels: str) -> str:
    quoted = ("\n".join(f'{name},"{text.replace(chr(34), chr(34) * 2)}",x' for name, text in labels.items())) + "\n"
    return "feature,label,note\n" + quoted


@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_a_csv_file(tmp_path: Path, start: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(start + csv_of(**{NAME: TEXT, "L0/999": "elsewhere"}), encoding="utf-8", newline="")
    assert GRAPH.with_labels(path).labels == {NAME: TEXT}


def test_a_json_file(tmp_path: Path) -> None:
    path = tmp_path / "labels.json"
    path.write_text(f'{{"{NAME}": "sum = _5", "L0/999": "elsewhere"}}')
    assert GRAPH.with_labels(str(path)).labels == {NAME: "sum = _5"}


def test_a_store_and_another_graph() -> None:
    store = SimpleNamespace(labels={NAME: "from the store", "L0/999": "of no interest"})
    graph = GRAPH.with_labels(store)
    assert graph.labels == {NAME: "from the store"}
    assert GRAPH.with_labels(graph.annotated(labels={NAME: "a", NodeId("error", 0, 0, -1): "b"})).labels == {
        NAME: "a",
        NodeId("error", 0, 0, -1): "b",
    }
    for nothing in ({}, {"L0/999": "of no interest"}):
        assert GRAPH.with_labels(SimpleNamespace(labels=nothing)).labels == {}


def test_a_graph_takes_the_labels_of_its_models_features_along() -> None:
    features = SimpleNamespace(labels={NAME: "known", "L0/999": "of no interest"})
    graph = GRAPH.with_labels({OTHER_NAME: "own"}).with_features(features)
    assert graph.features is features
    assert graph.labels == {NAME: "known", OTHER_NAME: "own"}
    assert GRAPH.with_features(object()).labels == {}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            {"L0/999": "a", "L9/1": "b"},
            "none of the 2 labels is for a feature or node of this graph, e.g. L0/999",
        ),
        ({"517": "a"}, "a label cannot be for '517'"),
        (517, "517 has no labels: expected a mapping"),
        (SimpleNamespace(labels=["a"]), "has no labels"),
    ],
)
def test_what_cannot_be_a_label_is_refused(source: Any, message: str) -> None:
    with pytest.raises(GraphError, match=message):
        GRAPH.with_labels(source)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("labels.txt", "", r"ends in \.json or \.csv"),
        ("labels.json", "{", "Expecting"),
        ("labels.json", '["L2/1"]', "expected one object of text by feature"),
        ("labels.json", '{"L2/1": 3}', "expected one object of text by feature"),
        ("labels.json", '{"2_1": "a"}', "a label cannot be for '2_1'"),
        ("labels.csv", "", "it lacks feature, label"),
        ("labels.csv", "name,label\nL2/1,a\n", "it lacks feature"),
        ("labels.csv", 'feature,label\nL2/1,"a\n', "unexpected end of data"),
        ("labels.csv", "feature,label\n\xff", "cannot be for"),
        ("labels.csv", "feature,label\nL2/1," + "a" * 200_000, "field larger than field limit"),
    ],
)
def test_a_bad_file_is_named(tmp_path: Path, name: str, content: str, message: str) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(FileFormatError, match=message) as caught:
        GRAPH.with_labels(path)
    assert str(path) in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        GRAPH.with_labels(tmp_path / "labels.csv")
