"""Declare the checks between the keys of a table of a profile, and run them all even where one has found a mistake. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationInfo, model_validator

TableT = TypeVar("TableT", bound=BaseModel)

_STUMBLES = (ArithmeticError, AttributeError, LookupError, TypeError, StopIteration)
"""What a check raises where it relies on another one that has found a mistake."""


@dataclass(slots=True)
class FoundMistakes:
    """The context of a validation in which no check ends it: what the checks have found."""

    by_check: list[tuple[BaseModel, ValueError | str]] = field(default_factory=list)
    """The table that was checked, and what is wrong with it."""

    def run(self, check: Callable[[Any], Iterator[str] | object], table: BaseModel) -> None:
        """Run one check, and keep what it finds."""
        try:
            for wrong in _told_by(check, table):
                self.by_check.append((table, wrong))  # one by one: a check may raise after it has told something
        except ValueError as error:
            self.by_check.append((table, error))
        except _STUMBLES:
            if not self.by_check:
                raise


def table_check(check: Callable[[TableT], Iterator[str] | object]) -> Any:  # noqa: ANN401 - what pydantic makes of a validator
    """Make a method of a table a check between its keys, which runs when each key is right by itself.

    The method yields what is wrong, or raises `ValueError` with it; what it returns does not matter. All checks of a file are
    run, so that a person sees all mistakes at once; a check may stumble over what another one has found.
    """

    def run(table: TableT, info: ValidationInfo) -> TableT:
        if isinstance(info.context, FoundMistakes):
            info.context.run(check, table)
        elif wrong := list(_told_by(check, table)):
            raise ValueError("\n".join(wrong))
        return table

    run.__doc__ = check.__doc__
    return model_validator(mode="after")(run)


def _told_by(check: Callable[[Any], Iterator[str] | object], table: BaseModel) -> Iterator[str]:
    told = check(table)
    if isinstance(told, Iterator):
        yield from told
