"""One progress reporter for everything that takes longer than a second."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from tqdm.auto import tqdm


class Progress:
    """Handle of one running bar, or of none; `advance` may be called from the hot loop."""

    def __init__(self, bar: tqdm[Any] | None = None) -> None:
        self._bar = bar

    def advance(self, n: int = 1) -> None:
        """Move the bar by `n` units."""
        if self._bar is not None:
            self._bar.update(n)

    def extend(self, n: int) -> None:
        """Expect `n` more units."""
        if self._bar is not None:
            self._bar.total = (self._bar.total or 0) + n

    def note(self, **values: object) -> None:
        """Show `name=value` pairs at the end of the bar."""
        if self._bar is not None:
            self._bar.set_postfix(values, refresh=False)


SILENT = Progress()
"""Shows nothing: the default of functions that report to a bar of whoever calls them."""


@contextmanager
def progress_bar(what: str, total: int = 0, *, unit: str = "it", show: bool | None = None) -> Generator[Progress]:
    """Show a bar named `what` that appears only if the work lasts over a second.

    total: units of work; `Progress.extend` adds more as they become known. `show=False` hides the bar, `show=True`
    shows it at once, `None` waits one second. It closes on every way out, Ctrl-C included.
    """
    with tqdm(total=total, desc=what, unit=unit, disable=show is False, delay=0.0 if show else 1.0, leave=False) as bar:
        yield Progress(bar)
