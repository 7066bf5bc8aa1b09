"""Collection against brute force: every row of text by itself, plain loops, nothing streamed."""

from __future__ import annotations

import subprocess
import sys
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple

import features_samples as samples
import numpy as np
import pytest
import torch
from features_samples import SETTINGS, corpus, gather
from numpy.testing import assert_allclose, assert_array_equal

from ct_widgets.errors import FeatureError, FileFormatError
from ct_widgets.features import FeatureStore, collect, collect_features
from ct_widgets.features.active import find_active
from ct_widgets.features.bins import EDGES
from ct_widgets.features.tally import LayerTally, Tokens, Window
from ct_widgets.features.topk import Candidates, ExampleLists, Windows, context_keys
from ct_widgets.language_model import LanguageModel
from ct_widgets.language_model.corpus import Batch, RowMaker
from ct_widgets.replacement_model import ReplacementModel


class Peak(NamedTuple):
    value: float
    window: tuple[int, ...]
    context: tuple[int, ...]
    activation: tuple[float, ...]
    position: int


class BruteForce:
    """Activations of a corpus, one row at a time: values and peaks by (layer, index), and products at each token."""

    def __init__(self, model: ReplacementModel, texts: list[list[int]]) -> None:
        t = model.transcoder
        self.values: dict[tuple[int, int], list[float]] = defaultdict(list)
        self.peaks: dict[tuple[int, int], list[Peak]] = defaultdict(list)
        self.n_tokens = 0
        self.dense: list[np.ndarray[Any, Any]] = []
        width = SETTINGS["context"]
        rows = [text[i : i + width] for text in texts for i in range(0, len(text), width)]
        for row in rows:
            names = [f"blocks.{layer}.{t.feature_input_hook}" for layer in range(3)]
            x = model.language_model.activations(torch.tensor(row)[None], names)
            a = np.stack([t.encode(layer, x[name][0]).numpy() for layer, name in enumerate(names)])
            self.n_tokens += len(row) - 1
            self.dense.append(a[:, 1:].transpose(1, 0, 2).reshape(len(row) - 1, a.shape[0] * a.shape[2]))
            for layer, index in np.argwhere((a[:, 1:] != 0).any(1)):
                self._add(int(layer), int(index), row, a[layer, :, index])

    def _add(self, layer: int, index: int, row: list[int], a: Any) -> None:
        active = [p for p in range(1, len(row)) if a[p] != 0]
        self.values[layer, index] += [a[p] for p in active]
        best = max(active, key=lambda p: (a[p], -p))
        start, end = max(0, best - SETTINGS["before"]), best + SETTINGS["after"] + 1
        shown = (0.0 if p == 0 else float(a[p]) for p in range(start, min(end, len(row))))
        context = tuple(row[start : best + 1])
        peak = Peak(float(a[best]), tuple(row[start:end]), context, tuple(shown), best)
        self.peaks[layer, index].append(peak)

    def distinct(self, layer: int, index: int) -> list[Peak]:
        """The highest peak in every context, the highest first."""
        best: dict[tuple[int, ...], Peak] = {}
        for peak in self.peaks[layer, index]:
            held = best.get(peak.context)
            # Rows that begin alike give equal activations but for rounding.
            if held is None or peak.value > held.value * (1 + 1e-5 * np.sign(held.value)):
                best[peak.context] = peak
        return sorted(best.values(), key=lambda peak: -peak.value)


@pytest.fixture(scope="module", params=samples.KINDS)
def case(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, FeatureStore, BruteForce]:
    kind = request.param
    store = gather(tmp_path_factory.mktemp(kind) / "store", kind, coactivations=True)
    return kind, store, BruteForce(samples.model(kind), corpus())


def every(store: FeatureStore) -> list[tuple[int, int]]:
    return [(layer, index) for layer, n in enumerate(store.n_features) for index in range(n)]


