"""A perturbation view as one HTML file: its sliders go through answers that were computed when it was written."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from ct_widgets.graph import AttributionGraph
from ct_widgets.widgets.page import page_html
from ct_widgets.widgets.payload import wire


def perturbation_html(graph: AttributionGraph, state: Mapping[str, Any]) -> str:
    """The page; `state` holds traits in their JSON form, `_grid` among them."""
    # A prompt may hold half a character, which no encoding writes.
    prompt = graph.prompt[:200].encode("utf-8", "replace").decode()
    data = {"state": dict(state), "buffers": {"_columns": base64.b64encode(wire(graph)).decode("ascii")}}
    return page_html(f"{prompt} · perturbation", "perturbation.page.js", ("perturbation.css",), data)
