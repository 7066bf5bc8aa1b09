"""Templates of calculations, and the tokens of the numbers in them: numbers have to be one token each.

Axes: n number, b row of text, p position.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from ct_widgets.errors import PromptError

if TYPE_CHECKING:
    from ct_widgets.language_model import LanguageModel

TEMPLATE = "calc: {a}+{b}="
NUMBERS = range(100)

Slot = Literal["a", "b", "answer"]
Int64 = npt.NDArray[np.int64]

_SHOWN = 8


def render(template: str, a: object, b: object) -> str:
    """Write the prompt for one pair of operands; other braces in the template stay as they are."""
    return template.replace("{a}", str(a)).replace("{b}", str(b))


def check_template(template: str) -> None:
    """Raise PromptError for a template without a place for both operands."""
    missing = [slot for slot in ("{a}", "{b}") if slot not in template]
    if missing:
        raise PromptError(f"the template {template!r} has no {' and no '.join(missing)}; write it like {TEMPLATE!r}")


def prompt_tokens(model: LanguageModel, template: str, a: Sequence[int], b: Sequence[int]) -> Int64:
    """Tokenize the prompts of all pairs, those of one `a` together. -> [b, p].

    Raises PromptError if the tokenizer splits one of the numbers, or if the prompts are not all of one length.
    """
    check_template(template)
    number_tokens(model, a, template=template, slot="a")
    number_tokens(model, b, template=template, slot="b")
    rows = _encode(model, [render(template, x, y) for x in a for y in b])
    lengths = Counter(map(len, rows))
    if len(lengths) > 1:
        raise PromptError(
            f"prompts of the template {template!r} have from {min(lengths)} to {max(lengths)} tokens in "
            f"{model.name}; a plot needs every operand at one place, so choose another template or other ranges"
        )
    return np.array(rows, np.int64)


def number_tokens(
    model: LanguageModel,
    numbers: Iterable[int] = NUMBERS,
    *,
    template: str = TEMPLATE,
    slot: Slot = "answer",
) -> Int64:
    """Find the token ids of `numbers` as they are written in a place of the template: as operand, or as the answer.

    A number can be another token with a space before it than without; the template tells which one counts. -> [n].
    Raises PromptError that names the numbers which are not a single token there.

    >>> number_tokens(model.language_model, range(100), slot="a")
    """
    wanted = [int(number) for number in numbers]
    rows = _encode(model, [_context(template, slot, number) for number in wanted])
    texts = {i: text.strip() for i in {i for row in rows for i in row} for text in model.str_tokens([i])}
    places = [
        [p for p, i in enumerate(row) if texts[i] == str(number)] for row, number in zip(rows, wanted, strict=True)
    ]
    # The template may itself hold a number: of several places, the one that most numbers share.
    common = Counter(p for found in places for p in found)
    split = [number for number, found in zip(wanted, places, strict=True) if not found]
    if split:
        raise PromptError(_why_split(model, template, slot, split, rows[wanted.index(split[0])]))
    return np.array(
        [row[max(found, key=lambda p: (common[p], p))] for row, found in zip(rows, places, strict=True)], np.int64
    )


def _context(template: str, slot: Slot, number: int) -> str:
    """A prompt that shows `number` in its place and, as far as can be, nowhere else."""
    other = 8 if number == 7 else 7
    if slot == "answer":
        prompt = render(template, other, other)
        return f"{prompt} {number}" if prompt[-1:].isalnum() else f"{prompt}{number}"
    return render(template, number, other) if slot == "a" else render(template, other, number)


def _why_split(model: LanguageModel, template: str, slot: Slot, split: Sequence[int], row: Sequence[int]) -> str:
    named = ", ".join(map(str, split[:_SHOWN])) + (f" and {len(split) - _SHOWN} more" if len(split) > _SHOWN else "")
    place = f"after {template!r}" if slot == "answer" else f"as {slot} in {template!r}"
    return (
        f"{model.name} has no single token for {named} {place}: it reads {_context(template, slot, split[0])!r} as "
        f"{model.str_tokens(row)}; choose numbers, or a template, that its tokenizer does not split"
    )


def _encode(model: LanguageModel, texts: Sequence[str]) -> list[list[int]]:
    """Token ids of many texts, with what the model expects before them."""
    if not texts:
        raise PromptError("there are no operands; pass at least one number for a and one for b")
    before = model.tokens(texts[0]).tolist()  # checks that the model has a tokenizer that knows the template
    encoded: list[list[int]] = model.tokenizer(list(texts), add_special_tokens=False)["input_ids"]
    if len(before) >= len(encoded[0]) and before[len(before) - len(encoded[0]) :] == encoded[0]:
        bos = before[: len(before) - len(encoded[0])]
        return [[*bos, *row] for row in encoded]
    return [model.tokens(text).tolist() for text in texts]
