"""One lock per model: widget callbacks come on another thread than cells, and hooks belong to no thread."""

from __future__ import annotations

import threading
from typing import Any
from weakref import WeakKeyDictionary

_locks: WeakKeyDictionary[Any, threading.RLock] = WeakKeyDictionary()
_making = threading.Lock()


def model_lock(bridge: Any) -> threading.RLock:
    """Return the lock of a TransformerBridge: one for all who hold it, and a thread may take it again."""
    with _making:
        return _locks.setdefault(bridge, threading.RLock())
