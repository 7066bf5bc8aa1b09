"""Chromium, servers of notebooks, and pages that may talk to nobody but them."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, Literal, Protocol

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, expect, sync_playwright

from ct_widgets import AttributionGraph
from tests.e2e.desk import Desk
from tests.e2e.marimo_apps import APPS
from tests.e2e.notebook import PATIENCE_MS, Notebook, Watch
from tests.e2e.servers import ROOT, Lab, jupyter, marimo
from tests.e2e.view import View
from tests.support.chromium import FLAGS, MISSING, find_chromium
from tests.support.graphs import layered_graph

# How long a machine may take is not tested: this is when something is held not to come at all.
expect.set_options(timeout=PATIENCE_MS)
SMALL: ViewportSize = {"width": 1200, "height": 900}
New = Literal["notebook", "kernel", "page"]
"""What is new to a notebook that a test opens; what begins with a page has a kernel of its own, too."""
HAS_FAILED = pytest.StashKey[bool]()


class NewPage(Protocol):
    """Make a page in a context of its own, with options of `browser.new_context`."""

    def __call__(self, **options: Any) -> tuple[Page, Watch]: ...


class OpenGraph(Protocol):
    """Open an exported page with one graph and wait until it is drawn."""

    def __call__(
        self, file: Path, *, width: int = 1200, height: int = 900, theme: str = "light", **options: Any
    ) -> tuple[Page, Watch, View]: ...


class OpenNotebook(Protocol):
    """Open a notebook of the given cells in JupyterLab.

    Its page and its kernel are those of the tests before, in which nothing is defined, unless one of them is the point
    of the test: `new` says from where on.
    """

    def __call__(
        self,
        name: str,
        cells: list[str],
        *,
        theme: str = "light",
        viewport: ViewportSize = SMALL,
        new: New = "notebook",
    ) -> Notebook: ...


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Browser tests take seconds each."""
    for item in items:
        item.add_marker(pytest.mark.slow)
        # Two processes: tests of JupyterLab share its server, page and kernel, the others fill the waits of these.
        needs_lab = "open_notebook" in getattr(item, "fixturenames", ())
        item.add_marker(pytest.mark.xdist_group("lab" if needs_lab else "pages"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Tell fixtures whether their test failed."""
    report = yield
    item.stash[HAS_FAILED] = item.stash.get(HAS_FAILED, False) or report.failed
    return report


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium from CTW_CHROMIUM or the path."""
    path = find_chromium()
    if path is None:
        pytest.fail(MISSING)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield started
        started.close()


@pytest.fixture
def new_page(browser: Browser) -> Iterator[NewPage]:
    """Make pages in contexts of their own; each is watched for errors and for requests that leave the machine."""
    contexts: list[BrowserContext] = []

    def make(**options: Any) -> tuple[Page, Watch]:
        context = browser.new_context(**{"viewport": SMALL, **options})
        contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        return page, Watch(page)

    yield make
    for context in contexts:
        context.close()


@pytest.fixture
def open_graph(new_page: NewPage) -> OpenGraph:
    """Open exported pages of graphs."""

    def make(
        file: Path, *, width: int = 1200, height: int = 900, theme: str = "light", **options: Any
    ) -> tuple[Page, Watch, View]:
        page, watch = new_page(viewport={"width": width, "height": height}, color_scheme=theme, **options)
        page.goto(file.as_uri())
        return page, watch, View(page.locator(".ctw-graph")).wait()

    return make


@pytest.fixture(scope="session")
def graph_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small graph as an exported page."""
    return layered_graph().to_html(tmp_path_factory.mktemp("pages") / "graph.html")


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """JupyterLab."""
    with jupyter(tmp_path_factory.mktemp("jupyter"), "jupyterlab", "--expose-app-in-browser") as server:
        yield server


@pytest.fixture(scope="session")
def graph(lab: Lab) -> AttributionGraph:
    """A small graph, also saved beside the notebooks as `graph.ctgraph`."""
    made = layered_graph()
    made.save(lab.folder / "graph.ctgraph")
    return made


@pytest.fixture(scope="session")
def desk(browser: Browser, lab: Lab) -> Iterator[Desk]:
    """JupyterLab in one page with one kernel."""
    made = Desk(browser, lab)
    yield made
    made.discard()


@pytest.fixture
def open_notebook(request: pytest.FixtureRequest, lab: Lab, desk: Desk, new_page: NewPage) -> Iterator[OpenNotebook]:
    """Open notebooks in JupyterLab."""
    lonely: list[Notebook] = []

    def make(
        name: str, cells: list[str], *, theme: str = "light", viewport: ViewportSize = SMALL, new: New = "notebook"
    ) -> Notebook:
        if new != "page":
            return desk.open(lab.folder / name, cells, theme, viewport, new_kernel=new == "kernel")
        page, watch = new_page(viewport=viewport)
        notebook = Notebook.open(page, watch, f"{lab.url}/lab/tree", lab.token, lab.folder / name, cells, theme)
        lonely.append(notebook)
        return notebook

    yield make
    for notebook in lonely:
        notebook.end_kernel()
    if request.node.stash.get(HAS_FAILED, False):
        desk.discard()
    else:
        desk.clear()


@pytest.fixture(scope="session")
def marimo_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of marimo's apps, up to their name."""
    folder = tmp_path_factory.mktemp("marimo")
    layered_graph().save(folder / "graph.ctgraph")
    with marimo(folder, APPS) as url:
        yield f"{url}/?file="


@pytest.fixture(scope="session")
def pictures() -> Path:
    """Where screenshots go, for a person to look at."""
    folder = ROOT / "test-results"
    folder.mkdir(exist_ok=True)
    return folder
