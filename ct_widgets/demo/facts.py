"""The real facts of the demo's small world: athletes, United States geography, opposites in three languages."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Any, NamedTuple


class State(NamedTuple):
    """One of the United States: its capital and some cities that are not the capital."""

    name: str
    capital: str
    cities: tuple[str, ...]


def _read(name: str) -> dict[str, Any]:
    return json.loads((resources.files("ct_widgets.demo") / "data" / f"{name}.json").read_text(encoding="utf-8"))


@cache
def athletes() -> dict[str, str]:
    """The sport of every athlete."""
    return {name: sport for sport, names in _read("athletes").items() for name in names}


@cache
def states() -> tuple[State, ...]:
    """The fifty states; a city's name occurs once in the whole list."""
    return tuple(State(name, entry["capital"], tuple(entry["cities"])) for name, entry in _read("states").items())


@cache
def opposites() -> dict[str, dict[str, str]]:
    """For every language, the opposite of each word (both directions)."""
    return {
        language: {word: other for a, b in pairs for word, other in ((a, b), (b, a))}
        for language, pairs in _read("opposites").items()
    }
