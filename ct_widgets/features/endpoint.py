"""A language model behind any OpenAI-compatible endpoint, by the standard library alone."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from ct_widgets.errors import FeatureError


@dataclass(frozen=True)
class Endpoint:
    """A language model that answers a prompt.

    url: the endpoint up to and with its version, such as "http://localhost:11434/v1"; model: by its name there;
    key: sent as a bearer token if given; timeout: seconds to wait for an answer.

    >>> Endpoint("http://localhost:11434/v1", "llama3.2")("Which is larger, 2 or 3?")

    Raises FeatureError if the endpoint cannot be reached or answers something else.
    """

    url: str
    model: str
    key: str | None = field(default=None, repr=False)
    timeout: float = 60.0

    def __post_init__(self) -> None:
        if urlsplit(self.url).scheme not in ("http", "https"):
            raise FeatureError(f"{self.url!r} is not an endpoint; pass one such as http://localhost:11434/v1")

    def __call__(self, prompt: str) -> str:
        """Return the model's answer to a prompt."""
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
