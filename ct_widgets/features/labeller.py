"""Labels by a language model behind any OpenAI-compatible endpoint.

What is sent: pieces of the corpus around the examples, and promoted tokens. The prompt and the answer stay with each
label, so that nobody has to trust it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ct_widgets.errors import FeatureError
from ct_widgets.features.endpoint import Endpoint
from ct_widgets.features.labels import Label
from ct_widgets.features.marked_text import marked
from ct_widgets.progress import progress_bar

if TYPE_CHECKING:
    from ct_widgets.features.catalog import Feature, Features

_INSTRUCTION = """\
A feature of a language model is active on some tokens of a text. Below are texts where it is most active: active tokens
are marked as <<token>>(strength), with strengths from 1 to 10. After them come the tokens that it makes more likely to
follow.

Answer with one line, at most eight words, that says what the feature stands for. Say "says X" if what follows tells
more than what is marked. Give no explanation."""
_EXAMPLES = 12
_LONGEST = 120


@dataclass(frozen=True)
class Labeller(Endpoint):
    """A language model that gives labels.

    >>> labeller = Labeller("http://localhost:11434/v1", "llama3.2")
    >>> labeller.label(model.features, ["L2/517", (3, 21)])
    """

    def label(
        self, features: Features, which: Iterable[str | tuple[int, int]], *, progress: bool | None = None
    ) -> dict[str, Label]:
        """Ask for a label of each feature and keep it in the store, unless a person gave one; returns the new ones.

        Raises FeatureError if the endpoint cannot be reached or answers something else; labels given before are kept.
        """
        store = features.store
        if store is None:
            raise FeatureError("labels are kept in a FeatureStore, and this model has none")
        wanted = [features[feature] for feature in which]
        given: dict[str, Label] = {}
        with progress_bar("labels", len(wanted), unit="feature", show=progress) as bar:
            for feature in wanted:
                held = store.labels.entry(feature.name)
                if held is None or held.origin != "person":
                    given[feature.name] = self.ask(feature)
                    store.labels.set(feature.name, given[feature.name])
                bar.advance()
        return given

    def ask(self, feature: Feature) -> Label:
        """Return the label that the model gives a feature, with what was asked and answered."""
        prompt = question(feature)
        answer = self(prompt)
        text = next((line.strip() for line in answer.splitlines() if line.strip()), "")
        text = text.strip("\"'“”*` ").rstrip(".")[:_LONGEST]
        if not text:
            raise FeatureError(f"{self.model} gave no label of {feature.name}: it answered {answer[:80]!r}")
        return Label(text, "model", self.model, prompt, answer)


def question(feature: Feature) -> str:
    """Write the prompt: instruction, marked examples, promoted tokens."""
    record = feature.known()
    lines = [
        f"- {marked(example, feature.vocabulary, record.maximum)}"
        for example in (*record.top, *record.sample)[:_EXAMPLES]
    ]
    promoted = ", ".join(json.dumps(token, ensure_ascii=False) for token in feature.promoted()["token"])
    return "\n".join([_INSTRUCTION, "", *lines, "", f"Tokens that become more likely: {promoted}"])
