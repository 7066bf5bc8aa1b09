"""Measures the demo model: right answers of the language model, and how well the transcoder stands in for it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ct_widgets.arithmetic.families import KINDS
from ct_widgets.demo import load_texts
from ct_widgets.demo.corpus import HELD_OUT, MIX, OTHER_FORM, TASKS, TRAIN, Corpus
from ct_widgets.demo.language_model_training import right_answers
from ct_widgets.demo.transcoder_data import FACT_TASKS, survey, unseen
from ct_widgets.evaluation import evaluate
from ct_widgets.language_model import LanguageModel
from ct_widgets.replacement_model import ReplacementModel
from ct_widgets.training import (
    DictionaryMetrics,
    Sequences,
    dictionary_metrics,
    read_activations,
    replacement_metrics,
)
from ct_widgets.transcoded_model import TranscodedModel
from ct_widgets.transcoders import Transcoder

SHOWN = {
    "calc: 36+59=": "95",
    "Fact: Michael Jordan plays the sport of": "basketball",
    "Fact: the capital of the state containing Dallas is": "Austin",
}
"""The tutorial's prompts, with the answers that the language model gives."""

PARTS: dict[str, tuple[str, ...]] = {"additions": tuple(MIX[0]), "other numbers": tuple(MIX[1]), "facts": FACT_TASKS}
"""Tasks whose transcoder metrics are reported together."""

FAMILY_PAIRS = 10
"""Features that are active for fewer pairs of operands do not count among families."""


def accuracy(model: LanguageModel, corpus: Corpus, tasks: Iterable[str] = TASKS) -> dict[str, dict[str, Any]]:
    """Of every task: how many statements were taught and held out, and the share answered right, all tokens."""
    table: dict[str, dict[str, Any]] = {}
    for task in tasks:
        table[task] = {}
        for name, splits in (("taught", (TRAIN, OTHER_FORM)), ("held out", (HELD_OUT,))):
            chosen = corpus.select((task,), splits)
            if len(chosen):
                right = right_answers(model.module, corpus, chosen)
                table[task][name] = {"statements": len(chosen), "right": float(right.mean())}
    return table


def reconstruction(model: LanguageModel, transcoder: Transcoder, sequences: Iterable[Sequences]) -> DictionaryMetrics:
    """Dictionary metrics on the kept tokens."""
    hooks = transcoder.feature_input_hook, transcoder.feature_output_hook
    return dictionary_metrics(transcoder, (read_activations(model, [rows], *hooks) for rows in sequences))


def transcoder_part(
    model: LanguageModel, transcoder: Transcoder, corpus: Corpus, tasks: tuple[str, ...] = TASKS
) -> dict[str, Any]:
    """Metrics on statements of these tasks that the transcoder was not trained on.

    Reconstruction is measured at every token but BOS and the last, the replacement model at the answer position: where
    the whole prompt predicts the first token of the answer.
    """
    found = reconstruction(model, transcoder, unseen(corpus, *tasks))
    replaced = replacement_metrics(TranscodedModel(model, transcoder), unseen(corpus, *tasks, answers=True))
    return {
        "tokens": found.n_tokens,
        "normalised_mse": found.overall_mse,
        "l0": float(found.l0.sum()),
        "answers": replaced.n_tokens,
        "agreement": replaced.top1_agreement,
        "kl": replaced.kl,
        "recovered": replaced.recovered,
        "layers": {"normalised_mse": found.normalised_mse.tolist(), "l0": found.l0.tolist()},
    }


def transcoder_metrics(model: LanguageModel, transcoder: Transcoder, corpus: Corpus, seed: int) -> dict[str, Any]:
    """All that is reported about a transcoder."""
    dead = reconstruction(model, transcoder, survey(corpus, seed))
    return {
        "parts": {
            "all": transcoder_part(model, transcoder, corpus),
            **{name: transcoder_part(model, transcoder, corpus, tasks) for name, tasks in PARTS.items()},
        },
        "features": transcoder.n_features(0),
        "dead": dead.overall_dead,
        "dead_by_layer": dead.dead.tolist(),
        "survey_tokens": dead.n_tokens,
    }


def comparison(model: LanguageModel, clt: Transcoder, plt: Transcoder) -> dict[str, Any]:
    """Evaluate on all statements that the transcoders were not trained on; see `ReplacementModel.evaluate`."""
    found = evaluate(TranscodedModel(model, clt), load_texts(), beside={"PLT": plt}, progress=True)
    sizes = found.dictionaries.iloc[0]
    return {
        "tokens": int(sizes["tokens"]),
        "predictions": int(sizes["predictions"]),
        "prompts": int(found.graphs["prompt"].nunique()),
        "summary": {
            str(name): {column: None if np.isnan(value) else float(value) for column, value in row.items()}
            for name, row in found.summary.iterrows()
        },
    }


def family_metrics(model: ReplacementModel) -> dict[str, Any]:
    """Of the features active for `FAMILY_PAIRS` additions or more: how many, and how many of each family, by layer."""
    families = model.operand_activations().families.query(f"n_active >= {FAMILY_PAIRS}")
    layers = range(model.transcoder.n_layers)
    count = {kind: [int((families[families["layer"] == n]["kind"] == kind).sum()) for n in layers] for kind in KINDS}
    return {
        "pairs": FAMILY_PAIRS,
        "features": len(families),
        "named": float((families["kind"] != "other").mean()),
        "by_layer": count,
    }


def corpus_statistics(corpus: Corpus) -> dict[str, Any]:
    """How many statements of every task each network sees, with an example."""
    tasks: dict[str, Any] = {}
    for task in TASKS:
        every = corpus.select((task,), (TRAIN, OTHER_FORM, HELD_OUT))
        example = corpus.statements[int(every[0])]
        tasks[task] = {
            "example": {"prompt": example.prompt, "answer": example.answer},
            "statements": len(every),
            "held_out": len(corpus.select((task,), (HELD_OUT,))),
            "not_shown_to_transcoder": len(corpus.select((task,), (HELD_OUT, OTHER_FORM))),
            "tokens": int(corpus.length[every].sum()),
        }
    return {"vocabulary": int(corpus.word_ids.max()) + 1, "tasks": tasks}
