"""A real JupyterLab on a free port with settings of its own, and a Chromium that may talk to nobody else."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from ct_widgets import AttributionGraph
from tests.e2e.notebook import Notebook, Watch
from tests.e2e.samples import layered_graph

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# JupyterLab asks the network for news and updates unless told not to.
QUIET = {"fetchNews": "false", "checkForUpdates": False, "doNotDisturbMode": True}
ROOT = Path(__file__).resolve().parents[2]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Browser tests take seconds each."""
    for item in items:
        item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium from CTW_CHROMIUM or the path."""
    path = os.environ.get("CTW_CHROMIUM") or next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if path is None:
        pytest.fail("no Chromium on the path: `make browser` installs one, or set CTW_CHROMIUM to its program")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield started
        started.close()


@pytest.fixture
def new_page(browser: Browser) -> Iterator[Callable[..., tuple[Page, Watch]]]:
    """Make pages in contexts of their own; each is watched for errors and for requests that leave the machine."""
    contexts: list[BrowserContext] = []

    def make(**options: Any) -> tuple[Page, Watch]:
        context = browser.new_context(**{"viewport": {"width": 1200, "height": 900}, **options})
        contexts.append(context)
        page = context.new_page()
        return page, Watch(page)

    yield make
    for context in contexts:
        context.close()


class Lab(NamedTuple):
    """A running Jupyter server."""

    url: str
    token: str
    folder: Path


@contextmanager
def jupyter(home: Path, *program: str) -> Iterator[Lab]:
    """A Jupyter server over an empty folder, away from the settings, kernels and sessions of whoever runs the tests."""
    folder = home / "work"
    folder.mkdir()
    settings = home / "settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    (settings / "notification.jupyterlab-settings").write_text(json.dumps(QUIET))
    token = secrets.token_hex(16)
    port = free_port()
    env = {
        **os.environ,
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "IPYTHONDIR": str(home / "ipython"),
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", *program, "--no-browser", "--allow-root"]
    command += [f"--ServerApp.port={port}", "--ServerApp.ip=127.0.0.1", f"--IdentityProvider.token={token}"]
    command += [f"--ServerApp.root_dir={folder}", "--ServerApp.port_retries=0", "--LabApp.news_url="]
    with serving(command, env, f"http://127.0.0.1:{port}/api/status?token={token}", home / "log"):
        yield Lab(f"http://127.0.0.1:{port}", token, folder)


def free_port() -> int:
    """A port of this machine that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def serving(command: list[str], env: dict[str, str], url: str, log: Path) -> Iterator[None]:
    """Run a server from when it answers at `url`."""
    with log.open("wb") as said:
        server = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        try:
            _wait_for(url, server, log)
            yield
        finally:
            server.terminate()
            server.wait(timeout=30)


@contextmanager
def running_marimo(folder: Path, app: str) -> Iterator[str]:
    """The address of a marimo app whose code is `app`, in `folder`."""
    (folder / "app.py").write_text(app)
    url = f"http://127.0.0.1:{(port := free_port())}"
    command = [sys.executable, "-m", "marimo", "-y", "run", "app.py", "--headless", "--no-token"]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(folder), "OMP_NUM_THREADS": "1", "PWD": str(folder)}
    with serving(["env", "-C", str(folder), *command], env, f"{url}/health", folder / "log"):
        yield url


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """JupyterLab."""
    with jupyter(tmp_path_factory.mktemp("jupyter"), "jupyterlab", "--expose-app-in-browser") as server:
        yield server


def _wait_for(url: str, server: subprocess.Popen[bytes], log: Path, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and server.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.2)
    pytest.fail(f"the server did not start:\n{log.read_text()[-4000:]}")


@pytest.fixture(scope="session")
def graph(lab: Lab) -> AttributionGraph:
    """A small graph, also saved beside the notebooks as `graph.ctgraph`."""
    made = layered_graph()
    made.save(lab.folder / "graph.ctgraph")
    return made


@pytest.fixture
def open_notebook(lab: Lab, new_page: Callable[..., tuple[Page, Watch]]) -> Iterator[Callable[..., Notebook]]:
    """Open a notebook of the given cells in JupyterLab; its kernel ends with the test."""
    opened: list[Notebook] = []

    def make(name: str, cells: list[str], *, theme: str = "light", **options: Any) -> Notebook:
        page, watch = new_page(**options)
        notebook = Notebook.open(page, watch, f"{lab.url}/lab/tree", lab.token, lab.folder / name, cells, theme)
        opened.append(notebook)
        return notebook

    yield make
    for notebook in opened:
        notebook.close()


@pytest.fixture(scope="session")
def pictures() -> Path:
    """Where screenshots go, for a person to look at."""
    folder = ROOT / "test-results"
    folder.mkdir(exist_ok=True)
    return folder
