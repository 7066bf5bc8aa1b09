"""The Ctrl-C handler and the treatment of denormals, which a run changes and puts back afterwards, whatever happens."""

from __future__ import annotations

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType

import torch

from ct_widgets.training.callbacks import TrainingControl


def flushes_denormals() -> bool:
    """Whether arithmetic in this thread gives 0 for a denormal number; PyTorch can set this, but not say it."""
    return not torch.tensor(torch.finfo(torch.float32).tiny).div(2).item()


@contextmanager
def flushed_denormals() -> Generator[None]:
    """Treat denormal numbers as 0: decaying activations become denormal, many times slower on a CPU."""
    before = flushes_denormals()
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


@contextmanager
def stopped_by_ctrl_c(control: TrainingControl) -> Generator[None]:
    """Let the first Ctrl-C stop the run instead of raising, so that no step stops half-way; a second one raises."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals reach the main thread alone
        return
    before = signal.getsignal(signal.SIGINT)

    def once(signum: int, frame: FrameType | None) -> None:
        control.stop()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, once)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
