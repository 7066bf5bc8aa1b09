"""Collection beside its forward pass and encoding, access to a large store, and cards in JupyterLab.

    python tests/benchmarks/features.py [--part throughput|access|cards] [--out features.json]

throughput: forward pass and encoding alone, and collecting, chunk by chunk of the embedded model's corpus in turns, so
that whatever else the machine does meets both; first as batches come, then in the whole call of collect_features, with
tokens and files. What it costs more is printed of the sum over chunks of medians over rounds, and of each round, and is
to be at most 25 %. The 8,000 texts of nine tokens include the start, when every example is a new one; --texts 36000
takes all that there are. access: one feature out of 2.5 million, and one with all the examples that a collection keeps.
cards: in a real JupyterLab, from the key that selects a node to its painted card.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "unit"), str(TESTS.parent)]

from features_samples import synthetic_store  # noqa: E402

from ct_widgets import collect_features, load_demo  # noqa: E402
from ct_widgets.demo.corpus import statements  # noqa: E402
from ct_widgets.features import FeatureStore  # noqa: E402
from ct_widgets.features.collect import _CHUNK, Collection, Settings  # noqa: E402
from ct_widgets.language_model.corpus import Batch, RowMaker, in_chunks  # noqa: E402
from ct_widgets.replacement_model import ReplacementModel  # noqa: E402
from tests.e2e.measure import in_notebook  # noqa: E402

SETTINGS = Settings(
    top=20, sample=16, before=24, after=8, context=256, batch_tokens=8192, ignore_bos=True
)  # the defaults of collect_features
READS = 2000
BREAK = 0.03


def forward_and_encode(model: ReplacementModel, batch: Batch) -> None:
    """What nobody can save."""
    t = model.transcoder
    hooks = [f"blocks.{layer}.{t.feature_input_hook}" for layer in range(t.n_layers)]
    x = model.language_model.activations(torch.from_numpy(batch.ids), hooks)
    counts = torch.from_numpy(batch.counts)
    for layer, hook in enumerate(hooks):
        t.encode(layer, x[hook][counts])


def corpus(n: int) -> list[str]:
    """Statements of the embedded model's world in random order."""
    world = statements(0)
    order = np.random.default_rng(0).permutation(len(world))[:n]
    return [f"{world[i].prompt} {world[i].answer}" for i in order]


def throughput(texts: list[str], rounds: int, folder: Path) -> dict[str, Any]:
    """Tokens per second of both sides, and what collecting costs more."""
    model = load_demo()
    rows = RowMaker(model.language_model, SETTINGS.context, SETTINGS.batch_tokens, ignore_bos=True)
    chunks = list(in_chunks(texts, _CHUNK))
    batches = [list(rows.batches(chunk, _CHUNK * i)) for i, chunk in enumerate(chunks)]
    n_tokens = sum(int(batch.counts.sum()) for chunk in batches for batch in chunk)

    def alone(number: int) -> float:
        """Seconds of a chunk, with a break before and behind, where whoever else wants the processors gets them."""
        time.sleep(BREAK)
        start = time.perf_counter()
        for batch in batches[number]:
            forward_and_encode(model, batch)
        spent = time.perf_counter() - start
        time.sleep(BREAK)
        return spent

    def collecting(_: int) -> Iterator[tuple[float, float]]:
        """Seconds of each chunk alone, and collected from."""
        collection = Collection(model, folder / "never written", SETTINGS, False)
        for number in range(len(chunks)):
            first = alone(number)
            start = time.perf_counter()
            for batch in batches[number]:
                collection.add(batch)
            yield first, time.perf_counter() - start

    def calling(round_: int) -> Iterator[tuple[float, float]]:
        """The same of the call, which asks for the texts of a chunk when it is done with those before."""
        first: list[float] = []
        marks: list[float] = []

        def read() -> Iterator[str]:
            for number, chunk in enumerate(chunks):
                marks.append(time.perf_counter())
                first.append(alone(number))
                marks.append(time.perf_counter())
                yield from chunk

        start = time.perf_counter()
        collect_features(model, read(), folder / f"store {round_}", progress=False)
        spent = np.diff([start, *marks, time.perf_counter()])[::2]
        spent[1] += spent[0]  # what comes ahead of the first chunk
        yield from zip(first, spent[1:], strict=True)

    print(f"{len(texts):,} texts, {n_tokens:,} tokens, {torch.get_num_threads()} thread(s), {rounds} rounds")
    found: dict[str, Any] = {"tokens": n_tokens, "threads": torch.get_num_threads()}
    for name, turns in (("collection", collecting), ("whole call", calling)):
        seconds = np.array([list(turns(round_)) for round_ in range(rounds)])  # [rounds, chunks, 2]
        first, both = np.median(seconds, axis=0).sum(axis=0)
        each = np.divide(*seconds.sum(axis=1).T[::-1]) - 1
        print(f"forward + encode alone   {n_tokens / first:10,.0f} tokens/s")
        print(f"{name:24} {n_tokens / both:10,.0f} tokens/s   {both / first - 1:+.1%}", end="   ")
        print(f"rounds: {', '.join(f'{ratio:+.0%}' for ratio in sorted(each))}", flush=True)
        found[name] = {
            "alone_tokens_per_s": n_tokens / first,
            "tokens_per_s": n_tokens / both,
            "overhead": both / first - 1,
            "overhead_of_rounds": each.tolist(),
        }
    return found


