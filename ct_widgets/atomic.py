"""Files and directories that appear under their names when they are whole, and not before."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def file(path: Path) -> Generator[Path]:
    """Yield a path beside `path` to write to; what is there takes the place of `path` if the block ends well.

    After an exception, Ctrl-C included, it is removed and an older file at `path` is as it was.

    >>> with atomic.file(Path("graph.json")) as unfinished:
    ...     unfinished.write_text("{}")
    """
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    unfinished = Path(name)
    try:
        yield unfinished
        # mkstemp makes files that only their owner can read; these are as readable as any other new file.
        umask = os.umask(0)
        os.umask(umask)
        unfinished.chmod(0o666 & ~umask)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


@contextmanager
def directory(path: Path) -> Generator[Path]:
    """Yield an empty directory beside `path` to fill; it takes the place of `path` if the block ends well.

    After an exception, Ctrl-C included, it is removed and an older directory at `path` is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        unfinished.chmod(0o755)
        yield unfinished
        if path.is_dir():
            shutil.rmtree(path)
        unfinished.replace(path)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def write_bytes(path: Path, data: bytes) -> Path:
    """Write a whole file or none; readers see an older file until the new one is complete. Returns `path`."""
    with file(path) as unfinished:
        unfinished.write_bytes(data)
    return path
