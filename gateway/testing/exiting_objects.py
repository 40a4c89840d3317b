"""Objects that end the process when they are looked at, as an adapter with a bug may return them."""

from __future__ import annotations

from typing import Any


class _ExitingClass(type):
    def __getattr__(cls, name: str) -> Any:  # noqa: ANN401 - it never returns
        raise SystemExit(9)


class Exiting(metaclass=_ExitingClass):
    """An object that ends the process when it or its class is asked for anything."""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - it never returns
        raise SystemExit(9)

    @property  # type: ignore[misc]  # that is the mistake
    def __class__(self) -> Any:  # noqa: ANN401 - it never returns
        """Exit; `isinstance` asks this."""
        raise SystemExit(9)

    def _exit(self, *_: object) -> Any:  # noqa: ANN401 - it never returns
        raise SystemExit(9)

    __str__ = __repr__ = __bool__ = __len__ = __iter__ = __hash__ = __float__ = __int__ = __index__ = __eq__ = _exit


class ExitingSequence(list[Any]):
    """A list that ends the process when it is read."""

    def __iter__(self) -> Any:  # noqa: ANN401 - it never returns
        raise SystemExit(9)

    def __len__(self) -> int:
        raise SystemExit(9)
