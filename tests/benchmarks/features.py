"""Collection beside its forward pass and encoding, access to a large store, and cards in JupyterLab.

    python tests/benchmarks/features.py [--part throughput|access|cards] [--out features.json]

throughput: both sides run on the same batches of the embedded model's corpus, in turns; times are the best of several
rounds, and the target is at most 25 % more. The 8,000 texts of nine tokens include the start, when every example is a
new one; --texts 36000 takes all that there are. access: one feature out of 2.5 million, and one with all the examples
that a collection keeps. cards: in a real JupyterLab, from the key that selects a node to its painted card.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
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
from ct_widgets.features.corpus import RowMaker, in_chunks  # noqa: E402
from ct_widgets.features.tally import Batch  # noqa: E402
from ct_widgets.replacement_model import ReplacementModel  # noqa: E402
from tests.e2e.measure import in_notebook  # noqa: E402

SETTINGS = Settings(
    top=20, sample=16, before=24, after=8, context=256, batch_tokens=8192, ignore_bos=True
)  # the defaults of collect_features
READS = 2000


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
    """Tokens per second of both sides."""
    model = load_demo()
    rows = RowMaker(model.language_model, SETTINGS.context, SETTINGS.batch_tokens, ignore_bos=True)
    batches = [batch for i, chunk in enumerate(in_chunks(texts, _CHUNK)) for batch in rows.batches(chunk, _CHUNK * i)]
    n_tokens = sum(int(batch.counts.sum()) for batch in batches)
    alone, collected, whole = np.inf, np.inf, np.inf
    for round_ in range(rounds):
        collection = Collection(model, folder / "never written", SETTINGS, False)
        spent = np.zeros(2)
        for batch in batches:  # in turns, so that whatever else the machine does meets both
            marks = [time.perf_counter()]
            forward_and_encode(model, batch)
            marks.append(time.perf_counter())
            collection.add(batch)
            spent += np.diff([*marks, time.perf_counter()])
        start = time.perf_counter()
        collect_features(model, texts, folder / f"store {round_}", progress=False)
        whole = min(whole, time.perf_counter() - start)
        alone, collected = min(alone, spent[0]), min(collected, spent[1])
    print(f"{len(texts):,} texts, {n_tokens:,} tokens, {torch.get_num_threads()} thread(s), best of {rounds} rounds")
    print(f"forward + encode alone   {n_tokens / alone:10,.0f} tokens/s")
    print(f"collection               {n_tokens / collected:10,.0f} tokens/s   {collected / alone - 1:+.1%}")
    print(f"with tokens and files    {n_tokens / whole:10,.0f} tokens/s   {whole / alone - 1:+.1%}", flush=True)
    return {
        "tokens": n_tokens,
        "threads": torch.get_num_threads(),
        "alone_tokens_per_s": n_tokens / alone,
        "collection_tokens_per_s": n_tokens / collected,
        "overhead": collected / alone - 1,
        "overhead_with_tokens_and_files": whole / alone - 1,
    }


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
from tests.e2e.notebook import View

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
    parser.add_argument("--rounds", type=int, default=5)
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
