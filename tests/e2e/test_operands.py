"""OperandWidget in JupyterLab, marimo and an exported page: pointed at, walked by keys, set from Python, linked."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Locator, expect

import ct_widgets as ct
from tests.e2e.axe import issues
from tests.e2e.conftest import NewPage, OpenNotebook
from tests.e2e.view import View, settled

SHOW = """import ct_widgets as ct
model = ct.load_demo()
graph = model.attribute("calc: 36+59=", progress=False)
explorer = ct.CircuitExplorer(model, graph, panel="operands")
sheet = explorer.shown
explorer"""


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[ct.OperandWidget, Path]:
    model = ct.load_demo()
    graph = model.attribute("calc: 36+59=", progress=False)
    view = ct.OperandWidget(model, graph)
    return view, view.to_html(tmp_path_factory.mktemp("pages") / "page.html")


def point(plot: Locator, a: int, b: int, cells: int = 100) -> None:
    """Move the pointer to the middle of a cell."""
    box = plot.bounding_box()
    assert box
    x, y = (b + 0.5) / cells * box["width"], (1 - (a + 0.5) / cells) * box["height"]
    plot.page.mouse.move(box["x"] + x, box["y"] + y)


def test_graph_and_sheet_are_linked(open_notebook: OpenNotebook, pictures: Path) -> None:
    notebook = open_notebook("operands.ipynb", [SHOW], viewport={"width": 1300, "height": 1700})
    notebook.run_all()
    page = notebook.page
    root = page.locator(".ctw-operands")
    plots = root.locator(".ctw-o-sheet .ctw-o-plot")
    expect(plots.first).to_be_visible()
    graph = View(page.locator(".ctw-graph")).wait()

    # From the pointer to Python, and the same cell in every plot.
    plots.nth(1).scroll_into_view_if_needed()
    point(plots.nth(1), 36, 59)
    expect(root.locator(".ctw-o-reading")).to_contain_text("a 36 · b 59 · a + b 95 · L")
    notebook.prints("print(sheet.hovered)", lambda text: text == "(36, 59)")
    name = root.locator(".ctw-o-item").nth(1).locator(".ctw-mono").inner_text()
    notebook.python(f"plot = next(sheet.operands.plot(*row.feature) for row in sheet.rows if row.name == {name!r})")
    exact, peak = map(float, notebook.python("print(plot[36, 59], plot.max())").split())
    shown = float(root.locator(".ctw-o-item").nth(1).locator(".ctw-o-value").inner_text())
    assert abs(shown - exact) <= peak / 255 + 0.05 * exact

    # A click enlarges, and selects the node in the graph; a node selected there is selected here.
    plots.nth(1).click()
    expect(root.locator(".ctw-o-head")).to_contain_text(name)
    expect(graph.panel.locator(".ctw-title")).to_contain_text(name)
    notebook.prints("print(sheet.enlarged, sheet.selected == explorer.view.selected)", lambda text: text == "True True")
    page.mouse.move(5, 5)
    root.screenshot(path=pictures / "operands-enlarged-light.png")
    assert issues(page, ".ctw-operands") == []
    other = notebook.python(f"other = [row for row in sheet.rows if row.name != {name!r}][3]; print(other.name)")
    notebook.python("explorer.view.selected = ('feature', other.layer, 6, other.index)")
    expect(root.locator(".ctw-o-head")).to_contain_text(other)
    notebook.python("explorer.view.selected = next(node for node in graph.node_ids if node.kind == 'logit')")
    expect(root.locator(".ctw-o-head")).to_have_count(0)
    expect(root.locator(".ctw-o-note")).to_contain_text("selected logit")
    notebook.python("sheet.selected = other.name")
    expect(graph.panel.locator(".ctw-title")).to_contain_text(other)

    # Python sets what is shown.
    notebook.python("sheet.enlarged = False; sheet.overlay = 'sum mod 10'; sheet.k = 5; sheet.scale = 'own'")
    expect(root.locator(".ctw-o-line").first).to_have_attribute("d", re.compile("^M"))
    notebook.set_theme("dark")
    expect(root).to_have_attribute("data-ctw-theme", "dark")
    settled(page)
    root.screenshot(path=pictures / "operands-sheet-dark.png")
    assert issues(page, ".ctw-operands") == []
    notebook.watch.check()


def test_keys_do_what_the_mouse_does(
    exported: tuple[ct.OperandWidget, Path], new_page: NewPage, pictures: Path
) -> None:
    view, path = exported
    page, watch = new_page(viewport={"width": 1200, "height": 900}, color_scheme="light")
    page.goto(path.as_uri())
    root = page.locator(".ctw-operands")
    plots = root.locator(".ctw-o-sheet .ctw-o-plot")
    expect(plots).to_have_count(view._chosen.n_shown)
    root.screenshot(path=pictures / "operands-sheet-light.png")
    labels = [plot.get_attribute("aria-label") or "" for plot in plots.all()]
    page.keyboard.press("Tab")
    for _ in range(30):
        if page.evaluate("() => document.activeElement.matches('.ctw-o-plot')"):
            break
        page.keyboard.press("Tab")
    expect(plots.nth(0)).to_be_focused()
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "ArrowUp", "ArrowLeft"):
        page.keyboard.press(key)
    expect(plots.nth(1)).to_be_focused()
    page.keyboard.press("Shift+ArrowUp")
    page.keyboard.press("Shift+ArrowRight")
    expect(root.locator(".ctw-o-reading")).to_contain_text("a 50 · b 51 · a + b 101 · L")
    page.keyboard.press("Enter")
    detail = root.locator(".ctw-o-detail")
    expect(detail.get_by_role("application")).to_be_focused()
    expect(detail).to_have_attribute("aria-label", labels[1].split(",")[0] + " enlarged")
    page.keyboard.press("ArrowLeft")
    expect(root.locator(".ctw-o-reading")).to_contain_text("a 50 · b 50")
    page.keyboard.press("[")
    expect(detail).not_to_have_attribute("aria-label", labels[1].split(",")[0] + " enlarged")
    expect(detail.get_by_role("application")).to_be_focused()
    walked = (detail.get_attribute("aria-label") or "").removesuffix(" enlarged")
    page.keyboard.press("Escape")
    expect(detail).to_have_count(0)
    expect(root.locator(".ctw-o-plot:focus")).to_have_attribute("aria-label", re.compile(f"^{walked},"))

    # Families, order and lines by their fields.
    chip = root.get_by_role("group", name="families").get_by_role("button").first
    chip.click()
    expect(chip).to_have_attribute("aria-pressed", "true")
    kinds = [family.kind for family in view.named[: view._chosen.n_shown]]
    kind = next(kind for kind in ("sum", "lookup", "add", "active", "other") if kind in kinds)
    expect(plots).to_have_count(kinds.count(kind))
    root.get_by_label("order").select_option("layer")
    layers = [int(name[1:].split("/")[0]) for name in root.locator(".ctw-o-sheet .ctw-mono").all_inner_texts()]
    assert layers == sorted(layers)
    root.get_by_label("lines").select_option("sum")
    root.get_by_label("k, the sum").fill("90")
    expect(root.locator(".ctw-o-line").first).to_have_attribute("d", "M90.5 99.5L0.5 9.5")
    assert watch.requests == [path.as_uri()]
    watch.check()


def test_pixels_are_the_plots(exported: tuple[ct.OperandWidget, Path], new_page: NewPage) -> None:
    view, path = exported
    page, _ = new_page(color_scheme="light")
    page.goto(path.as_uri())
    expect(page.locator(".ctw-o-sheet .ctw-o-plot").first).to_be_visible()
    order = np.argsort([-row.influence for row in view.rows[: view._chosen.n_shown]], kind="stable")
    plots = [view.operands.plot(*row.feature) for row in view.rows]
    top = max(plot.max() for plot in plots)
    for place in (0, 1, 5):
        pixels = (
            page.locator(".ctw-o-sheet canvas")
            .nth(place)
            .evaluate("canvas => [...canvas.getContext('2d').getImageData(0, 0, 100, 100).data]")
        )
        share = (plots[order[place]][::-1] / top).reshape(-1, 1)
        expected = 255 + share * (np.array([0xD9, 0x48, 0x01]) - 255)
        assert np.abs(np.array(pixels).reshape(-1, 4)[:, :3] - expected).max() <= 3


@pytest.mark.parametrize(("width", "theme"), [(600, "dark"), (1600, "light")])
def test_a_page_fits_its_width_and_axe_finds_nothing_serious(
    exported: tuple[ct.OperandWidget, Path], new_page: NewPage, pictures: Path, width: int, theme: str
) -> None:
    page, watch = new_page(viewport={"width": width, "height": 900}, color_scheme=theme, bypass_csp=True)
    page.goto(exported[1].as_uri())
    root = page.locator(".ctw-operands")
    plots = root.locator(".ctw-o-sheet .ctw-o-plot")
    expect(plots.first).to_be_visible()
    root.get_by_role("button", name="Legend").click()
    assert issues(page, ".ctw-operands") == []
    root.screenshot(path=pictures / f"operands-legend-{width}-{theme}.png")
    plots.nth(2).click()
    expect(root.locator(".ctw-o-head")).to_be_visible()
    assert issues(page, ".ctw-operands") == []
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width
    root.screenshot(path=pictures / f"operands-enlarged-{width}-{theme}.png")
    watch.check()


def test_a_click_in_marimo_reaches_the_other_cells(marimo_url: str, new_page: NewPage, pictures: Path) -> None:
    page, watch = new_page(viewport={"width": 1200, "height": 1400})
    page.goto(f"{marimo_url}operands.py")
    root = page.locator(".ctw-operands")
    plots = root.locator(".ctw-o-sheet .ctw-o-plot")
    expect(plots.first).to_be_visible()
    plots.nth(1).click()
    expect(root.locator(".ctw-o-head")).to_be_visible()
    expect(page.get_by_text("selected ['feature'")).to_contain_text("large True")
    root.screenshot(path=pictures / "operands-marimo.png")
    page.keyboard.press("Escape")
    expect(page.get_by_text("selected ['feature'")).to_contain_text("large False")
    assert watch.errors == []
