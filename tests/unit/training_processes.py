"""Processes for tests of training: forked by a server that has imported the package once, which takes seconds."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from pathlib import Path

import torch
import torch.distributed as dist
from torch.multiprocessing.spawn import start_processes

FORKSERVER = multiprocessing.get_context("forkserver")
FORKSERVER.set_forkserver_preload(["ct_widgets.training"])


def exit_code(work: Callable[..., None], *arguments: object) -> int | None:
    """Do the work in a process of its own; its exit code is that of `subprocess`."""
    process = FORKSERVER.Process(target=work, args=arguments)
    process.start()
    process.join(timeout=100)
    return process.exitcode


def together(work: Callable[[Path, int], None], count: int, folder: Path) -> None:
    """Do the work in processes that make a group; what one of them raises is raised here."""
    start_processes(_in_a_group, (work, count, folder), nprocs=count, start_method="forkserver")


def _in_a_group(rank: int, work: Callable[[Path, int], None], count: int, folder: Path) -> None:
    torch.set_num_threads(1)
    store = f"file://{folder}/{work.__name__}"
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=count)
    work(folder, rank)
    dist.destroy_process_group()
