"""View: the base class of all widgets of this package."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, ClassVar, Literal

import anywidget
import traitlets as t

from ct_widgets.atomic import write_bytes
from ct_widgets.errors import WidgetError
from ct_widgets.widgets.pictures.svg import Picture
from ct_widgets.widgets.static_files import static_file
from ct_widgets.widgets.traits import Choice

Theme = Literal["auto", "light", "dark"]


class View(anywidget.AnyWidget):
    """A widget with a theme, the errors of its front end, and a still picture for places that run no widgets.

    front_end: name of its built script and style. A view that takes its state as keywords names their TypedDict as
    `_keywords`, and refuses others.
    """

    _keywords: ClassVar[Any] = None

    theme = Choice("auto", "light", "dark")
    """"auto" follows the notebook."""

    error = t.Unicode("").tag(sync=True)
    """The last error of the view, empty if there is none. The front end writes its own errors here, so that they
    reach Python: `view.observe(print, "error")`."""

    def __init_subclass__(cls, front_end: str | None = None, **options: Any) -> None:
        if front_end is not None:
            cls._esm, cls._css = static_file(f"{front_end}.js"), static_file(f"{front_end}.css")
        super().__init_subclass__(**options)

    @classmethod
    def _refuse_unknown(cls, state: Mapping[str, Any]) -> None:
        """Raise WidgetError for a keyword that is not a trait, with the name that was probably meant."""
        known = tuple(cls._keywords.__annotations__)
        for name in state:
            if name not in known:
                close = get_close_matches(name, known, n=1)
                hint = f"did you mean {close[0]!r}?" if close else f"it takes {', '.join(known)}"
                raise WidgetError(f"{cls.__name__} has no setting {name!r}: {hint}")

    def _picture(self) -> Picture | None:
        """Draw the view without a browser; None while there is nothing to draw."""
        raise NotImplementedError

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """The view, its still picture, and its description as text."""
        data, metadata = super()._repr_mimebundle_() or ({}, {})
        picture = self._picture()
        still = {} if picture is None else {"image/svg+xml": picture.svg()}
        return {**data, **still, "text/plain": repr(self)}, metadata


class PageView(View):
    """A view that can be exported."""

    def _page(self) -> str:
        raise NotImplementedError

    def to_html(self, path: str | Path) -> Path:
        """Write the view as it is now to one HTML file that opens from disk, without network or kernel.

        A file that stands at `path` is replaced when the new one is complete. Raises OSError where nothing can be
        written.

        >>> view.to_html("view.html")
        """
        return write_bytes(Path(path), self._page().encode())
