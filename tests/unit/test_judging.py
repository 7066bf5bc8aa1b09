"""Sort and contrastive evals with planted judges, a local server, and baselines."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import features_samples as samples
import numpy as np
import pandas as pd
import pytest
import torch
from endpoint_stub import Stub, running_stub
from features_samples import corpus, gather

from ct_widgets import load_demo
from ct_widgets.demo.pairs import contrastive_pairs
from ct_widgets.errors import FeatureError, FileFormatError
from ct_widgets.evaluation.judging import (
    Endpoint,
    Judged,
    Question,
    StatisticalJudge,
    contrastive_eval,
    contrastive_questions,
    random_features,
    sort_eval,
    sort_questions,
)
from ct_widgets.evaluation.judging.judged import read_choice
from ct_widgets.features import Features
from ct_widgets.features.collect import encode_batch
from ct_widgets.language_model.corpus import RowMaker
from ct_widgets.replacement_model import ReplacementModel


@pytest.fixture(scope="module")
def model() -> ReplacementModel:
    return load_demo()


@pytest.fixture(scope="module")
def sorting(model: ReplacementModel) -> list[Question]:
    return sort_questions(model.features, 200, seed=3)


@pytest.fixture(scope="module")
def contrasting(model: ReplacementModel) -> list[Question]:
    return contrastive_questions(model, contrastive_pairs(40, seed=3), 200, seed=3)


@pytest.fixture
def stub() -> Iterator[Stub]:
    with running_stub() as server:
        yield server


def knowing(questions: list[Question]) -> Any:
    truth = {question.prompt: question.truth for question in questions}
    return lambda prompt: f"It is {truth[prompt]}."


def test_a_perfect_judge_is_always_right_and_a_random_one_half_of_the_time(
    model: ReplacementModel, sorting: list[Question], contrasting: list[Question]
) -> None:
    pairs = contrastive_pairs(40, seed=3)
    judged = (
        sort_eval(model.features, knowing(sorting), seed=3),
        contrastive_eval(model, pairs, knowing(contrasting), seed=3),
    )
    for perfect in judged:
        assert (perfect.n, perfect.score, perfect.n_unread) == (200, 1.0, 0)
        assert perfect.interval()[1] == 1.0
    coin = random.Random(1)
    chance = (
        sort_eval(model.features, lambda _: coin.choice("AB"), seed=3),
        contrastive_eval(model, pairs, lambda _: coin.choice("12"), seed=3),
    )
    for by_chance in chance:
        low, high = by_chance.interval()
        assert low < 0.5 < high
        assert high - low < 0.14
    # Who always says the same is right half of the time too: neither answer is the usual one.
    always = sort_eval(model.features, lambda _: "A", seed=3)
    low, high = always.interval()
    assert low < 0.5 < high


def test_the_seed_makes_the_questions(model: ReplacementModel, sorting: list[Question]) -> None:
    assert sort_questions(model.features, 200, seed=3) == sorting
    assert sort_questions(model.features, 200, seed=4) != sorting
    pairs = contrastive_pairs(10, seed=1)
    assert pairs == contrastive_pairs(10, seed=1)
    first, again, other = (contrastive_questions(model, pairs, 20, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert {question.truth for question in sorting} == {"A", "B"}


def examples_below(prompt: str, heading: str) -> list[str]:
    after = prompt.split(f"\n{heading}\n", 1)[1]
    return [json.loads(line[2:]) for line in after.split("\n\n", 1)[0].splitlines()]


def plain(text: str) -> str:
    return re.sub(r"<<|>>(\(\d+\))?", "", text)


def test_what_is_asked_about_is_not_among_what_is_shown(model: ReplacementModel, sorting: list[Question]) -> None:
    for question in sorting:
        (asked,) = examples_below(question.prompt, "Text:")
        assert re.findall(r"<<.*?>>(?!\()", asked)
        assert "(" not in re.findall(r"<<.*?>>(.?)", asked)
        held = model.features[question.about[f"feature_{question.truth}"]].examples
        assert plain(asked) in held[held["section"] == "top"]["context"].tolist()
        for choice in "AB":
            shown = examples_below(question.prompt, f"Feature {choice}:")
            assert 1 <= len(shown) <= 5
            known = set(model.features[question.about[f"feature_{choice}"]].examples["context"])
            assert {plain(example) for example in shown} <= known
            assert plain(asked) not in {plain(example) for example in shown}


def test_the_feature_is_active_in_one_of_the_two_prompts(model: ReplacementModel, contrasting: list[Question]) -> None:
    for question in contrasting[:40]:
        lines = question.prompt.splitlines()
        prompts = {c: json.loads(lines[lines.index(f"Prompt {c}:") + 1][2:]) for c in ("1", "2")}
        layer, index = map(int, question.about["feature"][1:].split("/"))
        highest: dict[str, float] = {}
        for choice, prompt in prompts.items():
            run = model.language_model.frozen_run(model.language_model.tokens(prompt))
            highest[choice] = float(model.transcoder.encode(layer, run.mlp_input[layer])[1:, index].max())
        other = "2" if question.truth == "1" else "1"
        assert highest[question.truth] >= 0.3 * model.features[layer, index].maximum * 0.999
        assert highest[other] == 0
        shown = [plain(example).replace(" ", "") for example in examples_below(question.prompt, "Feature:")]
        assert not any(prompt.replace(" ", "") in example for prompt in prompts.values() for example in shown)


def test_pairs_differ_in_one_place() -> None:
    pairs = contrastive_pairs(60, seed=2)
    assert len(set(pairs)) == 60
    for a, b in pairs:
        first, second = (prompt.replace("+", " + ").split() for prompt in (a, b))
        same = 0
        while same < min(len(first), len(second)) and first[same] == second[same]:
            same += 1
        rest = [words[same:] for words in (first, second)]
        while rest[0] and rest[1] and rest[0][-1] == rest[1][-1]:
            rest = [words[:-1] for words in rest]
        assert 1 <= max(map(len, rest)) <= 3


def test_the_statistical_judge_reads_what_tells(model: ReplacementModel) -> None:
    judged = sort_eval(model.features, n=150, seed=5)
    assert judged.interval()[0] > 0.6
    assert judged.n_unread == 0
    sure = """\
