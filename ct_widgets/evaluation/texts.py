"""The texts that an evaluation reads, as rows of tokens.

Axes: s text, p position.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from ct_widgets.errors import PromptError
from ct_widgets.language_model import LanguageModel
from ct_widgets.language_model.corpus import RowMaker, groups_of_like_length

Text: TypeAlias = str | tuple[str, str] | Sequence[int]
"""A text; a prompt and what follows it (as they are written, with the space between them); or token ids."""

_BATCH_TOKENS = 4096
_CONTEXT = 256  # tokens of a row that a long text is cut into
_PROMPT = 32  # tokens of a row that a graph is made of


class Row(NamedTuple):
    """One text as token ids; predictions are compared from position `answer` on, which is at least 2.

    prompt: what a graph is made of: the text before the answer, or at most 32 first tokens, without the last.
    """

    ids: list[int]
    answer: int
    prompt: str | list[int]


class Rows(NamedTuple):
    """Texts of like length: ids [s, p], padded on the right.

    read: [s, p], where the dictionary is measured: all tokens but the first, which attribution leaves out, and the
    last, from which nothing is predicted; predicted: [s, p], the tokens whose predictions are compared.
    """

    ids: NDArray[np.int64]
    read: NDArray[np.bool_]
    predicted: NDArray[np.bool_]


def tokenize(model: LanguageModel, texts: Iterable[Text]) -> list[Row]:
    """Make rows of texts; long texts are cut, but for pairs. Raises PromptError for texts that the model cannot read.

    A text without three tokens has no prediction that a transcoder could change, and is refused.
    """
    if isinstance(texts, str):
        raise PromptError(f"texts is one text, {texts[:40]!r}; pass a list of texts")
    maker = RowMaker(model, _CONTEXT, 1, ignore_bos=True)
    rows: list[Row] = []
    for text in texts:
        if isinstance(text, tuple) and len(text) == 2 and all(isinstance(part, str) for part in text):
            new = [_pair(model, *cast("tuple[str, str]", text))]
        else:
            parts = maker.batches([cast("str | Sequence[int]", text)], 0)  # of one row each
            cut = [part.ids[0].tolist() for part in parts]
            new = [Row(model.tokens(ids).tolist(), 2, ids[:-1][:_PROMPT]) for ids in cut]
        new = [row for row in new if len(row.ids) > row.answer]
        if not new:
            raise PromptError(f"{text!r} is too short for {model.name}: nothing in it is predicted from a feature")
        rows += new
    if not rows:
        raise PromptError("there are no texts to evaluate on; pass at least one")
    return rows


def _pair(model: LanguageModel, prompt: str, answer: str) -> Row:
    before: list[int] = model.tokens(prompt).tolist()
    ids: list[int] = model.tokens(prompt + answer).tolist()
    if ids[: len(before)] != before:
        raise PromptError(
            f"{prompt!r} and {answer!r} share a token of {model.name}; put the space between them into the answer"
        )
    return Row(ids, max(2, len(before)), prompt)


def batches(rows: Sequence[Row], batch_tokens: int = _BATCH_TOKENS) -> Iterator[Rows]:
    """Put rows of like length together, at most `batch_tokens` tokens with their padding."""
    by_length = sorted(rows, key=lambda row: len(row.ids))
    for group in groups_of_like_length(np.array([len(row.ids) for row in by_length]), batch_tokens):
        yield _pad(by_length[group])


def _pad(rows: Sequence[Row]) -> Rows:
    length = np.array([len(row.ids) for row in rows])[:, None]
    ids = np.zeros((len(rows), int(length.max())), dtype=np.int64)
    for i, row in enumerate(rows):
        ids[i, : len(row.ids)] = row.ids
    position = np.arange(ids.shape[1])
    answer = np.array([row.answer for row in rows])[:, None]
    return Rows(ids, (position > 0) & (position < length - 1), (position >= answer) & (position < length))
