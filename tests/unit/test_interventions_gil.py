"""Room for answers beside a cell: a short switch interval, and pauses of the main thread, while requests come."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from ct_widgets.interventions import gil
from ct_widgets.interventions.gil import expect_requests, set_responsive, short_switch_interval

MAIN = threading.main_thread()


def usual_interval(seconds: float = 5.0) -> float:
    """The switch interval once no series of requests is under way."""
    end = time.monotonic() + seconds
    while gil._interval.waiting and time.monotonic() < end:
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


@pytest.fixture
def off() -> Iterator[None]:
    set_responsive(False)
    yield
    set_responsive(True)


def test_the_switch_interval_is_short_until_the_last_who_needs_it_is_done() -> None:
    usual, seen = usual_interval(), list[float]()

    def run() -> None:
        with short_switch_interval():
            seen.append(sys.getswitchinterval())
            with short_switch_interval():
                pass
            seen.append(sys.getswitchinterval())
        seen.append(sys.getswitchinterval())

    elsewhere(run)
    assert max(seen[:2]) < usual == seen[2]


def test_a_run_by_the_cell_itself_keeps_the_switch_interval() -> None:
    usual = usual_interval()
    with short_switch_interval():
        assert sys.getswitchinterval() == usual


@pytest.mark.usefixtures("off")
def test_the_switch_turns_all_of_it_off() -> None:
    usual, seen = usual_interval(), list[float]()

    def run() -> None:
        expect_requests()
        with short_switch_interval():
            seen.append(sys.getswitchinterval())

    elsewhere(run)
    assert seen == [usual]
    assert gil._series.thread is None


def test_switching_off_ends_a_series(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = usual_interval()
    monkeypatch.setattr(gil, "SERIES", 0.2)
    elsewhere(expect_requests)
    compute(lambda: sys.getswitchinterval() < usual)
    monkeypatch.setattr(gil, "SERIES", 60.0)
    set_responsive(False)
    try:
        assert usual_interval() == usual
    finally:
        set_responsive(True)


def test_the_interval_stays_short_through_a_series_of_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = usual_interval()
    monkeypatch.setattr(gil, "SERIES", 60.0)
    for _ in range(3):
        elsewhere(expect_requests)
        compute(lambda: sys.getswitchinterval() < usual)
    first = gil._series.thread
    elsewhere(expect_requests)
    assert gil._series.thread is first, "one thread serves the whole series"
    monkeypatch.setattr(gil, "SERIES", 0.1)
    elsewhere(expect_requests)
    assert usual_interval() == usual
    assert gil._series.thread is None


def test_a_request_by_the_cell_itself_changes_nothing() -> None:
    usual = usual_interval()
    expect_requests()
    assert sys.getswitchinterval() == usual
    assert gil._series.thread is None


def test_a_cell_pauses_while_requests_come(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    sleep = time.sleep
    usual_interval()

    def record(seconds: float) -> None:
        if threading.current_thread() is MAIN:
            pauses.append(seconds)
        sleep(seconds)

    monkeypatch.setattr(gil.time, "sleep", record)
    monkeypatch.setattr(gil, "LIVE", 60.0)
    elsewhere(expect_requests)
    compute(lambda: len(pauses) >= 5)
    assert max(pauses) <= gil.LONGEST_PAUSE
    monkeypatch.setattr(gil, "LIVE", 0.0)
    taken, start = len(pauses), time.monotonic()
    compute(lambda: time.monotonic() > start + 0.2)
    assert len(pauses) <= taken + 1, "nobody asks any more"


def test_a_pause_is_as_long_as_what_the_cell_ran(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(gil.time, "sleep", pauses.append)
    ran = iter([1.0, 1.003, 1.004])
    monkeypatch.setattr(gil.time, "thread_time", lambda: next(ran))
    pause = gil._Pause()
    pause.until = time.monotonic() + 60
    for _ in range(3):
        assert not bool(pause)
    assert pauses == pytest.approx([gil.LONGEST_PAUSE, 0.006, 0.002])


def test_a_cell_that_is_late_does_not_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(gil.time, "sleep", pauses.append)
    pause = gil._Pause()
    elsewhere(lambda: pause.ask(time.monotonic() - 1))
    compute(pause.over.is_set)
    assert pauses == []


@pytest.mark.skipif(sys.platform == "win32", reason="signals cannot be sent to one thread")
def test_an_interrupt_during_a_pause_reaches_the_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gil, "LONGEST_PAUSE", 10.0)
    monkeypatch.setattr(gil, "PAUSE", 1e6)
    asleep = threading.Event()
    sleep = time.sleep

    def record(seconds: float) -> None:
        if threading.current_thread() is MAIN:
            asleep.set()
        sleep(seconds)

    monkeypatch.setattr(gil.time, "sleep", record)
    pause = gil._Pause()

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
