"""ExamplesWidget in a real JupyterLab: the card by itself, and in the side panel of a graph."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import ViewportSize, expect

from ct_widgets import ReplacementModel, load_demo
from ct_widgets.demo.artifact_files import ARTIFACTS
from ct_widgets.features import Features
from tests.e2e.card_clock import walk_cards
from tests.e2e.conftest import OpenNotebook
from tests.e2e.servers import Lab
from tests.e2e.view import View, settled
from tests.support.graphs import HOSTILE

MODEL = """
import ct_widgets as ct
demo = ct.load_demo()
model = ct.ReplacementModel(demo.language_model.bridge, demo.transcoder, "features")
"""
CARD = MODEL + 'view = model.features["{name}"].show(theme="{theme}", activation={activation})\nview'
GRAPH = MODEL + 'graph = model.attribute("{prompt}")\nview = ct.GraphWidget(graph, theme="{theme}")\nview'
WIDE: ViewportSize = {"width": 1600, "height": 1000}


@pytest.fixture(scope="module")
def features(lab: Lab) -> Features:
    """The demo's features, with a copy of their store beside the notebooks, which takes labels."""
    copy = shutil.copytree(ARTIFACTS / "features", lab.folder / "features")
    demo = load_demo()
    return ReplacementModel(demo.language_model.bridge, demo.transcoder, copy).features


SUBJECTS = {
    "addition": ("=",),
    "sport": ("basketball", "football", "tennis", "golf"),
    "capital": ("Austin", "Sacramento", "Tallahassee", "Albany", "Boston"),
    "french": ("est", "contraire", "Le"),
    "number": ("95", "85", "75", "65"),
}


@pytest.fixture(scope="module")
def names(features: Features) -> dict[str, str]:
    """By subject, the feature whose top examples are at tokens of it most."""
    scores: dict[str, dict[str, float]] = {subject: {} for subject in SUBJECTS}
    for layer, n in enumerate(features.n_features):
        for index in range(n):
            record = features[layer, index].record
            assert record is not None
            if len(record.top) == 8:
                peaks = [e.tokens[[e.peak, min(e.peak + 1, len(e.tokens) - 1)]] for e in record.top]
                near = [features.vocabulary.text(int(token)) for peak in peaks for token in peak]
                for subject, tokens in SUBJECTS.items():
                    hits = sum(token in tokens for token in near) / 8
                    scores[subject][f"L{layer}/{index}"] = hits + record.maximum / 1000
    return {subject: max(found, key=lambda name: found[name]) for subject, found in scores.items()}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_cards_follow_the_feature_and_cut_nothing_off(
    open_notebook: OpenNotebook, features: Features, names: dict[str, str], pictures: Path, theme: str
) -> None:
    first = CARD.format(name=names["addition"], theme=theme, activation=2.0)
    notebook = open_notebook(f"card-{theme}.ipynb", [first], theme=theme)
    notebook.run_all()
    card = notebook.page.locator(".ctw-card")
    for subject, name in names.items():
        print(subject, name, features[name])
        notebook.python(f"view.feature = '{name}'")
        expect(card).to_have_attribute("data-feature", name)
        expect(card.locator("h3")).to_have_text(name)
        assert card.locator(".ctw-example").count() >= 8
        card.screenshot(path=pictures / f"card-{subject}-{theme}.png")
        cut = card.evaluate(
            "root => [...root.querySelectorAll('h3, h4, li, .ctw-card-facts')]"
            ".filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.textContent)"
        )
        assert cut == []
    notebook.watch.check()