def test_histogram_density_and_maximum(case: tuple[str, FeatureStore, BruteForce]) -> None:
    _, store, brute = case
    assert store.n_tokens == brute.n_tokens
    assert store.facts["n_texts"] == len(corpus())
    active = 0
    for feature in every(store):
        record, values = store[feature], np.array(brute.values[feature], np.float32)
        assert record.count == len(values)
        assert record.density == len(values) / brute.n_tokens
        if not len(values):
            assert (len(record.counts), record.maximum, record.top, record.sample) == (0, 0.0, (), ())
            continue
        active += 1
        full = np.histogram(values, np.nan_to_num(EDGES.astype(np.float64)))[0]
        assert_array_equal(record.counts, full[full.nonzero()[0][0] : full.nonzero()[0][-1] + 1])
        assert_array_equal(record.counts, np.histogram(values, np.nan_to_num(record.edges.astype(np.float64)))[0])
        assert record.maximum == pytest.approx(values.max(), rel=1e-5)
        assert record.total == pytest.approx(values.sum(dtype=np.float64), rel=1e-5)
    assert active > 20


def test_top_examples(case: tuple[str, FeatureStore, BruteForce]) -> None:
    _, store, brute = case
    shown = 0
    for feature in every(store):
        expected = brute.distinct(*feature)[: SETTINGS["top"]]
        top = store[feature].top
        assert len(top) == len(expected)
        for example, peak in zip(top, expected, strict=True):
            assert tuple(example.tokens[: example.peak + 1]) == peak.context
            assert example.value == pytest.approx(peak.value, rel=1e-5, abs=1e-5)
            assert example.position == peak.position
            same = [other for other in brute.peaks[feature] if other.window == tuple(example.tokens)]
            assert same
            assert any(np.allclose(example.activation, other.activation, rtol=2e-3, atol=1e-6) for other in same)
            assert tuple(example.tokens) in {other.window for other in same}
            shown += 1
    assert shown > 60


def test_the_sample_is_the_contexts_of_the_lowest_keys(case: tuple[str, FeatureStore, BruteForce]) -> None:
    _, store, brute = case

    def key(peak: Peak) -> int:
        return int(context_keys(np.array(peak.context), SETTINGS["before"])[-1])

    for feature in every(store):
        expected = sorted(brute.distinct(*feature), key=key)[: SETTINGS["sample"]]
        found = {tuple(example.tokens[: example.peak + 1]): example.value for example in store[feature].sample}
        assert found == pytest.approx({peak.context: peak.value for peak in expected}, rel=1e-5, abs=1e-5)


def test_coactivation_sums(case: tuple[str, FeatureStore, BruteForce]) -> None:
    _, store, brute = case
    a = np.concatenate(brute.dense).astype(np.float64)
    sums = store.coactivations()
    assert_array_equal(sums.sources, np.arange(a.shape[1]))
    assert_array_equal(sums.targets, sums.sources)
    assert_allclose(sums.product.toarray(), a.T @ a, rtol=1e-4, atol=1e-6)
    assert_allclose(sums.present.toarray(), a.T @ (a > 0), rtol=1e-4, atol=1e-6)


def same_content(store: FeatureStore, other: FeatureStore) -> None:
    """Bit by bit; only sums depend on the order of the terms."""
    mine, theirs = store.arrays, other.arrays
    names = ("count", "maximum", "histogram", "histogram_start", "histogram_first", "n_top", "example_start", "value")
    for name in (*names, "text", "position", "peak", "token_start", "tokens", "share"):
        assert_array_equal(mine[name], theirs[name], err_msg=name)
    assert_allclose(mine["total"], theirs["total"], rtol=1e-12)
    assert store.facts == other.facts


