"""CircuitExplorer: panels register themselves, and are made when opened and when the graph's state changes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anywidget
import pytest
import traitlets as t
from graph_samples import random_graph

import ct_widgets as ct
from ct_widgets.errors import GraphError, WidgetError
from ct_widgets.widgets import panels

GRAPH = random_graph()
MODEL: Any = object()


class Counted(anywidget.AnyWidget):
    """A panel that says what it was made of."""

    _esm = "export default { render() {} }"
    pins = t.Int()
    theme = t.Unicode("auto")


@pytest.fixture
def made() -> Iterator[list[Counted]]:
    """What the panel "counted" made, in order; its registration ends with the test."""
    widgets: list[Counted] = []

    @ct.register_panel("counted", title="Counted", order=5, depends=["pinned"])
    def make(model: Any, view: ct.GraphWidget) -> Counted:
        assert model is MODEL
        if len(view.pinned) > 2:
            raise GraphError("too many pins")
        widgets.append(Counted(pins=len(view.pinned)))
        return widgets[-1]

    yield widgets
    del panels._KINDS["counted"]


def test_panels_are_in_order_and_open_by_name(made: list[Counted]) -> None:
    explorer = ct.CircuitExplorer(MODEL, GRAPH, panel="counted")
    state = explorer.get_state()
    assert [kind["name"] for kind in state["_panels"]][:3] == ["counted", "feature", "perturbation"]
    assert state["view"] == f"anywidget:{explorer.view.model_id}"
    assert state["shown"] == f"anywidget:{made[0].model_id}"
    assert explorer.shown is made[0]
    explorer.panel = ""
    assert explorer.shown is None
    explorer.panel = "counted"
    assert explorer.shown is made[0], "made once"
    assert len(made) == 1


def test_panels_follow_the_theme_of_the_graph(made: list[Counted]) -> None:
    explorer = ct.CircuitExplorer(MODEL, GRAPH, panel="counted", theme="light")
    assert made[0].theme == "light"
    explorer.view.theme = "dark"
    assert made[0].theme == "dark"


def test_nothing_is_made_before_it_is_opened(made: list[Counted]) -> None:
    explorer = ct.CircuitExplorer(MODEL, GRAPH, panel="")
    assert (made, explorer.shown) == ([], None)


def test_a_panel_is_made_anew_when_the_graphs_state_changes(made: list[Counted]) -> None:
    explorer = ct.CircuitExplorer(MODEL, GRAPH, panel="counted")
    explorer.view.pinned = [GRAPH.node(5)]
    assert [widget.pins for widget in made] == [0, 1]
    assert explorer.shown is made[1]
    assert made[0].comm is None, "the old one is closed"
    explorer.view.selected = GRAPH.node(6)
    explorer.panel = ""
    explorer.view.pinned = []
    assert len(made) == 2, "a closed panel waits until it is opened"
    explorer.panel = "counted"
    assert [widget.pins for widget in made] == [0, 1, 0]


def test_a_panel_without_anything_to_show_says_why(made: list[Counted]) -> None:
    explorer = ct.CircuitExplorer(MODEL, GRAPH, panel="counted")
    explorer.view.pinned = [GRAPH.node(row) for row in range(3)]
    assert (explorer.shown, explorer.get_state()["_missing"]) == (None, "too many pins")
    explorer.view.pinned = []
    assert explorer.shown is made[-1]
    assert explorer.get_state()["_missing"] == ""


def test_explorers_do_not_share_panels(made: list[Counted]) -> None:
    one, other = (ct.CircuitExplorer(MODEL, GRAPH, panel="counted") for _ in range(2))
    assert one.shown is not other.shown
    one.view.pinned = [GRAPH.node(1)]
    assert [widget.pins for widget in made] == [0, 0, 1]


@pytest.mark.usefixtures("made")
def test_it_refuses_what_is_no_panel() -> None:
    with pytest.raises(WidgetError, match="there is no panel 'pertubation': expected one of counted, feature, pert"):
        ct.CircuitExplorer(MODEL, GRAPH, panel="pertubation")
    with pytest.raises(WidgetError, match="has no setting 'node_treshold': did you mean 'node_threshold'"):
        ct.CircuitExplorer(MODEL, GRAPH, panel="", node_treshold=0.5)
    with pytest.raises(WidgetError, match="'two words' cannot name a panel"):
        ct.register_panel("two words", title="")


def test_where_nothing_runs_the_graph_is_drawn() -> None:
    data, _ = ct.CircuitExplorer(MODEL, GRAPH, panel="")._repr_mimebundle_()
    assert data["image/svg+xml"].startswith("<svg")
    assert data["text/plain"] == f"<CircuitExplorer of {GRAPH.prompt!r}>"