Feature A:
- "the <<cat>>(10) sat"
- "a <<cat>>(8)"

Feature B:
- "12 <<+>>(9) 3"

Text:
- "{}"
"""
    judge = StatisticalJudge()
    assert judge(sure.format("my <<cat>> ran")) == "A"
    assert judge(sure.format("7 <<+>> 2")) == "B"
    contrast = 'Feature:\n- "x <<dog>>(10)"\n\nPrompt 1:\n- "a {}"\nPrompt 2:\n- "a {}"\n'
    assert judge(contrast.format("cat", "dog")) == "2"
    assert judge(contrast.format("dog", "cat")) == "1"
    with pytest.raises(FeatureError, match="questions of sort and contrastive evals"):
        judge("What is the capital of Texas?")


def test_an_endpoint_is_a_judge(stub: Stub, model: ReplacementModel, sorting: list[Question]) -> None:
    stub.answer = {"choices": [{"message": {"content": "Feature B, I think."}}]}
    judged = sort_eval(model.features, Endpoint(stub.url, "judge", key="secret"), n=20, seed=3)
    assert judged.transcript["choice"].tolist() == ["B"] * 20
    assert judged.n_right == sum(question.truth == "B" for question in sorting[:20])
    path, headers, body = stub.asked[0]
    assert (path, headers["Authorization"], body["model"]) == ("/v1/chat/completions", "Bearer secret", "judge")
    assert body["messages"][0]["content"] == sorting[0].prompt
    assert "secret" not in repr(Endpoint(stub.url, "judge", key="secret"))


@pytest.mark.parametrize("answer", ["A", "a feature? A.", "**A**", "Feature A, as both are numbers"])
def test_the_one_choice_that_an_answer_names_is_read(answer: str) -> None:
    assert read_choice(answer, ("A", "B")) == "A"


@pytest.mark.parametrize("answer", ["", "A or B", "neither", "AB", "C"])
def test_an_answer_that_names_no_choice_or_both_is_not_read(answer: str) -> None:
    assert read_choice(answer, ("A", "B")) is None


def test_a_digit_is_a_choice_only_by_itself() -> None:
    assert read_choice("Prompt 2", ("1", "2")) == "2"
    assert read_choice("12", ("1", "2")) is None


def test_the_transcript_is_kept(tmp_path: Path, model: ReplacementModel) -> None:
    said = iter(["A", "both: A and B", "<b>B</b>"])
    judged = sort_eval(model.features, lambda _: next(said), n=3, seed=3)
    assert (judged.n, judged.n_unread) == (3, 1)
    assert judged.transcript["answer"].tolist() == ["A", "both: A and B", "<b>B</b>"]
    assert not judged.transcript["right"].iloc[1]
    loaded = Judged.load(judged.save(tmp_path / "answers.json"))
    assert (loaded.name, loaded.n_right, loaded.n_unread) == ("sort", judged.n_right, 1)
    assert loaded.transcript.drop(columns="choice").equals(judged.transcript.drop(columns="choice"))
    assert "of 3 right, 1 without a choice, 95 % interval" in repr(loaded)
    (tmp_path / "other.json").write_text('{"format": "something"}')
    with pytest.raises(FileFormatError, match="does not hold answers of a judge"):
        Judged.load(tmp_path / "other.json")


def test_answers_that_cannot_be_written_leave_the_older_file(tmp_path: Path) -> None:
    path = Judged("sort", pd.DataFrame({"answer": ["A"], "right": [True]})).save(tmp_path / "answers.json")
    before = path.read_bytes()
    with pytest.raises(UnicodeEncodeError):
        Judged("sort", pd.DataFrame({"answer": ["\ud800"], "right": [True]})).save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("right", "n"), [(0, 10), (7, 10), (50, 100), (200, 200)])
def test_the_interval_is_wilsons(right: int, n: int) -> None:
    low, high = Judged("sort", pd.DataFrame({"right": np.arange(n) < right, "choice": "A"})).interval()
    z, p = 1.959963984540054, right / n
    middle, half = (p + z * z / 2 / n), z * np.sqrt(p * (1 - p) / n + z * z / 4 / n / n)
    assert low == pytest.approx(max(0, (middle - half) / (1 + z * z / n)), abs=1e-12)
    assert high == pytest.approx(min(1, (middle + half) / (1 + z * z / n)), abs=1e-12)


@pytest.mark.parametrize("kind", samples.KINDS)
def test_random_features_are_as_often_active_as_the_transcoders(tmp_path: Path, kind: str) -> None:
    own = samples.model(kind)
    made, again = (random_features(own, corpus(), seed=2) for _ in range(2))
    rows = RowMaker(own.language_model, 256, 8192, ignore_bos=True)
    batches = list(rows.batches(corpus(), 0))
    counts = []
    for model in (own, made):
        layers = [torch.cat(parts) for parts in zip(*(encode_batch(model, batch) for batch in batches), strict=True)]
        counts.append(torch.stack([(a != 0).sum(0) for a in layers]))
    assert (counts[0] - counts[1]).abs().max() <= 1  # rounding
    assert (counts[0] > 0).any()
    for layer in range(3):
        assert torch.equal(made.transcoder.W_enc[layer], again.transcoder.W_enc[layer])
        cosine = torch.cosine_similarity(made.transcoder.W_enc[layer], own.transcoder.W_enc[layer]).abs()
        assert cosine.mean() < 0.4
    store = gather(tmp_path / "own", kind)
    with pytest.raises(FeatureError, match="made with transcoder"):
        ReplacementModel(made.language_model.bridge, made.transcoder, store)


def test_evals_need_collected_examples(model: ReplacementModel) -> None:
    bare = model.with_transcoder(model.transcoder)
    with pytest.raises(FeatureError, match="no examples were collected"):
        sort_eval(bare.features)
    with pytest.raises(FeatureError, match="no examples were collected"):
        contrastive_eval(bare, contrastive_pairs(2))


def test_evals_need_a_question(model: ReplacementModel) -> None:
    with pytest.raises(FeatureError, match="n is 0"):
        sort_eval(model.features, n=0)


def test_pairs_must_differ(model: ReplacementModel) -> None:
    with pytest.raises(FeatureError, match="pass pairs that differ more"):
        contrastive_eval(model, [("calc: 1+1=", "calc: 1+1=")])


def test_a_sort_eval_needs_two_features_with_examples(tmp_path: Path) -> None:
    few = Features(samples.model("clt"), gather(tmp_path / "few", "clt", [[1, 2]], top=2))
    with pytest.raises(FeatureError, match="needs two"):
        sort_eval(few)


def test_random_features_need_tokens_to_count() -> None:
    with pytest.raises(FeatureError, match="no token to count"):
        random_features(samples.model("clt"), [[1]])
