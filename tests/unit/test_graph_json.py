"""The graph JSON that circuit-tracer and Neuronpedia share: valid, and without loss both ways."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from graph_samples import DATA, random_columns, random_graph

from ct_widgets.errors import FileFormatError
from ct_widgets.feature_name import FeatureName
from ct_widgets.graph import AttributionGraph, NodeId
from ct_widgets.graph.schema import NODE_COLUMNS

Json = dict[str, Any]


def written(graph: AttributionGraph, tmp_path: Path) -> Json:
    return json.loads(graph.save(tmp_path / "written.json").read_text())


def read(value: object, tmp_path: Path) -> AttributionGraph:
    path = tmp_path / "read.json"
    path.write_text(json.dumps(value))
    return AttributionGraph.load(path)


def key(node: Json) -> tuple[str, str]:
    return node["feature_type"], node["node_id"]


def links(value: Json) -> list[tuple[str, str, float]]:
    return sorted((link["source"], link["target"], link["weight"]) for link in value["links"])


def node(name: str, kind: str, layer: str, feature: int, position: int, **more: object) -> Json:
    record = {"node_id": name, "feature_type": kind, "layer": layer, "feature": feature, "ctx_idx": position}
    return record | {"jsNodeId": f"{name}-0", "clerp": "", "influence": 0.5, "activation": None} | more


def hosted() -> Json:
    """A graph as a hosted viewer writes it: attention features, a bias, custom ids, marks of a reader."""
    feature = "cross layer transcoder"
    return {
        "metadata": {"slug": "s", "scan": "tiny", "prompt_tokens": ["<bos>", "ab"], "prompt": "<bos>ab", "extra": [1]},
        "qParams": {
            "pinnedIds": ["1_4_1", "9_9_9"],
            "supernodes": [["ends", "E_7_1", "3_11_1"], ["gone", "9_9_9"]],
            "linkType": "input",
            "clickedId": "1_4_1",
            "sg_pos": "0 1",
            "clerps": [["0_3_1", "typed in the viewer"], ["9_9_9", "elsewhere"]],
        },
        "nodes": [
            node("E_5_0", "embedding", "E", 0, 0),
            node("E_7_1", "embedding", "E", 1, 1, clerp='Emb: "ab"'),
            node("0_3_1", feature, "0", FeatureName(0, 3).cantor, 1, activation=2.5),
            node("0_1_1", feature, "0", FeatureName(0, 1).cantor, 1, activation=1.5),
            node("0_1_1", "mlp reconstruction error", "1", -1, 1),
            node("lorsa_1_9_1", "lorsa", "1", 9, 1, activation=0.125, head=3),
            node("1_4_1", feature, "1", FeatureName(1, 4).cantor, 1, clerp="a label", activation=0.75),
            node("bias_0", "bias", "3", 0, 1),
            node("3_11_1", "logit", "3", 11, 1, clerp='Output "c\nd" (p=0.750)', token_prob=0.75, influence=None),
            node("3_12_1", "logit", "3", 12, 1, clerp="my direction", token_prob=0.25, influence=None),
        ],
        "links": [
            {"source": source, "target": target, "weight": weight}
            for source, target, weight in [
                ("E_5_0", "0_3_1", 0.5),
                ("E_7_1", "0_1_1", 0.25),
                ("bias_0", "0_3_1", -0.125),
                ("0_3_1", "lorsa_1_9_1", 1.5),
                ("lorsa_1_9_1", "1_4_1", -2.0),
                ("0_1_1", "3_11_1", 0.375),
                ("0_1_1", "3_11_1", 4.0),
                ("1_4_1", "3_11_1", 1.0),
                ("1_4_1", "3_12_1", -1.0),
            ]
        ],
    }


def test_hosted_graph_is_read_right(tmp_path: Path) -> None:
    graph = read(hosted(), tmp_path)
    assert (graph.n_layers, graph.prompt, graph.tokens, graph.token_ids.tolist()) == (
        2,
        "<bos>ab",
        ("<bos>", "ab"),
        [5, 7],
    )
    lorsa, feature = NodeId("other", 1, 1, 9), NodeId("feature", 1, 1, 4)
    assert {lorsa, feature, NodeId("error", 1, 1, -1), NodeId("feature", 0, 1, 1)} <= set(graph.node_ids)
    edges = {(graph.node(row.source), graph.node(row.target)): row.weight for row in graph.edges.itertuples()}
    assert edges[lorsa, feature] == -2
    first, second = NodeId("logit", 2, 1, 11), NodeId("logit", 2, 1, 12)
    assert edges[NodeId("feature", 0, 1, 1), first] == 0.375, "of two links from one id, the feature's comes first"
    assert edges[NodeId("error", 1, 1, -1), first] == 4
    assert graph.nodes.token[graph.row(first)] == "c\nd"
    assert graph.label(second) == "my direction"
    assert graph.label(first) == ""
    assert graph.label(("feature", 0, 1, 3)) == "typed in the viewer"
    assert graph.pinned == (feature,)
    assert graph.supernodes == (("ends", (NodeId("embedding", -1, 1, 7), first)), ("gone", ()))
    assert graph.probability[graph.row(first)] == 0.75
    np.testing.assert_array_equal(np.isnan(graph.cumulative_influence), graph.is_kind("logit"))


@pytest.mark.parametrize("through", ["json", "ctgraph"])
def test_hosted_graph_loses_nothing(tmp_path: Path, through: str) -> None:
    original = hosted()
    graph = read(original, tmp_path)
    if through == "ctgraph":
        graph = AttributionGraph.load(graph.save(tmp_path / "graph.ctgraph"))
    found = written(graph, tmp_path)
    assert found["metadata"] == original["metadata"]
    assert links(found) == links(original)
    theirs, ours = ({key(record): record for record in value["nodes"]} for value in (original, found))
    assert theirs.keys() == ours.keys()
    theirs["cross layer transcoder", "0_3_1"]["clerp"] = "typed in the viewer"
    for name, record in theirs.items():
        assert ours[name].items() >= record.items(), name
    assert found["qParams"] | {"supernodes": [], "clerps": []} == original["qParams"] | {"supernodes": [], "clerps": []}
    assert found["qParams"]["clerps"] == [["9_9_9", "elsewhere"]]
    assert ["ends", "E_7_1", "3_11_1"] in found["qParams"]["supernodes"]
    assert ["gone", "9_9_9"] in found["qParams"]["supernodes"]
    again = read(found, tmp_path)
    assert set(again.labels.items()) == set(graph.labels.items())
    np.testing.assert_array_equal(again.source, graph.source)
    np.testing.assert_array_equal(again.weight, graph.weight)


def test_marks_in_the_text_of_older_files_are_kept(tmp_path: Path) -> None:
    value = hosted()
    value["qParams"] |= {"pinnedIds": "1_4_1,0_3_1", "clerps": "[]"}
    found = written(read(value, tmp_path), tmp_path)["qParams"]
    assert (found["pinnedIds"], found["clerps"]) == ("1_4_1,0_3_1", "[]")


@pytest.mark.parametrize("prune", [False, True])
def test_our_graphs_are_valid_and_come_back(tmp_path: Path, prune: bool) -> None:
    graph = random_graph(5)
    some = graph.node(int(np.flatnonzero(graph.is_kind("feature"))[-1]))
    graph = graph.annotated(labels={some: "here"}, supernodes=[("one", [some])], pinned=[some, graph.node(0)])
    graph = graph.prune(0.9) if prune else graph
    value = written(graph, tmp_path)
    jsonschema.validate(value, json.loads((DATA / "graph-schema.json").read_text()))
    found = read(value, tmp_path)
    unknown = {"bias", "preactivation", "row_total"}  # the shared format has no place for them
    for name in {*NODE_COLUMNS, "indptr", "source", "weight", "token_ids"} - unknown:
        np.testing.assert_array_equal(getattr(found, name), getattr(graph, name), err_msg=name)
    for name in ("prompt", "tokens", "n_layers", "labels", "supernodes", "pinned"):
        assert getattr(found, name) == getattr(graph, name), name
    inner = ~graph.is_kind("logit")
    np.testing.assert_array_equal(found.cumulative_influence[inner], graph.cumulative_influence[inner])
    assert found.provenance["graph_json"]["nodes"] == {}, "all fields of our own files follow from the columns"


def test_links_from_colliding_ids_say_whose_they_are(tmp_path: Path) -> None:
    """Feature 2 of layer 0 and the error of layer 2 are both called 0_2_3; only the error has a link to the logit."""
    columns = random_columns(6, density=1.0)
    feature, error = 4 + 2 * 3, 4 + 3 * 12 - 1
    columns["index"][feature] = 2
    columns["index"][feature + 1] = 30
    graph = AttributionGraph.from_columns(**columns)
    assert graph.node(feature) == ("feature", 0, 3, 2)
    assert graph.node(error) == ("error", 2, 3, -1)
    value = written(graph, tmp_path)
    value["links"] = [
        link
        for link in value["links"]
        if not (link["source"] == "0_2_3" and link["target"] == "4_0_3" and "error" not in link["source_type"])
    ]
    found = read(value, tmp_path)
    sources = set(found.source[found.adjacency.row(graph.n_nodes - 3)].tolist())
    assert error in sources
    assert feature not in sources


@pytest.mark.parametrize("layer", [0, 1, 25])
@pytest.mark.parametrize("index", [0, 1, 517, 2_500_000])
def test_cantor_pairs_come_apart(layer: int, index: int) -> None:
    assert FeatureName.from_cantor(FeatureName(layer, index).cantor) == (layer, index)


def test_cantor_pair_of_a_real_graph() -> None:
    assert FeatureName(0, 12284).cantor == 75466754


def broken(**changes: object) -> Json:
    value = copy.deepcopy(hosted())
    for path, change in changes.items():
        *parents, last = path.split("__")
        part: Any = value
        for name in parents:
            part = part[int(name) if name.isdigit() else name]
        part[int(last) if last.isdigit() else last] = change
    return value


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "it lacks metadata, qParams, nodes, links"),
        ({"nodes": []}, "it lacks metadata, qParams, links"),
        (
            broken(links__0={"source": "0_99_1", "target": "1_4_1", "weight": 1}),
            "the source '0_99_1', which is not a node",
        ),
        (broken(links__0={"source": "1_4_1", "target": "0_3_1", "weight": 1}), "cycle"),
        (broken(nodes__2={"node_id": "0_3_1"}), "wrong form"),
        (broken(nodes__2__layer="x"), "damaged"),
        (broken(nodes__2__ctx_idx=7), "positions must lie"),
    ],
)
def test_a_broken_file_is_refused(tmp_path: Path, value: object, message: str) -> None:
    with pytest.raises(FileFormatError, match=message):
        read(value, tmp_path)


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    path = random_graph().save(tmp_path / "graph.json")
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(FileFormatError, match=r"graph\.json: not JSON, or truncated"):
        AttributionGraph.load(path)
