"""Short turns for threads while a widget answers, and no longer."""

from __future__ import annotations

import sys
import time

import pytest

from ct_widgets.widgets import hurry as module


def wait_for(interval: float) -> None:
    end = time.monotonic() + 5
    while sys.getswitchinterval() != pytest.approx(interval, rel=1e-3):
        assert time.monotonic() < end, "turns stay short"
        time.sleep(0.01)


def test_turns_are_short_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = sys.getswitchinterval()
    monkeypatch.setattr(module, "_LASTS", 2)
    module.hurry()
    assert sys.getswitchinterval() == pytest.approx(module._SHORT, rel=1e-3)
    wait_for(usual)


def test_a_later_call_makes_it_last(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = sys.getswitchinterval()
    monkeypatch.setattr(module, "_LASTS", 60)
    module.hurry()
    first = module._timer
    module.hurry()
    assert first is not None
    assert first.finished.is_set(), "the first call's end is called off"
    assert first is not module._timer
    assert sys.getswitchinterval() == pytest.approx(module._SHORT, rel=1e-3)
    monkeypatch.setattr(module, "_LASTS", 0.05)
    module.hurry()
    wait_for(usual)
