"""The questions of sort and contrastive evals, each with two answers of which one is right.

What is asked about is never among what is shown: of a sorted example no other part of its text, of a pair of prompts no
example that holds one of them. The same seed gives the same questions.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ct_widgets.errors import FeatureError
from ct_widgets.features import Example, Feature, Features, FeatureStore
from ct_widgets.features.catalog import WithFeatures
from ct_widgets.features.collect import encode_batch
from ct_widgets.features.marked_text import marked
from ct_widgets.language_model.corpus import RowMaker
from ct_widgets.transcoded_model import TranscodedModel

FEATURE_OF_TWO, FEATURE, TEXT, PROMPT = "Feature {}:", "Feature:", "Text:", "Prompt {}:"
"""Headings, on lines of their own; below each stand examples as "- " and a JSON string."""

SORT_CHOICES, CONTRASTIVE_CHOICES = ("A", "B"), ("1", "2")

_MARKS = """active tokens are marked as <<token>>(strength), with strengths from 1 to 10."""
_SORT = f"""\
Two features of a language model are each active on some tokens of a text. Below are texts where they are most active:
{_MARKS}
"""
_SORT_ASKS = """\
One of the two features is most active at the marked token of the last text. Which one?
Answer with one letter, A or B."""
_CONTRASTIVE = f"""\
A feature of a language model is active on some tokens of a text. Below are texts where it is most active:
{_MARKS}
After them come the tokens that it makes more likely to follow.
"""
_CONTRASTIVE_ASKS = """\
The feature is active somewhere in one of the two prompts, and nowhere in the other. In which one is it active?
Answer with one digit, 1 or 2."""

_FEWEST = 4
"""Examples that a feature must have to be asked about: one to ask for, and some to tell."""

_DRAWS = 50
"""Tries for every question, before there are too few features that can be told apart."""


@dataclass(frozen=True)
class Question:
    """prompt: all that a judge sees; choices: what it may answer; truth: what is right; about: the features at hand."""

    prompt: str
    choices: tuple[str, str]
    truth: str
    about: dict[str, Any]


def sort_questions(features: Features, n: int = 200, *, seed: int = 0, shown: int = 5) -> list[Question]:
    """Ask of which of two features an example is. n: questions; shown: examples of each feature, at most.

    Raises FeatureError without a store, or where there are too few features that were ever active.
    """
    store = _store(features, n)
    rng = np.random.default_rng(seed)
    able = _able(store)
    if len(able) < 2:
        raise FeatureError(f"there are {len(able)} features with {_FEWEST} top examples; a sort eval needs two")
    questions: list[Question] = []
    for _ in range(_DRAWS * n):
        pair = [features[store.place(int(number))] for number in rng.choice(able, 2, replace=False)]
        truth = int(rng.integers(2))
        question = _sort_question(rng, pair, truth, shown)
        if question is not None:
            questions.append(question)
        if len(questions) == n:
            return questions
    raise FeatureError("the examples of these features are all of the same texts; collect them over more texts")


def _sort_question(rng: np.random.Generator, pair: Sequence[Feature], truth: int, shown: int) -> Question | None:
    top = pair[truth].known().top
    asked = top[int(rng.integers(len(top)))]
    examples = [_drawn(rng, [e for e in feature.known().top if e.text != asked.text], shown) for feature in pair]
    if not all(examples):
        return None
    vocabulary = pair[0].vocabulary
    lines = [_SORT]
    for choice, feature, mine in zip(SORT_CHOICES, pair, examples, strict=True):
        lines += [FEATURE_OF_TWO.format(choice), *_examples(feature, mine), ""]
    only_peak = np.where(np.arange(len(asked.tokens)) == asked.peak, 1.0, 0.0)
    text = Example(asked.tokens, only_peak, asked.peak, asked.position, asked.text)
    # Its strength would tell the features apart by their scales.
    lines += [TEXT, f"- {marked(text, vocabulary, 1.0, strengths=False)}", "", _SORT_ASKS]
    about = {f"feature_{choice}": feature.name for choice, feature in zip(SORT_CHOICES, pair, strict=True)}
    return Question("\n".join(lines), SORT_CHOICES, SORT_CHOICES[truth], {**about, "layer": pair[truth].layer})


def contrastive_questions(
    model: WithFeatures,
    pairs: Sequence[tuple[str, str]],
    n: int = 200,
    *,
    seed: int = 0,
    shown: int = 5,
    least: float = 0.3,
) -> list[Question]:
    """Ask in which of two prompts a feature is active. pairs: prompts with one key difference.

    A feature is asked about if it is active in one prompt alone, and there reaches `least` of its maximum: what weak
    activity is about, top examples do not show. There may be fewer than `n` questions.
    Raises FeatureError without a store, or if no feature tells any two prompts apart.
    """
    store = _store(model.features, n)
    able = set(_able(store).tolist())
    maximum = store.column("maximum")
    rng = np.random.default_rng(seed)
    plain = TranscodedModel(model.language_model, model.transcoder)
    found: list[tuple[int, int, int]] = []
    for number in rng.permutation(len(pairs))[:n]:
        active = [_active(plain, prompt) for prompt in pairs[number]]
        for holder, mine in enumerate(active):
            alone = sorted((mine.keys() - active[1 - holder].keys()) & able)
            found += [(int(number), g, holder) for g in alone if mine[g] >= least * maximum[g]]
    questions: list[Question] = []
    for place in rng.permutation(len(found)):
        number, g, holder = found[place]
        question = _contrastive_question(rng, model.features[store.place(g)], pairs[number], holder, shown)
        if question is not None:
            questions.append(question)
        if len(questions) == n:
            break
    if not questions:
        raise FeatureError("no feature is active on only one prompt of any pair; pass pairs that differ more")
    return questions


def _contrastive_question(
    rng: np.random.Generator, feature: Feature, pair: tuple[str, str], holder: int, shown: int
) -> Question | None:
    vocabulary = feature.vocabulary
    gap = " " if vocabulary.spaced else ""

    def plain(text: str) -> str:
        return "".join(text.split())

    fresh = [
        example
        for example in feature.known().top
        if not any(plain(prompt) in plain(gap.join(map(vocabulary.text, example.tokens.tolist()))) for prompt in pair)
    ]
    examples = _drawn(rng, fresh, shown)
    if not examples:
        return None
    order = rng.permutation(2)
    promoted = ", ".join(json.dumps(token, ensure_ascii=False) for token in feature.promoted()["token"])
    lines = [_CONTRASTIVE, FEATURE, *_examples(feature, examples)]
    lines += ["", f"Tokens that become more likely: {promoted}", ""]
    for choice, place in zip(CONTRASTIVE_CHOICES, order, strict=True):
        lines += [PROMPT.format(choice), f"- {json.dumps(pair[place], ensure_ascii=False)}"]
    truth = CONTRASTIVE_CHOICES[int(np.flatnonzero(order == holder)[0])]
    about = {"feature": feature.name, "layer": feature.layer}
    return Question("\n".join([*lines, "", _CONTRASTIVE_ASKS]), CONTRASTIVE_CHOICES, truth, about)


def _active(model: TranscodedModel, prompt: str) -> dict[int, float]:
    """Highest activation of the features, by number, that are active anywhere behind BOS."""
    rows = RowMaker(model.language_model, model.language_model.n_ctx, 1, ignore_bos=True)
    first = np.cumsum([0, *map(model.transcoder.n_features, range(model.transcoder.n_layers))])
    return {
        int(first[layer] + index): float(a[:, index].max())
        for batch in rows.batches([prompt], 0)
        for layer, a in enumerate(encode_batch(model, batch))
        for index in (a != 0).any(0).nonzero()[:, 0].tolist()
    }


def _store(features: Features, n: int) -> FeatureStore:
    if n < 1:
        raise FeatureError(f"n is {n}; ask at least one question")
    if features.store is None:
        raise FeatureError(
            "no examples were collected for these features; run ct.collect_features(model, texts, path), "
            "then ReplacementModel(bridge, transcoder, features=path)"
        )
    return features.store


def _able(store: FeatureStore) -> npt.NDArray[np.int64]:
    """Numbers of the features with enough top examples."""
    return np.flatnonzero(store.column("n_top") >= _FEWEST)


def _drawn(rng: np.random.Generator, examples: Sequence[Example], shown: int) -> list[Example]:
    return [examples[int(place)] for place in rng.permutation(len(examples))[:shown]]


def _examples(feature: Feature, examples: Sequence[Example]) -> Iterator[str]:
    maximum = feature.known().maximum
    return (f"- {marked(example, feature.vocabulary, maximum)}" for example in examples)
