"""JupyterLab in one page with one kernel, on which tests open their notebooks in turn.

Loading the page and importing PyTorch in a kernel take longer than most tests. So both are kept from test to test: a
notebook begins with nothing but modules imported, and whatever it made goes when it is closed. After a failure the page
and the kernel are discarded, and the next test begins with new ones.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Error, Page, ViewportSize

from tests.e2e.notebook import PATIENCE_MS, Notebook, Watch, write_notebook
from tests.e2e.servers import Lab

# The session gives the kernel its folder. Widgets belong to the connections of the notebooks.
_START = """async () => {
  const session = await jupyterapp.serviceManager.sessions.startNew(
    { path: "desk", name: "desk", type: "console", kernel: { name: "python3" } },
    { kernelConnectionOptions: { handleComms: false } },
  );
  window.desk = session.kernel;
  return desk.id;
}"""
_EXECUTE = """code => {
  window.deskAnswer = null;
  void desk.requestExecute({ code, store_history: false }).done.then(reply => { deskAnswer = reply.content; });
}"""
_OPEN = """async ([path, isShared]) => {
  const options = { path, factory: "Notebook", kernel: isShared ? { id: desk.id } : { name: "python3" } };
  const widget = await jupyterapp.commands.execute("docmanager:open", options);
  await widget.context.ready;
  await widget.sessionContext.ready;
  await widget.revealed;
}"""
_OPENED = """([path, isShared]) => {
  const { context, sessionContext } = jupyterapp.shell.currentWidget ?? {};
  const kernel = sessionContext?.session?.kernel;
  return context?.path === path && kernel?.status === "idle" && (kernel.id === desk.id) === isShared;
}"""
_CLOSE = """async () => {
  for (const widget of [...jupyterapp.shell.widgets("main")]) {
    if (!widget.context) continue;
    if (widget.sessionContext.session.kernel.id !== desk.id) await widget.sessionContext.shutdown();
    widget.dispose();
  }
}"""
_IMPORT = "import ct_widgets as ct\nct.load_demo()"
_FORGET = """from ipywidgets import Widget
Widget.close_all()
get_ipython().reset(new_session=True)
__import__("gc").collect()"""


class Desk:
    """A page and a kernel that the notebooks of many tests share."""

    def __init__(self, browser: Browser, lab: Lab) -> None:
        self._browser = browser
        self._lab = lab
        self._context: BrowserContext | None = None
        self._page: Page | None = None
        self._kernel: str | None = None
        self._watches: list[Watch] = []

    def open(self, path: Path, cells: list[str], theme: str, viewport: ViewportSize, *, new_kernel: bool) -> Notebook:
        """Write `cells` to `path`, and open it with the kernel of the desk, where nothing is defined, or a new one."""
        page = self._page or self._start()
        page.set_viewport_size(viewport)
        watch = Watch(page)
        self._watches.append(watch)
        write_notebook(path, cells)
        asked = [path.name, not new_kernel]
        page.evaluate(_OPEN, asked)
        page.wait_for_function(_OPENED, arg=asked)
        notebook = Notebook(page, watch)
        notebook.set_theme(theme)
        return notebook

    def clear(self) -> None:
        """Close the notebooks and forget what they made; start anew next time where that fails."""
        for watch in self._watches:
            watch.end()
        self._watches = []
        if self._page is None:
            return
        try:
            self._page.mouse.move(5, 5)
            self._execute(_FORGET)
            self._page.evaluate(_CLOSE)
        except (Error, RuntimeError):
            self.discard()

    def discard(self) -> None:
        """Close the page and kill the kernel; the next notebook gets new ones."""
        context, kernel = self._context, self._kernel
        self._context = self._page = self._kernel = None
        self._watches = []
        if context:
            context.close()
        if kernel:
            self._lab.end_kernel(kernel)

    def _start(self) -> Page:
        self._context = self._browser.new_context()
        self._context.set_default_timeout(PATIENCE_MS)
        self._page = page = self._context.new_page()
        page.goto(f"{self._lab.url}/lab?token={self._lab.token}&reset")
        page.wait_for_function("() => window.jupyterapp?.restored.then(() => true)")
        self._kernel = page.evaluate(_START)
        self._execute(_IMPORT)
        self._execute(_FORGET)
        Notebook(page, Watch(page)).hide_side_bar()
        return page

    def _execute(self, code: str) -> None:
        """Run `code` in the kernel, from no notebook."""
        assert self._page
        self._page.evaluate(_EXECUTE, code)
        answer: dict[str, Any] = self._page.wait_for_function("() => deskAnswer").json_value()
        if answer["status"] != "ok":
            raise RuntimeError(f"{code!r} failed in the kernel: {answer}")
