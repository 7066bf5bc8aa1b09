"""What all widgets share: one palette, keywords that are their traits, errors of the front end, still pictures."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints
from xml.etree import ElementTree

import pytest
from graph_samples import random_graph

import ct_widgets as ct
from ct_widgets import palette
from ct_widgets.errors import WidgetError
from ct_widgets.widgets.pictures.svg import Picture, label, plain, stacked, visible
from ct_widgets.widgets.traits import Choice
from ct_widgets.widgets.view import PageView, View

JS = Path(__file__).parents[2] / "js" / "src" / "ui"
VIEWS = [
    ct.CircuitExplorer,
    ct.CompareWidget,
    ct.ExamplesWidget,
    ct.GlobalWeightsWidget,
    ct.GraphWidget,
    ct.OperandWidget,
    ct.PerturbationWidget,
    ct.TrainingWidget,
]
GRAPH = random_graph()


@pytest.mark.parametrize(
    ("colours", "selector"), [(palette.LIGHT, ".ctw"), (palette.DARK, '.ctw[data-ctw-theme="dark"]')]
)
def test_the_palette_is_that_of_the_front_end(colours: palette.Palette, selector: str) -> None:
    (file,) = JS.rglob("theme.css")
    block = re.search(rf"^{re.escape(selector)} {{(.*?)^}}", file.read_text(), re.MULTILINE | re.DOTALL)
    assert block
    assert dict(re.findall(r"--ctw-(\w+): (#[0-9a-f]{6});", block[1])) == colours._asdict()


def test_colours_are_mixed_and_split() -> None:
    assert palette.rgb("#d94801") == (0xD9, 0x48, 0x01)
    assert [palette.mixed("#ffffff", "#1d1f23", share) for share in (-1, 0, 1, 2)] == ["#ffffff"] * 2 + ["#1d1f23"] * 2
    assert palette.mixed("#000000", "#ff8001", 0.5) == "#804000"
    light, dark = palette.css().split("@media (prefers-color-scheme: dark)")
    assert "--surface: #ffffff; --raised: " in light
    assert "--surface: #16181d; --raised: " in dark


def own_traits(view: type[View]) -> dict[str, Any]:
    """Public traits that travel, those of ipywidgets left out."""
    inherited = {name for base in View.__mro__[1:] if hasattr(base, "class_traits") for name in base.class_traits()}  # pyright: ignore
    traits = view.class_traits(sync=True)
    return {name: trait for name, trait in traits.items() if name not in inherited and not name.startswith("_")}


@pytest.mark.parametrize("view", VIEWS)
def test_keywords_are_the_traits(view: type[View]) -> None:
    parameters = inspect.signature(view.__init__).parameters
    traits = own_traits(view)
    assert {"theme", "error"} <= traits.keys()
    if view._keywords is None:
        assert all(parameter.kind is not parameter.VAR_KEYWORD for parameter in parameters.values()) or (
            view is ct.CircuitExplorer  # its keywords are its graph's
        )
        return
    assert parameters["state"].annotation == f"Unpack[{view._keywords.__name__}]"
    assert set(view._keywords.__annotations__) == traits.keys() - parameters.keys() - {"error"}
    for name, trait in traits.items():
        if isinstance(trait, Choice):
            named = get_type_hints(view._keywords, globals() | vars(inspect.getmodule(view._keywords)))[name]
            assert get_origin(named) is Literal
            assert get_args(named) == trait.options


def test_errors_of_the_front_end_reach_python() -> None:
    view = ct.GraphWidget(GRAPH)
    seen: list[str] = []
    view.observe(lambda change: seen.append(change["new"]), "error")
    view.set_state({"error": "TypeError: x is undefined"})
    assert (view.error, seen) == ("TypeError: x is undefined", ["TypeError: x is undefined"])


def test_a_page_appears_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    view = ct.GraphWidget(GRAPH)
    target = view.to_html(tmp_path / "view.html")
    before = target.read_bytes()

    class Broken(PageView):
        def _page(self) -> str:
            return before.decode() + "\ud800"

    with pytest.raises(UnicodeEncodeError):
        Broken().to_html(target)
    assert target.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["view.html"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\tb\n", "a⇥b⏎"),
        ("\x00\u202e\ud800", "···"),
        ("", "∅"),
        (" 95", "95"),
        ("   ", "␣"),
        ("x" * 30, "x" * 19 + "…"),
    ],
)
def test_text_is_made_visible(text: str, shown: str) -> None:
    assert plain(text, 20) == shown
    assert label(f"<{text[:3]}&", 20).startswith("&lt;")
    ElementTree.fromstring(f"<text>{label(text, 20)}</text>")
    assert visible(" a ") == " a "


def test_stacked_pictures_stand_below_each_other() -> None:
    one, other = Picture("<path/>", 10, 20, "<one>", themed=True), Picture("<rect/>", 30, 5)
    both = stacked(one, other)
    assert (both.width, both.height) == (30, 25)
    root = ElementTree.fromstring(both.svg())
    upper, lower = root
    assert (upper.get("y"), lower.get("y"), root.get("height")) == (None, "20", "25")
    assert upper.get("class") == "ctw-still"
    assert lower.get("class") is None
    style = next(upper.iter("{http://www.w3.org/2000/svg}style")).text or ""
    assert palette.LIGHT.ink in style
    assert palette.DARK.ink in style.split("prefers-color-scheme:dark")[1]
    rules = re.findall(r"([^{}]+){[^{}]*}", style.replace("@media(prefers-color-scheme:dark){", ""))
    assert all(rule.startswith(".ctw-still ") for rule in rules), "other pictures of a page keep their look"


def test_every_export_exists() -> None:
    assert all(hasattr(ct, name) for name in ct.__all__)


@pytest.mark.parametrize("view", [view for view in VIEWS if view._keywords is not None])
def test_unknown_keywords_get_a_hint(view: type[View]) -> None:
    with pytest.raises(WidgetError, match=f"{view.__name__} has no setting 'themes': did you mean 'theme'"):
        view._refuse_unknown({"themes": "dark"})
    with pytest.raises(WidgetError, match=r"has no setting 'xyz': it takes .*theme"):
        view._refuse_unknown({"xyz": 1})
