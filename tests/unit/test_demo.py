"""The embedded model that ships: what its card says is what it does."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from ct_widgets.demo import load_demo, load_texts
from ct_widgets.demo.artifact_files import ARTIFACTS, load_bridge, read_json
from ct_widgets.demo.card import percent, render
from ct_widgets.demo.corpus import TASKS, TRAIN
from ct_widgets.demo.evaluation import PARTS, SHOWN, accuracy, corpus_statistics, reconstruction, transcoder_part
from ct_widgets.demo.language_model_training import Recipe as LanguageModelRecipe
from ct_widgets.demo.make_artifacts import (
    LANGUAGE_MODEL,
    PER_LAYER,
    SEED,
    STAGES,
    Stages,
    World,
    build_world,
    make_language_model,
    make_transcoder,
    stages_as_json,
)
from ct_widgets.demo.transcoder_data import FACT_TASKS, survey
from ct_widgets.errors import FileFormatError, TranscoderError
from ct_widgets.language_model import native_state
from ct_widgets.replacement_model import ReplacementModel
from ct_widgets.training import KLFinetuning, TrainingConfig
from ct_widgets.transcoders import Transcoder

MEGABYTE = 2**20


@pytest.fixture(scope="module")
def world() -> World:
    return build_world()


@pytest.fixture(scope="module")
def demo() -> ReplacementModel:
    return load_demo()


@pytest.fixture(scope="module")
def metrics() -> dict[str, Any]:
    return read_json(ARTIFACTS / "metrics.json")


def test_artifacts_are_small_and_complete() -> None:
    files = [path for path in ARTIFACTS.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 16 * MEGABYTE
    names = {path.relative_to(ARTIFACTS).parts[0] for path in files}
    own = {"config.json", "corpus.json", "metrics.json", "model.safetensors", "tokenizer.json"}
    assert names == own | {"clt", "plt", "features"}


def test_importing_the_demo_is_light() -> None:
    code = "import sys, ct_widgets.demo; assert not {'torch', 'transformers', 'transformer_lens'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_it_loads_in_two_seconds(demo: ReplacementModel) -> None:
    start = time.process_time()
    again = load_demo()
    assert time.process_time() - start < 2
    assert again is not demo
    assert again.language_model.name == "ct-widgets-demo"


@pytest.mark.parametrize(("prompt", "answer"), SHOWN.items())
def test_shown_prompts(demo: ReplacementModel, prompt: str, answer: str) -> None:
    model = demo.language_model
    best = model.logits(model.tokens(prompt)[None])[0, -1].argmax()
    assert model.str_tokens([best]) == [answer]


def test_the_language_model_reaches_its_targets_and_its_card(
    demo: ReplacementModel, world: World, metrics: dict[str, Any]
) -> None:
    reported = metrics["language_model"]["accuracy"]
    assert set(reported) == set(TASKS)
    found = accuracy(demo.language_model, world.corpus, ("addition", *FACT_TASKS))
    assert found["addition"]["held out"]["right"] >= 0.99
    for task in FACT_TASKS:
        assert found[task]["taught"]["right"] == 1
    for task, splits in found.items():
        for split, values in splits.items():
            assert values["statements"] == reported[task][split]["statements"]
            assert values["right"] == pytest.approx(reported[task][split]["right"], abs=5e-4)


def test_the_transcoder_reaches_its_targets(metrics: dict[str, Any]) -> None:
    everything = metrics["transcoder"]["parts"]["all"]
    assert everything["normalised_mse"] <= 0.05
    assert everything["l0"] <= 30
    assert everything["agreement"] >= 0.97
    assert metrics["transcoder"]["dead"] < 0.25
    assert metrics["transcoder"]["parts"]["additions"]["agreement"] >= 0.97


def test_the_per_layer_transcoder_is_worth_comparing_with(metrics: dict[str, Any]) -> None:
    own, other = (metrics[name]["parts"]["all"] for name in ("per_layer_transcoder", "transcoder"))
    assert own["l0"] == pytest.approx(other["l0"], rel=0.15)
    assert own["normalised_mse"] <= 0.05
    assert own["agreement"] >= 0.95


@pytest.mark.parametrize(
    ("kind", "part"), [("transcoder", "additions"), ("transcoder", "facts"), ("per_layer_transcoder", "facts")]
)
def test_the_transcoder_is_as_its_card_says(
    demo: ReplacementModel, world: World, metrics: dict[str, Any], kind: str, part: str
) -> None:
    transcoder = demo.transcoder if kind == "transcoder" else load_demo("plt").transcoder
    found = transcoder_part(demo.language_model, transcoder, world.corpus, PARTS[part])
    reported = metrics[kind]["parts"][part]
    for name in ("tokens", "answers"):
        assert found[name] == reported[name]
    for name in ("normalised_mse", "l0", "agreement", "kl", "recovered"):
        assert found[name] == pytest.approx(reported[name], rel=0.01, abs=1e-3), name


def test_dead_features_are_as_the_card_says(demo: ReplacementModel, world: World, metrics: dict[str, Any]) -> None:
    found = reconstruction(demo.language_model, demo.transcoder, survey(world.corpus, SEED))
    assert found.n_tokens == metrics["transcoder"]["survey_tokens"]
    assert found.overall_dead == pytest.approx(metrics["transcoder"]["dead"], abs=2e-3)


def test_the_card_is_written_from_the_metrics(metrics: dict[str, Any]) -> None:
    card = (ARTIFACTS.parent / "CARD.md").read_text(encoding="utf-8")
    assert card == render(metrics)
    assert percent(metrics["language_model"]["accuracy"]["two-hop capital"]["held out"]["right"]) in card
    assert metrics["seed"] == SEED
    assert LanguageModelRecipe(**metrics["language_model"]["recipe"]) == LANGUAGE_MODEL
    for transcoder, stages in (("transcoder", STAGES), ("per_layer_transcoder", PER_LAYER)):
        for name, recorded in metrics[transcoder]["stages"].items():
            now = stages_as_json(stages)[name]
            # Settings that the trainer has gained since have values that change nothing.
            assert recorded == (now if name == "width" else {setting: now[setting] for setting in recorded})


def test_the_evaluation_in_the_card_is_what_evaluate_finds(demo: ReplacementModel, metrics: dict[str, Any]) -> None:
    """On fewer texts, so about the same; means of prompts and medians are rougher than counts of tokens."""
    reported = metrics["evaluation"]["summary"]
    beside = {"PLT": load_demo("plt").transcoder}
    found = demo.evaluate(load_texts(60), beside=beside, neurons=False, sparsity_curve=False, progress=False).summary
    for name in ("CLT", "PLT"):
        assert found.loc[name, "L0"] == pytest.approx(reported[name]["L0"], rel=0.1)
        assert found.loc[name, "normalised MSE"] == pytest.approx(reported[name]["normalised MSE"], rel=0.5)
        for column in ("top-1 agreement", "replacement", "completeness", "influence", "knock-on"):
            assert found.loc[name, column] == pytest.approx(reported[name][column], abs=0.12), column
    assert len(load_texts()) == metrics["transcoder"]["parts"]["all"]["answers"]


def test_texts_to_evaluate_on_were_not_trained_on(world: World) -> None:
    prompts = dict(load_texts())
    taught = {world.corpus.statements[i].prompt for i in world.corpus.select(splits=(TRAIN,))}
    assert prompts["calc: 36+59="] == " 95"
    assert not taught & set(prompts)


def test_another_kind_of_transcoder_is_refused() -> None:
    with pytest.raises(TranscoderError, match="'clt' and 'plt'"):
        load_demo("sae")  # type: ignore[arg-type]


def test_corpus_statistics_are_those_of_the_corpus(world: World) -> None:
    assert read_json(ARTIFACTS / "corpus.json") == corpus_statistics(world.corpus)
    shipped = load_bridge(ARTIFACTS).tokenizer
    assert shipped.get_vocab() == world.tokenizer.get_vocab()


def test_a_damaged_installation_says_what_to_do(tmp_path: Path) -> None:
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        (tmp_path / name).write_bytes((ARTIFACTS / name).read_bytes())
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(FileFormatError, match=r"missing or damaged.*reinstall ct-widgets"):
        load_bridge(tmp_path)


def test_two_steps_of_training_write_a_model_that_loads(world: World, tmp_path: Path) -> None:
    out, scratch = tmp_path / "artifacts", tmp_path / "scratch"
    short = LanguageModelRecipe(steps=2, warmup=1, checkpoint_every=1)
    trained = make_language_model(world, out, scratch, "cpu", short)
    state = {name: value.clone() for name, value in native_state(load_bridge(out)).items()}
    assert trained["parameters"] == sum(p.numel() for p in load_bridge(out).original_model.parameters())
    # The checkpoint is finished: nothing is trained again, and the same files come out.
    assert make_language_model(world, out, scratch, "cpu", short) == trained
    assert all(torch.equal(value, state[name]) for name, value in native_state(load_bridge(out)).items())
    step = KLFinetuning(sparsity=0.1, preactivation=0.0, steps=1)
    stages = Stages(TrainingConfig(features=8, activation="jumprelu", steps=2, batch_size=64), step, 6, step)
    clt = make_transcoder(world, out, scratch, "cpu", stages)
    assert all(seconds > 0 for seconds in clt["seconds"])
    assert Transcoder.load(out / "clt").n_features(0) == 6
    assert (out / "clt" / "config.yaml").is_file()
    base = TrainingConfig(features=8, activation="jumprelu", steps=2, batch_size=64, kind="plt")
    make_transcoder(world, out, scratch / "plt", "cpu", Stages(base, step, None))
    assert Transcoder.load(out / "plt").kind == "plt"
