"""Files and directories appear whole or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from ct_widgets import atomic


def test_a_new_file_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with atomic.file(path) as unfinished:
        unfinished.write_bytes(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_interrupted_file_leaves_the_old_one(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def write() -> None:
        with atomic.file(path) as unfinished:
            unfinished.write_bytes(b"half")
            raise error

    with pytest.raises(error):
        write()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_is_as_readable_as_any_other(tmp_path: Path) -> None:
    umask = os.umask(0o027)
    try:
        atomic.write_bytes(tmp_path / "file", b"")
    finally:
        os.umask(umask)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


def test_a_missing_folder_is_an_error_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        atomic.write_bytes(tmp_path / "nowhere" / "file", b"")


def test_a_new_directory_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "new" / "directory"
    for content in ("first", "second"):
        with atomic.directory(path) as unfinished:
            (unfinished / content).touch()
    assert [file.name for file in path.iterdir()] == ["second"]
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_interrupted_directory_leaves_the_old_one(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "directory"
    path.mkdir()
    (path / "old").touch()

    def write() -> None:
        with atomic.directory(path) as unfinished:
            (unfinished / "half").touch()
            raise error

    with pytest.raises(error):
        write()
    assert [file.name for file in path.iterdir()] == ["old"]
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_leaves_the_old_file_and_an_error_with_its_path(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def write() -> None:
        with atomic.file(path) as unfinished:
            unfinished.write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match=f"No space left on device: '{path}'"):
        write()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_directory_that_cannot_take_its_name_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "directory"
    path.mkdir()
    (path / "old").touch()

    def write() -> None:
        with atomic.directory(path) as unfinished:
            unfinished.rmdir()  # as if somebody had cleaned up

    with pytest.raises(FileNotFoundError):
        write()
    assert [file.name for file in path.iterdir()] == ["old"]
    assert list(tmp_path.iterdir()) == [path]
