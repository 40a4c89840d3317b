"""Which devices a parser understands, as data: the grammar of a file in `advertisers/`. Nothing here waits.

A file names a parser, when an advertisement may be of a device that it knows, and what has to be said in other words. Matching
too much does no harm: the parser itself decides. The parser is the class of a library that is loaded only when such a device is
met, or one of ours.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Self, TypeAlias

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from adapters.ble.advertisements.advertisement import Advertisement, full_uuid

OURS = Path(__file__).parents[1] / "advertisers"
"""The folder of the files that come with the gateway."""

Uuid: TypeAlias = Annotated[str, AfterValidator(full_uuid)]
"""A uuid of 4, 8 or 32 digits; kept in its full form."""

HexBytes: TypeAlias = Annotated[
    bytes, BeforeValidator(lambda digits: bytes.fromhex(digits) if isinstance(digits, str) else digits)
]
"""Bytes, written as hexadecimal digits."""


def _regex(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is not a regular expression: {error}") from error


Pattern: TypeAlias = Annotated[re.Pattern[str], BeforeValidator(_regex)]
"""A regular expression that must match a whole text."""


class AdvertiserError(ValueError):
    """A file about advertisers cannot be used; the text names the file, the key and what would be right."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class AdvertiserSource(_Part):
    """Where the facts come from."""

    document: str = Field(min_length=3, description="what describes these advertisements")
    section: str = Field(min_length=1, description="where in it")
    checked_against: tuple[Annotated[str, Field(min_length=3)], ...] = Field(
        min_length=1, description="public implementations and published captures that agree, with versions"
    )


class Match(_Part):
    """One way in which such a device may advertise: all that is said must be true."""

    company: tuple[Annotated[int, Field(ge=0, le=0xFFFF)], ...] = Field(
        default=(), description="its manufacturer data has one of these company ids"
    )
    starts_with: HexBytes = Field(default=b"", description="with which that manufacturer data starts, in hexadecimal digits")
    length: int | None = Field(default=None, ge=0, le=255, description="how many bytes some manufacturer data has")
    service_data: Uuid | None = Field(default=None, description="it has data of this service")
    service: Uuid | None = Field(default=None, description="it names this service")
    name: str = Field(default="", description="how its name starts, in any case")

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not (self.company or self.service_data or self.service or self.name or self.length is not None):
            raise ValueError("a match without a condition would match every device")
        if self.starts_with and not self.company:
            raise ValueError("`starts_with` is said of the data of a `company`")
        return self

    def holds(self, heard: Advertisement) -> bool:
        """Return whether this advertisement may be of such a device."""
        return (
            (not self.company or any(self._begins(heard.manufacturer_data.get(company)) for company in self.company))
            and (self.length is None or any(len(sent) == self.length for sent in heard.manufacturer_data.values()))
            and (self.service_data is None or self.service_data in heard.service_data)
            and (self.service is None or self.service in heard.service_uuids)
            and (not self.name or (heard.name or "").lower().startswith(self.name.lower()))
        )

    def _begins(self, sent: bytes | None) -> bool:
        return sent is not None and sent.startswith(self.starts_with)

    @property
    def weight(self) -> int:
        """How much it says, in bytes compared: of two that hold, the heavier one is asked first."""
        compared = len(self.starts_with) + len(self.name)
        return compared + 2 * sum(map(bool, (self.company, self.service_data, self.service))) + (self.length is not None)


class Advertiser(_Part):
    """The devices that one parser understands."""

    name: str = Field(pattern=r"[a-z0-9-]+", description="what they are called here: the name of the file")
    title: str = Field(min_length=3, description="what they are, for a person")
    module: str = Field(pattern=r"[A-Za-z_][\w.]*", description="the Python module of the parser")
    parser: str = Field(pattern=r"[A-Za-z_]\w*", description="its class")
    package: str | None = Field(default=None, description="what has to be installed for it; left out where the parser is ours")
    is_generic: bool = Field(
        default=False, description="it knows a format that devices of any maker send along: asked after those who know the device"
    )
    family: str = Field(description="what they are, where nothing else tells")
    families: dict[str, str] = Field(
        default_factory=dict,
        description="a word in the model or name, in lower case, and what such a device is; the first counts",
    )
    by_measure: bool = Field(
        default=False, description="many kinds of device: what one measures tells its family, before `family`"
    )
    models: dict[str, str] = Field(default_factory=dict, description="what the parser calls a model, and what it is called")
    model: str = Field(default="{model}", description="the model, where the parser's word alone would not be understood")
    model_names: Pattern | None = Field(default=None, description="advertised names that are the maker's model number")
    protocol: Pattern | None = Field(default=None, description="what the parser gives as firmware, but is a name of the protocol")
    bind_key_bytes: frozenset[int] = Field(default=frozenset(), description="how long the key may be, where it sends encrypted")
    needs_connection: Pattern | None = Field(default=None, description="models that say more when they are connected to")
    rename: dict[str, str] = Field(default_factory=dict, description="values that the parser calls misleadingly, and their names")
    source: AdvertiserSource
    match: tuple[Match, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _model_is_named(self) -> Self:
        if "{model}" not in self.model:
            raise ValueError("`model` has {model} in it, in whose place comes what the parser says")
        return self

    def model_of(self, told: str) -> str:
        """Return the model, where this is what the parser calls it."""
        return self.model.replace("{model}", self.models.get(told, told))


def parse(text: str, file: Path) -> Advertiser:
    """Return what this text says.

    Raises:
        AdvertiserError: the text is no TOML or says no such thing; `file` is named in the error.
    """
    try:
        advertiser = Advertiser.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise AdvertiserError(f"{file}: {error}") from error
    except ValidationError as error:
        raise AdvertiserError(
            "\n".join(f"{file}: {_told(problem['loc'], problem['msg'])}" for problem in error.errors())
        ) from error
    if advertiser.name != file.stem:
        raise AdvertiserError(f"{file}: it is called {advertiser.name!r} inside; name and file must agree")
    return advertiser


def load(folders: Iterable[Path] = (OURS,)) -> list[Advertiser]:
    """Return all advertisers of these folders; one of a later folder replaces its namesake.

    Raises:
        AdvertiserError: a folder cannot be read, or a file in it is wrong.
    """
    found: dict[str, Advertiser] = {}
    for folder in folders:
        if not folder.is_dir():
            raise AdvertiserError(f"{folder}: there is no such folder")
        for file in sorted(folder.glob("*.toml")):
            found[file.stem] = parse(file.read_text(encoding="utf-8"), file)
    return list(found.values())


def _told(where: Iterable[int | str], message: str) -> str:
    return ": ".join(filter(None, [".".join(map(str, where)), message.removeprefix("Value error, ")]))
