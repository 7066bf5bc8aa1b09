"""The store on disk: access, files, labels, and the vocabulary it carries."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import features_samples as samples
import numpy as np
import pytest
import torch
from features_samples import gather, synthetic_store
from numpy.testing import assert_array_equal
from safetensors.numpy import load_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from ct_widgets.columns import ArrayFile, write_arrays
from ct_widgets.errors import FeatureError, FileFormatError
from ct_widgets.features import FeatureStore, Label
from ct_widgets.features.bins import EDGES, N_BINS, bin_of, span
from ct_widgets.features.fingerprint import fingerprint
from ct_widgets.features.store_file import ARRAYS, FORMAT, VERSION
from ct_widgets.features.topk import context_keys
from ct_widgets.features.vocabulary import Vocabulary, read_vocabulary


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return gather(tmp_path_factory.mktemp("store") / "features", "clt")


def test_a_feature_among_millions_reads_its_own_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """How fast that is, `tests/benchmarks/features.py` says."""
    store = synthetic_store(tmp_path / "large", 26, 98_304)
    read, get = [], ArrayFile.__getitem__

    def counting(self: ArrayFile, key: Any) -> Any:
        value = get(self, key)
        read.append(value.nbytes)
        return value

    monkeypatch.setattr(ArrayFile, "__getitem__", counting)
    rng = np.random.default_rng(0)
    for layer, index in zip(rng.integers(0, 26, 200).tolist(), rng.integers(0, 98_304, 200).tolist(), strict=True):
        read.clear()
        record = store[layer, index]
        assert 0 < sum(read) < 250  # of 0.3 GB
        g = layer * 98_304 + index
        assert (record.maximum, record.density, len(record.sample)) == (g, 0.009, 1)
        assert record.counts.tolist() == [4, 3, 2]
        assert_array_equal(record.edges, EDGES[40:44])
        assert_array_equal(record.top[0].activation, np.array([0, 0.5, 1, 0.25], np.float32) * (2 * g))
        assert record.sample[0].text == 2 * g + 1
        assert store.place(store.number(layer, index)) == (layer, index)


def test_features_that_do_not_exist(store: FeatureStore) -> None:
    with pytest.raises(FeatureError, match="L3/0 does not exist; there are layers 0 to 2"):
        store[3, 0]
    with pytest.raises(FeatureError, match="L1/14 does not exist; layer 1 has features 0 to 13"):
        store[1, 14]
    with pytest.raises(FeatureError, match="L1/-1 does not exist"):
        store[1, -1]
    with pytest.raises(FeatureError, match="no co-activations"):
        store.coactivations()


def test_a_store_knows_its_transcoder(store: FeatureStore) -> None:
    mine = samples.transcoder("clt")
    store.check(fingerprint(mine), mine.name)
    store.check(fingerprint(mine.to("cpu")), mine.name)
    with pytest.raises(FeatureError, match=r"was made with transcoder transcoder .* collect features again"):
        store.check(fingerprint(samples.transcoder("plt")), "other")


@pytest.mark.parametrize("what", ["W_enc", "W_dec", "b_enc", "b_dec", "threshold"])
def test_fingerprints_see_every_weight(what: str) -> None:
    mine, other = samples.transcoder("clt"), samples.transcoder("clt")
    assert fingerprint(mine) == fingerprint(other)
    getattr(other, what)[1].view(-1)[3] += 0.01
    assert fingerprint(mine) != fingerprint(other)
    half = [w.bfloat16().float() for w in mine.W_enc]
    assert fingerprint(mine) != fingerprint(torch_replace(mine, W_enc=half))


def torch_replace(transcoder: Any, **fields: Any) -> Any:
    from dataclasses import replace

    return replace(transcoder, **fields)


def test_files_of_other_versions_and_kinds(store: FeatureStore, tmp_path: Path) -> None:
    for name, facts, message in (
        ("newer", {"format": FORMAT, "version": VERSION + 1}, "version 2, this ct_widgets reads up to 1"),
        ("foreign", {"a": 1}, "not a feature store"),
    ):
        (tmp_path / name).mkdir()
        write_arrays(tmp_path / name / ARRAYS, {"x": [np.zeros(3, np.float32)]}, facts)
        with pytest.raises(FileFormatError, match=message):
            FeatureStore(tmp_path / name)
    with pytest.raises(FileFormatError, match="missing"):
        FeatureStore(tmp_path / "nowhere")
    whole = (store.path / ARRAYS).read_bytes()
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut" / ARRAYS).write_bytes(whole[:-10])
    with pytest.raises(FileFormatError, match="truncated"):
        FeatureStore(tmp_path / "cut")


def test_sections_are_the_top_and_equal_parts_of_the_sample(store: FeatureStore) -> None:
    seen = 0
    for index in range(14):
        record = store[1, index]
        sections = record.sections(2)
        if not record.top:
            assert sections == ()
            continue
        assert sections[0].share is None
        assert sections[0].examples == record.top
        assert (sections[0].high, sections[0].low) == (record.maximum, record.top[-1].value)
        shown = [(e.text, e.position) for section in sections for e in section.examples]
        assert len(set(shown)) == len(shown)
        assert set(shown) == {(e.text, e.position) for e in (*record.top, *record.sample)}
        for section in sections[1:]:
            assert all(section.low <= e.value <= section.high for e in section.examples)
            seen += 1
        highs = [section.high for section in sections[1:]]
        assert highs == sorted(highs, reverse=True)
    assert seen > 5


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_labels_are_on_disk_at_once(tmp_path: Path) -> None:
    store = gather(tmp_path / "features", "clt")
    store.labels["L2/3"] = "sum = _5"
    store.labels.set("L0/1", Label("says X", "model", "judge", prompt="What?", answer="says X"))
    again = FeatureStore(store.path)
    assert dict(again.labels) == {"L2/3": "sum = _5", "L0/1": "says X"}
    assert again.labels.entry("L0/1") == Label("says X", "model", "judge", "What?", "says X")
    assert again.labels.entry("L2/3") == Label("sum = _5", "person")
    assert again.labels.entry("L2/4") is None
    del again.labels["L2/3"]
    assert dict(FeatureStore(store.path).labels) == {"L0/1": "says X"}
    assert names(store.path) == ["features.safetensors", "labels.json"]
    for name in ("L9/0", "L0/99", "517", "L-1/2"):
        with pytest.raises(FeatureError):
            store.labels[name] = "x"
    for content in ("{", '{"version": 9, "labels": {}}', '{"version": 1, "labels": {"L0/1": {}}}', "[]"):
        (store.path / "labels.json").write_text(content)
        with pytest.raises(FileFormatError, match=r"labels\.json"):
            FeatureStore(store.path)


def test_labels_that_cannot_be_written_leave_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = gather(tmp_path / "features", "clt")
    store.labels["L2/3"] = "kept"

    def full(*_: Any, **__: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="disk full"):
        store.labels["L2/3"] = "lost"
    monkeypatch.undo()
    assert json.loads((store.path / "labels.json").read_text())["labels"]["L2/3"]["text"] == "kept"
    assert names(store.path) == ["features.safetensors", "labels.json"]


def test_array_files_are_safetensors_and_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pieces = {
        "a": [np.arange(6, dtype=np.int32).reshape(3, 2), np.zeros((0, 2), np.int32), np.ones((1, 2), np.int32)],
        "b": [np.arange(3, dtype=np.float64)],
        "c": [np.array([], np.uint8)],
    }
    write_arrays(tmp_path / "x", pieces, {"fact": [1, "ü"]})
    read = load_file(tmp_path / "x")
    for name, parts in pieces.items():
        assert_array_equal(read[name], np.concatenate(parts))
    file = ArrayFile(tmp_path / "x")
    assert file.metadata == {"fact": [1, "ü"]}
    assert_array_equal(file["a", slice(1, 3)], [[2, 3], [4, 5]])
    assert file["a", slice(2, 2)].shape == (0, 2)
    with pytest.raises(FileFormatError, match="no 'd'; it holds a, b, c"):
        file["d"]
    before = (tmp_path / "x").read_bytes()
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_arrays(tmp_path / "x", {"b": [np.zeros(9)]}, {})
    assert (tmp_path / "x").read_bytes() == before
    assert names(tmp_path) == ["x"]


def test_bins_are_between_their_edges() -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate([np.exp(rng.uniform(-12, 12, 2000)), EDGES[1:-1], -rng.random(9), [0.0]]).astype(np.float32)
    bins = bin_of(values)
    assert np.all((EDGES[bins] <= values) & (values < EDGES[bins + 1]))
    counts = np.zeros((3, N_BINS), int)
    counts[1, [4, 9]] = counts[2, N_BINS - 1] = 1
    assert [column.tolist() for column in span(counts)] == [[0, 4, N_BINS - 1], [0, 10, N_BINS]]


def test_context_keys_are_of_the_window_alone() -> None:
    row = np.array([3, 1, 4, 1, 5, 9, 2, 6])
    keys = context_keys(row, 2)
    for p in range(8):
        assert keys[p] == context_keys(row[max(0, p - 2) : p + 1], 2)[-1]
    assert keys[2] != context_keys(np.array([7, 1, 4]), 2)[-1]
    assert context_keys(np.array([8, 1, 4]), 1)[-1] == context_keys(np.array([7, 1, 4]), 1)[-1]
    drawn = context_keys(np.random.default_rng(0).integers(0, 50, 20_000), 3).astype(np.float64) / 2**64
    assert abs(drawn.mean() - 0.5) < 0.01
    assert abs((drawn < 0.1).mean() - 0.1) < 0.01


def byte_level() -> Any:
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    core = Tokenizer(models.BPE({token: i for i, token in enumerate(sorted(alphabet))}, []))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=core, bos_token="<s>")


def sentencepiece() -> Any:
    words = ["<unk>", *(f"<0x{i:02X}>" for i in range(256)), "▁the", "a", "▁"]
    core = Tokenizer(models.BPE({word: i for i, word in enumerate(words)}, [], byte_fallback=True, unk_token="<unk>"))
    core.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    return PreTrainedTokenizerFast(tokenizer_object=core, unk_token="<unk>")


@pytest.mark.parametrize("make", [byte_level, sentencepiece])
def test_characters_over_several_tokens(make: Callable[[], Any]) -> None:
    tokenizer = make()
    vocabulary = read_vocabulary(tokenizer, len(tokenizer))
    text = "aé😀\n"
    ids = tokenizer.encode(text, add_special_tokens=False)
    assert b"".join(vocabulary.token(i) for i in ids) == text.encode()
    assert vocabulary.pieces(ids) == [("a", 1), ("é", 2), ("😀", 4), ("\n", 1)]
    assert vocabulary.join(ids) == text
    assert not vocabulary.spaced
    cut = ids[: ids.index(ids[3]) + 2]  # the emoji is cut off after two bytes
    assert vocabulary.pieces(cut)[-1] == ("\\xf0\\x9f", 2)
    alone = vocabulary.pieces(ids[4:])  # and here before its second byte
    assert [count for _, count in alone] == [1, 1, 1, 1]
    assert alone[-1] == ("\n", 1)


def test_vocabularies_of_other_tokenizers(make_bridge: Callable[[str], Any]) -> None:
    words = read_vocabulary(make_bridge("gpt2").tokenizer, 62)
    assert (words.spaced, words.text(0), words.join([1, 2]), words.text(61)) == (True, "<bos>", "t1 t2", "<61>")
    assert read_vocabulary(None, 3).text(2) == "<2>"
    assert Vocabulary.of([b"a"], spaced=False).text(5) == "<5>"
    special = byte_level()
    assert read_vocabulary(special, len(special)).text(special.bos_token_id) == "<s>"


def test_torch_is_not_needed_to_read_a_store(store: FeatureStore) -> None:
    import subprocess
    import sys

    code = (
        "import sys; from ct_widgets.features.store import FeatureStore; s = FeatureStore(sys.argv[1]);"
        "s[1, 4].sections(); s.vocabulary.text(3); print(sorted({'torch', 'transformers'} & set(sys.modules)))"
    )
    assert subprocess.check_output([sys.executable, "-c", code, str(store.path)], text=True).strip() == "[]"
    assert torch.is_tensor(torch.zeros(1))
