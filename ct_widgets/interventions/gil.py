"""The GIL while a slider moves beside a cell that computes: a shorter switch interval, and pauses of the cell.

CPython's switch interval lets a busy thread keep the GIL for 5 ms, and an answer takes it many times: from the socket,
through the layers of the kernel, and in every operation of the model. A busy thread also keeps a core of the machine,
for which the server and the browser then stand in line. So the interval is short while an answer is computed beside the
main thread, and while requests come one after another, as in a drag, a cell that computes pauses twice as long as it
runs. Nothing is touched while no slider moves, and nothing at all after `ct.set_responsive(False)`.
"""

from __future__ import annotations

import ctypes
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager

SHORT_INTERVAL = 1e-4
"""Switch interval in seconds while somebody waits (5 ms otherwise)."""
SERIES = 2.0
"""Seconds for which the switch interval stays short after a request of a series."""
LIVE = 0.2
"""Seconds after a request in which the next one is expected, so that the cell goes on pausing."""
RUN = 0.001
"""Seconds for which the cell runs between two pauses; it may become more where threads wait for a core."""
PAUSE = 2.0
"""Length of a pause, as a multiple of the time for which the cell ran."""
LONGEST_PAUSE = 0.01
"""Seconds; a long operation outside of Python may have come before."""


_enabled = True


def set_responsive(on: bool) -> None:
    """Let sliders stay live while a cell computes (the default), or leave Python's threads as they are.

    A drag beside a busy cell then gets its answers in tens of milliseconds instead of seconds, and the cell takes up to
    three times as long while the drag lasts. Works on CPython; holds for the whole process.

    >>> ct.set_responsive(False)
    """
    global _enabled
    _enabled = on


def _is_beside_a_cell() -> bool:
    """Whether somebody else may be waiting: cells run in the main thread."""
    return _enabled and threading.current_thread() is not threading.main_thread()


class _SwitchInterval:
    """How many need a short switch interval, and the usual one."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.waiting = 0
        self.usual = 0.0

    def enter(self) -> None:
        with self.lock:
            if self.waiting == 0:
                self.usual = sys.getswitchinterval()
                sys.setswitchinterval(min(SHORT_INTERVAL, self.usual))
            self.waiting += 1

    def leave(self) -> None:
        with self.lock:
            self.waiting -= 1
            if self.waiting == 0:
                sys.setswitchinterval(self.usual)


_interval = _SwitchInterval()


@contextmanager
def short_switch_interval() -> Generator[None]:
    """Let this thread take the GIL often while a cell runs in the main thread; there itself it changes nothing.

    Every tensor operation hands the GIL to the other thread and has to wait for it to come back; a hundred times the
    usual interval of 5 ms would be a run of half a second instead of a few milliseconds.
    """
    if not _is_beside_a_cell():
        yield
        return
    _interval.enter()
    try:
        yield
    finally:
        _interval.leave()


class _Pause:
    """Lets the main thread, which runs the cells, sleep between two of its bytecodes.

    Whoever asks cannot keep time for it, since it may itself wait for a core; so a pause goes by what the main thread
    has really run. CPython makes a "pending call" there as soon as that thread runs bytecodes: a C function that
    returns 0, or -1 with an exception. The truth of an object is such a function, so that Ctrl-C during a pause
    interrupts the cell.
    """

    def __init__(self) -> None:
        self.over = threading.Event()
        self.over.set()
        self.until = 0.0
        self.ran = 0.0

    def ask(self, until: float) -> None:
        """Have the main thread pause once, unless it first gets to it after `until`."""
        self.until = until
        self.over.clear()
        if ctypes.pythonapi.Py_AddPendingCall(ctypes.pythonapi.PyObject_IsTrue, ctypes.py_object(self)):
            self.over.set()  # too many calls are pending

    def __bool__(self) -> bool:
        try:
            ran, self.ran = self.ran, time.thread_time()
            if time.monotonic() < self.until:
                time.sleep(min(PAUSE * (self.ran - ran), LONGEST_PAUSE))
        finally:
            self.over.set()
        return False


class _Series:
    """Requests that come one after another, and a thread that makes room for them until they have ended."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.thread: threading.Thread | None = None
        self.requested = threading.Event()
        self.last = 0.0
        self.pause = _Pause()

    def request(self) -> None:
        """Begin a series, or continue it."""
        with self.lock:
            self.last = time.monotonic()
            if self.thread is None or not self.thread.is_alive():
                self.pause.over.set()
                self.thread = threading.Thread(target=self._make_room, name="ct_widgets slider series", daemon=True)
                self.thread.start()
        self.requested.set()

    def _has_ended(self) -> bool:
        with self.lock:
            if _enabled and time.monotonic() < self.last + SERIES:
                return False
            self.thread = None
            return True

    def _make_room(self) -> None:
        with short_switch_interval():
            while not self._has_ended():
                live = self.last + LIVE
                if time.monotonic() >= live:
                    self.requested.wait(SERIES)
                    self.requested.clear()
                elif self.pause.over.wait(LIVE):
                    time.sleep(RUN)
                    self.pause.ask(live)


_series = _Series()


def expect_requests() -> None:
    """Keep the switch interval short and let a cell pause until no request has come for a while.

    Messages on their way to the kernel need room too. A request by the cell itself needs none.
    """
    if _is_beside_a_cell():
        _series.request()
