"""marimo apps, as text: a cell shows its last expression, which a linter takes for one without use."""

from __future__ import annotations

APPS = {
    # Two graphs side by side, and a button that selects.
    "compare.py": """
import marimo

app = marimo.App(width="full")


@app.cell
def _():
    import marimo as mo

    import ct_widgets as ct

    graph = ct.AttributionGraph.load("graph.ctgraph")
    widget = ct.CompareWidget(graph, graph.prune(0.5, 0.9), names=("all", "some"))
    view = mo.ui.anywidget(widget)
    view
    return mo, view, widget


@app.cell
def _(mo, widget):
    def choose(_):
        widget.a.selected = widget.nodes.query("found == 'a'").row_a.iloc[0]

    button = mo.ui.button(label="choose what only the first has", on_click=choose)
    button
    return (button,)
""",
    # Two views of one graph, a button that selects, and what both have selected.
    "graph.py": """
import marimo

app = marimo.App(width="full")


@app.cell
def _():
    import marimo as mo

    import ct_widgets as ct

    graph = ct.AttributionGraph.load("graph.ctgraph")
    return graph, mo


@app.cell
def _(graph, mo):
    widget = graph.show()
    view = mo.ui.anywidget(widget)
    view
    return view, widget


@app.cell
def _(graph, mo):
    other = mo.ui.anywidget(graph.show())
    other
    return (other,)


@app.cell
def _(mo, widget):
    def choose(_):
        widget.selected = ("logit", 4, 4, 500)

    button = mo.ui.button(label="choose the logit", on_click=choose)
    button
    return (button,)


@app.cell
def _(mo, other, view):
    mo.md(f"first {list(view.value['selected'] or [])} second {list(other.value['selected'] or [])}")
    return
""",
    # Plots of operands, and what is selected.
    "operands.py": """
import marimo

app = marimo.App(width="full")


@app.cell
def _():
    import marimo as mo

    import ct_widgets as ct

    model = ct.load_demo()
    numbers = range(30, 60)
    sheet = ct.OperandWidget(model, a=numbers, b=numbers)
    view = mo.ui.anywidget(sheet)
    view
    return mo, sheet, view


@app.cell
def _(mo, view):
    mo.md(f"selected {list(view.value['selected'] or [])} large {view.value['enlarged']}")
    return
""",
}
