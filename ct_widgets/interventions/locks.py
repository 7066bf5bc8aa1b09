"""One lock per model: widget callbacks come on another thread than cells, and hooks belong to no thread."""

from __future__ import annotations

import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

_locks: WeakKeyDictionary[Any, threading.RLock] = WeakKeyDictionary()
_making = threading.Lock()


def model_lock(bridge: Any) -> threading.RLock:
    """The lock of a TransformerBridge; the same for all who hold it. A thread may take it again."""
    with _making:
        return _locks.setdefault(bridge, threading.RLock())


SHORT_TURN = 1e-4
"""Seconds that another thread may keep Python to itself while somebody waits for a short run (5 ms otherwise)."""
STAY = 2.0
"""Seconds for which turns stay short after a request of a series, such as a drag."""


class _Turns:
    """How many wait for short turns, the usual length of a turn, and the end of a series of requests."""

    def __init__(self) -> None:
        self.waiting = 0
        self.usual = 0.0
        self.end: threading.Timer | None = None

    def enter(self) -> None:
        if self.waiting == 0:
            self.usual = sys.getswitchinterval()
            sys.setswitchinterval(min(SHORT_TURN, self.usual))
        self.waiting += 1

    def leave(self) -> None:
        self.waiting -= 1
        if self.waiting == 0:
            sys.setswitchinterval(self.usual)


_turns = _Turns()


@contextmanager
def responsive() -> Generator[None]:
    """Let this thread take turns often while a cell runs in another.

    Every tensor operation gives Python to the other thread and has to wait for it to come back; a hundred times the
    usual turn of 5 ms would be a run of half a second instead of a few milliseconds.
    """
    with _making:
        _turns.enter()
    try:
        yield
    finally:
        with _making:
            _turns.leave()


def stay_responsive() -> None:
    """Keep turns short until no request has come for a while: messages on their way to the kernel need them too."""
    timer = threading.Timer(STAY, lambda: _end_series(timer))
    timer.daemon = True
    with _making:
        if _turns.end is None:
            _turns.enter()
        else:
            _turns.end.cancel()
        _turns.end = timer
    timer.start()


def _end_series(timer: threading.Timer) -> None:
    with _making:
        if _turns.end is timer:
            _turns.end = None
            _turns.leave()
