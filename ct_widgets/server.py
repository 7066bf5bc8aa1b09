"""A Jupyter server extension: what a kernel says reaches the browser at once.

The server leaves Nagle's algorithm on. A small message that follows another one, as an answer follows "busy", is then
held until the browser acknowledges the first, which it puts off for 40 ms: more than the embedded model takes to
answer a slider. Tornado's documentation advises to switch it off for sockets of this kind. Pages are told, so that
views need not work around it.
"""

from __future__ import annotations

from functools import wraps
from typing import Any

__all__ = ["_jupyter_server_extension_points", "_load_jupyter_server_extension"]  # Jupyter's names

AT_ONCE = "ctWidgetsAtOnce"
"""What is true in the configuration of a page whose kernel sockets send at once; js/src/host/anywidget.ts reads it."""


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": __name__}]


def _load_jupyter_server_extension(app: Any) -> None:
    from jupyter_server.services.kernels.websocket import KernelWebsocketHandler

    opened = KernelWebsocketHandler.open

    @wraps(opened)
    async def open_without_delay(self: KernelWebsocketHandler, kernel_id: str) -> None:
        self.set_nodelay(True)
        await opened(self, kernel_id)

    KernelWebsocketHandler.open = open_without_delay
    app.web_app.settings.setdefault("page_config_data", {})[AT_ONCE] = True
    app.log.debug("ct_widgets: kernel sockets send at once")
