"""Accessibility: what axe finds in the view, with everything open that can be open."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from ct_widgets.widgets import graph_html
from ct_widgets.widgets.state import initial_json
from tests.e2e.notebook import View, Watch
from tests.e2e.samples import layered_graph

NewPage = Callable[..., tuple[Page, Watch]]
AXE = Path(__file__).resolve().parents[2] / "node_modules" / "axe-core" / "axe.min.js"


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with a supernode, a snapshot and a suggestion."""
    graph = layered_graph(tokens=30, features=400, edges=5_000)
    pair, rest = ([list(node) for node in graph.node_ids[40 + start : 42 + start]] for start in (0, 2))
    state = {
        **initial_json(graph),
        "pinned": pair + rest,
        "supernodes": [["pair", pair]],
        "snapshots": {"first": {"pinned": rest, "supernodes": [], "places": {}}},
        "suggestions": [{"name": "two", "nodes": rest, "reason": "alike"}],
    }
    file = tmp_path_factory.mktemp("pages") / "graph.html"
    file.write_text(graph_html(graph, state))
    return file


def issues(page: Page, place: str = ".ctw-graph") -> list[tuple[str, str, list[str]]]:
    """Serious and critical findings in the elements `place` as (impact, rule, elements)."""
    found: list[dict[str, Any]] = page.evaluate("async place => (await axe.run(place)).violations", place)
    return [
        (rule["impact"], rule["id"], [node["html"][:160] for node in rule["nodes"]])
        for rule in found
        if rule["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [600, 1600])
def test_axe_finds_nothing_serious(exported: Path, new_page: NewPage, width: int, theme: str, pictures: Path) -> None:
    page, watch = new_page(viewport={"width": width, "height": 1000}, color_scheme=theme, bypass_csp=True)
    page.goto(exported.as_uri())
    page.add_script_tag(content=AXE.read_text())
    view = View(page.locator(".ctw-graph")).wait()
    assert issues(page) == []
    view.root.get_by_role("button", name="Legend").click()
    view.stage.press("/")
    page.keyboard.type("feature")
    page.keyboard.press("Enter")
    page.keyboard.press("t")
    view.stage.press("/")
    page.keyboard.type("logit")
    page.keyboard.press("Enter")
    page.keyboard.press("t")
    page.wait_for_timeout(300)
    assert issues(page) == []
    view.hover_some_node()
    assert issues(page) == []
    page.screenshot(path=pictures / f"everything-{width}-{theme}.png", full_page=True)
    watch.check()
