"""Labels by a language model behind any OpenAI-compatible endpoint; nothing but the standard library is needed.

What is sent: pieces of the corpus around the examples, and promoted tokens. The prompt and the answer stay with each
label, so that nobody has to trust it.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ct_widgets.errors import FeatureError
from ct_widgets.features.labels import Label
from ct_widgets.progress import progress as progress_bar

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
_STRENGTHS = 10


@dataclass(frozen=True)
class Labeller:
    """A language model that gives labels.

    url: the endpoint up to and with its version, such as "http://localhost:11434/v1"; model: by its name there;
    key: sent as a bearer token if given; timeout: seconds to wait for an answer.

    >>> labeller = Labeller("http://localhost:11434/v1", "llama3.2")
    >>> labeller.label(model.features, ["L2/517", (3, 21)])
    """

    url: str
    model: str
    key: str | None = None
    timeout: float = 60.0

    def __post_init__(self) -> None:
        if urlsplit(self.url).scheme not in ("http", "https"):
            raise FeatureError(f"{self.url!r} is no endpoint; give one such as http://localhost:11434/v1")

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
        with progress_bar(len(wanted), "labels", unit="feature", show=progress) as bar:
            for feature in wanted:
                held = store.labels.entry(feature.name)
                if held is None or held.origin != "person":
                    given[feature.name] = self.ask(feature)
                    store.labels.set(feature.name, given[feature.name])
                bar.advance()
        return given

    def ask(self, feature: Feature) -> Label:
        """The label that the model gives a feature, with what was asked and answered."""
        prompt = question(feature)
        answer = self._complete(prompt)
        text = next((line.strip() for line in answer.splitlines() if line.strip()), "")
        text = text.strip("\"'“”*` ").rstrip(".")[:_LONGEST]
        if not text:
            raise FeatureError(f"{self.model} gave no label of {feature.name}: it answered {answer[:80]!r}")
        return Label(text, "model", self.model, prompt, answer)

    def _complete(self, prompt: str) -> str:
        body = {"model": self.model, "messages": [{"role": "user", "content": prompt}], "temperature": 0}
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {self.key}"} if self.key else {})
        url = f"{self.url.rstrip('/')}/chat/completions"
        request = urllib.request.Request(url, json.dumps(body).encode(), headers)
        try:
            # A redirected request would carry the key to another host.
            with urllib.request.build_opener(_NoRedirect).open(request, timeout=self.timeout) as response:
                answer: Any = json.load(response)
            content = answer["choices"][0]["message"]["content"]
        except urllib.error.HTTPError as error:
            said = error.read(200).decode("utf-8", "replace")
            raise FeatureError(f"{url} answered {error.code}: {said}") from error
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise FeatureError(f"{url} gave no answer ({error}); is it an OpenAI-compatible endpoint?") from error
        if not isinstance(content, str):
            raise FeatureError(f"{url} answered without text")
        return content


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def question(feature: Feature) -> str:
    """The prompt: instruction, marked examples, promoted tokens."""
    record = feature.known()
    lines = [_marked(feature, example, record.maximum) for example in (*record.top, *record.sample)[:_EXAMPLES]]
    promoted = ", ".join(json.dumps(token, ensure_ascii=False) for token in feature.promoted()["token"])
    return "\n".join([_INSTRUCTION, "", *lines, "", f"Tokens that become more likely: {promoted}"])


def _marked(feature: Feature, example: Any, maximum: float) -> str:
    vocabulary = feature.vocabulary
    out: list[str] = []
    at = 0
    for text, count in vocabulary.pieces(example.tokens.tolist()):
        activation = float(example.activation[at : at + count].max())
        at += count
        strength = round(_STRENGTHS * activation / maximum) if maximum > 0 else 0
        out.append(f"<<{text}>>({strength})" if strength > 0 else text)
    return f"- {json.dumps((' ' if vocabulary.spaced else '').join(out), ensure_ascii=False)}"
