"""Keep what became of an action on several devices at once, in memory, for the page that shows it. Pure."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from gateway.status.languages.texts import gettext as _

MOST_KEPT: Final = 50
"""How many results are kept, those of the latest actions."""
MOST_AT_ONCE: Final = 100
"""How many devices one action takes: as many as a page of a list has."""
MOST_DIGITS: Final = 9
"""How many digits the number in a new name has at most."""
_PLACEHOLDER: Final = re.compile(r"\{[^{}]*\}")


class SeveralAction(StrEnum):
    """What can be done with several devices at once."""

    ADMIT = "admit"
    IGNORE = "ignore"
    READ = "read"
    IDENTIFY = "identify"
    RETIRE = "retire"
    RETIRE_HERE = "retire_here"
    """Retire, and leave the device in the cloud."""

    @property
    def needs_confirmation(self) -> bool:
        """Whether a person is asked again, and needs the right to administer: it costs something that does not come back."""
        return self in (SeveralAction.RETIRE, SeveralAction.RETIRE_HERE)


class SeveralForm(StrEnum):
    """What can be done with several devices after a form of its own was filled in."""

    COMMAND = "command"
    RENAME = "rename"

    @property
    def needs_confirmation(self) -> bool:
        """Whether a person is asked again whatever is done; of commands, the dangerous ones are."""
        return False


@dataclass(frozen=True, slots=True)
class SeveralRow:
    """One device of an action."""

    key: str
    name: str
    problem: str | None
    """Why it failed; `None` when it succeeded, or has begun."""
    request_id: str = ""
    """Of a command: what stands for it among the commands."""


@dataclass(frozen=True, slots=True)
class SeveralResult:
    """What became of an action on several devices."""

    action: SeveralAction | SeveralForm
    rows: Sequence[SeveralRow]
    at: datetime = field(default_factory=lambda: datetime.now(UTC))


class SeveralResults:
    """The results of the last actions."""

    def __init__(self) -> None:
        self._results: OrderedDict[str, SeveralResult] = OrderedDict()

    def add(self, result: SeveralResult) -> str:
        """Keep a result, and return the word that stands for it in addresses."""
        word = secrets.token_urlsafe(9)
        self._results[word] = result
        while len(self._results) > MOST_KEPT:
            self._results.popitem(last=False)
        return word

    def get(self, word: str) -> SeveralResult | None:
        """Return a result, `None` when it is not kept any more."""
        return self._results.get(word)


def short_word(key: str) -> str:
    """Return a short word for a device in a form, so that a hundred of them fit into a request."""
    return hashlib.blake2s(key.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def numbered_names(pattern: str, first: str, names: Sequence[str]) -> list[str]:
    """Return a new name for each device: the pattern with `{n}` counted up from `first`, and `{name}` as it is called now.

    A first number with zeros, `01`, gives all of them as many digits.

    Raises:
        ValueError: several devices would get the same name, the pattern has another placeholder, or the first number is none.
    """
    if not first.isascii() or not first.isdigit():
        raise ValueError(_("The first number has to be a whole number."))
    if len(first) > MOST_DIGITS:
        raise ValueError(_("The first number may have nine digits at most."))
    if set(_PLACEHOLDER.findall(pattern)) - {"{n}", "{name}"}:
        raise ValueError(_("There are only {n} for the number and {name} for the present name; write no other braces."))
    if len(names) > 1 and "{n}" not in pattern:
        raise ValueError(_("The names would all be the same: {n} for the number is missing."))
    numbers = (f"{int(first) + place:0{len(first)}}" for place in range(len(names)))
    return [pattern.replace("{name}", name).replace("{n}", number) for number, name in zip(numbers, names, strict=True)]


def chosen(words: Sequence[str], keys: Mapping[str, str]) -> list[str]:
    """Return the keys of these words, each once and in the order of the words; those that are not there (any more) are left out.

    Args:
        words: what a form has.
        keys: the name of each device, by its key.
    """
    by_word = {short_word(key): key for key in keys}
    return list(dict.fromkeys(by_word[word] for word in words if word in by_word))
