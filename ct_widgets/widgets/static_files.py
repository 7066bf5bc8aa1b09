"""The built front end: `static/`, made from `js/` and carried by the wheel."""

from __future__ import annotations

from pathlib import Path

from ct_widgets.errors import WidgetError

_STATIC = Path(__file__).parent / "static"


def static_file(name: str) -> Path:
    """Find a built file; WidgetError if the front end was not built."""
    path = _STATIC / name
    if not path.is_file():
        raise WidgetError(
            f"the front end is not built ({name} is missing): run `python hatch_build.py` in the checkout, "
            "or install the package again"
        )
    return path


def static_text(name: str) -> str:
    """Read a built file."""
    return static_file(name).read_text(encoding="utf-8")
