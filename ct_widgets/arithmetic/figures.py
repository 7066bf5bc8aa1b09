"""Plots of arithmetic as plotly figures: hover, zoom, and export from plotly's own tool bar.

Colours are those of the widgets: an orange ramp for activation, purple to green for what has a sign.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ct_widgets.arithmetic.families import classify
from ct_widgets.arithmetic.numbers import NUMBERS, TEMPLATE, Slot
from ct_widgets.arithmetic.operands import OperandActivations
from ct_widgets.arithmetic.weights import embedding_weights, output_weights
from ct_widgets.feature_name import FeatureName
from ct_widgets.features.catalog import WithFeatures
from ct_widgets.palette import ACTIVATION_SCALE, LIGHT, SIGNED_SCALE

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

Feature = str | tuple[int, int]
"""By name, such as "L2/517", or (layer, index)."""

_INK, _HAIRLINE = LIGHT.ink, LIGHT.hairline
_SIZE = 380


def operand_plot(feature: Feature, operands: OperandActivations) -> Figure:
    """Draw a feature's activation for all pairs of operands; see `ReplacementModel.operand_plot`."""
    import plotly.graph_objects as go

    name = FeatureName.of(feature)
    plot = operands.plot(*name)
    signed = bool((plot < 0).any())
    highest = float(np.abs(plot).max()) or 1.0
    sums = np.add.outer(operands.a, operands.b).astype(np.int32)
    heatmap = go.Heatmap(
        x=operands.b,
        y=operands.a,
        z=plot,
        customdata=sums,
        colorscale=SIGNED_SCALE if signed else ACTIVATION_SCALE,
        zmin=-highest if signed else 0,
        zmax=highest,
        colorbar=_colorbar("change" if signed else "activation"),
        hovertemplate="a %{y}, b %{x}, a+b %{customdata}<br>%{z:.3g}<extra></extra>",
    )
    figure = go.Figure(heatmap)
    for axis, operand, numbers in (("x", "b", operands.b), ("y", "a", operands.a)):
        ticks = sorted({numbers[0], numbers[len(numbers) // 2], numbers[-1]})
        figure.update_layout({f"{axis}axis": _axis(operand) | {"tickvals": ticks}})
    figure.update_yaxes(scaleanchor="x", constrain="domain")
    figure.update_xaxes(constrain="domain")
    place = f"{operands.template} at the token {operands.tokens[operands.position]!r}"
    if signed:
        return _styled(figure, f"{name}  change", place)
    family = classify(plot, operands.a, operands.b)
    explained = "" if family.kind == "other" else f"; explains {family.explained:.0%}"
    return _styled(figure, f"{name}  {family.name}", f"{place}{explained}")


def output_weight_plot(
    model: WithFeatures, feature: Feature, numbers: Iterable[int] = NUMBERS, *, template: str = TEMPLATE
) -> Figure:
    """Draw what a feature adds to the logits of numbers; see `ReplacementModel.output_weight_plot`."""
    name = FeatureName.of(feature)
    wanted = list(numbers)
    weights = output_weights(model, *name, wanted, template=template)
    return _weight_plot(wanted, weights, f"{name}  output weights", "added to the logit of each number")


def embedding_weight_plot(
    model: WithFeatures,
    feature: Feature,
    numbers: Iterable[int] = NUMBERS,
    *,
    template: str = TEMPLATE,
    slot: Slot = "a",
) -> Figure:
    """Draw what numbers add to a feature; see `ReplacementModel.embedding_weight_plot`."""
    name = FeatureName.of(feature)
    wanted = list(numbers)
    weights = embedding_weights(model, *name, wanted, template=template, slot=slot)
    return _weight_plot(
        wanted, weights, f"{name}  embedding weights", "added to the pre-activation by each number's embedding"
    )


def _weight_plot(numbers: list[int], weights: npt.NDArray[np.float32], title: str, what: str) -> Figure:
    """Ten numbers a row, the last digit across, and all of them as a strip below."""
    from plotly.subplots import make_subplots

    tens = np.array(numbers) // 10
    grid = np.full((int(tens.max() - tens.min()) + 1, 10), np.nan)
    shown = np.full(grid.shape, "", dtype=object)
    grid[tens - tens.min(), np.array(numbers) % 10] = weights
    shown[tens - tens.min(), np.array(numbers) % 10] = [str(number) for number in numbers]
    highest = float(np.abs(weights).max()) or 1.0
    figure: Any = make_subplots(rows=2, cols=1, row_heights=[0.72, 0.28], vertical_spacing=0.16)
    figure.add_heatmap(
        x=list(range(10)),
        y=[int(ten) * 10 for ten in range(int(tens.min()), int(tens.max()) + 1)],
        z=grid,
        text=shown,
        colorscale=SIGNED_SCALE,
        zmin=-highest,
        zmax=highest,
        colorbar=_colorbar("weight") | {"len": 0.72, "y": 1.0, "yanchor": "top"},
        hovertemplate="%{text}: %{z:.3g}<extra></extra>",
        hoverongaps=False,
        row=1,
        col=1,
    )
    figure.add_bar(
        x=numbers,
        y=weights,
        marker={"color": np.where(weights >= 0, LIGHT.positive, LIGHT.negative).tolist(), "line": {"width": 0}},
        hovertemplate="%{x}: %{y:.3g}<extra></extra>",
        row=2,
        col=1,
    )
    figure.update_layout(bargap=0.15, showlegend=False)
    figure.update_xaxes(_axis("last digit") | {"dtick": 1}, row=1, col=1)
    figure.update_yaxes(_axis("tens") | {"dtick": 20}, row=1, col=1)
    figure.update_xaxes(_axis("number"), row=2, col=1)
    figure.update_yaxes(_axis(None) | {"zeroline": True, "zerolinecolor": _INK, "nticks": 4}, row=2, col=1)
    return _styled(figure, title, what, height=_SIZE + 120)


def _colorbar(title: str) -> dict[str, Any]:
    return {"title": {"text": title, "side": "right"}, "thickness": 10, "outlinewidth": 0, "nticks": 5}


def _axis(title: str | None) -> dict[str, Any]:
    return {
        "title": {"text": title, "standoff": 4},
        "showgrid": False,
        "zeroline": False,
        "linecolor": _HAIRLINE,
        "ticks": "outside",
        "ticklen": 4,
        "tickcolor": _HAIRLINE,
    }


def _styled(figure: Any, title: str, what: str, *, height: int = _SIZE) -> Figure:
    figure.update_layout(
        title={"text": f"<b>{title}</b><br><sup>{what}</sup>", "x": 0.02, "xanchor": "left"},
        width=_SIZE + 40,
        height=height,
        margin={"l": 52, "r": 12, "t": 56, "b": 44},
        paper_bgcolor=LIGHT.surface,
        plot_bgcolor=LIGHT.surface,
        font={"family": "system-ui, sans-serif", "size": 12, "color": _INK},
        title_font_size=13,
    )
    return figure
