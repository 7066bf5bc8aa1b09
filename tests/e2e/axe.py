"""What axe, the checker of accessibility, finds on a page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from playwright.sync_api import Page

_AXE = Path(__file__).resolve().parents[2] / "node_modules" / "axe-core" / "axe.min.js"


def issues(page: Page, place: str = ".ctw-graph") -> list[tuple[str, str, list[str]]]:
    """Serious and critical findings in the elements `place` as (impact, rule, elements)."""
    if not page.evaluate("() => 'axe' in window"):
        page.add_script_tag(content=_AXE.read_text())
    found: list[dict[str, Any]] = page.evaluate("async place => (await axe.run(place)).violations", place)
    return [
        (rule["impact"], rule["id"], [node["html"][:160] for node in rule["nodes"]])
        for rule in found
        if rule["impact"] in ("serious", "critical")
    ]
