"""A graph as one HTML file: script, style and data inside, no network, the same view as in a notebook."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Iterable, Mapping
from typing import Any

from ct_widgets.graph import AttributionGraph
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

_PAGE_STYLE = """
body { margin: 0; padding: 12px; background: #ffffff; }
@media (prefers-color-scheme: dark) { body { background: #16181d; } }
"""


def graph_html(graph: AttributionGraph, state: Mapping[str, Any] | None = None) -> str:
    """The page of `graph`; `state` holds traits of a view in their JSON form, by default those of a new view."""
    # A prompt may hold half a character, which no encoding writes.
    prompt = graph.prompt[:200].encode("utf-8", "replace").decode()
    return page_html(f"{prompt} · attribution graph", "graph.page.js", ("graph.css",), graph_data(graph, state))


def graph_data(graph: AttributionGraph, state: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What a page holds of the view of one graph."""
    return {
        "state": dict(state) if state is not None else initial_json(graph),
        "buffers": {"_columns": base64.b64encode(wire(graph)).decode("ascii")},
    }


def page_html(title: str, script: str, styles: Iterable[str], data: Mapping[str, Any]) -> str:
    """A page that runs the built `script` over `data`, as `js/src/host/page.ts` reads it."""
    text = static_text(script).replace("</script", "<\\/script").replace("<!--", "<\\!--")
    # Nothing may be fetched, and of scripts only the one below runs; a PNG is drawn from an image of its own data.
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
    return _PAGE.format(
        policy=f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:",
        title=html.escape(title),
        style="".join(map(static_text, styles)) + _PAGE_STYLE,
        # In JSON "<" only stands inside strings, where its escape means the same and ends no element.
        state=json.dumps(data, ensure_ascii=True, allow_nan=False).replace("<", "\\u003c"),
        script=text,
    )
