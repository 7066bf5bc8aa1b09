"""Long prompts and deep models: folds, zoom to what is selected, and the sizes of the view."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from playwright.sync_api import expect

from ct_widgets import AttributionGraph
from tests.e2e.conftest import OpenGraph
from tests.e2e.view import View, settled, still_box
from tests.support.graphs import layered_graph

GRAPHS = Path(__file__).resolve().parents[1] / "data" / "graphs"


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    graph = layered_graph(features=1500, edges=20_000, tokens=200, layers=26, logits=8)
    return graph.to_html(tmp_path_factory.mktemp("pages") / "long.html")


@pytest.fixture(scope="module")
def real_page(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, int]]:
    """Export a graph of the folder, once; -> the page and the number of nodes."""

    @cache
    def make(name: str) -> tuple[Path, int]:
        folder = tmp_path_factory.mktemp("real")
        file = folder / name.removesuffix(".gz")
        file.write_bytes(gzip.decompress((GRAPHS / name).read_bytes()))
        graph = AttributionGraph.load(file)
        return graph.to_html(folder / "graph.html"), graph.n_nodes

    return make


def shown_tokens(view: View) -> int:
    return view.root.locator(".ctw-token:visible:not(.ctw-fold)").count()


@pytest.mark.parametrize(("width", "theme"), [(600, "dark"), (1200, "light"), (1600, "dark")])
def test_runs_without_nodes_fold_and_open(
    exported: Path, open_graph: OpenGraph, pictures: Path, width: int, theme: str
) -> None:
    page, watch, view = open_graph(exported, width=width, theme=theme)
    folds = view.root.locator(".ctw-tokens .ctw-fold:visible")
    expect(folds.first).to_contain_text("⋯")
    assert "tokens, click to unfold" in (folds.first.get_attribute("title") or "")
    few = shown_tokens(view)
    assert 3 <= few < 60
    page.screenshot(path=pictures / f"long-{width}-{theme}.png", full_page=True)
    count = folds.count()
    folds.first.click()
    expect(folds).to_have_count(count - 1)
    fold = view.root.get_by_role("button", name="Fold", exact=True)
    expect(fold).to_be_visible()
    fold.click()
    expect(folds).to_have_count(count)
    # From the keyboard, all at once, and back.
    view.stage.press("e")
    expect(folds).to_have_count(0)
    view.stage.press("e")
    expect(folds).to_have_count(count)
    assert shown_tokens(view) == few
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width
    watch.check()


def test_a_folded_token_that_somebody_selects_comes_out(exported: Path, open_graph: OpenGraph) -> None:
    page, watch, view = open_graph(exported)
    view.stage.press("/")
    page.keyboard.type("embedding tok2")
    page.keyboard.press("Enter")
    expect(view.root.locator(".ctw-here")).to_be_visible()
    expect(view.root.locator(".ctw-tokens .ctw-fold:visible")).not_to_have_count(0)
    watch.check()


def test_the_plot_zooms_to_the_selection_and_back(exported: Path, open_graph: OpenGraph, pictures: Path) -> None:
    page, watch, view = open_graph(exported)
    zoom, reset = (view.root.get_by_role("button", name=name) for name in ("Zoom to selection", "Reset zoom"))
    expect(zoom).to_be_hidden()
    view.stage.focus()
    for key in ("ArrowDown", "[", "p"):
        page.keyboard.press(key)
    expect(zoom).to_be_visible()
    rows = view.root.locator(".ctw-layer:visible").count()
    zoom.click()
    expect(reset).to_be_visible()
    assert view.root.locator(".ctw-layer:visible").count() <= rows
    page.screenshot(path=pictures / "long-zoomed.png")
    reset.click()
    expect(reset).to_be_hidden()
    view.stage.press("Escape")
    expect(zoom).to_be_visible()  # a node is pinned
    view.stage.press("z")
    expect(reset).to_be_visible()
    watch.check()


@pytest.mark.parametrize("width", [600, 1200])
def test_it_fills_the_window_and_the_screen(exported: Path, open_graph: OpenGraph, width: int) -> None:
    page, watch, view = open_graph(exported, width=width, height=1000)
    tall = view.root.get_by_role("button", name="Tall")

    def height() -> float:
        box = view.root.bounding_box()
        assert box
        return box["height"]

    before = height()
    tall.click()
    expect(tall).to_have_attribute("aria-pressed", "true")
    assert height() == 840
    tall.click()
    assert height() == before
    view.root.get_by_role("button", name="Full screen").click()
    page.wait_for_function("() => document.fullscreenElement !== null")
    still_box(view.root)
    assert height() == page.evaluate("() => innerHeight")
    box = view.stage.bounding_box()
    assert box
    assert box["height"] > 250
    watch.check()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", [file.name for file in sorted(GRAPHS.glob("*.json.gz"))])
def test_real_graphs_of_26_layers_are_whole_and_fold_where_few_nodes_are_left(
    real_page: Callable[[str], tuple[Path, int]], open_graph: OpenGraph, pictures: Path, name: str, theme: str
) -> None:
    file, n_nodes = real_page(name)
    page, watch, view = open_graph(file, width=1300, theme=theme)
    assert view.count("nodes") == f"{n_nodes} of {n_nodes}"
    assert view.root.locator(".ctw-layer").count() == 28
    page.screenshot(path=pictures / f"{name}-{theme}.png")
    view.rows.first.hover()
    settled(page)
    page.screenshot(path=pictures / f"{name}-{theme}-hovered.png")
    # Deep models: few nodes leave runs of layers empty, and these stand in one row each that a click opens.
    page.mouse.move(2, 2)
    view.slide("nodes", 0.35)
    folds = view.root.locator(".ctw-layers .ctw-fold")
    count = folds.count()
    assert count > 0
    page.screenshot(path=pictures / f"{name}-{theme}-few.png")
    folds.first.click()
    expect(folds).to_have_count(count - 1)
    watch.check()
