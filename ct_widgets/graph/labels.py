"""Labels of features from a mapping, from a file, or from an object that holds some, such as a feature store."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

from ct_widgets.errors import FileFormatError, GraphError
from ct_widgets.graph.node_id import LabelKey, as_label_key

SUFFIXES = (".json", ".csv")
_COLUMNS = ("feature", "label")


@runtime_checkable
class HasLabels(Protocol):
    """A feature store, or another graph."""

    @property
    def labels(self) -> Mapping[Any, str]:
        """Labels by feature, such as "L2/517", or by node id."""
        ...


Labels = Mapping[Any, str] | str | Path | HasLabels
"""Where labels come from: a mapping, a `.json` or `.csv` file, or an object with labels."""


def as_labels(source: Labels) -> dict[LabelKey, str]:
    """Read all labels in `source`.

    Raises GraphError for a key that is neither feature nor node, FileFormatError for a bad file.
    """
    if isinstance(source, str | Path):
        return _read(Path(source))
    found = source if isinstance(source, Mapping) else getattr(source, "labels", None)
    if not isinstance(found, Mapping):
        raise GraphError(
            f'{source!r} has no labels: expected a mapping such as {{"L2/517": "sum = _5"}}, '
            f"a file that ends in {' or '.join(SUFFIXES)}, or a feature store"
        )
    return {as_label_key(key): str(text) for key, text in cast("Mapping[Any, Any]", found).items()}


def _read(path: Path) -> dict[LabelKey, str]:
    """Labels in a file: a JSON object, or CSV with the columns feature and label."""
    readers = {".json": _from_json, ".csv": _from_csv}
    if path.suffix not in readers:
        raise FileFormatError(f"{path}: a file of labels ends in {' or '.join(SUFFIXES)}")
    try:
        return as_labels(readers[path.suffix](path.read_text(encoding="utf-8-sig")))
    except (ValueError, csv.Error) as error:  # our own errors are ValueErrors too
        raise FileFormatError(f"{path}: {error}") from error


def _from_json(text: str) -> dict[str, str]:
    value: Any = json.loads(text)
    if not isinstance(value, dict) or not all(
        isinstance(label, str) for label in cast("dict[str, Any]", value).values()
    ):
        raise FileFormatError('expected one object of text by feature, such as {"L2/517": "sum = _5"}')
    return cast("dict[str, str]", value)


def _from_csv(text: str) -> dict[str, str]:
    table = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    missing = [name for name in _COLUMNS if name not in (table.fieldnames or ())]
    if missing:
        raise FileFormatError(f"the first line must name the columns feature and label; it lacks {', '.join(missing)}")
    return {row["feature"]: row["label"] or "" for row in table}
