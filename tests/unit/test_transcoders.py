"""Transcoders: one layout, checked shapes, circuit-tracer directories in and out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from conftest import READS_AND_WRITES, random_transcoder
from safetensors.torch import load_file, save_file

from ct_widgets.errors import FileFormatError, TranscoderError
from ct_widgets.features.active import find_active
from ct_widgets.transcoders import Transcoder

L, D, F = 3, 5, 7  # all different: a swapped axis must not pass
VARIANTS: dict[str, dict[str, Any]] = {
    "clt, JumpReLU": {"kind": "clt"},
    "clt, ReLU, skip": {"kind": "clt", "activation": "relu", "skip": True},
    "clt, TopK": {"kind": "clt", "activation": "topk", "k": 2},
    "plt, JumpReLU, skip": {"kind": "plt", "skip": True},
    "plt, ReLU": {"kind": "plt", "activation": "relu"},
    "plt, TopK": {"kind": "plt", "activation": "topk", "k": 3},
}


@pytest.fixture(params=VARIANTS)
def transcoder(request: pytest.FixtureRequest) -> Transcoder:
    return random_transcoder(L, D, F, **VARIANTS[request.param])


def inputs() -> list[torch.Tensor]:
    return list(torch.randn(L, 4, D, generator=torch.Generator().manual_seed(1)))


def reconstruct(transcoder: Transcoder) -> torch.Tensor:
    x = inputs()
    return torch.stack(transcoder.decode([transcoder.encode(layer, x[layer]) for layer in range(L)], x))


def test_decode_is_the_formula(transcoder: Transcoder) -> None:
    x = inputs()
    y = reconstruct(transcoder)
    for target in range(L):
        for p in range(4):
            total = transcoder.b_dec[target].clone()
            for source in range(target + 1):
                a = transcoder.encode(source, x[source][p])
                if transcoder.kind == "clt":
                    total += sum(a[f] * transcoder.W_dec[source][f, target - source] for f in range(F))
                elif source == target:
                    total += sum(a[f] * transcoder.W_dec[source][f, 0] for f in range(F))
            if transcoder.W_skip is not None:
                total += transcoder.W_skip[target].T @ x[target][p]
            torch.testing.assert_close(y[target, p], total)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_decoding_happens_where_the_activations_are(transcoder: Transcoder) -> None:
    """Decoders stay where they were loaded: `to` moves all but them."""
    moved, x = transcoder.to("cuda"), [part.cuda() for part in inputs()]
    y = moved.decode([moved.encode(layer, x[layer]) for layer in range(L)], x)
    assert moved.W_dec[0].device.type == "cpu"
    torch.testing.assert_close(torch.stack(y).cpu(), reconstruct(transcoder), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("threshold", [None, -0.2])
def test_active_features_are_those_of_the_encoding(transcoder: Transcoder, threshold: float | None) -> None:
    if threshold is not None:
        transcoder = random_transcoder(L, D, F, threshold=[torch.full((F,), threshold)] * L)
        transcoder.W_enc[0][0], transcoder.b_enc[0][0] = 0, 0  # above its threshold, and yet not active
    for layer, x in enumerate(inputs()):
        where, value = transcoder.active(layer, x)
        a = transcoder.encode(layer, x)
        assert torch.equal(where & (value != 0), a != 0)
        assert torch.equal(value[where], a[where])
        found = find_active(where, value)
        token, feature = np.nonzero(a.numpy())
        np.testing.assert_array_equal(found.token, token)
        np.testing.assert_array_equal(found.feature, feature)
        np.testing.assert_array_equal(found.value, a.numpy()[token, feature])


def test_activations_by_hand() -> None:
    h = torch.tensor([[-2.0, 0.5, 0.5000001, 3.0]])

    def encode(**settings: Any) -> list[float]:
        transcoder = Transcoder(
            kind="plt", W_enc=[torch.eye(4)], W_dec=[torch.zeros(4, 1, 4)], b_enc=[torch.zeros(4)],
            b_dec=[torch.zeros(4)], **READS_AND_WRITES, **settings,
        )  # fmt: skip
        return transcoder.encode(0, h)[0].tolist()

    assert encode(activation="relu") == pytest.approx([0, 0.5, 0.5, 3])
    assert encode(activation="jumprelu", threshold=[torch.full((4,), 0.5)]) == pytest.approx([0, 0, 0.5, 3])
    # TopK keeps the largest raw values, also when they are negative.
    assert encode(activation="topk", k=4) == pytest.approx([-2, 0.5, 0.5, 3])
    assert encode(activation="topk", k=1) == [0, 0, 0, 3]


def test_half_precision_weights_are_computed_in_float32() -> None:
    full = random_transcoder(L, D, F)
    half = Transcoder(**{**vars(full), "W_enc": [w.bfloat16() for w in full.W_enc]})
    rounded = Transcoder(**{**vars(full), "W_enc": [w.bfloat16().float() for w in full.W_enc]})
    x = inputs()
    torch.testing.assert_close(half.encode(1, x[1]), rounded.encode(1, x[1]))


def test_directory_round_trip(transcoder: Transcoder, tmp_path: Path) -> None:
    transcoder.save(tmp_path / "t")
    back = Transcoder.load(tmp_path / "t")
    for name in ("kind", "activation", "k", "feature_input_hook", "feature_output_hook", "name"):
        assert getattr(back, name) == getattr(transcoder, name), name
    torch.testing.assert_close(reconstruct(back), reconstruct(transcoder))
    back.save(tmp_path / "t")  # a transcoder may be replaced, also by itself
    torch.testing.assert_close(reconstruct(Transcoder.load(tmp_path / "t")), reconstruct(transcoder))
    assert [path.name for path in tmp_path.iterdir()] == ["t"]


def test_decoder_vectors_are_rows() -> None:
    transcoder = random_transcoder(L, D, F)
    rows = transcoder.decoder_vectors(1, torch.tensor([4, 0, 4]))
    torch.testing.assert_close(rows, transcoder.W_dec[1][[4, 0, 4]])


def test_plt_files_by_their_conventions(tmp_path: Path) -> None:
    """W_skip is stored to be applied transposed, and a scalar threshold stands for every feature."""
    random_transcoder(L, D, F, kind="plt", skip=True).save(tmp_path / "t")
    skip = torch.arange(D * D, dtype=torch.float32).view(D, D)
    for layer in range(L):
        path = tmp_path / "t" / f"layer_{layer}.safetensors"
        tensors = {name: tensor.clone() for name, tensor in load_file(path).items()}
        tensors |= {"W_skip": skip, "activation_function.threshold": torch.tensor(0.25)}
        save_file(tensors, path)
    back = Transcoder.load(tmp_path / "t")
    x = torch.randn(2, D, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(back.skip(0, x), x @ skip.T)
    assert back.threshold is not None
    assert back.threshold[2].tolist() == [0.25] * F


def test_files_that_config_names(tmp_path: Path) -> None:
    transcoder = random_transcoder(L, D, F, kind="plt", activation="relu")
    transcoder.save(tmp_path / "t")
    config = yaml.safe_load((tmp_path / "t" / "config.yaml").read_text())
    for layer in range(L):
        (tmp_path / "t" / f"layer_{layer}.safetensors").rename(tmp_path / f"params-{layer}.safetensors")
    config["transcoders"] = [f"../params-{layer}.safetensors" for layer in range(L)]
    (tmp_path / "t" / "config.yaml").write_text(yaml.safe_dump(config))
    torch.testing.assert_close(reconstruct(Transcoder.load(tmp_path / "t")), reconstruct(transcoder))


@pytest.mark.parametrize("what", ["W_enc", "W_dec", "b_enc", "b_dec", "threshold"])
def test_wrong_shapes_fail_loudly(what: str) -> None:
    fields = vars(random_transcoder(L, D, F))
    transposed = [t.transpose(0, -1) if t.ndim > 1 else t[:-1] for t in fields[what]]
    # A transposed encoder reads as another number of features, and its decoder does not fit that.
    named = "W_dec" if what == "W_enc" else what
    with pytest.raises(TranscoderError, match=rf"{named} of layer \d has shape"):
        Transcoder(**{**fields, what: transposed})
    with pytest.raises(TranscoderError, match="layers"):
        Transcoder(**{**fields, what: fields[what][:-1]})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "sae"}, "expected 'clt' or 'plt'"),
        ({"activation": "gelu"}, "expected one of"),
        ({"threshold": None}, "needs `threshold`"),
        ({"k": 2}, "needs `k`"),
        ({"W_enc": []}, "at least one layer"),
    ],
)
def test_inconsistent_settings(change: dict[str, Any], message: str) -> None:
    with pytest.raises(TranscoderError, match=message):
        Transcoder(**{**vars(random_transcoder(L, D, F)), **change})


def test_damaged_directories(tmp_path: Path) -> None:
    source = random_transcoder(L, D, F)

    def broken(name: str) -> Path:
        source.save(tmp_path / name)
        return tmp_path / name

    folder = broken("truncated")
    data = (folder / "W_dec_1.safetensors").read_bytes()
    (folder / "W_dec_1.safetensors").write_bytes(data[: len(data) // 2])
    with pytest.raises(FileFormatError, match=r"W_dec_1.safetensors is missing, truncated"):
        Transcoder.load(folder)

    folder = broken("incomplete")
    (folder / "W_enc_1.safetensors").unlink()
    with pytest.raises(FileFormatError, match=r"it has i = \[0, 2\]"):
        Transcoder.load(folder)

    folder = broken("renamed")
    save_file({"W_enc_0": source.W_enc[0]}, folder / "W_enc_0.safetensors")
    with pytest.raises(FileFormatError, match="has no b_enc; it holds W_enc"):
        Transcoder.load(folder)

    folder = broken("unsaid")
    (folder / "config.yaml").write_text("model_kind: cross_layer_transcoder\n")
    with pytest.raises(FileFormatError, match="does not say feature_input_hook, feature_output_hook"):
        Transcoder.load(folder)
    (folder / "config.yaml").write_text("model_kind: [\n")
    with pytest.raises(FileFormatError, match="not YAML"):
        Transcoder.load(folder)

    with pytest.raises(FileFormatError, match=r"has no config\.yaml"):
        Transcoder.load(tmp_path / "nowhere")


def test_a_lost_threshold_does_not_turn_into_relu(tmp_path: Path) -> None:
    random_transcoder(L, D, F).save(tmp_path / "t")
    path = tmp_path / "t" / "W_enc_2.safetensors"
    save_file({name: tensor.clone() for name, tensor in load_file(path).items() if "threshold" not in name}, path)
    with pytest.raises(FileFormatError, match="has no threshold"):
        Transcoder.load(tmp_path / "t")


def test_saving_leaves_other_folders_alone(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "text.md").write_text("mine")
    with pytest.raises(FileFormatError, match="not a transcoder"):
        random_transcoder(L, D, F).save(tmp_path / "notes")
    assert (tmp_path / "notes" / "text.md").read_text() == "mine"
    assert len(list(tmp_path.iterdir())) == 1
