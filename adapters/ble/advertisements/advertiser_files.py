"""Read the files in `advertisers/`, which describe the devices that a parser supports. Pure.

A file contains the parser, the conditions of an advertisement that the parser may know, and the names that have to be replaced.
Conditions may match too much: the parser itself decides. The parser is the class of a library, which is imported only when such
a device is received, one of the gateway's own, or the layouts that the file itself contains.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Final, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from adapters.ble.advertisements.advertisement import Advertisement
from adapters.ble.advertisements.layouts import Layout
from adapters.ble.advertisements.toml_types import Bytes, Uuid
from gateway.adapter import ProfileFiles, table_check

BUILT_IN = Path(__file__).parents[1] / "advertisers"
"""The folder of the files that come with the gateway."""


def _regex(pattern: object) -> re.Pattern[str]:
    if not isinstance(pattern, str):
        raise ValueError("a regular expression is a text")  # noqa: TRY004 - pydantic reports only this one
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is not a regular expression: {error}") from error


Pattern: TypeAlias = Annotated[re.Pattern[str], BeforeValidator(_regex)]
"""A regular expression that has to match a whole text."""


class _FrozenTable(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class AdvertiserSource(_FrozenTable):
    """The sources of an advertiser file."""

    document: str = Field(min_length=3, description="the document that describes these advertisements")
    section: str = Field(min_length=1, description="the section of the document")
    checked_against: tuple[Annotated[str, Field(min_length=3)], ...] = Field(
        min_length=1, description="public implementations and published captures that agree, with versions"
    )
    differences: tuple[Annotated[str, Field(min_length=3)], ...] = Field(
        default=(), description="where they differ: who is right and why, one sentence each"
    )


class AdvertisementMatch(_FrozenTable):
    """Conditions that an advertisement of such a device meets: all of them."""

    company: tuple[Annotated[int, Field(ge=0, le=0xFFFF)], ...] = Field(
        default=(), description="its manufacturer data has one of these company ids"
    )
    starts_with: Bytes = Field(default=b"", description="the first bytes of that manufacturer data, in hexadecimal digits")
    length: int | None = Field(default=None, ge=0, le=255, description="the number of bytes of some manufacturer data")
    service_data: Uuid | None = Field(default=None, description="it contains data of this service")
    service: Uuid | None = Field(default=None, description="it contains this service")
    name: str = Field(default="", description="the beginning of its name, ignoring case")
    sends_flags: bool = Field(
        default=False, description="captures show that such a device sends the usual flags: a passive scan receives it by these"
    )

    @table_check
    def _has_a_condition(self) -> Iterator[str]:
        if not (self.company or self.service_data or self.service or self.name or self.length is not None):
            yield "a match without a condition would match every device"
        if self.starts_with and not self.company:
            yield "`starts_with` needs a `company`, whose data it describes"

    def fits(self, advertisement: Advertisement) -> bool:
        """Return whether this advertisement may be of such a device."""
        return (
            (not self.company or any(self._has_prefix(advertisement.manufacturer_data.get(company)) for company in self.company))
            and (self.length is None or any(len(data) == self.length for data in advertisement.manufacturer_data.values()))
            and (self.service_data is None or self.service_data in advertisement.service_data)
            and (self.service is None or self.service in advertisement.service_uuids)
            and (not self.name or (advertisement.name or "").lower().startswith(self.name.lower()))
        )

    def _has_prefix(self, data: bytes | None) -> bool:
        return data is not None and data.startswith(self.starts_with)

    @property
    def weight(self) -> int:
        """The number of bytes that it compares: of two matches that fit, the one with the higher weight is tried first."""
        compared = len(self.starts_with) + len(self.name)
        return compared + 2 * sum(map(bool, (self.company, self.service_data, self.service))) + (self.length is not None)


class Advertiser(_FrozenTable):
    """The devices that one parser supports."""

    name: str = Field(pattern=r"[a-z0-9-]+", description="the name of the file, without .toml")
    title: str = Field(min_length=3, description="the name of these devices, for a person")
    module: str | None = Field(default=None, pattern=r"[A-Za-z_][\w.]*", description="the Python module of the parser")
    parser: str | None = Field(default=None, pattern=r"[A-Za-z_]\w*", description="its class")
    layouts: tuple[Layout, ...] = Field(
        default=(), description="where the values of each model stand, instead of a parser: the first layout that fits counts"
    )
    package: str | None = Field(default=None, description="the package that contains it; none for a parser of the gateway")
    rank: int = Field(
        default=0,
        le=0,
        description="of the parsers that know a device, that with the highest rank decodes it, also if it is found later;"
        " below 0: a format that devices of any maker send along with their own",
    )
    family: str = Field(description="the family, where nothing else determines it")
    families: dict[str, str] = Field(
        default_factory=dict,
        description="a word in the model or name, in lower case -> the family; the first that occurs counts",
    )
    by_measure: bool = Field(
        default=False, description="many kinds of device: the metrics determine the family, before `family` does"
    )
    models: dict[str, str] = Field(default_factory=dict, description="the parser's name of a model -> the name of the model")
    model: str = Field(
        default="{model}", description="a text around the parser's {model}, where that alone would not be understood"
    )
    model_names: Pattern | None = Field(default=None, description="advertised names that are the maker's model number")
    protocol: Pattern | None = Field(
        default=None, description="what the parser returns as firmware although it is a name of the protocol"
    )
    bind_key_bytes: frozenset[int] = Field(
        default=frozenset(), description="the possible lengths of the key, for encrypted advertisements"
    )
    hex_key_argument: str | None = Field(
        default=None,
        description="the argument with the key, where the parser takes it in hexadecimal digits; left out: `bindkey`, bytes",
    )
    always_encrypted: bool = Field(default=False, description="without the right key, there is no value")
    needs_connection: Pattern | None = Field(default=None, description="models that offer more values over a connection")
    rename: dict[str, str] = Field(default_factory=dict, description="the parser's misleading name of a value -> its name")
    not_available: dict[str, frozenset[float]] = Field(
        default_factory=dict, description="the name of a value -> the numbers that mean that the device has none"
    )
    source: AdvertiserSource
    match: tuple[AdvertisementMatch, ...] = Field(min_length=1)

    @table_check
    def _has_model_placeholder(self) -> Iterator[str]:
        if "{model}" not in self.model:
            yield "`model` has to contain {model}, which the parser's model replaces"

    @table_check
    def _has_a_parser_or_layouts(self) -> Iterator[str]:
        if (self.module is None) != (self.parser is None) or (self.module is None) != bool(self.layouts):
            yield "an advertiser has either `module` and `parser`, or [[layouts]]"

    @property
    def is_generic(self) -> bool:
        """Whether it knows a format that devices of any maker send along: what such a device is, another parser may know."""
        return self.rank < 0

    def model_name(self, parser_model: str) -> str:
        """Return the name of the model for the parser's name of it."""
        return self.model.replace("{model}", self.models.get(parser_model, parser_model))


def parse(text: str, file: Path) -> Advertiser:
    """Return the advertiser that this text describes.

    Raises:
        ProfileError: the text is not TOML or does not describe an advertiser; the error tells all mistakes, with their lines.
    """
    return ADVERTISER_FILES.parse(text, file)


def load(folders: Iterable[Path] = (BUILT_IN,)) -> list[Advertiser]:
    """Return all advertisers of these folders; an advertiser of a later folder replaces an earlier one of the same name.

    Raises:
        ProfileError: a folder is missing, or files in it cannot be used.
    """
    return list(ADVERTISER_FILES.load(folders).values())


ADVERTISER_FILES: Final[ProfileFiles[Advertiser]] = ProfileFiles(Advertiser)
"""Reads the files of a folder; those that come with the gateway are in `BUILT_IN`."""
