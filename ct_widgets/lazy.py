"""Names of a package that load when first used (PEP 562), so that importing it loads neither torch nor a widget."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import Any


def lazy(package: str, modules: Mapping[str, Iterable[str]]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return `__getattr__` and `__dir__` of `package`; `modules` says which names each of its modules defines.

    >>> __getattr__, __dir__ = lazy(__name__, {"graph_widget": ("GraphWidget",)})
    """
    names = vars(sys.modules[package])
    homes = {name: module for module, defined in modules.items() for name in defined}

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}; it has {', '.join(sorted(homes))}")
        names[name] = getattr(import_module(f"{package}.{homes[name]}"), name)
        return names[name]

    return get, lambda: sorted({*names, *homes})
