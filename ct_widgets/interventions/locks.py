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
_waiting: list[float] = []


@contextmanager
def responsive() -> Generator[None]:
    """Let this thread take turns often while a cell runs in another.

    Every tensor operation gives Python to the other thread and has to wait for it to come back; a hundred times the
    usual turn of 5 ms would be a run of half a second instead of a few milliseconds.
    """
    with _making:
        if not _waiting:
            _waiting.append(sys.getswitchinterval())
            sys.setswitchinterval(min(SHORT_TURN, _waiting[0]))
        else:
            _waiting.append(_waiting[0])
    try:
        yield
    finally:
        with _making:
            usual = _waiting.pop()
            if not _waiting:
                sys.setswitchinterval(usual)
