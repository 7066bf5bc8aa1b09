"""Feature files of circuit-tracer and Neuronpedia: written, read, and read as others write them."""

from __future__ import annotations

import gzip
import json
import struct
import zlib
from pathlib import Path
from typing import Any

import features_samples as samples
import numpy as np
import pytest
from features_samples import gather

from ct_widgets.errors import FeatureError, FileFormatError
from ct_widgets.features import Features, FeatureStore, read_feature_json, write_feature_json


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> Features:
    return Features(samples.model("clt"), gather(tmp_path_factory.mktemp("json") / "store", "clt"))


@pytest.fixture(scope="module")
def written(features: Features, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_feature_json(features, tmp_path_factory.mktemp("out") / "features", progress=False)


def unpacked(folder: Path, layer: int, index: int) -> dict[str, Any]:
    """As FORMATS says, by hand."""
    entry = json.loads(gzip.decompress((folder / "index.json.gz").read_bytes()))[layer]
    data = (folder / entry["filename"]).read_bytes()[entry["offsets"][index] : entry["offsets"][index + 1]]
    assert struct.unpack("<I", data[:4]) == (len(data) - 4,)
    return json.loads(zlib.decompress(data[4:]))


def test_files_hold_what_the_store_holds(features: Features, written: Path) -> None:
    for layer, index in ((0, 3), (1, 4), (2, 13)):
        found, record = unpacked(written, layer, index), features[layer, index].record
        assert record is not None
        assert (found["index"], found["act_max"]) == (index, record.maximum)
        assert found["activation_frequency"] == record.density
        assert sum(found["histogram"]) == record.count
        assert found["top_logits"] == features[layer, index].promoted()["token"].tolist()
        assert found["bottom_logits"] == features[layer, index].suppressed()["token"].tolist()
        assert len(found["quantile_values"]) == 100
        assert found["quantile_values"] == sorted(found["quantile_values"])
        assert found["quantile_values"][-1] == pytest.approx(record.maximum, rel=1e-5)
        top = found["examples_quantiles"][0]
        assert top["quantile_name"] == "Top activations"
        for example, expected in zip(top["examples"], record.top, strict=True):
            assert example["tokens"] == [features.vocabulary.text(int(i)) for i in expected.tokens]
            assert example["train_token_ind"] == expected.peak
            np.testing.assert_allclose(example["tokens_acts_list"], expected.activation, rtol=1e-4)
            assert example["is_repeated_datapoint"] is False


def test_written_files_read_back(features: Features, written: Path, tmp_path: Path) -> None:
    transcoder = samples.transcoder("clt")
    store = read_feature_json(written, tmp_path / "store", transcoder)
    again = Features(samples.model("clt"), store)
    for layer, n in enumerate(store.n_features):
        for index in range(n):
            before, after = features[layer, index].record, again[layer, index].record
            assert before is not None
            assert after is not None
            assert (after.counts.tolist(), after.edges.tolist()) == (before.counts.tolist(), before.edges.tolist())
            assert after.density == pytest.approx(before.density, abs=1e-9)
            assert after.maximum == pytest.approx(before.maximum)
            assert len(after.top) == len(before.top)
            texts = [
                [view.vocabulary.text(int(i)) for e in record.top for i in e.tokens]
                for view, record in ((features, before), (again, after))
            ]
            assert texts[0] == texts[1]
            for mine, other in zip(before.top, after.top, strict=True):
                np.testing.assert_allclose(mine.activation, other.activation, rtol=2e-3, atol=1e-6)
    with pytest.raises(FeatureError, match="merge it exactly"):
        FeatureStore.merge([store], tmp_path / "merged")


THEIRS = {
    "index": 3,
    "examples_quantiles": [
        {
            "quantile_name": "Top activations",
            "examples": [
                {"tokens": ["The", " cat", "<b>"], "tokens_acts_list": [0, 2.5, 1], "train_token_ind": 1},
                {"tokens": [" 猫", "\n"], "tokens_acts_list": [0.5, 2.0], "train_token_ind": 9},
            ],
        },
        {"quantile_name": "Interval 1", "examples": [{"tokens": ["a"], "tokens_acts_list": [1.0]}]},
        {"quantile_name": "Empty", "examples": []},
    ],
    "top_logits": ["x"],
    "bottom_logits": [],
    "act_min": 0.1,
    "act_max": 2.5,
    "quantile_values": [0.5, 1.0, 1.1, 2.5],
    "histogram": [5, 3, 1],
    "activation_frequency": 0.002,
}


@pytest.mark.parametrize("layout", ["zlib", "gzip", "single"])
def test_files_of_others(tmp_path: Path, layout: str) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    text = json.dumps(THEIRS).encode()
    if layout == "single":
        (folder / "13.json").write_bytes(text)  # layer 1, index 3: 4 * 5 / 2 + 3
        (folder / "notes.json").write_text("{}")
    else:
        packed = zlib.compress(text) if layout == "zlib" else gzip.compress(text)
        data = struct.pack("<I", len(packed)) + packed
        (folder / "l1.bin").write_bytes(data)
        none = {"filename": "l0.bin", "offsets": [0] * 15}
        one = {"filename": "l1.bin", "offsets": [0] * 4 + [len(data)] * 11}
        (folder / "index.json.gz").write_bytes(gzip.compress(json.dumps([none, one, none]).encode()))
    store = read_feature_json(folder, tmp_path / "store", samples.transcoder("clt"))
    record = store[1, 3]
    assert (record.density, record.maximum) == (0.002, 2.5)
    assert int(record.counts.sum()) == 4  # from the quantiles: their bins are not known
    assert [store.vocabulary.text(int(i)) for i in record.top[0].tokens] == ["The", " cat", "<b>"]
    assert record.top[0].activation.tolist() == pytest.approx([0, 2.5, 1.0], rel=1e-3)
    assert [e.peak for e in record.top] == [1, 1]  # outside the text: the largest
    assert len(record.sample) == 1
    assert store[1, 4].top == ()
    assert store[0, 3].count == 0
    card = Features(samples.model("clt"), store).card("L1/3")
    assert card["density"] == 0.002


def test_damaged_and_foreign_files(written: Path, tmp_path: Path) -> None:
    transcoder = samples.transcoder("clt")

    def fails(message: str, change: Any) -> None:
        folder = tmp_path / message.split()[0]
        folder.mkdir()
        for file in written.iterdir():
            (folder / file.name).write_bytes(file.read_bytes())
        change(folder)
        with pytest.raises(FileFormatError, match=message):
            read_feature_json(folder, tmp_path / "never", transcoder)
        assert not (tmp_path / "never").exists()

    def index(change: Any) -> Any:
        def write(folder: Path) -> None:
            entries = json.loads(gzip.decompress((folder / "index.json.gz").read_bytes()))
            (folder / "index.json.gz").write_bytes(gzip.compress(json.dumps(change(entries)).encode()))

        return write

    fails("has 2 layers", index(lambda entries: entries[:2]))
    fails("layer_0.bin has 13 features", index(lambda e: [{**e[0], "offsets": e[0]["offsets"][:-1]}, *e[1:]]))
    fails("index.json.gz is damaged", lambda folder: (folder / "index.json.gz").write_bytes(b"\x1f\x8b123"))
    fails("feature 13 in .*damaged", lambda f: (f / "layer_2.bin").write_bytes((f / "layer_2.bin").read_bytes()[:-9]))
    fails("neither", lambda folder: [file.unlink() for file in folder.iterdir()])
    (tmp_path / "form").mkdir()
    wrong = {**THEIRS, "examples_quantiles": [{"examples": [{"tokens": ["a"], "tokens_acts_list": []}]}]}
    (tmp_path / "form" / "13.json").write_text(json.dumps(wrong))
    with pytest.raises(FileFormatError, match="1 tokens and 0 activations"):
        read_feature_json(tmp_path / "form", tmp_path / "never", transcoder)
    (tmp_path / "form" / "999999.json").write_text("{}")
    with pytest.raises(FileFormatError, match="does not have"):
        read_feature_json(tmp_path / "form", tmp_path / "never", transcoder)
