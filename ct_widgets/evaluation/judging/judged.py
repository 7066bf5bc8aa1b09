"""The answers of a judge, question by question, and how many of them were right."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from scipy.stats import binomtest

from ct_widgets.atomic import write_bytes
from ct_widgets.errors import FileFormatError
from ct_widgets.evaluation.judging.questions import Question
from ct_widgets.progress import progress_bar

Judge = Callable[[str], str]
"""From a prompt to an answer."""

Name = Literal["sort", "contrastive"]
FORMAT, VERSION = "ct_widgets judged", 1


@dataclass(frozen=True, eq=False)
class Judged:
    """transcript: one row per question: prompt, answer, choice (what was read of the answer, or None), truth, right,
    and the features that it was about.
    """

    name: Name
    transcript: pd.DataFrame

    @property
    def n(self) -> int:
        """Questions."""
        return len(self.transcript)

    @property
    def n_right(self) -> int:
        """Right answers; one that names no choice, or both, is wrong."""
        return int(self.transcript["right"].sum())

    @property
    def n_unread(self) -> int:
        """Answers that name no choice, or both."""
        return int(self.transcript["choice"].isna().sum())

    @property
    def score(self) -> float:
        """Share of right answers."""
        return self.n_right / self.n

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Compute Wilson's confidence interval of the score."""
        found = binomtest(self.n_right, self.n).proportion_ci(confidence, method="wilson")
        return float(found.low), float(found.high)

    def save(self, path: str | Path) -> Path:
        """Write every question and answer as JSON, a whole file or none."""
        rows = json.loads(self.transcript.to_json(orient="records"))
        content = {"format": FORMAT, "version": VERSION, "name": self.name, "questions": rows}
        return write_bytes(Path(path), (json.dumps(content, ensure_ascii=False, indent=1) + "\n").encode())

    @classmethod
    def load(cls, path: str | Path) -> Judged:
        """Read what `save` wrote. Raises FileFormatError for anything else."""
        try:
            content: Any = json.loads(Path(path).read_text(encoding="utf-8"))
            if content["format"] != FORMAT or content["version"] > VERSION:
                raise ValueError(f"{content['format']}, version {content['version']}")
            transcript = pd.DataFrame(content["questions"])
            _ = transcript[["prompt", "answer", "choice", "truth", "right"]]
            return cls(content["name"], transcript)
        except (ValueError, LookupError, TypeError) as error:
            raise FileFormatError(
                f"{path} does not hold answers of a judge ({error}); pass a file that `Judged.save` wrote"
            ) from error

    def __repr__(self) -> str:
        low, high = (100 * end for end in self.interval())
        unread = f", {self.n_unread} without a choice" if self.n_unread else ""
        return (
            f"<{self.name} eval: {100 * self.score:.1f} % of {self.n} right{unread}, "
            f"95 % interval {low:.1f} to {high:.1f} %>"
        )


def ask(name: Name, questions: Iterable[Question], judge: Judge, *, progress: bool | None = None) -> Judged:
    """Put every question to the judge; an answer that names no choice, or both, counts as wrong."""
    rows: list[dict[str, Any]] = []
    wanted = list(questions)
    with progress_bar(f"{name} eval", len(wanted), unit="question", show=progress) as bar:
        for question in wanted:
            answer = judge(question.prompt)
            choice = read_choice(answer, question.choices)
            right = choice == question.truth
            row = {"prompt": question.prompt, "answer": answer, "choice": choice, "truth": question.truth}
            rows.append({**row, "right": right, **question.about})
            bar.advance()
    return Judged(name, pd.DataFrame(rows))


def read_choice(answer: str, choices: tuple[str, str]) -> str | None:
    """Read the one choice that an answer names as a word of its own; None if it names neither or both."""
    named = set(re.findall(rf"\b(?:{'|'.join(choices)})\b", answer))
    return named.pop() if len(named) == 1 else None
