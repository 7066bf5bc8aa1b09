"""Servers of notebooks on free ports of this machine, with settings of their own."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
# JupyterLab asks the network for news and updates unless told not to.
QUIET = {"fetchNews": "false", "checkForUpdates": False, "doNotDisturbMode": True}


class Lab(NamedTuple):
    """A running Jupyter server."""

    url: str
    token: str
    folder: Path

    def end_kernel(self, kernel: str) -> None:
        """Kill a kernel, whatever it is doing."""
        address = f"{self.url}/api/kernels/{kernel}?token={self.token}"
        with urllib.request.urlopen(urllib.request.Request(address, method="DELETE"), timeout=60):
            pass


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
        **_environment(),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "IPYTHONDIR": str(home / "ipython"),
    }
    command = [sys.executable, "-m", *program, "--no-browser", "--allow-root"]
    command += [f"--ServerApp.port={port}", "--ServerApp.ip=127.0.0.1", f"--IdentityProvider.token={token}"]
    command += [f"--ServerApp.root_dir={folder}", "--ServerApp.port_retries=0", "--LabApp.news_url="]
    with _serving(command, env, f"http://127.0.0.1:{port}/api/status?token={token}", home / "log"):
        yield Lab(f"http://127.0.0.1:{port}", token, folder)


@contextmanager
def marimo(folder: Path, apps: dict[str, str]) -> Iterator[str]:
    """The address of a marimo of these apps, by name of file, which run in `folder`."""
    for name, text in apps.items():
        (folder / name).write_text(text)
    url = f"http://127.0.0.1:{(port := free_port())}"
    command = [sys.executable, "-m", "marimo", "-y", "run", *apps, "--headless", "--no-token"]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    env = {**_environment(), "HOME": str(folder), "PWD": str(folder)}
    with _serving(["env", "-C", str(folder), *command], env, f"{url}/health", folder / "log"):
        yield url


def free_port() -> int:
    """A port of this machine that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


@contextmanager
def _serving(command: list[str], env: dict[str, str], url: str, log: Path) -> Iterator[None]:
    """Run a server from when it answers at `url`."""
    with log.open("wb") as said:
        server = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        try:
            _wait_for(url, server, log)
            yield
        finally:
            server.terminate()
            server.wait(timeout=60)


def _wait_for(url: str, server: subprocess.Popen[bytes], log: Path, seconds: float = 180) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            try:
                server.wait(timeout=0.1)
                break
            except subprocess.TimeoutExpired:
                continue
    pytest.fail(f"the server did not start:\n{log.read_text()[-4000:]}")
