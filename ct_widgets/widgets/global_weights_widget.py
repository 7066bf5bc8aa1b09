"""GlobalWeightsWidget: walk from a feature to its strongest global inputs and outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import traitlets as t

from ct_widgets.errors import CTWidgetsError, WidgetError
from ct_widgets.feature_name import FeatureName
from ct_widgets.widgets.global_weights_payload import walk
from ct_widgets.widgets.pictures.global_weights import global_weights_picture
from ct_widgets.widgets.pictures.svg import Picture
from ct_widgets.widgets.traits import Choice
from ct_widgets.widgets.view import View

if TYPE_CHECKING:
    from ct_widgets.global_weights import GlobalWeights

_LONGEST_TRAIL = 12


class GlobalWeightsWidget(View, front_end="global_weights"):
    """A feature between its strongest inputs and outputs over all prompts; a click on one of them goes there.

    weights: of `model.global_weights`; feature: where to begin, by default at the strongest connection; by: the measure
    that ranks, by default TWERA where there is a corpus; k: rows of each side.

    >>> view = model.global_weights(texts).show("L3/12")
    >>> view.feature = "L0/5"
    >>> view.by = "virtual"                 # what is interference is marked
    >>> view.trail
    """

    _walk = t.Dict().tag(sync=True)
    _rankings = t.List().tag(sync=True)

    feature = t.Unicode().tag(sync=True)
    """The feature in the middle, as "L2/517"."""

    by = Choice("twera", "era", "virtual")
    """The measure that ranks: "twera", "era" or "virtual"."""

    trail = t.List(t.Unicode()).tag(sync=True)
    """The features that led here, the present one last; going back to one of them forgets what came after."""

    def __init__(
        self,
        weights: GlobalWeights,
        feature: str | tuple[int, int] | None = None,
        *,
        by: str | None = None,
        k: int = 10,
        theme: str = "auto",
    ) -> None:
        self._weights, self._k = weights, k
        ranking: Any = by or weights.rankings[-1]
        if feature is None:
            feature = weights.first_feature(ranking)
        name = feature if isinstance(feature, str) else str(FeatureName.of(feature))
        super().__init__(feature=name, by=ranking, theme=theme, _rankings=list(weights.rankings))

    @t.validate("feature")
    def _check_feature(self, proposal: Any) -> str:
        try:
            return self._weights.features[proposal["value"]].name
        except CTWidgetsError as error:
            raise WidgetError(f"feature: {error}") from error

    @t.validate("by")
    def _check_by(self, proposal: Any) -> str:
        if proposal["value"] not in self._weights.rankings:
            raise WidgetError(f"by: {proposal['value']!r} needs statistics of a corpus: model.global_weights(texts)")
        return proposal["value"]

    @t.observe("feature", "by")
    def _step(self, change: Any) -> None:
        """Take the step that Python or the browser asks for; a new feature and measure at once are one step."""
        del change
        if not self.feature or (self.feature, self.by) == (self._walk.get("feature"), self._walk.get("by")):
            return
        by: Any = self.by
        trail = self.trail
        if self.feature in trail:
            trail = trail[: trail.index(self.feature)]
        self._walk = walk(self._weights, self.feature, by, self._k)
        self.trail = [*trail, self.feature][-_LONGEST_TRAIL:]

    def _picture(self) -> Picture:
        return global_weights_picture(self._walk)

    def __repr__(self) -> str:
        return f"<GlobalWeightsWidget at {self.feature}, by {self.by}>"
