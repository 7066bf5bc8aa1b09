"""The subgraph panel: pin, group, name, move and undo by keys and by hand, shared with Python."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import OpenGraph, OpenNotebook
from tests.e2e.view import View
from tests.support.graphs import HOSTILE

SHOW = 'import ct_widgets as ct\ngraph = ct.AttributionGraph.load("graph.ctgraph")\nview = graph.show()\nview'


def pin_two(view: View) -> None:
    """By keys: the first logit and its strongest input."""
    view.stage.focus()
    for key in ("ArrowDown", "p", "[", "p"):
        view.root.page.keyboard.press(key)


@pytest.mark.parametrize(("width", "theme"), [(600, "dark"), (1000, "light"), (1600, "dark")])
def test_two_nodes_are_pinned_grouped_and_named_by_keys(
    graph_page: Path, open_graph: OpenGraph, pictures: Path, width: int, theme: str
) -> None:
    page, watch, view = open_graph(graph_page, width=width, theme=theme)
    boxes = view.root.locator(".ctw-box")
    expect(view.root.locator(".ctw-subgraph")).to_contain_text("press P")
    pin_two(view)
    expect(boxes).to_have_count(2)
    expect(view.root.locator(".ctw-box-edge")).to_have_count(1)
    page.keyboard.press("g")
    page.keyboard.type(f"say {HOSTILE}")
    page.keyboard.press("Enter")
    expect(boxes).to_have_count(1)
    expect(boxes).to_contain_text("say <img")
    page.keyboard.press("Shift+ArrowRight")
    page.screenshot(path=pictures / f"subgraph-{width}-{theme}.png", full_page=True)
    for _ in range(3):
        page.keyboard.press("Control+z")
    expect(boxes).to_have_count(2)
    page.keyboard.press("Control+Shift+z")
    expect(boxes).to_have_count(1)
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width
    assert page.evaluate("() => window.hacked") is None
    watch.check()


def test_boxes_are_dragged_marked_and_renamed_by_hand(graph_page: Path, open_graph: OpenGraph) -> None:
    page, watch, view = open_graph(graph_page)
    pin_two(view)
    boxes = view.root.locator(".ctw-box")
    boxes.first.scroll_into_view_if_needed()
    before = boxes.first.locator(".ctw-box-frame").bounding_box()
    other = boxes.nth(1).locator(".ctw-box-frame").bounding_box()
    assert before
    page.mouse.move(before["x"] + 20, before["y"] + 20)
    page.mouse.down()
    page.mouse.move(before["x"] - 180, before["y"] + 50, steps=4)
    page.mouse.up()
    after = boxes.first.locator(".ctw-box-frame").bounding_box()
    assert after
    assert (round(after["x"] - before["x"]), round(after["y"] - before["y"])) == (-200, 30)
    # The frame of the box that was selected before is a pixel thinner now.
    assert boxes.nth(1).locator(".ctw-box-frame").bounding_box() == pytest.approx(other, abs=1)
    boxes.first.click(modifiers=["Shift"])
    expect(boxes.first).to_have_attribute("aria-pressed", "true")
    boxes.nth(1).click(modifiers=["Shift"])
    boxes.nth(1).dblclick()
    page.keyboard.type("mine")
    page.keyboard.press("Enter")
    expect(boxes.nth(1)).to_contain_text("mine")
    view.root.get_by_role("button", name="Group", exact=True).click()
    page.keyboard.press("Escape")
    expect(boxes).to_have_count(1)
    expect(boxes).to_contain_text("mine")
    view.root.get_by_role("button", name="Ungroup").click()
    expect(boxes).to_have_count(2)
    view.root.get_by_role("button", name="Tidy").click()
    assert boxes.first.locator(".ctw-box-frame").bounding_box() == pytest.approx(before, abs=1)
    watch.check()


@pytest.mark.usefixtures("graph")
def test_python_and_the_panel_share_supernodes_and_scores(open_notebook: OpenNotebook) -> None:
    notebook = open_notebook("subgraph.ipynb", [SHOW, "1"])
    notebook.run_all()
    view = View(notebook.graphs().first).wait()
    pin_two(view)
    notebook.prints("print(len(view.pinned))", lambda text: text == "2")
    notebook.page.keyboard.press("g")
    notebook.page.keyboard.type("answer dd")
    notebook.page.keyboard.press("Enter")
    notebook.prints(
        "print(view.supernodes[0].name, len(view.supernodes[0].members))", lambda text: text == "answer dd 2"
    )
    notebook.page.keyboard.press("Shift+ArrowRight")
    notebook.prints("print(len(view.places))", lambda text: text == "1")
    notebook.page.keyboard.press("Control+z")
    notebook.page.keyboard.press("Control+z")
    notebook.prints("print(view.supernodes[0].name)", lambda text: text == "group 1")
    assert notebook.page.locator(".jp-Cell").count() == 2
    notebook.python("view.pinned = range(20, 40); view.supernodes = [('from Python', range(20, 24))]")
    expect(view.root.locator(".ctw-box")).to_have_count(17)
    expect(view.root.locator(".ctw-box").first).to_contain_text("from Python")
    score = notebook.python("print(f'{graph.subgraph_scores(view.pinned).completeness:.2f}'.lstrip('0'))")
    expect(view.root.locator(".ctw-subgraph-facts")).to_contain_text(f"completeness {score}")
    notebook.watch.check()


@pytest.mark.parametrize(("width", "theme"), [(600, "light"), (1000, "dark"), (1600, "light")])
def test_search_finds_and_selects_by_keys(
    graph_page: Path, open_graph: OpenGraph, pictures: Path, width: int, theme: str
) -> None:
    page, watch, view = open_graph(graph_page, width=width, theme=theme)
    view.stage.focus()
    page.keyboard.press("/")
    query = view.root.get_by_label("Search nodes")
    expect(query).to_be_focused()
    page.keyboard.type("L2 feature tok3")
    results = view.root.locator(".ctw-results .ctw-row")
    expect(results.first).to_contain_text("L2/")
    page.screenshot(path=pictures / f"search-{width}-{theme}.png", full_page=True)
    name = results.first.locator(".ctw-mono").first.inner_text()
    page.keyboard.press("Enter")
    assert view.title().startswith(name)
    expect(view.stage).to_be_focused()
    view.root.get_by_role("button", name="Search").click()
    expect(view.root.locator(".ctw-search")).to_be_hidden()
    page.keyboard.press("/")
    page.keyboard.press("Escape")
    expect(query).to_be_hidden()
    watch.check()


@pytest.mark.parametrize(("width", "theme"), [(600, "dark"), (1000, "light"), (1600, "dark")])
def test_labels_are_typed_in_place(
    graph_page: Path, open_graph: OpenGraph, pictures: Path, width: int, theme: str
) -> None:
    page, watch, view = open_graph(graph_page, width=width, theme=theme)
    pin_two(view)
    page.keyboard.press("l")
    page.keyboard.type("gone")
    page.keyboard.press("Escape")
    expect(view.panel.locator(".ctw-label")).to_have_text("add label")
    expect(view.stage).to_be_focused()
    view.panel.locator(".ctw-label").click()
    expect(view.panel.get_by_label("Label of the node")).to_be_focused()
    page.screenshot(path=pictures / f"labelling-{width}-{theme}.png")
    page.keyboard.type("sum = <b>95</b>")
    page.keyboard.press("Enter")
    expect(view.panel.locator(".ctw-label")).to_have_text("sum = <b>95</b>")
    expect(view.root.locator(".ctw-box", has_text="sum = <b>95</b>")).to_have_count(1)
    page.screenshot(path=pictures / f"labelled-{width}-{theme}.png", full_page=True)
    page.keyboard.press("Control+z")
    expect(view.panel.locator(".ctw-label")).to_have_text("add label")
    watch.check()


@pytest.mark.parametrize(("width", "theme"), [(600, "light"), (1000, "dark"), (1600, "light")])
def test_the_figure_is_a_file_of_its_own(
    graph_page: Path, open_graph: OpenGraph, pictures: Path, width: int, theme: str
) -> None:
    page, watch, view = open_graph(graph_page, width=width, theme=theme)
    pin_two(view)
    view.stage.press("g")
    page.keyboard.type(HOSTILE)
    page.keyboard.press("Enter")
    for key in ("[", "p", "[", "p"):
        view.stage.press(key)
    expect(view.root.locator(".ctw-box")).to_have_count(3)
    for kind in ("svg", "png"):
        with page.expect_download() as started:
            view.root.locator(".ctw-subgraph").get_by_role("button", name=kind.upper(), exact=True).click()
        started.value.save_as(pictures / f"figure-{width}-{theme}.{kind}")
    drawing = ElementTree.parse(pictures / f"figure-{width}-{theme}.svg").getroot()
    names = {element.tag.rpartition("}")[2] for element in drawing.iter()}
    assert names == {"svg", "rect", "g", "path", "text", "title"}
    assert not any("class" in element.attrib or "var(" in str(element.attrib) for element in drawing.iter())
    assert (pictures / f"figure-{width}-{theme}.png").read_bytes().startswith(b"\x89PNG")
    page.screenshot(path=pictures / f"figure-page-{width}-{theme}.png", full_page=True)
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width
    watch.check()
