"""What tests do with a notebook in JupyterLab, and what they watch meanwhile."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import ConsoleMessage, Error, Locator, Page, Request

# Said by JupyterLab itself, on any page, and by Notebook 7, on any page without settings.
_NOT_OURS = ("ResizeObserver loop", "(reading 'schema')")
_LOCAL = ("", "127.0.0.1")

_EXECUTE = """async ([code, patience]) => {
  const kernel = jupyterapp.shell.currentWidget.sessionContext.session.kernel;
  const future = kernel.requestExecute({ code, store_history: false });
  let text = "";
  future.onIOPub = message => {
    if (message.header.msg_type === "stream") text += message.content.text;
    if (message.header.msg_type === "error") text += message.content.traceback.join("\\n");
  };
  await new Promise((done, fail) => {
    const late = setTimeout(() => fail(new Error(`the kernel is busy: ${code}`)), patience);
    void future.done.then(() => { clearTimeout(late); done(); }, fail);
  });
  return text.trim();
}"""
PATIENCE_MS = 120_000


class Watch:
    """Errors of a page, and requests that would leave the machine, until it ends."""

    def __init__(self, page: Page) -> None:
        self.errors: list[str] = []
        self.foreign: list[str] = []
        self.requests: list[str] = []
        self._page = page
        self._listeners: dict[Any, Callable[..., None]] = {
            "pageerror": self._raised,
            "console": self._said,
            "request": self._asked,
        }
        for event, listener in self._listeners.items():
            page.on(event, listener)

    def _raised(self, error: Error) -> None:
        self._add(str(error))

    def _said(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self._add(message.text)

    def _add(self, text: str) -> None:
        if not any(known in text for known in _NOT_OURS):
            self.errors.append(text)

    def _asked(self, request: Request) -> None:
        self.requests.append(request.url)
        if (urlsplit(request.url).hostname or "") not in _LOCAL:
            self.foreign.append(request.url)

    def check(self) -> None:
        """Fail if there was anything to see."""
        assert self.errors == [], self.errors
        assert self.foreign == []

    def end(self) -> None:
        """Watch no longer."""
        for event, listener in self._listeners.items():
            self._page.remove_listener(event, listener)


def write_notebook(path: Path, cells: list[str]) -> None:
    """A notebook of these cells of code, without outputs."""
    code = [
        {"cell_type": "code", "id": f"cell-{i}", "metadata": {}, "source": cell, "outputs": [], "execution_count": None}
        for i, cell in enumerate(cells)
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    path.write_text(json.dumps({"cells": code, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}))


class Notebook:
    """A notebook open in JupyterLab."""

    def __init__(self, page: Page, watch: Watch) -> None:
        self.page = page
        self.watch = watch

    @classmethod
    def open(
        cls, page: Page, watch: Watch, base: str, token: str, path: Path, cells: list[str], theme: str
    ) -> Notebook:
        """Write `cells` to `path`, load the page of it and wait for a kernel of its own."""
        write_notebook(path, cells)
        page.goto(f"{base}/{path.name}?token={token}&reset")
        page.wait_for_function(
            "() => window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'",
        )
        notebook = cls(page, watch)
        notebook.hide_side_bar()
        notebook.set_theme(theme)
        return notebook

    def command(self, name: str, **arguments: Any) -> None:
        """Run a command of JupyterLab."""
        self.page.evaluate("([name, args]) => jupyterapp.commands.execute(name, args)", [name, arguments])

    def hide_side_bar(self) -> None:
        """Give the notebook the whole width."""
        if self.page.locator("#jp-left-stack:visible").count():
            self.command("application:toggle-left-area")

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
        return self.page.evaluate(_EXECUTE, [code, PATIENCE_MS])

    def prints(self, code: str, expected: Callable[[str], bool]) -> str:
        """What `code` prints, once it is as expected: what a view sends may be handled after a cell that came later."""
        end = time.monotonic() + PATIENCE_MS / 1000
        while not expected(text := self.python(code)):
            assert time.monotonic() < end, f"{code} still prints {text!r}"
        return text

    def graphs(self) -> Locator:
        """The graph views on the page."""
        return self.page.locator(".ctw-graph")

    def end_kernel(self) -> None:
        """End the kernel."""
        self.page.evaluate("() => jupyterapp.shell.currentWidget.sessionContext.shutdown()")
