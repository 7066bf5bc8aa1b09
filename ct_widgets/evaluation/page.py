"""An evaluation as one HTML file: tables and live figures, with all they need inside."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

import plotly.io
from plotly.offline import get_plotlyjs

from ct_widgets.palette import css

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

_RULES = """
body { background: var(--surface); color: var(--ink); font: 13px/1.45 system-ui, sans-serif; max-width: 1420px;
  margin: 24px auto; padding: 0 24px; }
h1 { font-size: 18px; } h2 { font-size: 13px; font-weight: 600; margin-top: 32px; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 4px 8px; text-align: right; border-bottom: 1px solid var(--hairline); white-space: nowrap; }
th { font-weight: 600; } thead th { border-bottom-color: var(--muted); }
td.text { text-align: left; max-width: 40ch; overflow: hidden; text-overflow: ellipsis; }
.scroll { overflow-x: auto; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(600px, 1fr)); gap: 24px; }
details { margin: 8px 0; } summary { cursor: pointer; }
dt { font-weight: 600; } dd { margin: 0 0 4px 16px; color: var(--muted); }
"""
_STYLE = css() + _RULES

_SCRIPT = """
const figures = JSON.parse(document.getElementById("figures").textContent);
const dark = matchMedia("(prefers-color-scheme: dark)");
const settings = { displaylogo: false, responsive: true };
const color = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
function draw() {
  figures.forEach((figure, i) => {
    const layout = structuredClone(figure.layout);
    const surface = color("--surface"), line = color("--hairline");
    Object.assign(layout, { paper_bgcolor: surface, plot_bgcolor: surface, autosize: true });
    layout.font.color = color("--ink");
    delete layout.width;
    for (const [name, axis] of Object.entries(layout)) {
      if (/^[xy]axis/.test(name)) Object.assign(axis, { gridcolor: line, linecolor: line });
    }
    for (const note of layout.annotations ?? []) note.font.color = color("--muted");
    Plotly.react(`figure-${i}`, figure.data, layout, settings);
  });
}
dark.addEventListener("change", draw);
draw();
"""


def page(
    model: str,
    summary: str,
    notes: Mapping[str, str],
    figures: Mapping[str, go.Figure],
    tables: Mapping[str, pd.DataFrame],
) -> str:
    """Write the page of an evaluation of `model`. summary: HTML; notes: what the columns of the summary are."""
    drawn = [json.loads(str(plotly.io.to_json(figure))) for figure in figures.values()]
    # "</" would end the script element, wherever a token says it.
    data = json.dumps([{"data": one["data"], "layout": one["layout"]} for one in drawn]).replace("</", "<\\/")
    terms = "".join(f"<dt>{html.escape(name)}</dt><dd>{html.escape(note)}</dd>" for name, note in notes.items())
    details = "".join(
        f"<details><summary>{html.escape(name)} ({len(table):,} rows)</summary>"
        f'<div class="scroll">{_table(table)}</div></details>'
        for name, table in tables.items()
    )
    places = "".join(f'<div id="figure-{i}"></div>' for i in range(len(drawn)))
    name = html.escape(model)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Evaluation of {name}</title><style>{_STYLE}</style></head><body>
<h1>Evaluation of {name}</h1>
<div class="scroll">{summary}</div>
<details><summary>what the columns are</summary><dl>{terms}</dl></details>
<h2>Figures</h2><div class="figures">{places}</div>
<h2>All measurements</h2>{details}
<script>{get_plotlyjs()}</script>
<script type="application/json" id="figures">{data}</script>
<script>{_SCRIPT}</script>
</body></html>
"""


_ROWS = 400  # a page is read; all rows are in Python


def _table(table: pd.DataFrame) -> str:
    head = "".join(f"<th>{html.escape(str(name))}</th>" for name in table.columns)
    rows = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in table.head(_ROWS).itertuples(index=False))
    more = f"<p>The first {_ROWS:,} rows.</p>" if len(table) > _ROWS else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{more}"


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"<td>{value:.4g}</td>"
    text = html.escape(str(value))
    return f'<td class="text" title="{text}">{text}</td>' if isinstance(value, str) else f"<td>{text}</td>"
