"""model.features: tokens from the weights against closed forms, automatic labels, search, and what a card holds."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import features_samples as samples
import numpy as np
import pytest
import torch
from conftest import random_transcoder
from features_samples import gather

from ct_widgets.errors import FeatureError
from ct_widgets.features import Example, FeatureRecord, Features, FeatureStore, Label, collect_features
from ct_widgets.features.auto_label import auto_label
from ct_widgets.features.vocabulary import Vocabulary
from ct_widgets.replacement_model import ReplacementModel


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> Features:
    return Features(samples.model("clt"), gather(tmp_path_factory.mktemp("catalog") / "store", "clt"))


@pytest.fixture(scope="module")
def worded(make_bridge: Callable[[str], Any], tmp_path_factory: pytest.TempPathFactory) -> Features:
    model = ReplacementModel(make_bridge("gpt2"), samples.transcoder("clt"))
    rng = np.random.default_rng(0)
    texts = [" ".join(f"t{i}" for i in rng.integers(1, 60, 9)) for _ in range(60)]
    return Features(model, collect_features(model, texts, tmp_path_factory.mktemp("w") / "store", progress=False))


@pytest.mark.parametrize("family", ["native ln", "gpt2", "gemma2", "llama", "cohere"])
def test_promoted_tokens_are_what_the_logits_do(make_bridge: Callable[[str], Any], family: str) -> None:
    """Adding a little of the decoder sum before the final norm, its denominator held, moves the logits so."""
    bridge = make_bridge(family)
    model = ReplacementModel(bridge, random_transcoder(3, 24, seed=3))
    feature = Features(model)[1, 5]
    direction = model.transcoder.W_dec[1][5].sum(0)
    language_model = model.language_model
    tokens = language_model.tokens([3, 1, 4])[None]
    norms = language_model.activations(tokens, ["ln_final.hook_in", "ln_final.hook_scale"])
    x, scale = norms["ln_final.hook_in"].double(), norms["ln_final.hook_scale"].double()
    original = bridge.ln_final.original_component
    weight = getattr(original, "weight", None)
    gain = torch.ones(24) if weight is None else weight.detach() + float(bridge.ln_final.uses_weight_offset)
    change = (direction if bridge.ln_final.uses_rms_norm else direction - direction.mean()) / scale[0, -1] * gain
    unembedding = language_model.unembedding
    logits = unembedding.scale * (change @ unembedding.W_U.double())
    logits = (logits - logits.mean()) * scale[0, -1]
    assert x.shape[-1] == 24
    best = logits.argsort(descending=True)
    table = feature.promoted(5)
    assert table["id"].tolist() == best[:5].tolist()
    np.testing.assert_allclose(table["value"], logits[best[:5]], rtol=1e-4, atol=1e-5)
    assert feature.suppressed(3)["id"].tolist() == best.flip(0)[:3].tolist()
    parts = [feature.promoted(60, output_layer=layer).set_index("id")["value"].sort_index() for layer in (1, 2)]
    whole = feature.promoted(60).set_index("id")["value"].sort_index()
    np.testing.assert_allclose(parts[0] + parts[1], whole, rtol=1e-3, atol=1e-4)
    with pytest.raises(FeatureError, match="writes to layers 1 to 2, not to 0"):
        feature.promoted(output_layer=0)


@pytest.mark.parametrize(
    ("family", "hook"), [("native ln", "hook_resid_mid"), ("gemma2", "mlp.hook_in"), ("gpt2", "ln2.hook_normalized")]
)
def test_driving_tokens_are_those_whose_embedding_is_read(
    make_bridge: Callable[[str], Any], family: str, hook: str
) -> None:
    bridge = make_bridge(family)
    transcoder = random_transcoder(3, 24, seed=3, feature_input_hook=hook)
    model = ReplacementModel(bridge, transcoder)
    table = Features(model)[2, 7].activating_tokens(60).set_index("id")["value"].sort_index()
    for token in (4, 17):
        run = model.language_model.frozen_run(torch.tensor([token]))
        x = run.embedding[0]
        if hook != "hook_resid_mid":
            component = bridge.blocks[2].ln2
            x = x if component.uses_rms_norm else x - x.mean()
            x = x / x.square().mean().sqrt()
            if hook == "mlp.hook_in":
                x = x * (component.original_component.weight.detach() + float(component.uses_weight_offset))
        assert table[token] == pytest.approx(float(transcoder.W_enc[2][7] @ x), rel=1e-3, abs=1e-4)


def test_directions_are_kept(features: Features) -> None:
    first = features.directions.output(1, 3, None)
    assert features.directions.output(1, 3, None) is first
    assert features.directions.output.cache_info().hits > 0


def test_examples_are_a_table(worded: Features) -> None:
    table = worded[1, 4].examples
    record = worded[1, 4].record
    assert record is not None
    assert list(table.columns) == ["section", "activation", "token", "context", "text", "position"]
    assert (table["section"] == "top").sum() == len(record.top)
    assert table["activation"].max() == pytest.approx(worded[1, 4].maximum)
    first = table.iloc[0]
    assert first["token"] in first["context"].split()
    assert first["context"].startswith(("<bos> t", "t"))


def test_without_a_store_the_weights_still_speak() -> None:
    features = Features(samples.model("plt"))
    feature = features[0, 3]
    assert len(feature.promoted(4)) == 4
    assert feature.auto_label is None
    assert feature.label == ""
    assert set(feature.card()) == {"feature", "label", "guess", "promotes", "suppresses", "drives", "spaced"}
    for missing in ("examples", "density", "maximum"):
        with pytest.raises(FeatureError, match=r"(?s)no examples were collected .*collect_features"):
            getattr(feature, missing)
    with pytest.raises(FeatureError, match="labels are kept in a FeatureStore"):
        feature.label = "x"
    with pytest.raises(FeatureError, match="L0/14 does not exist; layer 0 has features 0 to 13"):
        features[0, 14]
    with pytest.raises(FeatureError, match="there are layers 0 to 2"):
        features["L3/0"]
    assert "no examples" in repr(features)
    assert repr(feature) == "<Feature L0/3>"


def test_a_model_refuses_the_store_of_another_transcoder(features: Features) -> None:
    with pytest.raises(FeatureError, match="collect features again"):
        Features(samples.model("plt"), features.store)


def test_labels_are_set_and_taken_away(features: Features) -> None:
    feature = features[0, 2]
    feature.label = "  a number "
    assert features["L0/2"].label == "a number"
    assert feature.card()["label"] == {"text": "a number", "origin": "person", "model": None}
    assert features.store is not None
    assert FeatureStore(features.store.path).labels["L0/2"] == "a number"
    features.store.labels.set("L0/2", Label("digits", "model", "judge"))
    assert feature.card()["label"] == {"text": "digits", "origin": "model", "model": "judge"}
    feature.label = ""
    assert feature.card()["label"] is None
    loose = FeatureStore(features.store.path, keep_labels=False)
    loose.labels["L0/2"] = "only here"
    assert loose.labels["L0/2"] == "only here"
    assert "L0/2" not in FeatureStore(features.store.path).labels


def test_search_ranks_by_what_is_known(worded: Features) -> None:
    alive = [i for i in range(14) if (r := worded[1, i].record) is not None and r.top]
    worded["L1/3"].label = "the t7 feature"
    table = worded.search("t7", 40)
    assert tuple(table.iloc[0][["layer", "index", "label"]]) == (1, 3, "the t7 feature")
    assert table["score"].is_monotonic_decreasing
    assert table.iloc[0]["found"].startswith("label")
    for row in table.itertuples():
        feature = worded[int(row.layer), int(row.index)]
        where = set(str(row.found).split(", "))
        peaks = feature.examples["token"].str.strip()
        assert ("peak of examples" in where) == bool((peaks == "t7").any())
        assert feature.record is not None
        words = [
            [worded.vocabulary.text(int(i)).strip() for i in e.tokens[e.peak : e.peak + 2]]
            for e in (*feature.record.top, *feature.record.sample)
        ]
        followed = any(len(pair) == 2 and pair[1] == "t7" != pair[0] for pair in words)
        assert ("after peak of examples" in where) == followed
    assert ((table["found"] == "promoted tokens") | table["found"].str.contains("examples|label")).all()
    assert alive
    del worded.store.labels["L1/3"]  # type: ignore[union-attr]
    assert worded.search("nowhere to be found").empty
    with pytest.raises(FeatureError, match="nothing to search for"):
        worded.search("  ")


VOCABULARY = Vocabulary.of(
    [b"<bos>", b" of", b" Paris", b" 15", b" 25", b" 35", b" the", b" Rome", b" 12"], spaced=False
)
TOKEN = {VOCABULARY.text(i).strip(): i for i in range(len(VOCABULARY))}


def record(contexts: list[tuple[str, int]], strengths: Sequence[float] | None = None) -> FeatureRecord:
    """Examples in these contexts, with the peak at the given word."""
    examples = tuple(
        Example(
            tokens=np.array([TOKEN[word] for word in text.split()]),
            activation=np.full(len(text.split()), 1.0 if strengths is None else strengths[i], np.float32),
            peak=peak,
            position=peak,
            text=i,
        )
        for i, (text, peak) in enumerate(contexts)
    )
    empty = np.zeros(0)
    return FeatureRecord(0, 0, 9, 100, 1.0, 9.0, empty, empty, examples, ())


@pytest.mark.parametrize(
    ("contexts", "promoted", "expected"),
    [
        ([("<bos> of Paris", 2), ("<bos> the Paris", 2), ("Paris of", 0)], [], "“Paris”"),
        ([("<bos> 15", 1), ("the 25", 1), ("of the 35", 2)], [], "numbers ending in 5"),
        ([("<bos> 15", 1), ("the 12", 1), ("of the 15", 2), ("of 12", 1)], [], "“15”, “12”"),
        ([("<bos> 15", 1), ("the 12", 1), ("of the 35", 2)], [], "numbers"),
        ([("the Rome of", 1), ("<bos> Paris", 1), ("of Rome", 1), ("of Paris", 1)], [], "“Rome”, “Paris”"),
        ([("of 15", 1), ("of the", 1), ("of Rome", 1), ("<bos> of Paris", 2)], [], "after “of”"),
        ([("<bos> 15", 1), ("the of", 1), ("of Rome", 1), ("15 Paris", 1)], [], "token 2 of the text"),
        ([("<bos> the Rome", 1), ("15 of Rome", 1), ("<bos> Paris Rome", 1)], [" Rome", " x"], "says “Rome”"),
        ([("<bos> the 15", 1), ("15 of 25", 1), ("<bos> Paris 35", 1)], ["15", "25", "35"], "says numbers ending in 5"),
        ([("<bos> the Rome", 1), ("15 of Rome", 1), ("<bos> Paris Rome", 1)], [" x"], "token 2 of the text"),
        ([("<bos> 15", 1), ("of Rome the", 1), ("the of", 0), ("of the the Paris", 3)], [], None),
        (
            [("<bos> the Rome", 1), ("of Rome", 0), ("the Paris", 0), ("15 of Paris", 1)],
            ["Paris", "Rome"],
            "says “Rome”, “Paris”",
        ),
        ([("<bos> the 12", 1), ("15 of 15", 1), ("<bos> Paris 12", 1)], ["12", "15"], "says numbers 12 to 15"),
        ([("of Paris", 1), ("the Paris", 1)], [], None),
    ],
)
def test_the_label_that_most_examples_speak_for(
    contexts: list[tuple[str, int]], promoted: list[str], expected: str | None
) -> None:
    found = auto_label(record(contexts), VOCABULARY, promoted)
    assert (found and found.text) == expected
    if found is not None:
        assert found.reason.startswith(f"{len(contexts)} of {len(contexts)} examples")


def test_strong_examples_count_for_more() -> None:
    contexts = [("<bos> Paris", 1), ("of Paris", 1), ("the Rome of", 1), ("15 the", 1)]
    assert auto_label(record(contexts), VOCABULARY, []) == ("token 2 of the text", "4 of 4 examples are at token 2")
    strong = auto_label(record(contexts, [5, 4, 1, 0.5]), VOCABULARY, [])
    assert strong == ("“Paris”", "2 of 4 examples are at “Paris”")
    one = [("Paris", 0), ("the of", 1), ("of 15 the", 2), ("<bos> of of 12", 3)]
    assert auto_label(record(one, [50, 1, 1, 1]), VOCABULARY, []) is None  # one is no pattern


def test_cards_are_json_and_whole(worded: Features) -> None:
    for index in range(14):
        card = json.loads(json.dumps(worded.card(f"L1/{index}"), allow_nan=False))
        record = worded[1, index].record
        assert record is not None
        assert card["count"] == record.count
        assert sum(card["histogram"]["counts"]) == record.count
        assert [len(section["examples"]) for section in card["sections"]] == [
            len(s.examples) for s in record.sections()
        ]
        for shown, section in zip(card["sections"], record.sections(), strict=True):
            for piece, example in zip(shown["examples"], section.examples, strict=True):
                assert piece["pieces"][piece["peak"]][1] == [pytest.approx(example.value, rel=1e-4)]
                assert [text for text, _ in piece["pieces"]] == [worded.vocabulary.text(int(i)) for i in example.tokens]


def test_pieces_of_a_card_hold_whole_characters() -> None:
    from ct_widgets.features.card import card

    vocabulary = Vocabulary.of([b"a", "é".encode()[:1], "é".encode()[1:]], spaced=False)
    example = Example(np.array([0, 1, 2, 0]), np.array([0, 1, 2, 0.5], np.float32), 2, 2, 0)
    one = FeatureRecord(0, 0, 9, 100, 2.0, 9.0, np.zeros(0), np.zeros(0), (example,), ())
    made = card("L0/0", record=one, vocabulary=vocabulary, label=None, auto=None, promotes=(), suppresses=(), drives=())
    (shown,) = made["sections"][0]["examples"]
    assert shown["pieces"] == [["a", [0.0]], ["é", [1.0, 2.0]], ["a", [0.5]]]
    assert shown["peak"] == 1