def reading(store: FeatureStore, what: str) -> dict[str, Any]:
    """Milliseconds to read one feature, over many drawn at random."""
    rng = np.random.default_rng(0)
    spent: list[float] = []
    for number in rng.integers(0, sum(store.n_features), READS).tolist():
        layer, index = store.place(number)
        start = time.perf_counter()
        _ = store[layer, index]
        spent.append(1000 * (time.perf_counter() - start))
    size = sum(file.stat().st_size for file in store.path.iterdir()) / 1e9
    print(f"one of {sum(store.n_features):,} features ({size:.2f} GB, {what}):", percentiles(spent), flush=True)
    return {"features": sum(store.n_features), "gigabytes": size, **percentiles(spent)}


def access(folder: Path) -> dict[str, Any]:
    """A synthetic store as large as public transcoders get, and a collected one whose features have all examples."""
    full = collect_features(load_demo(), corpus(4000), folder / "full", progress=False)
    return {
        "large": reading(synthetic_store(folder / "large", 26, 98_304), "two examples each"),
        "full": reading(full, "all examples"),
    }


CARDS_TEST = """
import json
import os
from pathlib import Path
from tests.e2e.card_clock import SHOW, bare_requests, walk_cards
from tests.e2e.view import View

def test_cards(open_notebook):
    notebook = open_notebook("cards.ipynb", [SHOW], viewport={"width": 1600, "height": 1000})
    notebook.run_cell(0)
    view = View(notebook.graphs().first).wait()
    notebook.python("view.select(\\"kind == 'feature'\\")")
    view.root.locator(".ctw-card .ctw-example").first.wait_for()
    found = {"cards": list(walk_cards(notebook.page, view).values()), "bare": bare_requests(notebook.page)}
    Path(os.environ["CTW_MEASURED"]).write_text(json.dumps(found))
"""


def cards() -> dict[str, Any]:
    """Milliseconds from key to card."""
    found = in_notebook(CARDS_TEST)
    print(f"{len(found['cards'])} cards in JupyterLab, from key to paint:", percentiles(found["cards"]))
    print("a request of the kernel that does nothing:", percentiles(found["bare"]), flush=True)
    return {"cards": len(found["cards"]), **percentiles(found["cards"]), "bare_request": percentiles(found["bare"])}


def percentiles(spent: Sequence[float]) -> dict[str, float]:
    """Of milliseconds."""
    middle, high, most = np.percentile(spent, (50, 95, 100)).round(2).tolist()
    return {"median_ms": middle, "p95_ms": high, "most_ms": most}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=("throughput", "access", "cards"), help="one part only")
    parser.add_argument("--texts", type=int, default=8000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path, default=Path("features.json"))
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    parts = {
        "throughput": lambda: throughput(corpus(options.texts), options.rounds, folder),
        "access": lambda: access(folder),
        "cards": cards,
    }
    try:
        found = {name: part() for name, part in parts.items() if options.part in (None, name)}
    finally:
        shutil.rmtree(folder)
    options.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
