"""Run notebooks from start to end, as `make demo`, `make notebooks` and the tests do.

    python notebooks/run.py                                   run all; fail where a cell fails
    python notebooks/run.py 01_trace_a_prompt.ipynb --save    run one and keep the outputs in the file
    python notebooks/run.py --picture FOLDER                  and photograph the pages that they export, light and dark,
                                                              as FOLDER/PAGE-light.png and FOLDER/PAGE-dark.png
    python notebooks/run.py 01_trace_a_prompt.ipynb --picture graph.png     only the first page, light

Saved outputs hold still pictures instead of live widgets, so that the file reads well where no kernel runs.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Playwright

WIDGET = "application/vnd.jupyter.widget-view+json"
PLOTLY = "application/vnd.plotly.v1+json"
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking")
WIDTH, HEIGHT = 1100, 480


def execute(path: Path, folder: Path) -> nbformat.NotebookNode:
    """The notebook at `path` with the outputs of a fresh run in `folder`, where the files that it writes land."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook,
        timeout=300,
        kernel_name="python3",
        extra_arguments=["--log-level=40"],  # errors alone; the kernel warns of every start
        resources={"metadata": {"path": str(folder)}},
    ).execute()
    return notebook


def still(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The notebook without what only the kernel that ran it understands: live views, widget state, times.

    Progress bars go altogether: they come and go with how busy the machine was.
    """
    notebook.metadata.pop("widgets", None)
    notebook.metadata["language_info"] = {"name": "python"}
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if not is_progress_bar(output)]
            for output in cell.outputs:
                output.get("data", {}).pop(WIDGET, None)
    return notebook


def with_pictures(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The notebook with a picture beside every Plotly figure, for places that draw none."""
    bundles = [output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", [])]
    figures = [bundle for bundle in bundles if PLOTLY in bundle]
    if figures:
        from playwright.sync_api import sync_playwright
        from plotly.offline import get_plotlyjs

        with sync_playwright() as playwright:
            view = launch(playwright).new_page(device_scale_factor=2)
            view.set_content(f"<script>{get_plotlyjs()}</script>")
            for bundle in figures:
                layout = bundle[PLOTLY]["layout"]
                size = {"format": "png", "width": layout.get("width", 680), "height": layout.get("height", 360)}
                url = view.evaluate("([figure, size]) => Plotly.toImage(figure, size)", [bundle[PLOTLY], size])
                bundle["image/png"] = url.partition(",")[2]
    return notebook


def launch(playwright: Playwright) -> Browser:
    """Headless Chromium."""
    found = next((found for name in CHROMIUM if (found := shutil.which(name))), None)
    if found is None:
        sys.exit("no Chromium on the path to draw pictures with: `make browser` installs one")
    return playwright.chromium.launch(executable_path=found, args=list(FLAGS))


def is_progress_bar(output: nbformat.NotebookNode) -> bool:
    """Whether a cell showed this on its way, as a bar of tqdm, which has no picture as our views have."""
    return output.output_type == "display_data" and WIDGET in output.data and "image/svg+xml" not in output.data


def photograph(page: Path, picture: Path, scheme: str) -> None:
    """Write a picture of the widget on an exported page, as headless Chromium draws it."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = launch(playwright)
        view = browser.new_page(
            viewport={"width": WIDTH, "height": HEIGHT},
            device_scale_factor=2,
            color_scheme="dark" if scheme == "dark" else "light",
        )
        view.goto(page.resolve().as_uri())
        view.locator("#ctw-view :is(canvas, svg):visible").first.wait_for()
        view.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        view.locator("#ctw-view").screenshot(path=picture)
        browser.close()
    print(f"{picture} shows {page.stem}")


def photograph_all(pages: list[Path], place: Path) -> None:
    """Pictures of `pages` into the folder `place`, or of the first page into the file."""
    if not place.suffix:
        place.mkdir(parents=True, exist_ok=True)
        for page in pages:
            for scheme in ("light", "dark"):
                photograph(page, place / f"{page.stem}-{scheme}.png", scheme)
    elif pages:
        photograph(pages[0], place, "light")


def run(path: Path, *, save: bool, picture: Path | None) -> bool:
    """Run one notebook and do with it what is asked; whether all its cells ran."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            notebook = execute(path, Path(folder))
        except CellExecutionError as error:
            print(f"{path}: {error}", file=sys.stderr)
            return False
        print(f"{path}: all cells ran")
        if save:
            nbformat.write(with_pictures(still(notebook)), path)
        if picture:
            pages = sorted(Path(folder).glob("*.html"))
            photograph_all([page for page in pages if 'id="ctw-view"' in page.read_text(encoding="utf-8")], picture)
    return True


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebooks", type=Path, nargs="*", help="default: all that are beside this file")
    parser.add_argument("--save", action="store_true", help="keep the outputs in the notebooks")
    parser.add_argument("--picture", type=Path, help="a folder for pictures of exported pages, or a file for the first")
    options = parser.parse_args()
    paths = options.notebooks or sorted(Path(__file__).parent.glob("*.ipynb"))
    failed = [path for path in paths if not run(path, save=options.save, picture=options.picture)]
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
