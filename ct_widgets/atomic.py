"""Files and directories that appear under their names when they are whole, and not before."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def file(path: Path) -> Generator[Path]:
    """Yield a path beside `path` to write to; what is there takes the place of `path` if the block ends well.

    After an exception, Ctrl-C included, it is removed and an older file at `path` is as it was.
    Raises OSError with `path` in its text if the disk is full or the folder is missing.

    >>> with atomic.file(Path("graph.json")) as unfinished:
    ...     unfinished.write_text("{}")
    """
    unfinished = _beside(path)
    try:
        unfinished.touch(exist_ok=False)
        mode = unfinished.stat().st_mode  # as of any new file; safetensors, for one, makes private files
        yield unfinished
        unfinished.chmod(mode)
        with unfinished.open("rb+") as written:  # on the disk before it has the name, should the machine fail
            os.fsync(written.fileno())
        unfinished.replace(path)
    except OSError as error:
        if error.errno is not None and error.filename in (None, str(unfinished)):
            error.filename = str(path)
        raise
    finally:
        unfinished.unlink(missing_ok=True)


@contextmanager
def directory(path: Path) -> Generator[Path]:
    """Yield an empty directory beside `path` to fill; it takes the place of `path` if the block ends well.

    After an exception, Ctrl-C included, it is removed and an older directory at `path` is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished, replaced = _beside(path), _beside(path)
    unfinished.mkdir()
    try:
        yield unfinished
        if path.is_dir():
            path.rename(replaced)
        unfinished.rename(path)
    finally:
        if replaced.is_dir() and not path.exists():
            replaced.rename(path)
        for left in (unfinished, replaced):
            shutil.rmtree(left, ignore_errors=True)


def write_bytes(path: Path, data: bytes) -> Path:
    """Write a whole file or none; readers see an older file until the new one is complete. Returns `path`."""
    with file(path) as unfinished:
        unfinished.write_bytes(data)
    return path


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}")