def worker(*arguments: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, samples.__file__, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_two_processes_give_the_store_of_one(tmp_path: Path) -> None:
    pair = [worker(tmp_path / "two", "clt", "--rank", r, "--rendezvous", tmp_path / "meet") for r in ("0", "1")]
    said = [process.communicate(timeout=120) for process in pair]
    assert [process.returncode for process in pair] == [0, 0], said
    one = gather(tmp_path / "one", "clt")
    assert [out.strip() for out, _ in said] == [str(one.n_tokens)] * 2
    same_content(FeatureStore(tmp_path / "two"), one)
    assert not (tmp_path / "two.part").exists()


@pytest.mark.slow
def test_a_killed_collection_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process = worker(tmp_path / "store", "plt", "--dies-after", "70")
    process.communicate(timeout=120)
    assert process.returncode == -9
    assert (tmp_path / "store.part").exists()
    assert not (tmp_path / "store").exists()
    read: list[int] = []
    add = collect.Collection.add
    monkeypatch.setattr(
        collect.Collection, "add", lambda self, batch: (read.append(int(batch.text.min())), add(self, batch))
    )
    resumed = gather(tmp_path / "store", "plt")
    assert min(read) == 4 * samples.CHUNK  # 64 of the 70 texts were on disk
    same_content(resumed, gather(tmp_path / "whole", "plt"))
    assert not (tmp_path / "store.part").exists()


@pytest.mark.parametrize("coactivations", [False, [(0, 1), (2, 3)]])
def test_an_interrupted_collection_goes_on_exactly(tmp_path: Path, coactivations: Any) -> None:
    def failing() -> Any:
        yield from corpus()[:50]
        raise KeyboardInterrupt

    settings = {"coactivations": coactivations, "save_every": 0.0}
    with pytest.raises(KeyboardInterrupt):
        gather(tmp_path / "store", "clt", failing(), **settings)
    with pytest.raises(FeatureError, match=r"other settings: top 4 \(now 3\)"):
        gather(tmp_path / "store", "clt", top=3, **settings)
    with pytest.raises(FeatureError, match="differ from those of the interrupted collection"):
        gather(tmp_path / "store", "clt", corpus()[1:], **settings)
    with pytest.raises(FeatureError, match="fewer texts"):
        gather(tmp_path / "store", "clt", corpus()[:20], **settings)
    store, whole = (gather(tmp_path / name, "clt", **settings) for name in ("store", "whole"))
    same_content(store, whole)
    if coactivations:
        mine, theirs = store.coactivations(), whole.coactivations()
        assert_array_equal(mine.sources, [1, 31])
        assert_array_equal(mine.product.toarray(), theirs.product.toarray())
        assert_array_equal(mine.present.toarray(), theirs.present.toarray())


@pytest.mark.parametrize("parts", [60, 3])
@pytest.mark.parametrize("by", ["activation", "random"])
def test_what_is_kept_depends_on_no_order(by: Literal["activation", "random"], parts: int) -> None:
    """Against a sort of all examples: signs mixed, equal activations, contexts again, keys that differ in low bits."""
    rng, n, k = np.random.default_rng(3), 900, 4
    found = Candidates(
        feature=rng.integers(0, 5, n),
        key=rng.integers(1, 40, n).astype(np.uint64) + (rng.integers(0, 3, n).astype(np.uint64) << np.uint64(61)),
        value=rng.choice(np.array([-3, -0.5, 0.25, 1, 1, 7], np.float32), n),
        text=rng.permutation(n).astype(np.uint32),
    )
    kept = ExampleLists.empty(by, 6, k, 2)
    for part in np.array_split(rng.permutation(n), parts):
        some = found.take(part)
        order = np.lexsort((-some.text.astype(int), some.value))  # of each context the best comes last
        last = {(some.feature[i], some.key[i]): i for i in order}
        some = some.take(np.array(list(last.values())))
        shown = np.stack([some.text, some.text + 1], 1).astype(np.int32)
        once = np.ones(len(shown), np.int64)
        kept.fill(some, Windows(some.text, once, once, shown, shown.astype(np.float16)))
    for feature in range(6):
        best: dict[int, tuple[float, int]] = {}
        for i in np.flatnonzero(found.feature == feature):
            mine = (float(found.value[i]), -int(found.text[i]))
            best[int(found.key[i])] = max(best.get(int(found.key[i]), mine), mine)
        ranked = sorted((0 if by == "random" else -value, key) for key, (value, _) in best.items())
        rank = [key for _, key in ranked][:k]
        held, windows = kept.examples()
        mine = held.feature == feature
        assert held.key[mine].tolist() == rank
        assert held.text[mine].tolist() == [-best[key][1] for key in rank]
        assert windows.tokens[mine].tolist() == [[-best[key][1], 1 - best[key][1]] for key in rank]


def test_a_wide_layer_keeps_what_a_narrow_one_does() -> None:
    """Where tables of all features and rows would be too large, on the same features, spread far apart."""
    rng, window, spread = np.random.default_rng(5), Window(5, 3), 90_001
    narrow, wide = (LayerTally.empty(n, 4, 5, window.width) for n in (6, 6 * spread))
    for number in range(12):
        length = rng.integers(2, 11, 7)
        ids = rng.integers(0, 3, (7, 10)) * (np.arange(10) < length[:, None])
        batch = Batch(ids, length, np.arange(7, dtype=np.uint32) + 7 * number, 1)
        tokens = Tokens(batch, window)
        a = torch.from_numpy(rng.choice([0, 0, 0, 0.5, 1, 2], (len(tokens), 6)).astype(np.float32))
        active = find_active(a != 0, a)
        narrow.add(active, tokens)
        wide.add(active._replace(feature=active.feature * spread), tokens)
    assert_array_equal(wide.histogram[::spread], narrow.histogram)
    for one, other in ((narrow.top, wide.top), (narrow.sample, wide.sample)):
        (found, windows), (same, same_windows) = one.examples(), other.examples()
        assert len(found.feature) > 20
        for mine, theirs in zip(found._replace(feature=found.feature * spread), same, strict=True):
            assert_array_equal(mine, theirs)
        for mine, theirs in zip(windows, same_windows, strict=True):
            assert_array_equal(mine, theirs)


def test_batches_and_padding_change_nothing(tmp_path: Path) -> None:
    small, large = (gather(tmp_path / f"{n}", "clt", batch_tokens=n) for n in (1, 4096))
    for name in ("count", "histogram", "example_start", "position", "peak"):
        assert_array_equal(small.arrays[name], large.arrays[name], err_msg=name)
    assert_allclose(small.arrays["value"], large.arrays["value"], rtol=1e-5, atol=1e-5)
    for feature in every(small):
        # What follows a context may be from another text that begins alike: rounding says which is higher.
        contexts = ([tuple(e.tokens[: e.peak + 1]) for e in store[feature].top] for store in (small, large))
        assert next(contexts) == next(contexts)


def test_merged_stores_are_the_store_of_all_texts(tmp_path: Path) -> None:
    texts = corpus()
    parts = [gather(tmp_path / f"{i}", "clt", texts[i::3], coactivations=True) for i in range(3)]
    parts[2].labels["L1/4"] = "later"
    parts[0].labels["L1/4"] = "earlier"
    merged = FeatureStore.merge(parts, tmp_path / "merged")
    whole = gather(tmp_path / "whole", "clt", coactivations=True)
    assert merged.facts == whole.facts
    assert dict(merged.labels) == {"L1/4": "earlier"}
    for name in ("count", "histogram", "example_start", "n_top", "position", "peak"):
        assert_array_equal(merged.arrays[name], whole.arrays[name], err_msg=name)
    assert_allclose(merged.arrays["value"], whole.arrays["value"], rtol=1e-5, atol=1e-5)
    mine, theirs = merged.coactivations(), whole.coactivations()
    assert_allclose(mine.product.toarray(), theirs.product.toarray(), rtol=1e-5)
    assert_allclose(mine.present.toarray(), theirs.present.toarray(), rtol=1e-5)
    same_content(FeatureStore.merge([whole], tmp_path / "copy"), whole)


def test_stores_that_do_not_belong_together_do_not_merge(tmp_path: Path) -> None:
    clt, plt = gather(tmp_path / "clt", "clt"), gather(tmp_path / "plt", "plt")
    with pytest.raises(FeatureError, match="made with transcoder"):
        FeatureStore.merge([clt, plt], tmp_path / "both")
    with pytest.raises(FeatureError, match="different settings"):
        FeatureStore.merge([clt, gather(tmp_path / "more", "clt", top=5)], tmp_path / "both")
    with pytest.raises(FeatureError, match="no stores"):
        FeatureStore.merge([], tmp_path / "both")
    assert not (tmp_path / "both").exists()


def test_texts_of_every_source_are_the_same(tmp_path: Path, make_bridge: Any) -> None:
    from datasets import Dataset

    texts = ["t1 t2 t3 t4", "t9", "t5 t6 t7 t8 t9 t10"]
    (tmp_path / "texts.txt").write_text("\n".join(texts) + "\n\n")
    Dataset.from_dict({"body": texts}).to_parquet(tmp_path / "texts.parquet")
    model = ReplacementModel(make_bridge("gpt2"), samples.transcoder("clt"))
    sources = [texts, tmp_path / "texts.txt", str(tmp_path / "texts.parquet"), Dataset.from_dict({"body": texts})]
    stores = [
        collect_features(model, source, tmp_path / f"{i}", column="body", progress=False)
        for i, source in enumerate(sources)
    ]
    assert stores[0].n_tokens == 11  # one BOS before each text
    assert ReplacementModel(make_bridge("gpt2"), samples.transcoder("clt"), stores[0].path).features.store is not None
    for store in stores[1:]:
        same_content(store, stores[0])
    with pytest.raises(FeatureError, match="no column 'text'; it has body"):
        collect_features(model, tmp_path / "texts.parquet", tmp_path / "x", progress=False)
    with pytest.raises(FeatureError, match="no column 'text'; it has body"):
        collect_features(model, sources[3], tmp_path / "x", progress=False)
    with pytest.raises(FeatureError, match="is not a file"):
        collect_features(model, "some text", tmp_path / "x", progress=False)


def test_rows_of_long_texts_start_with_bos(make_bridge: Any) -> None:
    rows = RowMaker(LanguageModel(make_bridge("gpt2")), 4, 100, ignore_bos=True)
    (batch,) = rows.batches(["t1 t2 t3 t4 t5", [0, 7, 8], [9]], 10)
    assert batch.ids.tolist() == [[9, 0, 0, 0], [0, 4, 5, 0], [0, 7, 8, 0], [0, 1, 2, 3]]
    assert batch.length.tolist() == [1, 3, 3, 4]
    assert batch.text.tolist() == [12, 10, 11, 10]
    assert batch.counts.sum() == 7


def cut_by_hand(ids: list[int], is_text: bool, context: int) -> list[list[int]]:
    """Rows of a text: BOS, which is 0, ahead of each, if the text or the tokenizer begins with it."""
    if not is_text and ids[:1] != [0]:
        return [ids[i : i + context] for i in range(0, len(ids), context)]
    rest = ids[ids[:1] == [0] :]
    return [[0, *rest[i : i + context - 1]] for i in range(0, len(rest), context - 1)]


@pytest.mark.parametrize(("context", "batch_tokens"), [(2, 1), (5, 30), (64, 100), (64, 4096)])
def test_rows_are_those_cut_by_hand(make_bridge: Any, context: int, batch_tokens: int) -> None:
    """Texts and ids, empty ones, ones that spell their BOS, and ones longer than a row, mixed."""
    model = LanguageModel(make_bridge("gpt2"))
    maker = RowMaker(model, context, batch_tokens, ignore_bos=True)
    rng = np.random.default_rng(context)
    texts: list[Any] = ["", [], [0], [4], "t0", "t0 t3"]
    for _ in range(40):
        ids = rng.integers(0, 9, rng.integers(0, 12)).tolist()
        texts += [ids, " ".join(f"t{i}" for i in ids), tuple(ids), np.array([0, *ids])]
    expected: list[tuple[int, list[int]]] = []
    for number, text in enumerate(texts):
        is_text = isinstance(text, str)
        ids = [int(word[1:]) for word in text.split()] if is_text else [int(i) for i in text]
        expected += [(100 + number, row) for row in cut_by_hand(ids, is_text, context)]
    found: list[tuple[int, list[int]]] = []
    batches = list(maker.batches(texts, 100))
    for batch, following in pairwise(batches):
        assert (len(batch.ids) + 1) * following.length[0] > batch_tokens  # as full as may be
    for batch in batches:
        assert batch.ids.size <= max(batch_tokens, batch.ids.shape[1])
        assert batch.ids.shape[1] == batch.length.max()
        assert not batch.ids[np.arange(batch.ids.shape[1]) >= batch.length[:, None]].any()
        for row, n, text in zip(batch.ids, batch.length, batch.text, strict=True):
            found.append((int(text), row[:n].tolist()))
    assert found == sorted(expected, key=lambda row: len(row[1]))
    assert list(maker.batches([], 0)) == []


def test_wrong_uses_say_what_to_do(tmp_path: Path) -> None:
    model = samples.model("clt")
    with pytest.raises(FeatureError, match="out of range"):
        collect_features(model, [[1, 2]], tmp_path / "x", top=0)
    with pytest.raises(FeatureError, match="no token to count"):
        collect_features(model, [[1], []], tmp_path / "x", progress=False)
    with pytest.raises(FeatureError, match="no tokenizer"):
        collect_features(model, ["words"], tmp_path / "x", progress=False)
    with pytest.raises(FeatureError, match="L0/99 does not exist"):
        collect_features(model, [[1, 2]], tmp_path / "x", coactivations=[(0, 99)])
    gather(tmp_path / "there", "clt", [[1, 2]])
    with pytest.raises(FileFormatError, match="already exists"):
        gather(tmp_path / "there", "clt")
    (tmp_path / "there" / "features.safetensors").write_bytes(b"1234")
    with pytest.raises(FileFormatError, match="truncated"):
        FeatureStore(tmp_path / "there")
