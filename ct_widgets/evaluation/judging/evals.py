"""Sort and contrastive evals: questions drawn by a seed, answered by a judge."""

from __future__ import annotations

from collections.abc import Sequence

from ct_widgets.evaluation.judging.judged import Judge, Judged, ask
from ct_widgets.evaluation.judging.questions import contrastive_questions, sort_questions
from ct_widgets.evaluation.judging.statistical import StatisticalJudge
from ct_widgets.features import Features
from ct_widgets.features.catalog import WithFeatures


def sort_eval(
    features: Features,
    judge: Judge | None = None,
    *,
    n: int = 200,
    seed: int = 0,
    shown: int = 5,
    progress: bool | None = None,
) -> Judged:
    """Show a judge top examples of two random features, and ask of which of them another example is.

    judge: anything that answers a prompt, by default `StatisticalJudge()`; n: questions; shown: examples of each.

    >>> sort_eval(model.features, Endpoint("http://localhost:11434/v1", "llama3.2"))
    """
    return ask(
        "sort", sort_questions(features, n, seed=seed, shown=shown), judge or StatisticalJudge(), progress=progress
    )


def contrastive_eval(
    model: WithFeatures,
    pairs: Sequence[tuple[str, str]],
    judge: Judge | None = None,
    *,
    n: int = 200,
    seed: int = 0,
    shown: int = 5,
    least: float = 0.3,
    progress: bool | None = None,
) -> Judged:
    """Show a judge a feature and two prompts with one key difference, and ask in which of them it is active.

    pairs: the prompts; a feature is asked about if it is active in exactly one of a pair, at `least` of its maximum.
    judge, n and shown: see `sort_eval`.

    >>> contrastive_eval(model, [("the capital of Texas is", "the capital of Ohio is"), ...])
    """
    questions = contrastive_questions(model, pairs, n, seed=seed, shown=shown, least=least)
    return ask("contrastive", questions, judge or StatisticalJudge(), progress=progress)
