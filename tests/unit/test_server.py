"""The server extension: it changes kernel connections that it knows, and no others."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest
from jupyter_server.extension.manager import ExtensionManager
from jupyter_server.services.kernels.connection.base import BaseKernelWebsocketConnection

from ct_widgets import server

SETTING = "kernel_websocket_connection_class"


class Known(BaseKernelWebsocketConnection):
    """A connection of a kind that the server's own API defines."""

    def connect(self) -> str:
        return "connected"


def app(**settings: Any) -> Any:
    return SimpleNamespace(web_app=SimpleNamespace(settings=settings), log=logging.getLogger("test"))


def test_connections_send_without_delay_and_pages_are_told() -> None:
    made = app(**{SETTING: Known})
    server._load_jupyter_server_extension(made)
    connection = made.web_app.settings[SETTING].__new__(made.web_app.settings[SETTING])
    asked: list[bool] = []
    object.__setattr__(connection, "_trait_values", {"websocket_handler": SimpleNamespace(set_nodelay=asked.append)})
    assert connection.connect() == "connected"
    assert asked == [True]
    assert made.web_app.settings["page_config_data"] == {server.AT_ONCE: True}


@pytest.mark.parametrize("settings", [{}, {SETTING: None}, {SETTING: object}, {SETTING: "Known"}])
def test_a_server_whose_connections_are_unknown_stays_as_it_is(settings: dict[str, Any]) -> None:
    made = app(**settings)
    server._load_jupyter_server_extension(made)
    assert made.web_app.settings == settings


def test_jupyter_finds_the_extension_under_the_name_that_disables_it() -> None:
    found = ExtensionManager()
    found.from_jpserver_extensions({"ct_widgets": True})
    assert list(found.extensions["ct_widgets"].extension_points) == ["ct_widgets.server"]
    found = ExtensionManager()
    found.from_jpserver_extensions({"ct_widgets": False})
    assert not found.extensions["ct_widgets"].enabled
