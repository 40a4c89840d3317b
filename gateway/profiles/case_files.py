"""Read the two files of a case folder: what a device answers, and what its adapter must make of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr

from gateway.profiles.files import Content, ProfileError, ProfileFiles, as_they_are
from gateway.profiles.review import NO_VALUE
from gateway.profiles.schema import file_schema
from gateway.workbench import ProfileProblems

CaseValue: TypeAlias = StrictBool | StrictInt | StrictFloat | StrictStr
"""A value as a file has it; the text `NO_VALUE` stands for "no value"."""


class CaseTable(BaseModel):
    """A table in a file of a case folder."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class CaseDevice(CaseTable):
    """What `device.toml` of each adapter has; a grammar adds the answers of the device."""

    name: Literal["device"]
    origin: str = Field(min_length=4, description="where the words come from")
    configured: bool = Field(default=False, description="the device is named in the configuration: it does not identify itself")


class CaseExpected(CaseTable):
    """What `expected.toml` of each adapter has; a grammar adds facts and commands."""

    name: Literal["expected"]
    readings: dict[str, CaseValue] = Field(description=f'each metric and its value; "{NO_VALUE}" where there is none')


DeviceT = TypeVar("DeviceT", bound=CaseDevice)
ExpectedT = TypeVar("ExpectedT", bound=CaseExpected)
FileT = TypeVar("FileT", bound=BaseModel)


def case_schema(grammar: type[BaseModel]) -> Mapping[str, Any]:
    """Return the JSON Schema of a file of a case folder: its name is that of the file, and not written in it."""
    schema = file_schema(grammar)
    del schema["properties"]["name"]
    schema["required"] = [key for key in schema["required"] if key != "name"]
    return schema


def read_case_files(
    folder: Path,
    device: type[DeviceT],
    expected: type[ExpectedT],
    check: Callable[[Content], None] = as_they_are,
) -> tuple[DeviceT, ExpectedT]:
    """Return what the two files of a case folder say.

    Args:
        folder: the case folder.
        device: the grammar of `device.toml`.
        expected: the grammar of `expected.toml`.
        check: compares `expected.toml` with the profile before it is read, and raises `Mistake`.

    Raises:
        ProfileProblems: a file of it is missing or has mistakes; the text lists those of both files.
    """
    wrong: list[ProfileError] = []
    told = _read(folder / "device.toml", device, as_they_are, wrong)
    wanted = _read(folder / "expected.toml", expected, check, wrong)
    if told is None or wanted is None:
        problems = [problem for error in wrong for problem in error.problems]
        raise ProfileProblems("\n".join(map(str, wrong)), problems)
    return told, wanted


def case_values(written: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a case by name: `None` for `NO_VALUE`."""
    return {name: None if value == NO_VALUE else value for name, value in written.items()}


def _read(file: Path, grammar: type[FileT], check: Callable[[Content], None], wrong: list[ProfileError]) -> FileT | None:
    def complete(content: Content) -> None:
        content["name"] = file.stem
        check(content)

    try:
        return ProfileFiles(grammar, complete).read(file)
    except ProfileError as error:
        wrong.append(error)
        return None
