"""Generation under steering: what is chosen, where changes act, and the view side by side."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from ct_widgets import Intervention
from ct_widgets.errors import InterventionError
from ct_widgets.replacement_model import ReplacementModel

TOKENS = [3, 17, 5, 41]


def greedy(model: ReplacementModel, changes: list[Intervention], n: int) -> list[int]:
    """One `intervene` per token."""
    tokens = list(TOKENS)
    for _ in range(n):
        tokens.append(int(model.intervene(tokens, changes, method="open").logits[-1].argmax()))
    return tokens[len(TOKENS) :]


def test_greedy_text_with_and_without_changes(tiny_model: ReplacementModel) -> None:
    push = 10 * torch.randn(24, generator=torch.Generator().manual_seed(1))
    changes = [Intervention(0, 2, 5, value=20.0), Intervention(1, None, direction=push)]
    made = tiny_model.generate(TOKENS, changes, max_new_tokens=6)
    assert list(made.token_ids) == greedy(tiny_model, changes, 6)
    assert list(made.plain_ids) == greedy(tiny_model, [], 6)
    assert made.token_ids != made.plain_ids
    assert made.tokens == tuple(f"<{i}>" for i in made.token_ids)


def test_positions_from_the_end_are_those_of_the_prompt(tiny_model: ReplacementModel) -> None:
    last = tiny_model.generate(TOKENS, [Intervention(0, -1, 5, value=20.0)], max_new_tokens=4)
    third = tiny_model.generate(TOKENS, [Intervention(0, 3, 5, value=20.0)], max_new_tokens=4)
    assert last.token_ids == third.token_ids


def test_text_ends_with_the_context(tiny_model: ReplacementModel) -> None:
    assert len(tiny_model.generate([1] * 30, max_new_tokens=9).token_ids) == 2


def draws(model: ReplacementModel, **settings: Any) -> set[int]:
    return {model.generate(TOKENS, max_new_tokens=1, seed=seed, **settings).token_ids[0] for seed in range(25)}


def test_sampling_follows_the_probabilities_and_the_seed(tiny_model: ReplacementModel) -> None:
    probability = (tiny_model.language_model.logits(torch.tensor([TOKENS]))[0, -1] / 0.7).softmax(-1)
    drawn = [
        tiny_model.generate(TOKENS, max_new_tokens=1, temperature=0.7, seed=seed).token_ids[0] for seed in range(150)
    ]
    top = int(probability.argmax())
    share, p = drawn.count(top) / len(drawn), float(probability[top])
    assert abs(share - p) < 4 * (p * (1 - p) / len(drawn)) ** 0.5
    again = tiny_model.generate(TOKENS, max_new_tokens=1, temperature=0.7, seed=3).token_ids[0]
    assert again == drawn[3]
    few = probability.topk(3)
    some = {
        tiny_model.generate(TOKENS, max_new_tokens=1, temperature=3.0, top_k=3, seed=s).token_ids[0] for s in range(25)
    }
    assert some <= set(few.indices.tolist())
    assert len(some) > 1
    ranked = (tiny_model.language_model.logits(torch.tensor([TOKENS]))[0, -1]).softmax(-1).sort(descending=True)
    size = 1 + int((ranked.values.cumsum(0) < 0.3).sum())
    some = {
        tiny_model.generate(TOKENS, max_new_tokens=1, temperature=1.0, top_p=0.3, seed=s).token_ids[0]
        for s in range(25)
    }
    assert some <= set(ranked.indices[:size].tolist())


def test_the_view_escapes_tokens(tiny_model: ReplacementModel) -> None:
    page = tiny_model.generate(TOKENS, [Intervention(0, 2, 5, value=20.0)], max_new_tokens=2)._repr_html_()
    assert "&lt;3&gt;" in page
    assert "<3>" not in page


@pytest.mark.parametrize("settings", [{"temperature": -1.0}, {"top_k": 0}, {"top_p": 0.0}, {"max_new_tokens": -1}])
def test_settings_out_of_range(tiny_model: ReplacementModel, settings: dict[str, float]) -> None:
    with pytest.raises(InterventionError):
        tiny_model.generate(TOKENS, **settings)  # type: ignore[arg-type]
