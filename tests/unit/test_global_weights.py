"""Global weights against explicit loops, autograd and planted interference."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import features_samples as samples
import numpy as np
import pandas as pd
import pytest
import torch
from conftest import random_transcoder
from features_samples import corpus, gather
from numpy.testing import assert_allclose

from ct_widgets.attribution.frozen_forward import frozen_forward
from ct_widgets.errors import FeatureError
from ct_widgets.features.collect import encode_batch
from ct_widgets.global_weights import virtual
from ct_widgets.language_model.corpus import RowMaker
from ct_widgets.replacement_model import ReplacementModel
from ct_widgets.transcoders import Transcoder

ALL = 10_000
READS = ("hook_resid_mid", "mlp.hook_in", "ln2.hook_normalized")


def names(t: Transcoder) -> list[str]:
    return [f"L{layer}/{index}" for layer in range(t.n_layers) for index in range(t.n_features(layer))]


def every_pair(model: ReplacementModel) -> dict[tuple[str, str], float]:
    """V by two loops over features and one over the layers between, straight from its definition."""
    t = model.transcoder
    found: dict[tuple[str, str], float] = {}
    for source in names(t):
        l_s, i = map(int, source[1:].split("/"))
        for target in names(t):
            l_t, j = map(int, target[1:].split("/"))
            if l_s >= l_t:
                continue
            layers = [layer for layer in t.output_layers(l_s) if layer < l_t]
            written = torch.stack([t.W_dec[l_s][i, layer - l_s] for layer in layers]).sum(0)
            found[source, target] = float(seen(model, written, l_t) @ t.W_enc[l_t][j])
    return found


def seen(model: ReplacementModel, x: torch.Tensor, layer: int) -> torch.Tensor:
    """A change x of the residual stream as the transcoder sees it, but for the norm's denominator."""
    hook = model.transcoder.feature_input_hook
    if hook == "hook_resid_mid":
        return x
    norm = model.language_model.bridge.blocks[layer].ln2
    x = x if norm.uses_rms_norm else x - x.mean()
    weight = norm.original_component.weight.detach() + (1.0 if norm.uses_weight_offset else 0.0)
    return x * weight if hook == "mlp.hook_in" else x


def as_dict(table: pd.DataFrame, column: str) -> dict[tuple[str, str], float]:
    return dict(zip(zip(table["source"], table["target"], strict=True), table[column], strict=True))


def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(virtual, "_SOURCES", 5)
    monkeypatch.setattr(virtual, "_TARGETS", 6)


@pytest.mark.parametrize("kind", ["clt", "plt"])
@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("family", ["native ln", "gemma2"])
def test_virtual_weights_by_their_definition(
    make_bridge: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch, family: str, read: str, kind: str
) -> None:
    small_blocks(monkeypatch)
    t = random_transcoder(3, 24, seed=1, kind=kind, feature_input_hook=read)
    model = ReplacementModel(make_bridge(family), t)
    expected = every_pair(model)
    found = as_dict(model.global_weights(k=ALL).pairs, "virtual")
    assert found.keys() == expected.keys()
    assert_allclose([found[pair] for pair in expected], list(expected.values()), rtol=1e-4, atol=1e-6)


def test_neurons_have_global_weights_too(tiny_model: ReplacementModel) -> None:
    neurons = tiny_model.neurons()
    expected = every_pair(neurons)
    found = as_dict(neurons.global_weights(k=ALL).pairs, "virtual")
    assert_allclose([found[pair] for pair in expected], list(expected.values()), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("family", "read"),
    [(family, read) for family in ("gpt2", "llama", "gemma2") for read in READS] + [("pythia", "mlp.hook_in")],
)
def test_they_are_the_derivative_through_the_residual_stream_alone(
    make_bridge: Callable[[str], Any], family: str, read: str
) -> None:
    t = random_transcoder(3, 24, seed=2, feature_input_hook=read)
    model = ReplacementModel(make_bridge(family), t)
    m = model.language_model
    run = m.frozen_run(torch.tensor([3, 1, 4, 1, 5]), read)
    without_attention = replace(run, pattern=torch.zeros_like(run.pattern))
    position = 3
    found = as_dict(model.global_weights(k=ALL).pairs, "virtual")
    forward = frozen_forward(model, without_attention, run.embedding, run.mlp_out)
    for l_t, j in ((1, 0), (2, 5)):
        scale = 1.0 if read == "hook_resid_mid" else float(run.scales["ln2"][l_t, position])
        h = forward.inputs[l_t, position] @ t.W_enc[l_t][j]
        (gradient,) = torch.autograd.grad(h, forward.mlp_write, retain_graph=True)
        assert gradient.abs().sum(-1).nonzero()[:, 1].unique().tolist() == [position]
        for l_s in range(l_t):
            for i in range(t.n_features(l_s)):
                # A source adds a_s times its decoder vectors to the outputs of its own layer and all above.
                written = [gradient[m, position] @ t.W_dec[l_s][i, m - l_s] for m in t.output_layers(l_s)]
                expected = float(sum(written)) * scale
                assert found[f"L{l_s}/{i}", f"L{l_t}/{j}"] == pytest.approx(expected, rel=1e-3, abs=1e-5)


