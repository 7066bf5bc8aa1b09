"""Answers of a widget beside a cell that computes.

Python lets a busy thread run for 5 ms before another one gets its turn, and an answer takes many turns: from the
socket, through the layers of the kernel, and in every operation of the model. While a hand moves, turns are short.
"""

from __future__ import annotations

import sys
import threading

_SHORT = 0.0002
"""Seconds of a turn."""
_LASTS = 2.0
"""Seconds after the last answer until turns are as long as they were."""

_lock = threading.Lock()
_timer: threading.Timer | None = None
_usual = 0.0


def hurry() -> None:
    """Give threads short turns for some seconds from now."""
    global _timer, _usual
    with _lock:
        if _timer is None:
            _usual = sys.getswitchinterval()
            sys.setswitchinterval(min(_usual, _SHORT))
        else:
            _timer.cancel()
        _timer = threading.Timer(_LASTS, _rest)
        _timer.daemon = True
        _timer.start()


def _rest() -> None:
    global _timer
    with _lock:
        if _timer is threading.current_thread():  # a later call may have come between
            _timer = None
            sys.setswitchinterval(_usual)
