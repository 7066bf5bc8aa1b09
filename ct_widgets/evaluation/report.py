"""The result of an evaluation: tables, figures of them, and one page with all of it."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ct_widgets.atomic import write_bytes

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

NOTES = {
    "L0": "active features per token, over all layers",
    "normalised MSE": "share of the MLP outputs' variance that the reconstruction misses",
    "dead": "share of features that are active on none of the tokens",
    "top-1 agreement": "share of predictions whose top token is the model's, with every MLP output replaced",
    "KL": "KL(model || replacement model), nats per prediction",
    "CE recovered": "share of what the MLPs do for the cross-entropy that the replacement does too",
    "replacement, completeness": "scores of the graphs, mean of prompts",
    "path length": "mean number of edges from an embedding to the output, mean of prompts",
    "influence": "rank correlation of influence with ablation effects (KL), mean of prompts",
    "knock-on": "rank correlation of influence between features more than one layer apart with relative changes",
    "cosine": "local replacement model and model, perturbed along an encoder direction, one layer on; median",
}


@dataclass(frozen=True, eq=False, repr=False)
class Evaluation:
    """All measurements as tables; `summary` has the main ones, `figures` draws them.

    points: where a dictionary that graphs were made with stands in `dictionaries`: its name and size there.
    dictionaries: sparsity, reconstruction and replacement model of each dictionary at each point of its sparsity
    curve; layers: those as they are, by layer; density: histogram of their features' densities; graphs: one row per
    dictionary and prompt; paths: P_k and B_k; pruning: what thresholds keep; correlations: influence against ablation,
    per graph; faithfulness: every perturbation of the local replacement model and the model.

    >>> report = model.evaluate([("calc: 36+59=", "95"), ("calc: 2+2=", "4")])
    >>> report.summary
    >>> report.figures["L0 against normalised MSE"]
    >>> report.to_html("report.html")
    """

    model: str
    points: Mapping[str, tuple[str, float]]
    dictionaries: pd.DataFrame
    layers: pd.DataFrame
    density: pd.DataFrame
    graphs: pd.DataFrame
    paths: pd.DataFrame
    pruning: pd.DataFrame
    correlations: pd.DataFrame
    faithfulness: pd.DataFrame

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """All tables by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)[2:]}

    @cached_property
    def summary(self) -> pd.DataFrame:
        """One row per dictionary; `NOTES` says what the columns are."""
        import pandas as pd

        rows: dict[str, dict[str, float]] = {}
        for name in dict.fromkeys([*self.graphs["dictionary"], *self.dictionaries["dictionary"]]):
            rows[name] = self._measured(name) | self._of_graphs(name)
        table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("dictionary")
        # Neurons without a threshold come last: nothing is explained by all of them.
        return table.sort_values("L0", kind="stable", key=lambda l0: np.isnan(table["path length"]).astype(float))

    def _measured(self, name: str) -> dict[str, float]:
        """The row of `dictionaries` for a dictionary, or for the point of a sparsity curve that goes by `name`."""
        dictionary, size = self.points.get(name, (name, 0.0))
        own = _only(self.dictionaries, dictionary)
        row = own[own["size"] == size].iloc[0]
        columns = {"L0": "l0", "normalised MSE": "normalised_mse", "dead": "dead"}
        columns |= {"top-1 agreement": "top1_agreement", "KL": "kl", "CE recovered": "recovered"}
        return {title: float(row[column]) for title, column in columns.items()}

    def _of_graphs(self, name: str) -> dict[str, float]:
        graphs, ranks = _only(self.graphs, name), _only(self.correlations, name).query("above == 0")
        responses = _only(self.faithfulness, name).query("kind == 'encoder' and on == 1")
        by_what = ranks.groupby("what")["correlation"].mean()
        return {
            "replacement": graphs["replacement"].mean(),
            "completeness": graphs["completeness"].mean(),
            "path length": graphs["path_length"].mean(),
            "influence": by_what.get("influence", np.nan),
            "knock-on": by_what.get("knock-on", np.nan),
            "cosine": responses["cosine"].median(),
        }

    @cached_property
    def figures(self) -> Mapping[str, go.Figure]:
        """Figures of all tables, by what they show."""
        from ct_widgets.evaluation import figures  # plotly is slow to import: not before it is needed

        look = figures.looks([*self.dictionaries["dictionary"], *self.graphs["dictionary"]])
        d = self.dictionaries
        return {
            "L0 against normalised MSE": figures.quality(d, look, "normalised_mse", "normalised MSE"),
            "L0 against top-1 agreement": figures.quality(d, look, "top1_agreement", "top-1 agreement", percent=True),
            "path lengths": figures.path_lengths(self.paths, look),
            "scores": figures.scores(self.graphs, look),
            "pruning": figures.pruning(self.pruning, look),
            "ablations": figures.ablations(self.correlations, look),
            "responses": figures.responses(self.faithfulness, look),
            "density": figures.density(self.density, look),
        }

    def to_html(self, path: str | Path) -> Path:
        """Write tables and figures as one HTML file that opens from disk, without network or kernel."""
        from ct_widgets.evaluation.page import page

        made = page(self.model, summary_html(self), NOTES, self.figures, self.tables)
        return write_bytes(Path(path), made.encode())

    def __repr__(self) -> str:
        return f"<Evaluation of {self.model}>\n{self.summary.round(3).to_string()}"

    def _repr_html_(self) -> str:
        return f"{summary_html(self)}<p>{_size(self)} <code>figures</code> draws all tables.</p>"


def summary_html(found: Evaluation) -> str:
    """Write the summary as an HTML table; what a column is shows on hover."""
    notes = {part: note for name, note in NOTES.items() for part in name.split(", ")}
    columns = list(map(str, found.summary))
    head = "".join(f'<th title="{html.escape(notes[name])}">{html.escape(name)}</th>' for name in columns)
    cell = '<td style="font-variant-numeric:tabular-nums;white-space:nowrap">{}</td>'
    body = "".join(
        f'<tr><th style="text-align:left">{html.escape(name)}</th>'
        + "".join(cell.format(shown(*value)) for value in zip(columns, values, strict=True))
        + "</tr>"
        for name, values in zip(map(str, found.summary.index), found.summary.to_numpy().tolist(), strict=True)
    )
    return f"<table><thead><tr><th></th>{head}</tr></thead><tbody>{body}</tbody></table>"


def shown(column: str, value: float) -> str:
    """Write a number of the summary as text."""
    if np.isnan(value):
        return ""
    if column in ("dead", "top-1 agreement", "CE recovered"):
        return f"{100 * value:.1f} %"
    if column == "L0":
        return f"{value:,.1f}" if value < 100 else f"{value:,.0f}"
    digits = 3 if column in ("normalised MSE", "KL") else 2
    return f"{value:.{digits}f}".replace("-", "\u2212")


def _size(found: Evaluation) -> str:
    first = found.dictionaries.iloc[0]
    prompts = found.graphs["prompt"].nunique()
    of = "prompt" if prompts == 1 else "prompts"
    return f"{int(first['tokens']):,} tokens, {int(first['predictions']):,} predictions, graphs of {prompts} {of}."


def _only(table: pd.DataFrame, name: str) -> pd.DataFrame:
    return table[table["dictionary"] == name]
