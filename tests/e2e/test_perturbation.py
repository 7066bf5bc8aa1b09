"""PerturbationWidget on the embedded model in JupyterLab, and its exported page: dragged, keyed, set from Python."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, expect

import ct_widgets as ct
from tests.e2e.conftest import NewPage, OpenNotebook
from tests.e2e.notebook import Notebook
from tests.e2e.perturbation_drag import BUSY, HAS_THREAD, RUN, SHOW, drag, place
from tests.support.graphs import HOSTILE


def slider(figure: Locator, name: str) -> Locator:
    return figure.locator(f'.ctw-p-slider[data-name="{name}"]')


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = ct.load_demo()
    graph = model.attribute("calc: 36+59=", progress=False)
    rows = graph.nodes.query("kind == 'feature'").groupby("layer")
    strongest = [[graph.node_ids[i] for i in group.nlargest(5, "influence").index] for _, group in rows]
    names = ("first", "second", HOSTILE, "last")
    view = ct.PerturbationWidget(model, graph, list(zip(names, strongest, strict=False)))
    return view.to_html(
        tmp_path_factory.mktemp("pages") / "page.html", strengths=[-2, -1, 0, 2], pairs=[("first", "second")]
    )


@pytest.fixture
def open_view(open_notebook: OpenNotebook) -> Callable[..., tuple[Notebook, Locator]]:
    def make(name: str, *cells: str, **options: Any) -> tuple[Notebook, Locator]:
        notebook = open_notebook(name, [SHOW, *cells], viewport={"width": 1300, "height": 1000}, **options)
        notebook.run_cell(0)
        figure = notebook.page.locator(".ctw-p-figure")
        expect(figure).to_have_attribute("data-answered", "{}")
        return notebook, figure

    return make


def test_a_drag_reaches_python_and_python_moves_the_sliders(
    open_view: Callable[..., tuple[Notebook, Locator]], pictures: Path
) -> None:
    notebook, figure = open_view("perturb.ipynb")
    page, plain = (
        notebook.page,
        "print(model.language_model.logits(model.language_model.tokens(graph.prompt)[None]).sum())",
    )
    before = notebook.python(plain)
    own = slider(figure, "layer 2")
    own.scroll_into_view_if_needed()
    page.mouse.move(*place(own, 1))
    page.mouse.down()
    for strength in (0.5, 0, -0.5, -1):
        page.mouse.move(*place(own, strength), steps=3)
    page.mouse.up()
    expect(figure).to_have_attribute("data-answered", '{"layer 2":-1}')
    assert notebook.python("print(view.strengths, view.result.activity['layer 2'])") == "{'layer 2': -1.0} -1.0"
    expect(own.locator(".ctw-p-number")).to_have_text("−100 %")
    shown = slider(figure, "layer 3").locator(".ctw-p-number").text_content()
    measured = float(notebook.python("print(view.result.activity['layer 3'])"))
    assert shown == f"{round(100 * measured)} %".replace("-", "−")
    top = notebook.python("print(view.result.outputs(1).token[0])")
    expect(figure.locator(".ctw-p-outputs .ctw-p-code").first).to_have_text(top)
    # The curve is that of the slider that was moved.
    expect(figure.locator(".ctw-p-sweep .ctw-p-heading")).to_contain_text("layer 2")
    expect(figure.locator(".ctw-p-line")).not_to_have_count(0)
    page.locator(".ctw-perturbation").screenshot(path=pictures / "perturbation-light.png")

    notebook.python("view.strengths = {'layer 1': 0.5}")
    expect(slider(figure, "layer 1")).to_have_attribute("aria-valuenow", "0.5")
    expect(own).to_have_attribute("aria-valuenow", "1")
    notebook.set_theme("dark")
    expect(page.locator(".ctw-perturbation")).to_have_attribute("data-ctw-theme", "dark")
    expect(page.locator("#jupyterlab-splash")).to_have_count(0)
    page.locator(".ctw-perturbation").screenshot(path=pictures / "perturbation-dark.png")

    # Copied code does in Python what the view shows.
    page.locator(".ctw-p-python summary").click()
    code = page.locator(".ctw-p-code-text").inner_text()
    same = "abs(float(result.logits[-1].softmax(-1).max()) - view.result.outputs(1).after[0]) < 1e-5"
    assert notebook.python(f"{code}\nprint({same})") == "True"
    assert notebook.python(plain) == before
    notebook.watch.check()


def test_keys_move_a_slider_and_settings_reach_the_run(open_view: Callable[..., tuple[Notebook, Locator]]) -> None:
    notebook, figure = open_view("keys-perturb.ipynb")
    page, own = notebook.page, slider(figure, "layer 1")
    own.focus()
    for key in ("ArrowLeft", "Shift+ArrowLeft", "ArrowLeft"):
        page.keyboard.press(key)
    expect(own).to_have_attribute("aria-valuenow", "0.3")
    page.keyboard.press("Home")
    expect(figure).to_have_attribute("data-answered", '{"layer 1":-2}')
    page.get_by_role("button", name="Undo").click()
    expect(own).to_have_attribute("aria-valuenow", "0.3")
    own.dblclick()
    expect(own).to_have_attribute("aria-valuenow", "1")
    expect(figure).to_have_attribute("data-answered", "{}")
    page.get_by_role("button", name="Undo").click()
    page.get_by_role("button", name="Reset all").click()
    notebook.prints("print(view.strengths)", lambda text: text == "{}")
    own.focus()
    page.keyboard.press("Home")
    page.get_by_label("method").select_option("open")
    notebook.prints("print(view.method, view.result.plan.freeze_attention)", lambda text: text == "open False")
    page.get_by_label("frozen attention").check()
    notebook.prints("print(view.freeze_attention, view.result.plan.freeze_attention)", lambda text: text == "True True")
    page.get_by_label("method").select_option("constrained")
    page.get_by_label("layers").select_option("3")
    notebook.prints("print(view.result.plan.layers, view.result.plan.freeze_norms)", lambda t: t == "(0, 3) True")
    expect(page.locator(".ctw-p-settings")).to_contain_text("norms frozen")
    # What goes wrong is said in the view, and the next change recovers.
    notebook.python("run = view.session._run; view.session._run = lambda *a: 1 / 0")
    own.focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator(".ctw-p-error")).to_contain_text("ZeroDivisionError")
    notebook.python("view.session._run = run")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".ctw-p-error")).to_have_count(0)
    notebook.watch.check()


def test_a_drag_while_a_cell_runs_ends_with_its_last_value(
    open_view: Callable[..., tuple[Notebook, Locator]],
) -> None:
    notebook, figure = open_view("busy.ipynb")
    notebook.page.wait_for_function(HAS_THREAD)
    notebook.page.evaluate(RUN, BUSY.format(seconds=300))
    assert drag(notebook.page, figure, "layer 1", moves=100), "no answer while the code ran"
    strength = slider(figure, "layer 1").get_attribute("aria-valuenow")
    expect(figure).to_have_attribute("data-answered", re.compile(f'"layer 1":{re.escape(str(strength))}'))
    assert not notebook.page.evaluate("() => window.ended"), "the code ended before the drag"
    notebook.page.evaluate("() => jupyterapp.shell.currentWidget.sessionContext.session.kernel.interrupt()")
    notebook.prints("print(view.strengths['layer 1'], view.error)", lambda text: text == f"{float(str(strength))}")


@pytest.mark.parametrize(("width", "theme"), [(640, "dark"), (1200, "light")])
def test_the_exported_page_replays_what_was_computed(
    exported: Path, new_page: NewPage, pictures: Path, width: int, theme: str
) -> None:
    page, watch = new_page(viewport={"width": width, "height": 900}, color_scheme=theme)
    page.goto(exported.as_uri())
    figure = page.locator(".ctw-p-figure")
    own = slider(figure, "second")
    number = own.locator(".ctw-p-number")
    expect(number).to_have_text("100 %")
    page.mouse.move(*place(own, 1))
    page.mouse.down()
    page.mouse.move(*place(own, -0.8), steps=4)
    page.mouse.up()
    expect(number).to_have_text("−100 %")  # the nearest strength that was computed
    after = slider(figure, "last").locator(".ctw-p-number").text_content()
    assert after != "100 %"
    expect(figure.locator(".ctw-p-sweep .ctw-p-heading")).to_contain_text("second")
    page.screenshot(path=pictures / f"perturbation-page-{width}-{theme}.png", full_page=True)
    slider(figure, "first").focus()
    page.keyboard.press("End")
    expect(number).to_have_text("−100 %")  # a pair that was asked for
    figure.locator(".ctw-p-slider").nth(2).focus()
    page.keyboard.press("Home")
    expect(number).not_to_have_text("−100 %")  # no pair: the others go back
    page.get_by_role("button", name="Undo").click()
    expect(number).to_have_text("−100 %")
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width
    assert page.evaluate("() => window.hacked") is None
    assert watch.requests == [exported.as_uri()]
    watch.check()


def test_the_figure_is_saved_as_svg(exported: Path, new_page: NewPage) -> None:
    page, watch = new_page()
    page.goto(exported.as_uri())
    with page.expect_download() as waiting:
        page.get_by_role("button", name="SVG").click()
    text = waiting.value.path().read_text()
    assert text.startswith("<svg")
    assert "class=" not in text
    assert "first" in text
    watch.check()
