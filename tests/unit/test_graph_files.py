"""`.ctgraph` files: nothing is lost, nothing is half written, and bad files are refused by a clear line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from graph_samples import random_graph

from ct_widgets import columns
from ct_widgets.errors import FileFormatError
from ct_widgets.graph import AttributionGraph, ctgraph
from ct_widgets.graph.schema import NODE_COLUMNS


def marked_graph() -> AttributionGraph:
    graph = random_graph(4)
    node = graph.node(5)
    return graph.annotated(
        labels={node: 'a "label" — ✓', f"L{node.layer}/{node.index}": "feature"},
        supernodes=[("group", [node, graph.node(0)])],
        pinned=[node],
    )


@pytest.mark.parametrize("prune", [False, True])
def test_a_saved_graph_comes_back_whole(tmp_path: Path, prune: bool) -> None:
    graph = marked_graph().prune() if prune else marked_graph()
    found = AttributionGraph.load(graph.save(tmp_path / "graph.ctgraph"))
    for name in (*NODE_COLUMNS, "indptr", "source", "weight", "token_ids", "influence", "cumulative_influence"):
        np.testing.assert_array_equal(getattr(found, name), getattr(graph, name), err_msg=name)
    for name in ("prompt", "tokens", "n_layers", "labels", "supernodes", "pinned", "provenance"):
        assert getattr(found, name) == getattr(graph, name), name
    assert found.scores() == graph.scores()


def test_opening_a_graph_is_light(tmp_path: Path) -> None:
    path = marked_graph().save(tmp_path / "graph.ctgraph")
    code = (
        "import sys; from ct_widgets.graph import AttributionGraph as G; G.load(sys.argv[1]);"
        "print(sorted({'torch', 'transformer_lens', 'pandas', 'scipy', 'ipywidgets'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


@pytest.mark.parametrize("length", [0, 5, 100, -1, -1000])
def test_a_truncated_file_is_refused(tmp_path: Path, length: int) -> None:
    path = marked_graph().save(tmp_path / "graph.ctgraph")
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(FileFormatError, match=r"graph\.ctgraph: .*truncated"):
        AttributionGraph.load(path)


def change(path: Path, **facts: object) -> None:
    arrays, metadata = columns.decode(path.read_bytes())
    path.write_bytes(columns.encode(arrays, {**metadata, **facts}))


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"format": "weights"}, "not a graph"),
        ({"version": ctgraph.VERSION + 1}, "version 2 .* upgrade"),
        ({"version": None}, "version None"),
        ({"labels": 3}, "damaged"),
        ({"tokens": 3}, "damaged"),
        ({"tokens": ["a"]}, "token ids of shape"),
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, facts: dict[str, object], message: str) -> None:
    path = marked_graph().save(tmp_path / "graph.ctgraph")
    change(path, **facts)
    with pytest.raises(FileFormatError, match=message):
        AttributionGraph.load(path)


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    path = marked_graph().save(tmp_path / "graph.ctgraph")
    arrays, metadata = columns.decode(path.read_bytes())
    del arrays["bias"], metadata["prompt"]
    path.write_bytes(columns.encode(arrays, metadata))
    with pytest.raises(FileFormatError, match="it lacks bias, prompt"):
        AttributionGraph.load(path)


def test_other_suffixes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match=r"ends in \.ctgraph or \.json"):
        marked_graph().save(tmp_path / "graph.pt")
    with pytest.raises(FileFormatError, match=r"ends in \.ctgraph or \.json or \.pt"):
        AttributionGraph.load(tmp_path / "graph.txt")
    with pytest.raises(FileNotFoundError):
        AttributionGraph.load(tmp_path / "nowhere.ctgraph")


def test_a_failed_save_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = marked_graph().save(tmp_path / "graph.ctgraph")
    before = path.read_bytes()

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        random_graph(9).save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
