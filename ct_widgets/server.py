"""A Jupyter server extension with one effect: messages of kernels reach the browser without delay (TCP_NODELAY).

The server leaves Nagle's algorithm on. A small message that follows another one, as an answer follows "busy", is then
held until the browser acknowledges the first, which it puts off for 40 ms: more than the demo model takes to answer a
slider. Tornado's documentation advises to switch it off for sockets of this kind. Pages are told, so that views need
not work around it. `jupyter server extension disable ct_widgets` switches the extension off; sliders are then slower.
"""

from __future__ import annotations

from typing import Any

__all__ = ["AT_ONCE", "_load_jupyter_server_extension"]  # the second is Jupyter's name

AT_ONCE = "ctWidgetsAtOnce"
"""True in the configuration of a page whose kernel sockets send without delay; js/src/host/anywidget.ts reads it."""

_SETTING = "kernel_websocket_connection_class"


def _load_jupyter_server_extension(app: Any) -> None:
    """Let the server `app` make kernel connections without delay; one whose connections are unknown stays as it is."""
    from jupyter_server.services.kernels.connection.base import BaseKernelWebsocketConnection

    settings = app.web_app.settings
    present = settings.get(_SETTING)
    if not (isinstance(present, type) and issubclass(present, BaseKernelWebsocketConnection)):
        app.log.info(f"ct_widgets: kernel connections stay as they are, since {present!r} is unknown")
        return

    class Connection(present):
        def connect(self) -> Any:
            self.websocket_handler.set_nodelay(True)
            return super().connect()

    settings[_SETTING] = Connection
    settings.setdefault("page_config_data", {})[AT_ONCE] = True
    app.log.debug("ct_widgets: kernel connections send without delay")
