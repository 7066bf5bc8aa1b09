"""PerturbationWidget: the supernode figure as a control, with what the model answers."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack, cast

import numpy as np
import traitlets as t

from ct_widgets.atomic import write_bytes
from ct_widgets.errors import WidgetError
from ct_widgets.graph import AttributionGraph
from ct_widgets.interventions.settings import PerturbationSettings
from ct_widgets.widgets.models import Model
from ct_widgets.widgets.page import page_html, view_data
from ct_widgets.widgets.payload import wire
from ct_widgets.widgets.perturbation_state import ActiveBox, LastLayer, PerturbationState, Strengths, boxes_of
from ct_widgets.widgets.pictures.perturbation import perturbation_picture
from ct_widgets.widgets.pictures.svg import Picture
from ct_widgets.widgets.traits import Choice
from ct_widgets.widgets.view import PageView

if TYPE_CHECKING:
    import pandas as pd

    from ct_widgets.interventions import Method, PerturbationSession, Perturbed

SWEEP = tuple(float(value) for value in np.linspace(-2, 2, 33))
"""Strengths at which the curve of the active slider is computed."""
EXPORTED = tuple(float(value) for value in np.linspace(-2, 2, 17))
MOST_LINES = 5
SETTINGS = ("method", "last_layer", "freeze_attention")


class PerturbationWidget(PageView, front_end="perturbation"):
    """Drag a supernode from 1 to -2 and see every other one's activity, the outputs, and what the graph predicted.

    supernodes: (name, [node, ...]) pairs; by default those of the graph with its pinned nodes, or else its strongest
    features. Every box that holds features has a slider.

    >>> view = PerturbationWidget(model, graph, supernodes=[("sum", graph.supernodes[0].members)])
    >>> view.strengths = {"sum": -1}       # as if dragged; the result is there when the line has run
    >>> view.result.activity, view.result.outputs()
    >>> view.observe(print, "result")
    """

    _keywords = PerturbationState

    _columns = t.Bytes().tag(sync=True)
    _boxes = t.List().tag(sync=True)
    _answer = t.Dict(allow_none=True).tag(sync=True)
    _sweep = t.Dict(allow_none=True).tag(sync=True)
    _grid = t.Dict(allow_none=True, default_value=None).tag(sync=True)

    strengths = Strengths()
    """Strength of every box that is changed, by its name."""

    active = ActiveBox()
    """The box whose strength the curve below the outputs goes through."""

    method = Choice("constrained", "iterative", "open")
    """See `ReplacementModel.intervene`."""

    last_layer = LastLayer()
    """The range of layers goes from 0 to this one; None for the method's default."""

    freeze_attention = t.Bool(None, allow_none=True).tag(sync=True)
    """Whether attention patterns are held; None for the method's default."""

    result: Any = t.Any(None)
    """The model's answer to `strengths`: activity of every box, logits, outputs (`Perturbed`)."""

    def __init__(
        self,
        model: Model,
        graph: AttributionGraph,
        supernodes: Iterable[Sequence[Any]] | None = None,
        **state: Unpack[PerturbationState],
    ) -> None:
        self._refuse_unknown(state)
        self.graph = graph
        self.boxes = boxes_of(graph, supernodes)
        self.adjustable = {box.name: box.features for box in self.boxes if box.features}
        if not self.adjustable:
            raise WidgetError("the graph has no features to change; a pruned graph may have lost them")
        self.session: PerturbationSession = model.perturbation(graph, self.adjustable)
        named = state.get("strengths")
        moved = [name for name in self.adjustable if isinstance(named, Mapping) and name in named]
        first = [*moved, *self.adjustable][0]  # the curve goes with a slider that was moved
        boxes = [[box.name, [list(node) for node in box.nodes]] for box in self.boxes]
        super().__init__(_columns=wire(graph), _boxes=boxes, **{"active": first, **state})
        self._update()
        self._update_curve()
        self.on_msg(self._greet)
        self.observe(self._changed, ["strengths", *SETTINGS])
        self.observe(self._update_curve, "active")

    def _greet(self, _: Any, content: Any, buffers: Any) -> None:
        """Answer a view that says hello.

        ipykernel hands a widget's messages to the thread that answered the last one. Until the first answer to a view
        that is the thread of cells, where a drag would wait for whatever cell runs.
        """
        del buffers
        if isinstance(content, dict) and content.get("kind") == "hello":  # pyright: ignore[reportUnknownMemberType]
            self.send({"kind": "hello"})

    @property
    def settings(self) -> PerturbationSettings:
        """Method, range and attention as the session takes them."""
        return PerturbationSettings(cast("Method", self.method), self.last_layer, self.freeze_attention)

    def _changed(self, change: Any) -> None:
        self._update()
        if change["name"] == "strengths":
            pairs = (dict(change[when]).items() for when in ("old", "new"))
            moved = {name for name, _ in set.symmetric_difference(*map(set, pairs))}
            if len(moved) == 1 and self.active not in moved:
                (self.active,) = moved  # the curve goes with the slider that was moved
                return
        if change["name"] in SETTINGS or self._others(change["old"]) != self._others(change["new"]):
            self._update_curve()

    def _others(self, strengths: Mapping[str, float]) -> dict[str, float]:
        """All that the curve of the active box depends on."""
        return {name: strength for name, strength in strengths.items() if name != self.active}

    def _update(self) -> None:
        """Answer the present strengths; whatever goes wrong is shown, since nobody catches what a callback raises."""
        start = time.perf_counter()
        try:
            result = self.session.update(self.strengths, self.settings)
        except Exception as error:  # noqa: BLE001
            self.error = f"{type(error).__name__}: {error}"
            return
        if result is None:
            return  # a newer request answers
        self._answer = {**result.answer(), "ms": 1000 * (time.perf_counter() - start)}
        self.error = ""
        self.result = result

    def _update_curve(self, _: Any = None) -> None:
        """Compute the curve of the active slider."""
        if self.active is None:
            self._sweep = None
            return
        try:
            results = self.session.curve(self.active, SWEEP, self.strengths, self.settings)
        except Exception as error:  # noqa: BLE001  (shown, as above)
            self.error = f"{type(error).__name__}: {error}"
            return
        self._sweep = curve(self.active, SWEEP, results)

    def tabulate(self, named: Mapping[str, Mapping[str, float]], tokens: Sequence[str] = ()) -> pd.DataFrame:
        """One row per named setting of the strengths: activity of every box, and probability of each of `tokens`.

        >>> view.tabulate({"as it is": {}, "sum inhibited": {"sum": -1}}, tokens=["95", "94"])
        """
        import pandas as pd

        targets = [f"p({token})" for token in tokens]
        results = {name: self.session.run(one, self.settings) for name, one in named.items()}
        rows = {
            name: {**one.activity, **dict(zip(targets, one.probabilities(tokens), strict=True))}
            for name, one in results.items()
        }
        return pd.DataFrame.from_dict(rows, orient="index")

    def to_html(
        self,
        path: str | Path,
        strengths: Sequence[float] = EXPORTED,
        pairs: Iterable[tuple[str, str]] = (),
    ) -> Path:
        """Write the view to one HTML file whose sliders work without a kernel: answers are computed now.

        strengths: those that every slider can take there, with the others at 1; pairs: names of boxes that can be moved
        together. Sliders snap to what was computed; nothing is interpolated.
        """
        return write_bytes(Path(path), self._page(strengths, pairs).encode())

    def _page(self, strengths: Sequence[float] = EXPORTED, pairs: Iterable[tuple[str, str]] = ()) -> str:
        state = {
            **self.get_state(tuple(PerturbationState.__annotations__)),
            "_boxes": self._boxes,
            "_grid": self._compute_grid(strengths, pairs),
        }
        data = view_data(state, wire(self.graph))
        return page_html(self.graph.prompt, "perturbation", "perturbation.page.js", ["perturbation.css"], data)

    def _compute_grid(self, strengths: Sequence[float], pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
        values = sorted({1.0, *(float(value) for value in strengths)})
        asked = [tuple(pair) for pair in pairs]
        for name in {name for pair in asked for name in pair} - self.adjustable.keys():
            raise WidgetError(f"pairs: there is no box {name!r} with features; there are {list(self.adjustable)}")
        single = {name: self.session.curve(name, values, {}, self.settings) for name in self.adjustable}
        return {
            "values": values,
            "baseline": self.session.run({}, self.settings).answer(),
            "single": {name: [one.answer() for one in results] for name, results in single.items()},
            "curves": {name: curve(name, values, results) for name, results in single.items()},
            "pairs": [
                [a, b, [[one.answer() for one in self.session.curve(b, values, {a: v}, self.settings)] for v in values]]
                for a, b in asked
            ],
        }

    def _picture(self) -> Picture:
        predicted = self.session.predicted_activity(self.strengths, self.settings)
        return perturbation_picture(self.graph.prompt, self.boxes, self._answer or {}, predicted, self._sweep)

    def __repr__(self) -> str:
        changed = ", ".join(f"{name} at {strength:g}" for name, strength in self.strengths.items())
        return f"<PerturbationWidget of {self.graph.prompt!r}: {changed or 'nothing changed'}>"


def curve(name: str, values: Sequence[float], results: Sequence[Perturbed]) -> dict[str, Any]:
    """Logits (less their mean) of the likeliest tokens while one strength goes through `values`, as JSON."""
    first, last = results[0], results[-1]
    ranked = (first.logits_before.argsort(descending=True)[:3], last.logits.argsort(descending=True)[:1])
    likeliest = [*ranked[0].tolist(), *first.logits.argsort(descending=True)[:1].tolist(), *ranked[1].tolist()]
    ids = list(dict.fromkeys(likeliest))[:MOST_LINES]
    return {
        "name": name,
        "values": list(values),
        "tokens": first.model.str_tokens(ids),
        "ids": ids,
        "logits": [[float(one.logits[i] - one.logits.mean()) for one in results] for i in ids],
        "probability": [[float(p[i]) for p in (one.logits.softmax(-1) for one in results)] for i in ids],
    }