def test_lines_open_and_tokens_speak(open_notebook: OpenNotebook, features: Features, names: dict[str, str]) -> None:
    name = names["sport"]
    notebook = open_notebook("lines.ipynb", [CARD.format(name=name, theme="auto", activation="None")])
    notebook.run_all()
    card = notebook.page.locator(".ctw-card")
    first = card.locator(".ctw-example").first
    first.wait_for()
    peaks = card.locator(".ctw-peak").evaluate_all("all => all.map(e => Math.round(e.getBoundingClientRect().left))")
    assert max(peaks) - min(peaks) <= 4  # below each other
    record = features[name].record
    assert record is not None
    first.locator(".ctw-peak").hover()
    tip = card.locator(".ctw-tooltip")
    expect(tip).to_be_visible()
    assert float(tip.inner_text().split()[-1]) == pytest.approx(record.maximum, rel=1e-3)
    first.click()
    expect(first).to_have_attribute("aria-expanded", "true")
    words = [features.vocabulary.text(int(i)) for i in record.top[0].tokens]
    assert "".join(first.inner_text().split()) == "".join(words)
    first.press("Enter")
    expect(first).to_have_attribute("aria-expanded", "false")
    first.press("ArrowDown")
    second = card.locator(".ctw-example").nth(1)
    expect(second).to_be_focused()
    second.press("ArrowRight")
    expect(tip).to_contain_text(card.locator(".ctw-example").nth(1).locator(".ctw-peak").inner_text().strip())
    second.press("ArrowUp")
    expect(first).to_be_focused()
    notebook.watch.check()


def test_labels_are_typed_in_place(open_notebook: OpenNotebook, features: Features, names: dict[str, str]) -> None:
    name = names["capital"]
    notebook = open_notebook("label.ipynb", [CARD.format(name=name, theme="auto", activation="None")])
    notebook.run_all()
    card = notebook.page.locator(".ctw-card")
    card.locator(".ctw-card-label").click()
    field = card.locator("input")
    field.fill(f"capitals {HOSTILE}")
    field.press("Enter")
    expect(card.locator(".ctw-label-text")).to_have_text(f"capitals {HOSTILE}")
    notebook.prints(f"print(model.features['{name}'].label)", lambda text: text == f"capitals {HOSTILE}")
    kept = json.loads((notebook_folder(features) / "labels.json").read_text())
    assert kept["labels"][name] == {"text": f"capitals {HOSTILE}", "origin": "person"}
    notebook.python("view.label = 'from Python'")
    expect(card.locator(".ctw-label-text")).to_have_text("from Python")
    assert notebook.page.evaluate("() => window.hacked") is None
    card.locator(".ctw-card-label").click()
    card.locator("input").fill("given up")
    card.locator("input").press("Escape")
    expect(card.locator(".ctw-label-text")).to_have_text("from Python")
    notebook.python("view.label = ''")
    notebook.watch.check()


def notebook_folder(features: Features) -> Path:
    assert features.store is not None
    return features.store.path


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_selecting_a_node_shows_its_examples_at_once(
    open_notebook: OpenNotebook, features: Features, pictures: Path, theme: str
) -> None:
    assert features.store is not None
    cell = GRAPH.format(prompt="calc: 36+59=", theme=theme)
    notebook = open_notebook(f"panel-{theme}.ipynb", [cell], theme=theme, viewport=WIDE)
    notebook.run_all()
    view = View(notebook.graphs().first).wait()
    notebook.python("view.select(\"kind == 'feature'\")")
    card = view.root.locator(".ctw-card")
    card.locator(".ctw-example").first.wait_for()
    expect(card.locator(".ctw-here-mark")).to_have_count(1)
    view.root.screenshot(path=pictures / f"panel-card-{theme}.png")
    notebook.python("view.node_threshold = 1.0")
    spent = walk_cards(notebook.page, view)  # waits for every card
    assert len(spent) > 20
    print(f"from key to card: median {np.median(list(spent.values())):.0f} ms, most {max(spent.values()):.0f} ms")
    notebook.watch.check()


