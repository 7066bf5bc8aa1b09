"""PerturbationWidget's Python side: traits, results, exported answers, and errors that are shown."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import torch

from ct_widgets import AttributionGraph, PerturbationWidget
from ct_widgets.errors import GraphError, InterventionError, WidgetError
from ct_widgets.replacement_model import ReplacementModel

TOKENS = [3, 17, 5, 41, 5, 29, 58]
HOSTILE = '</script><img src=x onerror="window.hacked=1">'


@pytest.fixture(scope="module")
def graph(tiny_model: ReplacementModel) -> AttributionGraph:
    return tiny_model.attribute(TOKENS)


def groups(graph: AttributionGraph) -> list[tuple[str, list[Any]]]:
    found = [node for node in graph.node_ids if node.kind == "feature" and node.position > 2]
    return [
        ("low", [node for node in found if node.layer == 0][:2]),
        (HOSTILE, [node for node in found if node.layer == 1][:2]),
    ]


@pytest.fixture
def view(tiny_model: ReplacementModel, graph: AttributionGraph) -> PerturbationWidget:
    return PerturbationWidget(tiny_model, graph, groups(graph))


def test_strengths_are_answered_when_they_are_set(view: PerturbationWidget) -> None:
    seen: list[Any] = []
    view.observe(lambda change: seen.append(change["new"]), "result")
    view.strengths = {"low": -1}
    assert len(seen) == 1
    assert view.result is seen[0]
    assert view.result.strengths == {"low": -1.0}
    assert view.result.activity["low"] == -1.0
    expected = view.session.run({"low": -1.0})
    assert torch.equal(view.result.logits, expected.logits)
    answer = view._answer
    json.dumps(answer, allow_nan=False)
    assert answer["layers"] == [0, 0]
    after = {row[0]: row[3] for row in answer["outputs"]}
    top = int(expected.logits.argmax())
    assert after[top] == pytest.approx(float(expected.logits.softmax(-1)[top]))
    assert answer["activity"][HOSTILE] == pytest.approx(expected.activity[HOSTILE])


def test_the_curve_begins_with_a_slider_that_is_moved(tiny_model: ReplacementModel, graph: AttributionGraph) -> None:
    assert PerturbationWidget(tiny_model, graph, groups(graph)).active == "low"
    moved = PerturbationWidget(tiny_model, graph, groups(graph), strengths={HOSTILE: 0.0})
    assert (moved.active, moved._sweep["name"]) == (HOSTILE, HOSTILE)
    with pytest.raises(WidgetError, match="strengths: expected a mapping"):
        PerturbationWidget(tiny_model, graph, groups(graph), strengths="low")


def test_the_curve_goes_with_the_slider_that_was_moved(view: PerturbationWidget) -> None:
    assert view.active == "low"
    view.strengths = {HOSTILE: 0.5}
    assert view.active == HOSTILE
    curve = view._sweep
    assert curve["name"] == HOSTILE
    at = curve["values"].index(0.5)
    for token, line in zip(curve["ids"], curve["logits"], strict=True):
        centred = view.result.logits[token] - view.result.logits.mean()
        assert line[at] == pytest.approx(float(centred), abs=1e-5)
    view.strengths = {HOSTILE: 0.5, "low": -1.0}
    assert view.active == "low"
    assert view._sweep["logits"] != curve["logits"]


@pytest.mark.parametrize("settings", [{"method": "iterative"}, {"method": "open"}, {"last_layer": 2}])
def test_settings_change_the_answer(view: PerturbationWidget, settings: dict[str, Any]) -> None:
    view.strengths = {"low": -1}
    before, curve = view.result, view._sweep
    for name, value in settings.items():
        setattr(view, name, value)
    assert not torch.equal(view.result.logits, before.logits)
    assert view._sweep["logits"] != curve["logits"]
    assert view.result.plan == view.session.plan(view.settings, view.strengths)


def test_without_supernodes_the_strongest_features_can_be_moved(
    tiny_model: ReplacementModel, graph: AttributionGraph
) -> None:
    view = PerturbationWidget(tiny_model, graph)
    nodes = graph.nodes.query("kind == 'feature'").nlargest(8, "influence").index
    assert {node for nodes in view.adjustable.values() for node in nodes} == {graph.node_ids[row] for row in nodes}
    kinds = {node.kind for box in view.boxes for node in box.nodes}
    assert kinds == {"feature", "logit", "embedding"}
    assert len({box.name for box in view.boxes}) == len(view.boxes)
    annotated = graph.annotated(supernodes=[("mine", [graph.node_ids[i] for i in nodes[:2]])], labels={})
    assert list(PerturbationWidget(tiny_model, annotated).adjustable) == ["mine"]


def test_named_settings_are_tabulated(view: PerturbationWidget, tiny_model: ReplacementModel) -> None:
    table = view.tabulate({"as it is": {}, "low inhibited": {"low": -1}})
    assert list(table.index) == ["as it is", "low inhibited"]
    assert table.loc["low inhibited", "low"] == -1
    np.testing.assert_allclose(table.loc["as it is"], 1.0, rtol=1e-6)


@pytest.mark.parametrize(
    ("trait", "value", "message"),
    [
        ("strengths", {"other": 1}, "no box 'other' with features"),
        ("strengths", {"low": float("nan")}, "is not finite"),
        ("strengths", {"low": "much"}, "is not a number"),
        ("strengths", 3, "expected a mapping"),
        ("active", "other", "no box 'other'"),
        ("last_layer", 9, "a layer from 0 to 2"),
        ("method", "hard", "not one of"),
    ],
)
def test_traits_are_checked(view: PerturbationWidget, trait: str, value: Any, message: str) -> None:
    with pytest.raises(WidgetError, match=message):
        setattr(view, trait, value)


def test_what_cannot_be_shown_is_said(tiny_model: ReplacementModel, graph: AttributionGraph) -> None:
    both = [*groups(graph), ("again", groups(graph)[0][1])]
    with pytest.raises(InterventionError, match="is in 'low' and in 'again'"):
        PerturbationWidget(tiny_model, graph, both)
    with pytest.raises(WidgetError, match="no setting 'strenghts'"):
        PerturbationWidget(tiny_model, graph, strenghts={})
    with pytest.raises(GraphError, match="has no node"):
        PerturbationWidget(tiny_model, graph, [("x", [("feature", 0, 1, 9999)])])


def test_errors_of_the_model_are_shown_and_passed(view: PerturbationWidget, monkeypatch: pytest.MonkeyPatch) -> None:
    before = view.result
    with monkeypatch.context() as patched:
        patched.setattr(type(view.session.base.live.blocks[0]), "attention", lambda *a, **k: 1 / 0)
        view.strengths = {"low": -1}
        assert view.error == "ZeroDivisionError: division by zero"
        assert view.result is before
    view.strengths = {"low": -0.5}
    assert view.error == ""
    assert view.result.strengths == {"low": -0.5}


def test_an_exported_page_holds_what_was_computed(view: PerturbationWidget, tmp_path: Path) -> None:
    page = view.to_html(tmp_path / "page.html", strengths=[-1, 0, 2], pairs=[("low", HOSTILE)]).read_text()
    state = json.loads(re.search(r'id="ctw-state">(.*?)</script>', page, re.DOTALL)[1])["state"]
    grid = state["_grid"]
    assert grid["values"] == [-1, 0, 1, 2]
    assert list(grid["single"]) == ["low", HOSTILE]
    for value, answer in zip(grid["values"], grid["single"]["low"], strict=True):
        expected = view.session.run({"low": value}).answer()
        assert answer["strengths"] == {"low": value}
        np.testing.assert_allclose(
            [row[3] for row in answer["outputs"]], [row[3] for row in expected["outputs"]], atol=1e-6
        )
    ((a, b, answers),) = grid["pairs"]
    assert (a, b) == ("low", HOSTILE)
    assert answers[0][3]["strengths"] == {"low": -1, HOSTILE: 2}
    assert "<img" not in page
    with pytest.raises(WidgetError, match="no box 'x'"):
        view.to_html(tmp_path / "page.html", pairs=[("low", "x")])


def test_the_still_picture_is_xml_without_markup_from_names(view: PerturbationWidget) -> None:
    view.strengths = {HOSTILE: -1}
    data, _ = view._repr_mimebundle_()
    root = ElementTree.fromstring(data["image/svg+xml"])
    assert not root.findall(".//{*}img")
    words = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "\u2212100 %" in words
    assert any(word.startswith("logit against strength of </script><img") for word in words)  # that which was moved
    assert set(view._sweep["tokens"]) <= set(words)
    assert repr(view).startswith("<PerturbationWidget of")
