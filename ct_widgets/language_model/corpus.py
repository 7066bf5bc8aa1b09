"""Texts from wherever they are, and the rows of tokens that a model reads them in.

Axes: b row of text, p position in a row.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from ct_widgets.errors import FeatureError
from ct_widgets.language_model.language_model import LanguageModel

Text = str | Sequence[int]
"""A text, or its token ids as they are."""

Source = str | Path | Iterable[Text] | Iterable[Mapping[str, Any]]
"""A text file (one text per line), a parquet file, a Hugging Face dataset, or anything that yields texts."""

T = TypeVar("T")


class Batch(NamedTuple):
    """Rows of tokens that go through a model together.

    ids: [b, p], padded on the right; length: [b]; text: [b], the number of the text that each row is from;
    first: positions before it (BOS) do not count.
    """

    ids: npt.NDArray[np.int64]
    length: npt.NDArray[np.int64]
    text: npt.NDArray[np.uint32]
    first: int

    @property
    def counts(self) -> npt.NDArray[np.bool_]:
        """Which tokens count: neither padding nor those before `first`, [b, p]."""
        position = np.arange(self.ids.shape[1])
        return (position >= self.first) & (position < self.length[:, None])


def read_texts(source: Source, column: str = "text") -> Iterator[Text]:
    """Yield the texts of `source`; `column` names the column of a parquet file or dataset that holds them.

    Raises FeatureError for a path that is not a file and for a column that does not exist.
    """
    if isinstance(source, str | Path):
        path = Path(source).expanduser()
        if not path.is_file():
            raise FeatureError(
                f"{str(source)[:80]!r} is not a file; pass a list of texts, or the path of a text or parquet file"
            )
        if path.suffix == ".parquet":
            yield from _read_parquet(path, column)
            return
        with path.open(encoding="utf-8") as file:
            yield from (line.rstrip("\n") for line in file if line.strip())
        return
    for item in source:
        if isinstance(item, Mapping):
            if column not in item:
                raise FeatureError(f"the dataset has no column {column!r}; it has {', '.join(item)}; pass column=...")
            yield item[column]
        else:
            yield item


def _read_parquet(path: Path, column: str) -> Iterator[str]:
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise FeatureError(f"{path.name} needs pyarrow to read it: pip install pyarrow") from error
    file = parquet.ParquetFile(path)
    if column not in file.schema_arrow.names:
        raise FeatureError(
            f"{path} has no column {column!r}; it has {', '.join(file.schema_arrow.names)}; pass column=..."
        )
    for batch in file.iter_batches(columns=[column]):
        yield from batch.column(0).to_pylist()


def count_texts(source: Source) -> int | None:
    """Count texts without reading them; None where that cannot be done, as for files and generators."""
    return None if isinstance(source, str | Path) or not isinstance(source, Sized) else len(source)


def in_chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield consecutive items in lists of `size`; the last may be shorter."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def groups_of_like_length(length: npt.NDArray[np.int64], batch_tokens: int) -> Iterator[slice]:
    """Cut rows into runs of at most `batch_tokens` tokens with their padding. length: of each row, ascending."""
    start = 0
    while start < len(length):
        padded = length[start : start + batch_tokens]
        padded = padded * np.arange(1, len(padded) + 1)
        end = start + max(1, int(np.searchsorted(padded, batch_tokens, side="right")))
        yield slice(start, end)
        start = end


class RowMaker:
    """Cuts texts into rows of at most `context` tokens, each with a BOS where the model expects one.

    >>> for batch in RowMaker(model, 256, 8192, ignore_bos=True).batches(["calc: 36+59=95"], 0):
    ...     batch.ids
    """

    def __init__(self, model: LanguageModel, context: int, batch_tokens: int, *, ignore_bos: bool) -> None:
        self.context = min(context, model.n_ctx)
        self._tokenizer = model.tokenizer
        self._batch_tokens = batch_tokens
        self._first = int(ignore_bos)
        self._bos = model.bos_id
        self._pad = self._bos or 0
        if self.context < 2:
            raise FeatureError(f"context is {context}; rows need at least two tokens")

    def batches(self, texts: Sequence[Text], first_number: int) -> Iterator[Batch]:
        """Yield rows of these texts, those of like length together. Texts are numbered from `first_number`."""
        ids, count = self._tokenize(texts)
        end = np.cumsum(count)
        begin = end - count
        # A text that spells its BOS, and any other that the tokenizer read, has it ahead of every row.
        spelled, led = np.zeros((2, len(texts)), np.int64)
        if self._bos is not None:
            filled = np.flatnonzero(count)
            spelled[filled] = ids[begin[filled]] == self._bos
            led = spelled | np.fromiter((isinstance(text, str) for text in texts), np.int64)
        begin += spelled
        step = self.context - led
        n_rows = -((begin - end) // step)
        text = np.repeat(np.arange(len(texts)), n_rows)
        begin = begin[text] + step[text] * (np.arange(len(text)) - np.repeat(np.cumsum(n_rows) - n_rows, n_rows))
        led = led[text]
        length = np.minimum(end[text] - begin, step[text]) + led
        order = np.argsort(length, kind="stable")
        for group in groups_of_like_length(length[order], self._batch_tokens):
            chosen = order[group]
            place = np.arange(length[chosen].max())
            at = np.minimum(begin[chosen, None] - led[chosen, None] + place, len(ids) - 1)
            rows = np.where(place < length[chosen, None], ids[at], self._pad)
            rows[led[chosen] == 1, 0] = self._bos or 0
            yield Batch(rows, length[chosen], (first_number + text[chosen]).astype(np.uint32), self._first)

    def _tokenize(self, texts: Sequence[Text]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return the ids of all texts, one after the other, and how many each has."""
        words = [text for text in texts if isinstance(text, str)]
        if words and self._tokenizer is None:
            raise FeatureError("the model has no tokenizer: pass lists of token ids, or give the bridge a tokenizer")
        spared = {"return_attention_mask": False, "return_token_type_ids": False}
        encoded = iter(self._tokenizer(words, add_special_tokens=False, **spared)["input_ids"] if words else [])
        pieces = [next(encoded) if isinstance(text, str) else text for text in texts]
        return np.fromiter(chain.from_iterable(pieces), np.int64), np.fromiter(map(len, pieces), np.int64)
