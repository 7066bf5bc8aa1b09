"""The exported page and the still picture: text that stays text, and nothing from the network."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from ct_widgets.columns import decode
from ct_widgets.graph import AttributionGraph
from ct_widgets.widgets.page import graph_html
from ct_widgets.widgets.payload import wire
from ct_widgets.widgets.pictures.graph import graph_picture
from tests.support.graphs import HOSTILE, layered_graph

EVIL = '</script><script>alert(1)</script><!-- \u202e \u0000 \ud83d ]]> "&'


def with_text(text: str) -> AttributionGraph:
    """A graph whose every text is `text`."""
    graph = layered_graph(features=40, edges=200)
    names = ("token_ids", "n_layers", "kind", "layer", "position", "index", "activation", "probability", "indptr")
    more = ("source", "weight", "bias", "preactivation", "provenance")
    feature = next(node for node in graph.node_ids if node.kind == "feature")
    return AttributionGraph.from_columns(
        **{name: getattr(graph, name) for name in (*names, *more)},
        prompt=text,
        tokens=[text] * len(graph.tokens),
        node_token=[text if token else "" for token in graph.node_token],
        labels={feature: text},
    )


class Elements(HTMLParser):
    """Elements of a page in order, and the content of its scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.scripts: list[str] = []
        self.policy = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        values = dict(attrs)
        assert "src" not in values
        assert "href" not in values
        if values.get("http-equiv") == "Content-Security-Policy":
            self.policy = values["content"] or ""

    def handle_data(self, data: str) -> None:
        if self.names and self.names[-1] == "script" and data.strip():
            self.scripts.append(data)


def test_the_page_holds_the_graph_and_one_script() -> None:
    graph = with_text(EVIL)
    page = Elements()
    page.feed(graph_html(graph).encode().decode())
    assert page.names.count("script") == 2
    state, script = page.scripts
    data = json.loads(state)
    arrays, facts = decode(base64.b64decode(data["buffers"]["_columns"]))
    assert facts["prompt"] == EVIL
    np.testing.assert_array_equal(arrays["kind"], graph.kind)
    assert EVIL in data["state"]["labels"].values()
    assert base64.b64encode(wire(graph)).decode() == data["buffers"]["_columns"]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert page.policy == f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:"


def test_a_view_exports_its_state(tmp_path: Path) -> None:
    view = layered_graph(features=40, edges=200).show()
    view.selected = 9
    view.labels = {view.selected: "chosen"}
    view.edge_threshold = 0.5
    text = view.to_html(tmp_path / "view.html").read_text()
    found = re.search(r'<script type="application/json" id="ctw-state">(.*?)</script>', text)
    assert found
    state = json.loads(found[1])["state"]
    assert state["selected"] == list(view.selected)
    assert state["edge_threshold"] == 0.5
    assert list(state["labels"].values()) == ["chosen"]


@pytest.mark.parametrize("text", [EVIL, HOSTILE, "", "x" * 10_000, "  \n "])
def test_the_picture_is_well_formed_whatever_the_text(text: str) -> None:
    picture = graph_picture(with_text(text)).svg()
    root = ElementTree.fromstring(picture)
    names = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert names <= {"svg", "title", "rect", "text", "tspan", "path", "circle"}
    assert len(picture) < 300_000


def test_the_picture_shows_what_the_view_shows_first() -> None:
    graph = layered_graph()
    root = ElementTree.fromstring(graph_picture(graph).svg())
    pruned = graph.prune()
    circles = [element for element in root.iter() if element.tag.endswith("circle")]
    assert len(circles) == int(pruned.is_kind("feature").sum())
    text = " ".join("".join(element.itertext()) for element in root.iter() if element.tag.endswith("text"))
    assert f"{pruned.n_nodes:,} of {graph.n_nodes:,} nodes" in text
    assert "out500 .70" in text


def test_the_picture_of_a_large_graph_stays_small() -> None:
    graph = layered_graph(features=3_000, edges=60_000, tokens=40, layers=26, logits=10)
    assert len(graph_picture(graph).svg()) < 400_000
    whole = graph.prune(1.0, 1.0)
    assert len(graph_picture(whole).svg()) < 400_000