def test_the_card_of_the_last_of_many_selected_nodes_stays(open_notebook: OpenNotebook, features: Features) -> None:
    assert features.store is not None
    notebook = open_notebook("requests.ipynb", [GRAPH.format(prompt="calc: 36+59=", theme="auto")], viewport=WIDE)
    notebook.run_all()
    view = View(notebook.graphs().first).wait()
    slow = """
import time
from ct_widgets.features import Features
quick = Features.card
asked, answered = [], []
def card(self, name):
    asked.append(name)
    time.sleep(0.15)  # stands for the work of a large store
    found = quick(self, name)
    answered.append(name)
    return found
Features.card = card
rows = list(graph.nodes.query("kind == 'feature'").nlargest(12, "influence").index)
"""
    notebook.python(slow)
    notebook.python("for row in rows: view.selected = row")
    last = notebook.python("print('L{1}/{3}'.format(*graph.node_ids[rows[-1]]))")
    expect(view.root.locator(".ctw-title .ctw-mono")).to_have_text(last)
    card = view.root.locator(".ctw-card")
    expect(card).to_have_attribute("data-feature", last)
    # No answer to an earlier one follows: all that were asked for are given, and painted.
    notebook.prints("print(len(asked) - len(answered))", lambda text: text == "0")
    settled(notebook.page)
    expect(card).to_have_attribute("data-feature", last)
    assert int(notebook.python("print(len(asked))")) < 12
    notebook.python("Features.card = quick")
    notebook.watch.check()


def test_a_label_given_in_the_graph_is_kept(open_notebook: OpenNotebook, features: Features) -> None:
    assert features.store is not None
    notebook = open_notebook("kept.ipynb", [GRAPH.format(prompt="calc: 36+59=", theme="auto")], viewport=WIDE)
    notebook.run_all()
    view = View(notebook.graphs().first).wait()
    node = notebook.python("print(view.select(\"kind == 'feature'\")[0])")
    view.root.locator(".ctw-card .ctw-example").first.wait_for()
    view.panel.locator(".ctw-label").first.click()
    field = view.panel.locator("input.ctw-edit")
    field.fill("sum near 95")
    field.press("Enter")
    labels = "print(list(view.graph.labels.values()))"
    notebook.prints(labels, lambda text: text == "['sum near 95']")
    saved = "print(list(ct.AttributionGraph.load(view.graph.save('labelled.ctgraph')).labels.values()))"
    assert notebook.python(saved) == "['sum near 95']"
    assert node
    notebook.watch.check()


def test_hovering_shows_the_card_of_the_node_under_the_pointer(open_notebook: OpenNotebook, features: Features) -> None:
    assert features.store is not None
    notebook = open_notebook("hover.ipynb", [GRAPH.format(prompt="calc: 36+59=", theme="auto")], viewport=WIDE)
    notebook.run_all()
    view = View(notebook.graphs().first).wait()
    hover = (
        "view.hovered = next(n for n in graph.node_ids if n.kind == 'feature'); print('L{1}/{3}'.format(*view.hovered))"
    )
    name = notebook.python(hover)
    card = view.root.locator(".ctw-card")
    expect(card).to_have_attribute("data-feature", name)
    notebook.python("view.hovered = next(n for n in graph.node_ids if n.kind == 'logit')")
    expect(card).to_be_hidden()
    notebook.watch.check()


def test_a_graph_from_a_file_says_what_is_missing(open_notebook: OpenNotebook, graph: Any, pictures: Path) -> None:
    assert graph is not None
    cell = "import ct_widgets as ct\nview = ct.GraphWidget(ct.AttributionGraph.load('graph.ctgraph'))\nview"
    notebook = open_notebook("file.ipynb", [cell], viewport=WIDE)
    notebook.run_all()
    view = View(notebook.graphs().first).wait()
    notebook.python("view.selected = 100")
    expect(view.root.locator(".ctw-card")).to_contain_text("came without its model")
    view.root.screenshot(path=pictures / "panel-card-missing.png")
    notebook.watch.check()
