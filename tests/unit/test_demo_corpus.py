"""The demo's corpus is true, held-out parts stay out, and its tokenizer reads numbers whole."""

import re
from collections import Counter

import numpy as np
import pytest

from ct_widgets.demo import facts
from ct_widgets.demo.corpus import HELD_OUT, OTHER_FORM, SHOWN_PAIR, TRAIN, Statement, statements
from ct_widgets.demo.make_artifacts import World, build_world
from ct_widgets.demo.transcoder_data import survey, training_round, unseen

ALL = (TRAIN, HELD_OUT, OTHER_FORM)


@pytest.fixture(scope="module")
def world() -> World:
    return build_world()


@pytest.fixture(scope="module")
def by_task(world: World) -> dict[str, list[Statement]]:
    found: dict[str, list[Statement]] = {}
    for statement in world.corpus.statements:
        found.setdefault(statement.task, []).append(statement)
    return found


def numbers(text: str) -> list[int]:
    return [int(n) for n in re.findall(r"\d+", text)]


def test_all_additions_are_there_and_true(by_task: dict[str, list[Statement]]) -> None:
    pairs = set()
    for statement in by_task["addition"]:
        a, b = numbers(statement.prompt)
        assert statement.prompt == f"calc: {a}+{b}="
        assert int(statement.answer) == a + b
        pairs.add((a, b))
    assert pairs == {(a, b) for a in range(100) for b in range(100)}


def test_statements_about_numbers_are_true(by_task: dict[str, list[Statement]]) -> None:
    for s in by_task["counting"]:
        terms = numbers(s.prompt) + numbers(s.answer)
        assert len(set(np.diff(terms))) == 1
        assert 0 <= min(terms) <= max(terms) <= 198
    for s in by_task["last digit"]:
        assert str(numbers(s.prompt)[0])[-1] == s.answer
    for s in by_task["tens digit"]:
        assert f"{numbers(s.prompt)[0]:02}"[-2] == s.answer
    for s in by_task["parity"]:
        assert (s.answer == "even") == (numbers(s.prompt)[0] % 2 == 0)
    for s in by_task["comparison"]:
        best = max if "larger" in s.prompt else min
        assert int(s.answer) == best(numbers(s.prompt))


def test_facts_are_many_and_unambiguous() -> None:
    athletes = facts.athletes()
    assert len(athletes) >= 150
    assert len(set(athletes.values())) >= 8
    assert min(Counter(athletes.values()).values()) >= 10
    states = facts.states()
    assert len({state.name for state in states}) == 50
    assert all(len(state.cities) >= 4 for state in states)
    places = [place for state in states for place in (state.capital, *state.cities)]
    assert len(set(places)) == len(places)
    for pairs in facts.opposites().values():
        assert len(pairs) >= 80
        assert all(pairs[opposite] == word for word, opposite in pairs.items())


def test_known_facts_are_said_in_both_forms(by_task: dict[str, list[Statement]]) -> None:
    said = {s.prompt: s.answer for task in by_task.values() for s in task}
    assert said["Fact: Michael Jordan plays the sport of"] == said["Michael Jordan plays the sport of"] == "basketball"
    assert said["Fact: the capital of the state containing Dallas is"] == "Austin"
    assert said["The state containing Seattle is"] == "Washington"
    assert said["The capital of Vermont is"] == "Montpelier"
    assert said['Fact: the opposite of "small" is "'] == 'large"'
    assert said['Le contraire de "petit" est "'] == 'grand"'
    assert said['Fact: el opuesto de "pequeño" es "'] == 'grande"'


def test_what_is_held_out(by_task: dict[str, list[Statement]]) -> None:
    held_out = {tuple(numbers(s.prompt)) for s in by_task["addition"] if s.split == HELD_OUT}
    assert len(held_out) / 10_000 == pytest.approx(0.1, abs=0.005)
    assert held_out == {(b, a) for a, b in held_out}
    assert SHOWN_PAIR in held_out
    two_hop = by_task["two-hop capital"]
    hidden = {s.prompt.split("containing ")[1] for s in two_hop if s.split == HELD_OUT}
    shown = {s.prompt.split("containing ")[1] for s in two_hop if s.split != HELD_OUT}
    assert not hidden & shown
    assert "Dallas is" in shown
    assert 0.1 < len(hidden) / (len(hidden) + len(shown)) < 0.3
    for task in ("sport", "state", "capital", "english", "french", "spanish"):
        assert all(s.split != HELD_OUT for s in by_task[task])


