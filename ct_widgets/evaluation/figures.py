"""Plotly figures of an evaluation, each from the tables alone.

Colour and mark tell dictionaries apart, the same in all figures. Names come from the user and are text, not markup.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping
from itertools import cycle
from typing import TYPE_CHECKING, Any, NamedTuple

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ct_widgets.evaluation.faithfulness import KINDS
from ct_widgets.palette import DARK, LIGHT, SERIES

if TYPE_CHECKING:
    import pandas as pd

INK, MUTED, HAIRLINE, SURFACE = LIGHT.ink, LIGHT.muted, LIGHT.hairline, LIGHT.surface
_MARKS = ("circle", "square", "triangle-up", "cross", "star")


class Look(NamedTuple):
    """How a dictionary is drawn."""

    colour: str
    mark: str


def looks(names: Iterable[str]) -> dict[str, Look]:
    """Choose a look for each name, in order; neurons are grey, and at a threshold like their curve."""
    every = list(dict.fromkeys(names))
    neurons = [name for name in every if name.startswith("neurons, ")]
    others = [name for name in every if name not in (*neurons, "neurons")]
    grey = Look(MUTED, "diamond")
    found = dict(zip(others, cycle(map(Look, SERIES, _MARKS)), strict=False))
    return found | {"neurons": grey} | dict(zip(neurons, (grey, Look(DARK.muted, "diamond-open")), strict=False))


def quality(
    table: pd.DataFrame, look: Mapping[str, Look], column: str, axis: str, *, percent: bool = False
) -> go.Figure:
    """Draw one quality of dictionaries against L0; the dictionary as it is has the large mark."""
    figure, shown = go.Figure(), ".1%" if percent else ".3g"
    for name, points in table.groupby("dictionary", sort=False):
        points = points.sort_values("l0")
        hover = f"L0 %{{x:.3g}}<br>{axis} %{{y:{shown}}}<extra>%{{fullData.name}}</extra>"
        size = [11 if size == 0 else 6 for size in points["size"]]
        figure.add_trace(_trace(points["l0"], points[column], str(name), look, size=size, hovertemplate=hover))
    figure.update_xaxes(type="log", title="L0 (active features per token, all layers)", dtick=1)
    figure.update_yaxes(title=axis, tickformat=".0%" if percent else None, rangemode="tozero")
    return styled(figure, f"L0 against {axis}")


def path_lengths(table: pd.DataFrame, look: Mapping[str, Look]) -> go.Figure:
    """Draw P_k and B_k: what arrives at the output over at most k edges."""
    figure = make_subplots(
        cols=2,
        shared_yaxes=True,
        horizontal_spacing=0.06,
        subplot_titles=("from embeddings, P_k", "from all nodes, B_k"),
    )
    for place, column in enumerate(("P_k", "B_k"), 1):
        for name, curve in table.groupby("dictionary", sort=False):
            figure.add_trace(_line(curve["k"], curve[column], str(name), look, legend=place == 1), row=1, col=place)
    figure.update_xaxes(title="edges, k", dtick=1)
    figure.update_yaxes(tickformat=".0%", range=[0, 1.04])
    figure.update_yaxes(title="share of influence", col=1)
    return styled(figure, "How long the paths to the output are")


def scores(table: pd.DataFrame, look: Mapping[str, Look]) -> go.Figure:
    """Draw replacement and completeness of every prompt."""
    figure = go.Figure()
    for name, rows in table.groupby("dictionary", sort=False):
        hover = "%{text}<br>replacement %{x:.2f}, completeness %{y:.2f}<extra>%{fullData.name}</extra>"
        prompts = [html.escape(prompt) for prompt in rows["prompt"]]
        settings = {"mode": "markers", "size": 8, "opacity": 0.8, "text": prompts, "hovertemplate": hover}
        figure.add_trace(_trace(rows["replacement"], rows["completeness"], str(name), look, **settings))
    figure.update_xaxes(title="replacement score", range=[0, 1.02])
    figure.update_yaxes(title="completeness", range=[0, 1.02])
    return styled(figure, "Scores of graphs, one mark per prompt")


def pruning(table: pd.DataFrame, look: Mapping[str, Look]) -> go.Figure:
    """Draw features kept by node thresholds, edges kept by edge thresholds."""
    figure = make_subplots(cols=2, horizontal_spacing=0.12, subplot_titles=("features kept", "edges kept"))
    for place, (what, column) in enumerate((("node", "features"), ("edge", "edges")), 1):
        for name, rows in table[table["threshold_of"] == what].groupby("dictionary", sort=False):
            figure.add_trace(
                _line(rows["threshold"], rows[column], str(name), look, legend=place == 1), row=1, col=place
            )
        figure.update_xaxes(title=f"{what} threshold", tickformat=".0%", col=place)
    figure.update_yaxes(type="log", dtick=1)
    return styled(figure, "What thresholds keep, median of prompts")


def ablations(table: pd.DataFrame, look: Mapping[str, Look]) -> go.Figure:
    """Draw rank correlations with ablation effects, mean over prompts; whiskers span the lowest to the highest."""
    figure = go.Figure()
    table = table[table["above"] == 0]
    for name, rows in table.groupby("dictionary", sort=False):
        by = rows.groupby("what", sort=False)["correlation"]
        mean = by.mean()
        whiskers = {"array": by.max() - mean, "arrayminus": mean - by.min(), "thickness": 1, "width": 3}
        settings = {"mode": "markers", "size": 10, "error_y": whiskers}
        settings["hovertemplate"] = "%{x} %{y:.2f}<extra>%{fullData.name}</extra>"
        figure.add_trace(_trace(mean.index, mean, str(name), look, **settings))
    figure.update_layout(scattermode="group")
    figure.update_yaxes(title="rank correlation", range=[-1.06, 1.06])
    return styled(figure, "Influence against the effect of ablation")


def responses(table: pd.DataFrame, look: Mapping[str, Look]) -> go.Figure:
    """Draw responses to perturbations: local replacement model against model, by layers above the perturbation."""
    kinds = [kind for kind in KINDS if kind in set(table["kind"])]
    figure = make_subplots(
        cols=len(kinds), shared_yaxes=True, horizontal_spacing=0.04, subplot_titles=[KINDS[kind] for kind in kinds]
    )
    for place, kind in enumerate(kinds, 1):
        for name, rows in table[table["kind"] == kind].groupby("dictionary", sort=False):
            curve = rows.groupby("on")["cosine"].median()
            figure.add_trace(_line(curve.index, curve, str(name), look, legend=place == 1), row=1, col=place)
    figure.update_xaxes(title="layers on", dtick=1)
    figure.update_yaxes(range=[-0.2, 1.04])
    figure.update_yaxes(title="cosine with the model", col=1)
    return styled(figure, "Whether features respond to a perturbation as the model does")


def density(table: pd.DataFrame, look: Mapping[str, Look]) -> go.Figure:
    """Draw histograms of feature densities of the dictionaries as they are; neurons are active everywhere."""
    figure = go.Figure()
    for name, rows in table[table["dictionary"] != "neurons"].groupby("dictionary", sort=False):
        trace = _line(rows["log10_density"], rows["share"], str(name), look)
        figure.add_trace(trace.update(mode="lines", line_shape="hvh"))
    figure.update_xaxes(title="share of tokens on which a feature is active", tickvals=list(range(-6, 1)))
    figure.update_xaxes(ticktext=[f"10<sup>{n}</sup>".replace("-", "\u2212") for n in range(-6, 1)])
    figure.update_yaxes(title="share of features", tickformat=".0%", rangemode="tozero")
    return styled(figure, "How often features are active")


def _line(x: Any, y: Any, name: str, look: Mapping[str, Look], *, legend: bool = True) -> go.Scatter:
    """A curve with marks; those of one name in several parts of a figure share an entry of the legend."""
    return _trace(x, y, name, look, legendgroup=html.escape(name), showlegend=legend)


def _trace(x: Any, y: Any, name: str, look: Mapping[str, Look], *, size: Any = 6, **settings: Any) -> go.Scatter:
    own, settings = look[name], {"mode": "lines+markers"} | settings
    return go.Scatter(
        x=list(x),
        y=list(y),
        name=html.escape(name),
        line={"color": own.colour, "width": 1.5},
        marker={"symbol": own.mark, "size": size, "color": own.colour},
        **{"hovertemplate": "%{x:.3g}: %{y:.3g}<extra>%{fullData.name}</extra>"} | settings,
    )


def styled(figure: go.Figure, title: str) -> go.Figure:
    """Give a figure the look that all share."""
    figure.update_layout(
        template="none",
        title={"text": title, "font": {"size": 13, "weight": 600}},
        title_x=0,
        title_xref="paper",
        title_y=0.97,
        title_yanchor="top",
        font={"family": "system-ui, sans-serif", "size": 12, "color": INK},
        paper_bgcolor=SURFACE,
        plot_bgcolor=SURFACE,
        width=680,
        height=360,
        margin={"l": 64, "r": 16, "t": 64, "b": 52},
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0, "font": {"size": 11}},
        hoverlabel={"font": {"family": "system-ui, sans-serif", "size": 11}},
    )
    axis: dict[str, Any] = {"gridcolor": HAIRLINE, "linecolor": HAIRLINE, "zeroline": False, "tickfont": {"size": 11}}
    axis |= {"title_font": {"size": 11}, "title_standoff": 8}
    figure.update_xaxes(**axis)
    figure.update_yaxes(**axis)
    # Titles of parts stand between the parts and the legend.
    figure.update_annotations(font={"size": 11, "color": MUTED}, y=1.0, yanchor="bottom")
    if next(figure.select_annotations(), None) is not None:
        figure.update_layout(legend_y=1.08, margin_t=84)
    return figure
