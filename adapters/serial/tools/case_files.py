"""Read the case folder of a serial profile: the bytes that a device sends, and what the adapter must make of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar

from pydantic import AfterValidator, Field, StrictInt, StrictStr

from adapters.serial.framing.notation import escaped_text, hex_bytes, text_bytes
from adapters.serial.profile.profile import Profile
from adapters.serial.profile.protocol import Address
from gateway.adapter import (
    CaseDevice,
    CaseExpected,
    CaseTable,
    Confidence,
    Mistake,
    ProfileProblems,
    Value,
    case_values,
    read_case_files,
    table_check,
    unknown_name,
)


def _checked_text(written: str) -> str:
    text_bytes(written)
    return written


def _checked_digits(written: str) -> str:
    hex_bytes(written)
    return written


WrittenText = Annotated[StrictStr, AfterValidator(_checked_text)]
"""Bytes as a text, in the notation of a profile: `'PWR=1\\r'`."""

WrittenDigits = Annotated[StrictStr, AfterValidator(_checked_digits)]
"""Bytes as hexadecimal digits: `"AA 11 01"`."""

WrittenT = TypeVar("WrittenT", bound=str)


class _WithBytes(CaseTable, Generic[WrittenT]):
    """A table with bytes, which are written as those of the profile are."""

    @classmethod
    def model_parametrized_name(cls, params: tuple[Any, ...]) -> str:
        """Return the name of the table, which does not depend on how bytes are written."""
        return cls.__name__


class DeviceFile(CaseDevice, _WithBytes[WrittenT], Generic[WrittenT]):
    """`device.toml`."""

    address: StrictInt | StrictStr | None = Field(default=None, description="the address of the device, where it has one")
    answers: dict[WrittenT, WrittenT] = Field(
        default_factory=dict, description="each request, with its frame, and what the device sends then"
    )
    talks: tuple[WrittenT, ...] = Field(default=(), description="what the device sends unasked, in pieces of any length")


class FoundFacts(CaseTable):
    """The facts that an interview must report about the device: all of them."""

    manufacturer: str | None = None
    model: str | None = None
    sub_model: str | None = None
    serial_number: str | None = None
    firmware_version: str | None = None


class CaseCommand(_WithBytes[WrittenT], Generic[WrittenT]):
    """A command, the bytes that it sends, and what is made of the answers."""

    name: str
    parameters: dict[str, Any] = Field(default_factory=dict)
    sends: WrittenT = Field(description="the request, with its frame")
    obeyed: WrittenT | None = Field(default=None, description="the answer of a device that obeys; left out: none is expected")
    refused: WrittenT | None = Field(default=None, description="the answer of a device that refuses")
    reason: str | None = Field(default=None, description="words of the reason that a person reads after `refused`")
    shown: WrittenT | None = Field(default=None, description="the answer that proves the effect, when it is read back")
    not_shown: WrittenT | None = Field(default=None, description="the same answer where the command had no effect")

    @table_check
    def _has_both_of_a_pair(self) -> Iterator[str]:
        for one, other in (("refused", "reason"), ("shown", "not_shown")):
            if (getattr(self, one) is None) != (getattr(self, other) is None):
                there, missing = (one, other) if getattr(self, other) is None else (other, one)
                yield f"command `{self.name}`.{there}: needs `{missing}`, too"


class ExpectedFile(CaseExpected, _WithBytes[WrittenT], Generic[WrittenT]):
    """`expected.toml`."""

    confidence: Confidence = Field(description="how certain it is that the profile fits")
    facts: FoundFacts = FoundFacts()
    units: dict[str, str] = Field(default_factory=dict, description="the units of some readings")
    refused: dict[str, str] = Field(default_factory=dict, description="each refused query, and words of the reason")
    commands: tuple[CaseCommand[WrittenT], ...] = ()


@dataclass(frozen=True)
class Case:
    """A case folder: a device in memory, and what is expected of it."""

    profile: Profile
    origin: str
    configured: bool
    address: Address
    answers: Mapping[bytes, bytes]
    talks: bytes
    confidence: Confidence
    facts: Mapping[str, str]
    readings: Mapping[str, Value]
    units: Mapping[str, str]
    refused: Mapping[str, str]
    commands: tuple[CaseCommand[str], ...]

    def as_bytes(self, written: str) -> bytes:
        """Return the bytes of a text in the notation of the profile."""
        return _as_bytes(self.profile, written)

    def written(self, raw: bytes) -> str:
        """Return bytes in the notation of the profile."""
        return raw.hex(" ") if self.profile.notation == "binary" else escaped_text(raw)


def read_case(folder: Path, library: Mapping[str, Profile]) -> Case:
    """Return the case in a folder, whose parent has the name of the profile.

    Raises:
        ProfileProblems: there is no such profile, or a file is missing or has mistakes; the text lists those of both files.
    """
    name = folder.absolute().parent.name
    if name not in library:
        raise ProfileProblems(f"{folder}: {unknown_name('profile', name, library)}")
    profile = library[name]

    def check(content: dict[str, Any]) -> None:
        _check_names(content, profile)

    device: DeviceFile[str]
    expected: ExpectedFile[str]
    if profile.notation == "binary":
        device, expected = read_case_files(folder, DeviceFile[WrittenDigits], ExpectedFile[WrittenDigits], check)
    else:
        device, expected = read_case_files(folder, DeviceFile[WrittenText], ExpectedFile[WrittenText], check)
    return Case(
        profile=profile,
        origin=device.origin,
        configured=device.configured,
        address=device.address,
        answers={_as_bytes(profile, asked): _as_bytes(profile, answered) for asked, answered in device.answers.items()},
        talks=b"".join(_as_bytes(profile, said) for said in device.talks),
        confidence=expected.confidence,
        facts=expected.facts.model_dump(exclude_none=True),
        readings=case_values(expected.readings),
        units=expected.units,
        refused=expected.refused,
        commands=expected.commands,
    )


def _as_bytes(profile: Profile, written: str) -> bytes:
    return hex_bytes(written) if profile.notation == "binary" else text_bytes(written)


def _check_names(content: dict[str, Any], profile: Profile) -> None:
    """Check that the profile has the queries and commands that `expected.toml` names.

    Raises:
        Mistake: it has not.
    """
    refused, commands = content.get("refused"), content.get("commands")
    for query in refused if isinstance(refused, dict) else ():
        _check_name(("refused", query), "query", query, [one.name for one in profile.queries])
    for index, command in enumerate(commands if isinstance(commands, list) else ()):
        name = command.get("name") if isinstance(command, dict) else None
        if isinstance(name, str):
            _check_name(("commands", index, "name"), "command", name, [one.name for one in profile.commands])


def _check_name(where: tuple[int | str, ...], kind: str, name: str, known: Iterable[str]) -> None:
    names = list(known)
    if name not in names:
        raise Mistake(where, unknown_name(kind, name, names))