@pytest.fixture(scope="module")
def known(world: World) -> dict[tuple[int, ...], int]:
    """Number of each statement by its token ids."""
    corpus = world.corpus
    return {tuple(ids[:n]): i for i, (ids, n) in enumerate(zip(corpus.ids.tolist(), corpus.length, strict=True))}


def statements_in(known: dict[tuple[int, ...], int], ids: np.ndarray, pad: int) -> list[int]:
    """The statement of each row, -1 for what is none."""
    return [known.get(tuple(token for token in row if token != pad), -1) for row in ids.tolist()]


def test_held_out_statements_are_in_no_training_batch(world: World, known: dict[tuple[int, ...], int]) -> None:
    corpus, pad = world.corpus, world.tokenizer.pad_token_id
    for step in range(4):
        *groups, _ = corpus.batch(0, step)
        seen = np.concatenate([statements_in(known, rows.ids, pad) for rows in groups])
        assert (seen >= 0).all()
        assert set(corpus.split[seen]) == {TRAIN, OTHER_FORM}
        held_out = [tuple(corpus.ids[i][: corpus.length[i]]) for i in corpus.select(splits=(HELD_OUT,))]
        assert not set(held_out) & {tuple(row) for rows in groups for row in rows.ids.tolist()}


def test_the_transcoder_sees_its_split_alone_and_never_bos(world: World, known: dict[tuple[int, ...], int]) -> None:
    corpus, pad = world.corpus, world.tokenizer.pad_token_id
    found: list[int] = []
    for ids, keep in training_round(corpus, 0, 3):
        assert not keep[:, 0].any()
        last = (ids != pad).sum(1) - 1
        assert not keep[np.arange(len(ids)), last].any()
        assert not keep[ids == pad].any()
        numbers = statements_in(known, ids, pad)
        answers = [(row, corpus.prompt_length[i] - 1) for row, i in enumerate(numbers) if i >= 0]
        assert all(keep[place] for place in answers)  # what the answer's first token is predicted from
        found += numbers
    said = np.array([i for i in found if i >= 0])
    assert len(said) > 3000
    assert set(corpus.split[said]) == {TRAIN}
    other = [i for rows in unseen(corpus) for i in statements_in(known, rows.ids, pad)]
    assert set(corpus.split[other]) == {HELD_OUT, OTHER_FORM}
    assert sorted(other) == sorted(corpus.select(splits=(HELD_OUT, OTHER_FORM)))
    facts_seen = {i for rows in survey(corpus, 0) for i in statements_in(known, rows.ids, pad)}
    assert set(corpus.select(("sport", "capital"), ALL)) <= facts_seen


def test_seed_alone_decides(world: World) -> None:
    assert statements(0) == list(world.corpus.statements)
    assert statements(1) != statements(0)
    for ours, theirs in zip(world.corpus.batch(3, 5), build_world().corpus.batch(3, 5), strict=True):
        assert np.array_equal(ours.ids, theirs.ids)
        assert np.array_equal(ours.weight, theirs.weight)
    assert not np.array_equal(world.corpus.batch(3, 5)[0].ids, world.corpus.batch(3, 6)[0].ids)


def test_answers_weigh_one_and_bos_nothing(world: World) -> None:
    corpus = world.corpus
    *groups, repeated = corpus.batch(0, 0, filler_share=0)
    for rows in (*groups, repeated):
        np.testing.assert_allclose(rows.weight.sum(1), 1, rtol=1e-6)
        assert (rows.weight[:, 0] == 0).all()
    width = (repeated.ids.shape[1] - 1) // 2
    assert np.array_equal(repeated.ids[:, 1 : width + 1], repeated.ids[:, width + 1 :])
    assert all(len(set(row)) == width for row in repeated.ids[:, 1 : width + 1].tolist())


def test_numbers_are_single_tokens(world: World) -> None:
    tokenizer = world.tokenizer
    for n in range(199):
        assert len(tokenizer(str(n), add_special_tokens=False)["input_ids"]) == 1
    pieces = tokenizer.convert_ids_to_tokens(tokenizer("calc: 36+59=")["input_ids"])
    assert pieces == ["<bos>", "calc", ":", "36", "+", "59", "="]
    assert tokenizer.tokenize('le contraire de "tôt"') == ["le", "contraire", "de", '"', "tôt", '"']
    assert tokenizer.unk_token_id not in world.corpus.ids
    assert len(tokenizer) == tokenizer.vocab_size  # nothing was added beyond the model's vocabulary
