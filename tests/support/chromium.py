"""The Chromium that tests and benchmarks drive."""

from __future__ import annotations

import os
import shutil

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
MISSING = "no Chromium on the path: `make browser` installs one, or set CTW_CHROMIUM to its program"


def find_chromium() -> str | None:
    """The program named by CTW_CHROMIUM, or the first on the path; None where there is none (`MISSING` says so)."""
    return os.environ.get("CTW_CHROMIUM") or next((found for name in NAMES if (found := shutil.which(name))), None)
