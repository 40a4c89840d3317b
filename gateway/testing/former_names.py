"""Serve the names that a test tool had in an earlier release, each with a warning that says its present name. Pure."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any


def former_names(package: str, renamed: Mapping[str, type]) -> Callable[[str], Any]:
    """Return a `__getattr__` for a package: its former names with what they are called now."""

    def get(name: str) -> Any:  # noqa: ANN401 - as `__getattr__` of a module
        if name not in renamed:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        warnings.warn(f"{package}.{name} is called {renamed[name].__name__} now", DeprecationWarning, stacklevel=2)
        return renamed[name]

    return get
