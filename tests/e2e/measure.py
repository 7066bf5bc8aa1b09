"""Measurements in a real JupyterLab for benchmarks, through the fixtures of the browser tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def in_notebook(test: str) -> Any:
    """Run a test given as source; -> the JSON that it writes to the file named in the variable CTW_MEASURED."""
    with tempfile.TemporaryDirectory(dir=ROOT / "tests" / "e2e", prefix="measured_") as name:
        file, out = Path(name) / "test_measure.py", Path(name) / "out.json"
        file.write_text(test)
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(file)]
        env = {**os.environ, "CTW_MEASURED": str(out), "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"the measurement failed:\n{done.stdout[-3000:]}")
        return json.loads(out.read_text())
