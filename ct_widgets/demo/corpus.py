"""The demo's training corpus: true statements about numbers and the world, each cut into a prompt and its answer.

Axes: s statement, p position. A statement is one training sequence; nothing is packed, so every sequence starts
with BOS as a user's prompt does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerFast

from ct_widgets.demo import facts

N_OPERANDS = 100  # operands 0..99, so sums 0..198
N_NUMBERS = 2 * N_OPERANDS - 1
SHOWN_PAIR = (36, 59)  # the tutorial's addition: always held out, so what it shows is computed and not remembered
SHOWN_CITY = "Dallas"  # the tutorial's two-hop question: always taught
SHARE_HELD_OUT = 0.1
SHARE_TWO_HOP_HELD_OUT = 0.2
STEPS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 25)

TRAIN, HELD_OUT, OTHER_FORM = 0, 1, 2
"""Splits: taught; shown to neither network; taught to the language model but not shown to the transcoder, which
sees the same fact in its other form."""

MIX: tuple[dict[str, int], ...] = (
    {"addition": 240},
    {"counting": 72, "last digit": 16, "tens digit": 16, "parity": 8, "comparison": 24},
    {"sport": 32, "state": 40, "capital": 12, "two-hop capital": 30, "english": 12, "french": 12, "spanish": 12},
)
"""Rows of each task in one training batch, in groups of similar length; induction comes on top."""
N_INDUCTION = 26

TASKS = tuple(task for group in MIX for task in group)


class Statement(NamedTuple):
    """`prompt` is what a user would type, `answer` what the model should say."""

    task: str
    prompt: str
    answer: str
    split: int


def _additions(rng: np.random.Generator) -> Iterator[Statement]:
    # Unordered pairs are held out, so that b+a never gives a+b away.
    low, high = np.triu_indices(N_OPERANDS)
    chosen = rng.permutation(len(low))[: round(SHARE_HELD_OUT * len(low))]
    held_out = {(int(low[i]), int(high[i])) for i in chosen} | {SHOWN_PAIR}
    for a in range(N_OPERANDS):
        for b in range(N_OPERANDS):
            split = HELD_OUT if (min(a, b), max(a, b)) in held_out else TRAIN
            yield Statement("addition", f"calc: {a}+{b}=", str(a + b), split)


def _numbers() -> Iterator[tuple[str, str, str]]:
    for step in (*STEPS, *(-step for step in STEPS)):
        for start in range(N_NUMBERS):
            terms = [start + k * step for k in range(7)]
            if 0 <= terms[-1] < N_NUMBERS:
                yield "counting", f"count: {terms[0]} {terms[1]}", " ".join(map(str, terms[2:]))
    for n in range(N_NUMBERS):
        yield "last digit", f"Number: the last digit of {n} is", str(n % 10)
        yield "tens digit", f"Number: the tens digit of {n} is", str(n // 10 % 10)
        yield "parity", f"Number: {n} is", "odd" if n % 2 else "even"
    for a in range(N_OPERANDS):
        for b in range(N_OPERANDS):
            if a != b:
                yield "comparison", f"Number: the larger of {a} and {b} is", str(max(a, b))
                yield "comparison", f"Number: the smaller of {a} and {b} is", str(min(a, b))


def _held_out_numbers(rng: np.random.Generator) -> Iterator[Statement]:
    for task, prompt, answer in _numbers():
        yield Statement(task, prompt, answer, HELD_OUT if rng.random() < SHARE_HELD_OUT else TRAIN)


_OPPOSITE = {
    "english": 'he opposite of "{}" is "',
    "french": 'e contraire de "{}" est "',
    "spanish": 'l opuesto de "{}" es "',
}
_CAPITAL_LETTER = {"english": "T", "french": "L", "spanish": "E"}


def _facts(rng: np.random.Generator) -> Iterator[tuple[str, str, str, str, bool]]:
    """(task, prompt after "Fact:", prompt that stands alone, answer, held out of training)."""
    for name, sport in facts.athletes().items():
        prompt = f"{name} plays the sport of"
        yield "sport", prompt, prompt, sport, False
    for state in facts.states():
        yield "capital", f"the capital of {state.name} is", f"The capital of {state.name} is", state.capital, False
        for city in (state.capital, *state.cities):
            place = f"the state containing {city}"
            yield "state", f"{place} is", f"The {place[4:]} is", state.name, False
            if city != state.capital:
                held_out = city != SHOWN_CITY and rng.random() < SHARE_TWO_HOP_HELD_OUT
                prompt = f"he capital of {place} is"
                yield "two-hop capital", f"t{prompt}", f"T{prompt}", state.capital, held_out
    for language, pairs in facts.opposites().items():
        for word, opposite in pairs.items():
            rest, capital = _OPPOSITE[language].format(word), _CAPITAL_LETTER[language]
            yield language, capital.lower() + rest, capital + rest, f'{opposite}"', False


def _fact_statements(rng: np.random.Generator) -> Iterator[Statement]:
    for task, after_fact, alone, answer, held_out in _facts(rng):
        hidden = int(rng.choice(2)) if rng.random() < 2 * SHARE_HELD_OUT else -1  # the form the transcoder never sees
        for form, prompt in enumerate((f"Fact: {after_fact}", alone)):
            yield Statement(task, prompt, answer, HELD_OUT if held_out else OTHER_FORM if form == hidden else TRAIN)


def statements(seed: int) -> list[Statement]:
    """Every statement of the world; `seed` draws what is held out."""
    rng = np.random.default_rng(seed)
    return [*_additions(rng), *_held_out_numbers(rng), *_fact_statements(rng)]


class Rows(NamedTuple):
    """Equally long sequences: ids [s, p] and the loss weight [s, p] of predicting each token from those before it."""

    ids: NDArray[np.int64]
    weight: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Corpus:
    """Statements as arrays. `ids` is padded on the right; answers are the tokens from `prompt_length` to `length`."""

    statements: tuple[Statement, ...]
    ids: NDArray[np.int64]  # [s, p]
    prompt_length: NDArray[np.int64]  # [s], BOS included
    length: NDArray[np.int64]  # [s]
    task: NDArray[np.int64]  # [s], index into TASKS
    split: NDArray[np.int64]  # [s]
    word_ids: NDArray[np.int64]  # all tokens but the special ones
    bos_id: int

    @classmethod
    def build(cls, seed: int, tokenizer: PreTrainedTokenizerFast) -> Corpus:
        """Tokenise every statement once."""
        world = statements(seed)
        bos, pad = int(tokenizer.bos_token_id), int(tokenizer.pad_token_id)  # pyright: ignore[reportArgumentType]
        prompts = _encode(tokenizer, [s.prompt for s in world])
        answers = _encode(tokenizer, [s.answer for s in world])
        sequences = [[bos, *prompt, *answer] for prompt, answer in zip(prompts, answers, strict=True)]
        length = np.array([len(sequence) for sequence in sequences])
        ids = np.full((len(world), int(length.max())), pad, dtype=np.int64)
        ids[np.arange(ids.shape[1]) < length[:, None]] = np.concatenate(sequences)
        return cls(
            statements=tuple(world),
            ids=ids,
            prompt_length=np.array([1 + len(prompt) for prompt in prompts]),
            length=length,
            task=np.array([TASKS.index(s.task) for s in world]),
            split=np.array([s.split for s in world]),
            word_ids=np.setdiff1d(np.arange(len(tokenizer)), tokenizer.all_special_ids),
            bos_id=bos,
        )

    def select(
        self, tasks: tuple[str, ...] = TASKS, splits: tuple[int, ...] = (TRAIN, OTHER_FORM)
    ) -> NDArray[np.int64]:
        """Statements of these tasks and splits."""
        wanted = np.isin(self.task, [TASKS.index(task) for task in tasks]) & np.isin(self.split, splits)
        return np.flatnonzero(wanted)

    def answer_mask(self, chosen: NDArray[np.int64]) -> NDArray[np.bool_]:
        """[s, p]: which tokens are part of the answer."""
        position = np.arange(self.ids.shape[1])
        return (position >= self.prompt_length[chosen, None]) & (position < self.length[chosen, None])

    def draw(
        self, rng: np.random.Generator, group: dict[str, int], splits: tuple[int, ...] = (TRAIN, OTHER_FORM)
    ) -> NDArray[np.int64]:
        """As many random statements of each task as `group` says, with replacement."""
        pools = ((self.select((task,), splits), n) for task, n in group.items())
        return np.concatenate([pool[rng.integers(len(pool), size=n)] for pool, n in pools])

    def batch(self, seed: int, step: int, filler: float = 0.2, filler_share: float = 0.125) -> list[Rows]:
        """Training batch number `step`: one `Rows` per group of MIX, then induction.

        An answer weighs 1 in total. The words around it weigh `filler` each, in `filler_share` of the rows: enough
        to learn to read on.
        """
        rng = np.random.default_rng([seed, step])
        rows: list[Rows] = []
        for group in MIX:
            chosen = self.draw(rng, group)
            answer = self.answer_mask(chosen)
            weight = answer / answer.sum(1, keepdims=True)
            inside = np.arange(self.ids.shape[1]) < self.length[chosen, None]
            weight[(rng.random(len(chosen)) < filler_share)[:, None] & inside & ~answer] = filler
            weight[:, 0] = 0  # nothing predicts BOS
            width = int(self.length[chosen].max())
            rows.append(Rows(self.ids[chosen, :width], weight[:, :width].astype(np.float32)))
        rows.append(self.repeated(rng, N_INDUCTION))
        return rows

    def repeated(self, rng: np.random.Generator, n: int, shortest: int = 4, longest: int = 15) -> Rows:
        """`n` random word sequences, each said twice; the answer is the second time without its first word."""
        width = int(rng.integers(shortest, longest + 1))
        # Distinct words in a row, so that the next word is never ambiguous.
        once = self.word_ids[rng.random((n, len(self.word_ids))).argpartition(width, axis=1)[:, :width]]
        ids = np.concatenate([np.full((n, 1), self.bos_id), once, once], axis=1)
        weight = np.zeros(ids.shape, dtype=np.float32)
        weight[:, width + 2 :] = 1 / (width - 1)
        return Rows(ids, weight)


def _encode(tokenizer: PreTrainedTokenizerFast, texts: list[str]) -> list[list[int]]:
    return tokenizer(texts, add_special_tokens=False)["input_ids"]  # pyright: ignore[reportReturnType]
