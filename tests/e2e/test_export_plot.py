"""The plot as a file: vector nodes, strokes and text, and the picture of it."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import OpenGraph
from tests.support.graphs import layered_graph

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize(("width", "theme"), [(700, "dark"), (1200, "light")])
def test_the_plot_is_a_file_of_its_own(
    open_graph: OpenGraph, pictures: Path, tmp_path: Path, width: int, theme: str
) -> None:
    graph = layered_graph(tokens=12)
    file = graph.to_html(tmp_path / "graph.html")
    page, watch, view = open_graph(file, width=width, theme=theme)
    view.stage.focus()
    for key in ("ArrowDown", "[", "p"):
        page.keyboard.press(key)
    expect(view.root.locator(".ctw-box")).to_have_count(1)
    footer = view.root.locator(".ctw-footer")
    for kind in ("svg", "png"):
        with page.expect_download() as started:
            footer.get_by_role("button", name=kind.upper(), exact=True).click()
        started.value.save_as(pictures / f"plot-{width}-{theme}.{kind}")
    drawing = ElementTree.parse(pictures / f"plot-{width}-{theme}.svg").getroot()
    shown = int(view.count("nodes").split()[0])
    inner = drawing.find(f"{SVG}svg")
    assert inner is not None
    grid, nodes, focus = inner.findall(f"{SVG}g")
    assert len(grid) == 1
    assert len(nodes) == 2 * shown  # fill and outline
    assert len(focus) > 4
    said = [str(element.attrib) for element in drawing.iter() if not element.tag.endswith("image")]
    assert not any("NaN" in attributes or "var(" in attributes for attributes in said)
    texts = [element.text for element in drawing.findall(f"{SVG}text")]
    assert {"logits", "L0", "emb"} <= set(texts)
    assert any("tok3" in str(text) for text in texts)
    assert (pictures / f"plot-{width}-{theme}.png").read_bytes().startswith(b"\x89PNG")
    # What the file draws is what the page shows.
    page.goto((pictures / f"plot-{width}-{theme}.svg").as_uri())
    page.screenshot(path=pictures / f"plot-drawn-{width}-{theme}.png")
    watch.check()
