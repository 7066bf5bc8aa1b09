"""Three real graphs of Gemma-2-2B go through our file and back to JSON without loss, with whatever a reader marked."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from graph_samples import DATA

from ct_widgets.graph import AttributionGraph
from ct_widgets.graph.influence import one_step

Json = dict[str, Any]
GRAPHS = sorted((DATA / "graphs").glob("*.json.gz"))
SCHEMA = json.loads((DATA / "graph-schema.json").read_text())


@pytest.fixture(params=GRAPHS, ids=lambda path: path.name.split(".")[0])
def original(request: pytest.FixtureRequest) -> Json:
    return json.loads(gzip.decompress(request.param.read_bytes()))


def there_and_back(value: Json, folder: Path) -> tuple[AttributionGraph, Json]:
    """The graph in `value`, and the JSON that comes of it by way of a `.ctgraph` file."""
    (folder / "original.json").write_text(json.dumps(value))
    graph = AttributionGraph.load(folder / "original.json")
    again = AttributionGraph.load(graph.save(folder / "graph.ctgraph"))
    written = json.loads(again.save(folder / "written.json").read_text())
    jsonschema.validate(written, SCHEMA)
    return again, written


def by_key(value: Json) -> dict[tuple[str, str], Json]:
    """Nodes by type and id: ids of errors alone are not unique."""
    return {(node["feature_type"], node["node_id"]): node for node in value["nodes"]}


def links(value: Json) -> list[tuple[str, str, float]]:
    return sorted((link["source"], link["target"], link["weight"]) for link in value["links"])


def marked(original: Json) -> Json:
    """`original` as a reader leaves it: pins, groups, labels, and settings of the view."""
    features = [node for node in original["nodes"] if node["feature_type"] == "cross layer transcoder"]
    errors = [node for node in original["nodes"] if node["feature_type"] == "mlp reconstruction error"]
    logit = next(node for node in original["nodes"] if node["feature_type"] == "logit")
    ids = [node["node_id"] for node in (*features[:6], logit, errors[-1])]
    features[0]["clerp"] = "from the store"
    return original | {
        "qParams": {
            "pinnedIds": ids,
            "supernodes": [["say “Austin”", *ids[1:4]], ["output", logit["node_id"]]],
            "clerps": [[ids[4], "typed <b>in</b> the viewer"], [ids[6], "the answer"]],
            "linkType": "output",
            "clickedId": ids[0],
            "sg_pos": "1 2 3 4",
            "pruningThreshold": 0.6,
        }
    }


def test_the_files_are_valid_and_distinct(original: Json) -> None:
    jsonschema.validate(original, SCHEMA)
    assert len(by_key(original)) == len(original["nodes"])
    assert len(GRAPHS) == 3


def test_nothing_is_lost(original: Json, tmp_path: Path) -> None:
    _, written = there_and_back(original, tmp_path)
    assert by_key(written) == by_key(original)
    assert links(written) == links(original)
    assert written.keys() == original.keys()
    assert written["metadata"] == original["metadata"]
    assert written["qParams"] == original["qParams"]


def test_nor_is_what_a_reader_marked(original: Json, tmp_path: Path) -> None:
    value = marked(original)
    graph, written = there_and_back(value, tmp_path)
    theirs, ours = by_key(value), by_key(written)
    typed = dict(value["qParams"].pop("clerps"))
    for key, node in theirs.items():
        assert ours[key] == node | ({"clerp": typed[key[1]]} if key[1] in typed else {})
    assert written["qParams"] == value["qParams"], "labels that were typed stand beside the nodes"
    assert [str(graph.label(node)) for node in graph.pinned[4:7]] == ["typed <b>in</b> the viewer", "", "the answer"]
    assert [group.name for group in graph.supernodes] == ["say “Austin”", "output"]
    assert [len(group.members) for group in graph.supernodes] == [3, 1]


def test_it_is_understood(original: Json, tmp_path: Path) -> None:
    """Counts by kind, the prompt, and influence by a second way: powers of the normalised adjacency, summed."""
    graph, _ = there_and_back(original, tmp_path)
    types = [node["feature_type"] for node in original["nodes"]]
    for kind, name in (
        ("feature", "cross layer transcoder"),
        ("error", "mlp reconstruction error"),
        ("logit", "logit"),
    ):
        assert int(graph.is_kind(kind).sum()) == types.count(name)
    assert (graph.n_layers, graph.n_edges, graph.prompt) == (26, len(original["links"]), original["metadata"]["prompt"])
    assert list(graph.tokens) == original["metadata"]["prompt_tokens"]
    assert graph.provenance["transcoder"] == "mntss/clt-gemma-2-2b-2.5M"
    reached, total = graph.output_weight, np.zeros(graph.n_nodes)
    while (reached := one_step(graph.adjacency, graph.row_total, reached)).any():
        total += reached
    np.testing.assert_allclose(graph.influence, total, rtol=1e-5)
    features = graph.nodes.query("kind == 'feature'")
    assert features.activation.gt(0).all()
