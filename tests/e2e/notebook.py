"""What tests do with a notebook in JupyterLab, and what they watch meanwhile."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Locator, Page

# Said by JupyterLab itself, on any page, and by Notebook 7, on any page without settings.
_NOT_OURS = ("ResizeObserver loop", "(reading 'schema')")
_LOCAL = ("", "127.0.0.1")


class Watch:
    """Errors of a page, and requests that would leave the machine."""

    def __init__(self, page: Page) -> None:
        self.errors: list[str] = []
        self.foreign: list[str] = []
        self.requests: list[str] = []
        page.on("pageerror", lambda error: self._said("error", str(error)))
        page.on("console", lambda message: self._said(message.type, message.text))
        page.on("request", lambda request: self._asked(request.url))

    def _said(self, kind: str, text: str) -> None:
        if kind == "error" and not any(known in text for known in _NOT_OURS):
            self.errors.append(text)

    def _asked(self, url: str) -> None:
        self.requests.append(url)
        if (urlsplit(url).hostname or "") not in _LOCAL:
            self.foreign.append(url)

    def check(self) -> None:
        """Fail if there was anything to see."""
        assert self.errors == [], self.errors
        assert self.foreign == []


class Notebook:
    """A notebook open in JupyterLab."""

    def __init__(self, page: Page, watch: Watch) -> None:
        self.page = page
        self.watch = watch

    @classmethod
    def open(
        cls, page: Page, watch: Watch, base: str, token: str, path: Path, cells: list[str], theme: str
    ) -> Notebook:
        """Write `cells` to `path`, open it and wait for its kernel."""
        code = [
            {
                "cell_type": "code",
                "id": f"cell-{i}",
                "metadata": {},
                "source": cell,
                "outputs": [],
                "execution_count": None,
            }
            for i, cell in enumerate(cells)
        ]
        kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
        path.write_text(json.dumps({"cells": code, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}))
        page.goto(f"{base}/{path.name}?token={token}&reset")
        page.wait_for_function(
            "() => window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'",
            timeout=90_000,
        )
        notebook = cls(page, watch)
        if page.locator("#jp-left-stack:visible").count():
            notebook.command("application:toggle-left-area")
        notebook.set_theme(theme)
        return notebook

    def command(self, name: str, **arguments: Any) -> None:
        """Run a command of JupyterLab."""
        self.page.evaluate("([name, args]) => jupyterapp.commands.execute(name, args)", [name, arguments])

    def set_theme(self, theme: str) -> None:
        """JupyterLab's own light or dark theme."""
        name = f"JupyterLab {theme.capitalize()}"
        self.command("apputils:change-theme", theme=name)
        is_light = "true" if theme == "light" else "false"
        self.page.wait_for_selector(f"body[data-jp-theme-light={is_light}]", state="attached")

    def run_all(self) -> None:
        """Run every cell and wait for the kernel."""
        self.command("notebook:run-all-cells")
        self.wait_idle()

    def run_cell(self, place: int) -> None:
        """Run one cell as Ctrl+Enter does."""
        self.page.evaluate("place => { jupyterapp.shell.currentWidget.content.activeCellIndex = place }", place)
        self.command("notebook:run-cell")
        self.wait_idle()

    def wait_idle(self) -> None:
        """Until the kernel has nothing left to do."""
        self.python("pass")

    def python(self, code: str) -> str:
        """Execute `code` in the kernel of the notebook and return what it prints."""
        return self.page.evaluate(
            """async code => {
              const kernel = jupyterapp.shell.currentWidget.sessionContext.session.kernel;
              const future = kernel.requestExecute({ code, store_history: false });
              let text = "";
              future.onIOPub = message => {
                if (message.header.msg_type === "stream") text += message.content.text;
                if (message.header.msg_type === "error") text += message.content.traceback.join("\\n");
              };
              await future.done;
              return text.trim();
            }""",
            code,
        )

    def prints(self, code: str, expected: Callable[[str], bool], seconds: float = 10) -> str:
        """What `code` prints, once it is as expected: what a view sends may be handled after a cell that came later."""
        end = time.monotonic() + seconds
        while not expected(text := self.python(code)):
            assert time.monotonic() < end, f"{code} still prints {text!r}"
        return text

    def graphs(self) -> Locator:
        """The graph views on the page."""
        return self.page.locator(".ctw-graph")

    def close(self) -> None:
        """End the kernel and leave without being asked to save."""
        self.page.evaluate("() => jupyterapp.shell.currentWidget.sessionContext.shutdown()")


class View:
    """One graph view on a page."""

    def __init__(self, root: Locator) -> None:
        self.root = root
        self.stage = root.locator(".ctw-stage")
        self.panel = root.locator(".ctw-panel")
        self.rows = root.locator(".ctw-row")

    def wait(self) -> View:
        """Until it is drawn."""
        self.stage.wait_for()
        self.root.page.wait_for_timeout(300)
        return self

    def title(self) -> str:
        """Name of the node that the panel describes."""
        return self.panel.locator(".ctw-title").inner_text()

    def slide(self, name: str, value: float) -> None:
        """Move a slider as a hand does, by keys."""
        slider = self.root.locator(".ctw-slider", has_text=name).locator("input")
        now = float(slider.input_value())
        key = "ArrowRight" if value > now else "ArrowLeft"
        for _ in range(round(abs(value - now) * 100)):
            slider.press(key)

    def count(self, name: str) -> str:
        """What a slider says it leaves."""
        return self.root.locator(".ctw-slider", has_text=name).locator(".ctw-count").inner_text()

    def hover_some_node(self) -> tuple[float, float]:
        """Move over the plot until a node is hovered; returns the place in the page."""
        self.stage.scroll_into_view_if_needed()
        box = self.stage.bounding_box()
        assert box
        mouse = self.root.page.mouse
        for step in range(400):
            x = box["x"] + box["width"] * ((step * 0.6180339) % 1)
            y = box["y"] + box["height"] * (0.2 + 0.6 * ((step * 0.7548776) % 1))
            mouse.move(x, y)
            if self.root.locator(".ctw-tooltip:visible").count():
                return x, y
        raise AssertionError("no node under 400 places of the plot")
