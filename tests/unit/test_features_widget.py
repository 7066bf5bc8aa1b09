"""The Python side of ExamplesWidget: requests, labels, what is missing."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import features_samples as samples
import pytest
from features_samples import gather
from graph_samples import random_graph

from ct_widgets import ExamplesWidget, GraphWidget
from ct_widgets.errors import WidgetError
from ct_widgets.features import Features, FeatureStore
from ct_widgets.replacement_model import ReplacementModel
from ct_widgets.widgets.pictures.examples import examples_picture


@pytest.fixture
def model(tmp_path: Path) -> ReplacementModel:
    plain = samples.model("clt")
    store = gather(tmp_path / "store", "clt")
    return ReplacementModel(plain.language_model.bridge, plain.transcoder, store.path)


def shown(view: ExamplesWidget) -> dict[str, Any]:
    return json.loads(json.dumps(view.get_state("_card")["_card"], allow_nan=False))


def test_the_card_follows_the_feature(model: ReplacementModel) -> None:
    view = ExamplesWidget(model.features, "L1/3")
    assert shown(view)["feature"] == "L1/3"
    assert shown(view)["sections"]
    view.feature = "L2/0"
    assert shown(view)["feature"] == "L2/0"
    view.activation = 0.25
    assert shown(view)["activation"] == 0.25
    assert repr(view) == "<ExamplesWidget of L2/0>"


def test_one_message_of_the_browser_gives_one_answer(model: ReplacementModel, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    card = Features.card
    monkeypatch.setattr(Features, "card", lambda self, name: (asked.append(name), card(self, name))[1])
    view = ExamplesWidget(model.features, "L1/3")
    view.set_state({"position": 2, "feature": "L0/5"})
    assert asked == ["L1/3", "L0/5"]
    assert (shown(view)["feature"], shown(view)["position"]) == ("L0/5", 2)


def test_the_activation_is_that_of_the_graph(model: ReplacementModel) -> None:
    graph = model.attribute([3, 1, 4, 1, 5])
    node = next(node for node in graph.node_ids if node.kind == "feature")
    view = ExamplesWidget(model.features, graph=graph, compact=True)
    view.set_state({"feature": f"L{node.layer}/{node.index}", "position": node.position})
    assert shown(view)["activation"] == float(graph.activation[graph.row(node)])
    view.position = 0
    assert shown(view)["activation"] is None


def test_labels_go_into_the_store(model: ReplacementModel) -> None:
    view = ExamplesWidget(model.features, "L1/3")
    view.label = "a label"
    assert shown(view)["label"]["text"] == "a label"
    store = model.features.store
    assert store is not None
    assert FeatureStore(store.path).labels["L1/3"] == "a label"
    view.feature = "L1/4"
    assert view.label is None
    assert shown(view)["label"] is None
    assert "L1/4" not in store.labels
    view.set_state({"label": "another"})
    assert dict(store.labels) == {"L1/3": "a label", "L1/4": "another"}
    view.label = ""
    assert dict(store.labels) == {"L1/3": "a label"}


def test_what_is_missing_is_said(model: ReplacementModel) -> None:
    bare = ReplacementModel(model.language_model.bridge, model.transcoder)
    view = ExamplesWidget(bare.features, "L1/3")
    assert "collect_features" in shown(view)["missing"]
    assert shown(view)["promotes"]
    view.label = "x"
    assert "labels are kept in a FeatureStore" in shown(view)["missing"]
    alone = ExamplesWidget(None, "L1/3")
    assert "model.features" in shown(alone)["missing"]
    with pytest.raises(WidgetError, match="L1/99 does not exist"):
        ExamplesWidget(model.features, "L1/99")
    view.feature = "nonsense"
    assert "is not the name of a feature" in shown(view)["missing"]


def test_features_show_themselves(model: ReplacementModel) -> None:
    feature = model.features[1, 3]
    data, _ = feature._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    assert ElementTree.fromstring(data["image/svg+xml"]).tag.endswith("svg")
    assert re.match(r"<Feature L1/3", repr(feature))
    assert feature.show(compact=True).compact


def test_still_pictures_are_xml_whatever_the_tokens() -> None:
    hostile = '<img src=x onerror="window.hacked=1">\x00\n'
    card = {
        "feature": "L0/1",
        "label": {"text": hostile},
        "promotes": [[hostile, 1.0]],
        "maximum": 2.0,
        "density": 0.1,
        "histogram": {"counts": [0, 3]},
        "sections": [{"examples": [{"pieces": [["a", [0.0]], [hostile, [1.0, 2.0]]], "peak": 1}]}],
    }
    root = ElementTree.fromstring(examples_picture(card).svg())
    shown = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert any(text.startswith("<img src=x") and text.endswith("·⏎") for text in shown if text)
    assert not list(root.iter("{http://www.w3.org/2000/svg}img"))
    assert "Never" not in examples_picture({"feature": "L0/1", "missing": "nothing there"}).svg()
    assert "nothing there" in examples_picture({"feature": "L0/1", "missing": "nothing there"}).svg()


def test_graphs_of_a_model_bring_their_cards(model: ReplacementModel) -> None:
    graph = model.attribute([3, 1, 4, 1, 5])
    assert graph.features is model.features
    assert graph.prune(0.7).features is model.features
    node = next(node for node in graph.node_ids if node.kind == "feature")
    model.features[node.layer, node.index].label = "known"
    assert model.attribute([3, 1, 4, 1, 5]).label(node) == "known"
    view = GraphWidget(graph, theme="dark")
    (card,) = view.panels
    card.feature = "L1/3"
    assert shown(card)["sections"]
    assert (card.compact, card.theme) == (True, "dark")
    view.theme = "light"
    assert card.theme == "light"
    assert GraphWidget(graph, panels=[]).panels == ()


def test_graphs_without_a_model_say_so() -> None:
    (card,) = GraphWidget(random_graph()).panels
    card.feature = "L1/3"
    assert "came without its model" in shown(card)["missing"]
