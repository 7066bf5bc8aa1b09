"""Every check of the project, one line each; the output of those that fail; counts of tests at the end.

`python tests/checks.py` runs all, `--lint` only those that run no code of the project.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import sysconfig
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from hatch_build import npm_command  # noqa: E402


class Check(NamedTuple):
    name: str
    command: tuple[str, ...]
    """What to run; ("npm", name) runs a script of package.json."""
    counts: str | None = None
    """Pattern of the numbers of tests that passed and were skipped in the output."""


PYTEST = r"(?P<passed>\d+) passed(?:, (?P<skipped>\d+) skipped)?"
VITEST = r"Tests .*?(?P<passed>\d+) passed(?: \| (?P<skipped>\d+) skipped)?"

LINT = (
    Check("ruff", ("ruff", "check", "--quiet")),
    Check("ruff format", ("ruff", "format", "--check", "--quiet")),
    Check("pyright", ("pyright",)),
    Check("floors (import-linter)", ("lint-imports", "--no-logo")),
    Check("cycles of imports", ("python", "tests/import_graph.py")),
    Check("tsc", ("npm", "typecheck")),
    Check("biome", ("npm", "lint")),
)
TESTS = (
    Check("vitest", ("npm", "test"), VITEST),
    Check("bundle sizes", ("npm", "size")),
    Check("unit, notebook and wheel tests", ("pytest", "-q", "-n", "2", "--dist", "worksteal", "tests/unit"), PYTEST),
    Check("browser tests", ("pytest", "-q", "-n", "2", "--dist", "loadgroup", "tests/e2e"), PYTEST),
)


def environment() -> dict[str, str]:
    """The environment of the checks: tools of this virtual environment first, then Node's; one thread per process."""
    node = Path(npm_command()[0]).parent
    places = [sysconfig.get_path("scripts"), str(node), os.environ.get("PATH", "")]
    return {**os.environ, "PATH": os.pathsep.join(places), "OMP_NUM_THREADS": "1", "NO_COLOR": "1"}


def run(check: Check, env: dict[str, str]) -> tuple[bool, str]:
    """Run one check, print its line and, if it failed, its output; return whether it passed and the output."""
    print(f"{check.name:<32}", end="", flush=True)
    start = time.monotonic()
    command = [*npm_command(), "run", "--silent", check.command[1]] if check.command[0] == "npm" else check.command
    ran = subprocess.run(
        command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    passed, output = ran.returncode == 0, ran.stdout + ran.stderr
    print(f"{'ok' if passed else 'FAILED':<8}{time.monotonic() - start:6.1f} s")
    if not passed:
        print(f"$ {' '.join(check.command)}\n{output.rstrip()}\n", flush=True)
    return passed, output


def main() -> int:
    """Run the checks; the exit code says whether all passed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lint", action="store_true", help="only the checks that run no code of the project")
    checks = LINT if parser.parse_args().lint else LINT + TESTS
    env = environment()
    failed: list[str] = []
    tests = skipped = 0
    for check in checks:
        passed, output = run(check, env)
        if not passed:
            failed.append(check.name)
        if check.counts and (found := re.search(check.counts, output)):
            tests += int(found["passed"])
            skipped += int(found["skipped"] or 0)
    print(f"{len(checks) - len(failed)} of {len(checks)} checks passed; {tests} tests passed, {skipped} skipped")
    if failed:
        print(f"FAILED: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
