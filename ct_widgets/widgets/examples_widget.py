"""ExamplesWidget: the card of a feature, by itself or in the side panel of a graph."""

from __future__ import annotations

import math
from typing import Any

import traitlets as t

from ct_widgets.display import CardSource
from ct_widgets.errors import CTWidgetsError, FeatureError, GraphError, WidgetError
from ct_widgets.feature_name import FeatureName
from ct_widgets.graph import AttributionGraph
from ct_widgets.widgets.pictures.examples import examples_picture
from ct_widgets.widgets.pictures.svg import Picture
from ct_widgets.widgets.view import View

_NO_SOURCE = (
    "No examples: this graph came without its model. Give the view the model's features: "
    "view.panels = [ct.ExamplesWidget(model.features, graph=graph, compact=True)]"
)


class ExamplesWidget(View, front_end="examples"):
    """Examples, histogram, tokens and label of one feature at a time.

    source: `model.features`; without one the card says what is missing.
    graph: marks the feature's activation on the graph's prompt; compact: the small form of a graph's side panel.

    >>> view = ExamplesWidget(model.features, "L2/517")
    >>> view.feature = "L2/31"
    >>> view.label = "sum = _5"             # kept in the store
    >>> ct.GraphWidget(graph, panels=[ExamplesWidget(model.features, graph=graph, compact=True)])
    """

    _card = t.Dict(allow_none=True, default_value=None).tag(sync=True)

    feature = t.Unicode().tag(sync=True)
    """The feature that is shown, as "L2/517"; "" for none."""

    position = t.Int(None, allow_none=True).tag(sync=True)
    """The token of the graph's prompt whose activation is marked, or None."""

    activation = t.Float(None, allow_none=True)
    """The activation that is marked in the histogram, by default that at `position` in the graph."""

    label = t.Unicode(None, allow_none=True).tag(sync=True)
    """Set it to label the feature; None until then."""

    compact = t.Bool(False).tag(sync=True)
    """Whether to show the small form."""

    def __init__(
        self,
        source: CardSource | None = None,
        feature: str = "",
        *,
        graph: AttributionGraph | None = None,
        activation: float | None = None,
        compact: bool = False,
        theme: str = "auto",
    ) -> None:
        self._source = source
        self._graph = graph
        super().__init__(feature=feature, activation=activation, compact=compact, theme=theme)
        if feature and source is not None and "promotes" not in self._card:
            raise WidgetError(self._card["missing"])

    @t.observe("feature", "position", "activation")
    def _recompute(self, change: Any) -> None:
        """Recompute the card when Python or the browser asks for another one, once for changes that come together."""
        del change
        card = self._card or {}
        request = self._request()
        if self.feature and request != {name: card.get(name) for name in request}:
            self.label = None
            self._card = self._make_card()

    def _request(self) -> dict[str, Any]:
        return {"feature": self.feature, "position": self.position, "activation": self._activation()}

    @t.observe("label")
    def _keep_label(self, change: Any) -> None:
        if change["new"] is None or self._source is None or not self.feature:
            return
        try:
            self._source.set_label(self.feature, change["new"])
            self._card = self._make_card()
        except CTWidgetsError as error:
            self._card = {**self._make_card(), "missing": f"The label was not kept: {error}"}

    def _make_card(self) -> dict[str, Any]:
        facts = self._request() | {"missing": ""}
        if self._source is None:
            return facts | {"missing": _NO_SOURCE}
        try:
            card = self._source.card(self.feature)
        except CTWidgetsError as error:
            return facts | {"missing": str(error)}
        if "density" not in card:
            facts["missing"] = (
                "No examples were collected for this model: "
                "ct.collect_features(model, texts, path), then ReplacementModel(bridge, transcoder, features=path)"
            )
        return card | facts

    def _activation(self) -> float | None:
        """Choose what was set, or else what the graph says of the feature at the position."""
        if self.activation is not None or self._graph is None or self.position is None:
            return self.activation
        try:
            layer, index = FeatureName.parse(self.feature)
            value = float(self._graph.activation[self._graph.row(("feature", layer, self.position, index))])
        except (FeatureError, GraphError):
            return None
        return None if math.isnan(value) else value

    def _picture(self) -> Picture | None:
        return examples_picture(self._card) if self._card else None

    def __repr__(self) -> str:
        return f"<ExamplesWidget of {self.feature or 'no feature'}>"
