"""Room for answers beside a cell: short turns, and pauses of the main thread, for as long as requests come."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable

import pytest

from ct_widgets.interventions import turns
from ct_widgets.interventions.turns import responsive, stay_responsive

MAIN = threading.main_thread()


def usual_turns(seconds: float = 5.0) -> float:
    """The length of a turn once no series of requests is under way."""
    end = time.monotonic() + seconds
    while turns._turns.waiting and time.monotonic() < end:
        time.sleep(0.01)
    return sys.getswitchinterval()


def compute(until: Callable[[], bool], seconds: float = 10.0) -> None:
    """What a busy cell does."""
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end
        sum(range(100))


def elsewhere(run: Callable[[], object]) -> None:
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()


def test_short_turns_end_with_the_last_who_needs_them() -> None:
    usual = usual_turns()
    with responsive():
        assert sys.getswitchinterval() < usual
        with responsive():
            pass
        assert sys.getswitchinterval() < usual
    assert sys.getswitchinterval() == usual


def test_turns_stay_short_through_a_series_of_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = usual_turns()
    monkeypatch.setattr(turns, "SERIES", 60.0)
    for _ in range(3):
        elsewhere(stay_responsive)
        compute(lambda: sys.getswitchinterval() < usual)
    first = turns._series.thread
    elsewhere(stay_responsive)
    assert turns._series.thread is first, "one thread serves the whole series"
    monkeypatch.setattr(turns, "SERIES", 0.1)
    elsewhere(stay_responsive)
    assert usual_turns() == usual
    assert turns._series.thread is None


def test_a_request_by_the_cell_itself_changes_nothing() -> None:
    usual = usual_turns()
    stay_responsive()
    assert sys.getswitchinterval() == usual
    assert turns._series.thread is None


def test_a_cell_pauses_while_requests_come(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    sleep = time.sleep
    usual_turns()

    def record(seconds: float) -> None:
        if threading.current_thread() is MAIN:
            pauses.append(seconds)
        sleep(seconds)

    monkeypatch.setattr(turns.time, "sleep", record)
    monkeypatch.setattr(turns, "LIVE", 60.0)
    elsewhere(stay_responsive)
    compute(lambda: len(pauses) >= 5)
    assert max(pauses) <= turns.LONGEST_PAUSE
    monkeypatch.setattr(turns, "LIVE", 0.0)
    taken, start = len(pauses), time.monotonic()
    compute(lambda: time.monotonic() > start + 0.2)
    assert len(pauses) <= taken + 1, "nobody asks any more"


def test_a_pause_is_as_long_as_what_the_cell_ran(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(turns.time, "sleep", pauses.append)
    ran = iter([1.0, 1.003, 1.004])
    monkeypatch.setattr(turns.time, "thread_time", lambda: next(ran))
    pause = turns._Pause()
    pause.until = time.monotonic() + 60
    for _ in range(3):
        assert not bool(pause)
    assert pauses == pytest.approx([turns.LONGEST_PAUSE, 0.006, 0.002])


def test_a_cell_that_is_late_does_not_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(turns.time, "sleep", pauses.append)
    pause = turns._Pause()
    elsewhere(lambda: pause.ask(time.monotonic() - 1))
    compute(pause.over.is_set)
    assert pauses == []


@pytest.mark.skipif(sys.platform == "win32", reason="signals cannot be sent to one thread")
def test_an_interrupt_during_a_pause_reaches_the_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "LONGEST_PAUSE", 10.0)
    monkeypatch.setattr(turns, "PAUSE", 1e6)
    asleep = threading.Event()
    sleep = time.sleep

    def record(seconds: float) -> None:
        if threading.current_thread() is MAIN:
            asleep.set()
        sleep(seconds)

    monkeypatch.setattr(turns.time, "sleep", record)
    pause = turns._Pause()

    def interrupt() -> None:
        pause.ask(time.monotonic() + 60)
        assert asleep.wait(10)
        sleep(0.05)
        signal.pthread_kill(MAIN.ident or 0, signal.SIGINT)

    thread = threading.Thread(target=interrupt)

    def cell() -> None:
        thread.start()
        compute(lambda: False, 30)  # not until the pause is over, which it is before the thread asks

    start = time.monotonic()
    # As kernels have it; a process that was started in the background ignores the signal.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            cell()
    finally:
        signal.signal(signal.SIGINT, before)
    assert time.monotonic() - start < 5
    assert pause.over.is_set()
    thread.join()