def activations(model: ReplacementModel) -> np.ndarray[Any, Any]:
    """[n, g]: every feature at every token that counts, one text at a time."""
    rows = RowMaker(model.language_model, 256, 1, ignore_bos=True)
    parts = [torch.cat(list(encode_batch(model, batch)), 1) for text in corpus() for batch in rows.batches([text], 0)]
    return torch.cat(parts).double().numpy()


@pytest.mark.parametrize("kind", samples.KINDS)
def test_era_and_twera_by_loops_over_tokens(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    small_blocks(monkeypatch)
    model = samples.model(kind)
    a, place = activations(model), {name: g for g, name in enumerate(names(model.transcoder))}
    table = model.global_weights(corpus(), k=ALL, progress=False).pairs
    expected = every_pair(model)
    assert len(table) == len(expected)
    together = 0
    for row in table.itertuples():
        a_s, a_t, v = a[:, place[row.source]], a[:, place[row.target]], expected[row.source, row.target]
        era = twera = total = both = own = 0.0
        for n in range(len(a)):
            era += (a_t[n] > 0) * a_s[n] * v / len(a)
            twera += a_t[n] * a_s[n] * v
            total += a_t[n]
        assert row.era == pytest.approx(era, rel=1e-4, abs=1e-7)
        if not (a_t != 0).any():
            assert np.isnan(row.twera)
            assert np.isnan(row.together)
            continue
        assert row.twera == pytest.approx(twera / total, rel=1e-3, abs=1e-6)
        if (a_s != 0).any():
            both = float(a_s[a_t > 0].sum() / (a_t != 0).sum())
            own = float(a_s[a_s != 0].mean())
            assert row.together == pytest.approx(both / own, rel=1e-3, abs=1e-6)
            assert row.interference == (row.together < 0.01)
            together += 1
    assert together > 50


@pytest.mark.parametrize("by", ["virtual", "era", "twera"])
def test_the_strongest_of_each_feature_are_kept(monkeypatch: pytest.MonkeyPatch, by: Any) -> None:
    small_blocks(monkeypatch)
    model = samples.model("clt")
    full = model.global_weights(corpus(), k=ALL, progress=False)
    few = model.global_weights(corpus(), k=3, progress=False)
    assert len(few) < len(full)
    for name in names(model.transcoder):
        for look, other in (("inputs", "source"), ("outputs", "target")):
            expected = getattr(full, look)(name, 3, by=by)
            found = getattr(few, look)(name, 3, by=by)
            assert found[other].tolist() == expected[other].tolist()
            assert_allclose(found[by], expected[by], rtol=1e-6)
            sizes = expected[by].abs().to_numpy()
            assert (np.diff(sizes) <= 0).all()


def test_any_sources_to_any_targets_read_only_their_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    model = samples.model("clt")
    full = model.global_weights(corpus(), k=ALL, progress=False).pairs
    rows: list[tuple[int, list[int]]] = []
    read = Transcoder.decoder_vectors

    def noted(self: Transcoder, layer: int, index: torch.Tensor) -> torch.Tensor:
        rows.append((layer, index.tolist()))
        return read(self, layer, index)

    monkeypatch.setattr(Transcoder, "decoder_vectors", noted)
    sources, targets = ["L1/3", (0, 5), "L0/2", "L1/3"], ["L2/0", "L1/7"]
    some = model.global_weights(corpus(), sources=sources, targets=targets, progress=False)
    assert rows == [(0, [2, 5]), (1, [3])]
    expected = full[full["source"].isin(["L1/3", "L0/5", "L0/2"]) & full["target"].isin(["L2/0", "L1/7"])]
    assert len(some) == len(expected) == 5
    pd.testing.assert_frame_equal(some.pairs, expected.reset_index(drop=True), rtol=1e-5)
    with pytest.raises(FeatureError, match="L2/1 is not among the 2 targets"):
        some.inputs("L2/1")
    with pytest.raises(FeatureError, match="L2/0 is not among the 3 sources"):
        some.outputs("L2/0")


def test_a_store_with_coactivations_says_the_same_as_its_texts(tmp_path: Path) -> None:
    model = samples.model("clt")
    store = gather(tmp_path / "store", "clt", coactivations=True, context=256)
    mine, theirs = (model.global_weights(source, k=4, progress=False) for source in (store, corpus()))
    pd.testing.assert_frame_equal(mine.pairs, theirs.pairs, rtol=1e-4)
    chosen = gather(tmp_path / "chosen", "clt", coactivations=[(0, 1), (2, 3)], context=256)
    with pytest.raises(FeatureError, match="co-activations of 2 features only"):
        model.global_weights(chosen)
    assert len(model.global_weights(chosen, sources=["L0/1"], targets=["L2/3"])) == 1
    with pytest.raises(FeatureError, match="no co-activations"):
        model.global_weights(gather(tmp_path / "without", "clt"))
    with pytest.raises(FeatureError, match="made with transcoder"):
        samples.model("plt").global_weights(store)


def test_planted_interference_is_flagged_and_has_no_twera() -> None:
    """A source of a huge weight that is only active where its target is not."""
    model = samples.model("clt")
    t, a = model.transcoder, activations(model)
    assert t.threshold is not None
    highest = [
        (a[on, i].max(initial=0), a[~on, i].max(initial=0), i, j)
        for j in range(14)
        for i in range(14)
        if (on := a[:, 28 + j] > 0).any()
    ]
    inside, outside, i, j = max(highest, key=lambda found: found[1] - found[0])
    assert outside > inside
    threshold = [values.clone() for values in t.threshold]
    threshold[0][i] = (inside + outside) / 2
    W_dec = [values.clone() for values in t.W_dec]
    W_dec[0][i] = 100 * t.W_enc[2][j]
    planted = ReplacementModel(model.language_model.bridge, replace(t, threshold=threshold, W_dec=W_dec))
    weights = planted.global_weights(corpus(), k=3, progress=False)
    source, target = f"L0/{i}", f"L2/{j}"
    first = weights.inputs(target, by="virtual").iloc[0]
    assert (first["source"], first["interference"], first["twera"], first["era"]) == (source, True, 0.0, 0.0)
    assert source not in weights.inputs(target, by="twera")["source"].tolist()
    table = weights.interference(k=1)
    assert table.loc["virtual", "weight"] > 0.3
    assert table.loc["twera", "weight"] == 0


def test_interference_by_hand() -> None:
    model = samples.model("clt")
    halves = corpus()[::2], corpus()[1::2]
    weights = model.global_weights(halves[0], progress=False)
    other = weights.with_corpus(halves[1], progress=False)
    assert as_dict(other.pairs, "virtual") == as_dict(weights.pairs, "virtual")
    table = weights.interference(k=2, judge=other)
    assert table.index.tolist() == ["virtual", "era", "twera"]
    judged = other.pairs.set_index(["source", "target"])
    for by in table.index:
        flags: list[bool] = []
        sizes: list[float] = []
        for name in names(model.transcoder)[14:]:
            for row in weights.inputs(name, 2, by=by).itertuples():
                known = judged.loc[row.source, name]
                if not np.isnan(known["together"]):
                    flags.append(bool(known["interference"]))
                    sizes.append(abs(getattr(row, by)))
        assert table.loc[by, "pairs"] == len(flags)
        assert table.loc[by, "interference"] == pytest.approx(np.mean(flags))
        assert table.loc[by, "weight"] == pytest.approx(np.array(sizes)[flags].sum() / sum(sizes))
    assert table.loc["virtual", "interference"] > table.loc["twera", "interference"]


def test_without_a_corpus_there_are_virtual_weights_alone(tiny_model: ReplacementModel) -> None:
    weights = tiny_model.global_weights()
    assert weights.inputs("L2/3").columns.tolist() == ["source", "label", "virtual"]
    assert "no corpus" in repr(weights)
    for look in (lambda: weights.interference(), lambda: weights.inputs("L2/3", by="twera")):
        with pytest.raises(FeatureError, match=r"model.global_weights\(texts\)"):
            look()


def test_wrong_uses_say_what_to_do(tiny_model: ReplacementModel) -> None:
    with pytest.raises(FeatureError, match="k is 0"):
        tiny_model.global_weights(k=0)
    with pytest.raises(FeatureError, match="no features to weigh"):
        tiny_model.global_weights(sources=[])
    with pytest.raises(FeatureError, match="L0/99 does not exist"):
        tiny_model.global_weights(targets=["L0/99"])
    with pytest.raises(FeatureError, match="no token to count"):
        tiny_model.global_weights([[1]], progress=False)
    weights = tiny_model.global_weights()
    with pytest.raises(FeatureError, match="'size' is not a measure"):
        weights.inputs("L2/3", by="size")  # type: ignore[arg-type]
    with pytest.raises(FeatureError, match="there are layers 0 to"):
        weights.outputs("L9/3")
