"""Labels of features: text, where it comes from, and for a language model's labels what was asked and answered."""

from __future__ import annotations

import json
from collections.abc import Iterator, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast, get_args

from ct_widgets import atomic
from ct_widgets.errors import FeatureError, FileFormatError
from ct_widgets.feature_name import FeatureName

Origin = Literal["person", "model"]
VERSION = 1


@dataclass(frozen=True)
class Label:
    """A label. origin: a person, or a language model, whose name, prompt and answer are kept with it."""

    text: str
    origin: Origin = "person"
    model: str | None = None
    prompt: str | None = None
    answer: str | None = None


class Labels(MutableMapping[str, str]):
    """Labels by feature name; every change is written to disk at once, the whole file or nothing, unless not `keep`.

    >>> labels["L2/517"] = "sum = _5"
    >>> labels.entry("L2/517").origin
    'person'
    """

    def __init__(self, path: Path, n_features: Sequence[int], *, keep: bool = True) -> None:
        self._path = path
        self._keep = keep
        self._n_features = n_features
        self._entries = _read(path) if path.is_file() else {}

    def entry(self, name: str) -> Label | None:
        """Return the label with its origin, or None."""
        return self._entries.get(name)

    def entries(self) -> dict[str, Label]:
        """Return all labels with their origins."""
        return dict(self._entries)

    def set(self, name: str, label: Label) -> None:
        """Set a label with its origin. Raises FeatureError if the feature does not exist."""
        self.update_entries({name: label})

    def update_entries(self, labels: dict[str, Label]) -> None:
        """Set several labels in one write."""
        for name in labels:
            FeatureName.parse(name).check(self._n_features)
        self._entries |= labels
        self._write()

    def __getitem__(self, name: str) -> str:
        return self._entries[name].text

    def __setitem__(self, name: str, text: str) -> None:
        self.set(name, Label(str(text)))

    def __delitem__(self, name: str) -> None:
        del self._entries[name]
        self._write()

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def _write(self) -> None:
        if not self._keep:
            return
        entries = {
            name: {key: value for key, value in vars(label).items() if value is not None}
            for name, label in sorted(self._entries.items(), key=lambda item: FeatureName.parse(item[0]))
        }
        text = json.dumps({"version": VERSION, "labels": entries}, ensure_ascii=False, indent=1)
        atomic.write_bytes(self._path, (text + "\n").encode())


def _read(path: Path) -> dict[str, Label]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["version"] > VERSION:
            raise FileFormatError(f"{path} has version {content['version']}, this ct_widgets reads up to {VERSION}")
        return {name: _label(entry) for name, entry in content["labels"].items() if FeatureName.parse(name)}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, FileFormatError):
            raise
        raise FileFormatError(f"{path} is damaged ({error}); fix it or delete it to start without labels") from error


def _label(entry: Any) -> Label:
    values = cast("dict[str, Any]", entry)
    known: dict[str, Any] = {key: str(values[key]) for key in Label.__dataclass_fields__ if key in values}
    label = Label(**known)
    if label.origin not in get_args(Origin):
        raise FeatureError(f"a label comes from one of {', '.join(get_args(Origin))}, not {label.origin!r}")
    return label
