"""A view as one HTML file: script, style and data inside, no network, the same view as in a notebook."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Iterable, Mapping
from typing import Any

from ct_widgets.graph import AttributionGraph
from ct_widgets.palette import DARK, LIGHT
from ct_widgets.widgets.payload import wire
from ct_widgets.widgets.state import initial_json
from ct_widgets.widgets.static_files import static_text

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<div id="ctw-view"></div>
<script type="application/json" id="ctw-state">{state}</script>
<script>{script}</script>
</body>
</html>
"""

_PAGE_STYLE = f"""
body {{ margin: 0; padding: 12px; background: {LIGHT.surface}; }}
@media (prefers-color-scheme: dark) {{ body {{ background: {DARK.surface}; }} }}
"""

_LONGEST_TITLE = 200


def graph_html(graph: AttributionGraph, state: Mapping[str, Any] | None = None) -> str:
    """Make the page of `graph`; `state` holds traits of a view in their JSON form, by default those of a new view."""
    return page_html(graph.prompt, "attribution graph", "graph.page.js", ["graph.css"], graph_data(graph, state))


def graph_data(graph: AttributionGraph, state: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Collect what a page holds of the view of one graph."""
    return view_data(initial_json(graph) if state is None else state, wire(graph))


def view_data(state: Mapping[str, Any], columns: bytes) -> dict[str, Any]:
    """Collect what a page holds of a view: traits in their JSON form, and its columns as text."""
    return {"state": dict(state), "buffers": {"_columns": base64.b64encode(columns).decode("ascii")}}


def page_html(subject: str, kind: str, script: str, styles: Iterable[str], data: Mapping[str, Any]) -> str:
    """Make a page that runs the built `script` over `data`, as `js/src/host/page.ts` reads it.

    subject, kind: the title says what the view shows, such as a prompt, and what kind of view it is.
    """
    text = static_text(script).replace("</script", "<\\/script").replace("<!--", "<\\!--")
    # Nothing may be fetched, and of scripts only the one below runs; a PNG is drawn from an image of its own data.
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
    # A prompt may hold half a character, which no encoding writes.
    title = f"{subject[:_LONGEST_TITLE]} · {kind}".encode("utf-8", "replace").decode()
    return _PAGE.format(
        policy=f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:",
        title=html.escape(title),
        style="".join(map(static_text, styles)) + _PAGE_STYLE,
        # In JSON "<" only stands inside strings, where its escape means the same and ends no element.
        state=json.dumps(data, ensure_ascii=True, allow_nan=False).replace("<", "\\u003c"),
        script=text,
    )
