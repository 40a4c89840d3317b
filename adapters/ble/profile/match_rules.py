"""By what it advertises a device is known: the conditions of a profile. Nothing here waits."""

from __future__ import annotations

import re
from typing import Self

from pydantic import Field, PrivateAttr, field_validator, model_validator

from adapters.ble.advertisements.advertisement import Advertisement
from adapters.ble.profile.toml_types import Bytes, Part, Uuid, short_uuid


class DataCondition(Part):
    """What the manufacturer data or service data of an advertisement must be."""

    company: int | None = Field(default=None, ge=0, le=0xFFFF, description="company id of manufacturer data")
    service: Uuid | None = Field(default=None, description="service of service data")
    at: int = Field(default=0, ge=0, le=254)
    starts_with: Bytes = Field(default=b"", description="the bytes from `at` on, as `5b05`")

    @model_validator(mode="after")
    def _says_whose(self) -> Self:
        if (self.company is None) == (self.service is None):
            raise ValueError("data is said by either its `company` or its `service`")
        return self

    def __str__(self) -> str:
        """Return it as people say it: `data of service fe95 with 5b05 at 2`."""
        whose = f"company {self.company:#06x}" if self.company is not None else f"service {short_uuid(self.service or '')}"
        what = f" with {self.starts_with.hex()} at {self.at}" if self.starts_with else ""
        return f"data of {whose}{what}"

    def carried(self, advertisement: Advertisement) -> bytes | None:
        """Return the data of that company or service; `None` when the advertisement carries none."""
        if self.company is not None:
            return advertisement.manufacturer_data.get(self.company)
        return advertisement.service_data.get(self.service or "")

    def fits(self, advertisement: Advertisement) -> bool:
        """Return whether the advertisement carries such data."""
        data = self.carried(advertisement)
        return data is not None and data.startswith(self.starts_with, self.at)


class Match(Part):
    """One way to know the device by what it advertises: all that is said must be true."""

    name: str | None = Field(default=None, min_length=1, description="regular expression for the whole name, ignoring case")
    services: tuple[Uuid, ...] = Field(default=(), description="services that are advertised, all of them")
    data: tuple[DataCondition, ...] = Field(default=(), description="manufacturer or service data that is there, all of them")

    _pattern: re.Pattern[str] | None = PrivateAttr(default=None)

    @field_validator("name")
    @classmethod
    def _is_pattern(cls, name: str | None) -> str | None:
        try:
            re.compile(name or "")
        except re.error as error:
            raise ValueError(f"{name!r} is not a regular expression: {error}") from error
        return name

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not (self.name or self.services or self.data):
            raise ValueError("a match without a condition would match every device")
        return self

    def model_post_init(self, _context: object) -> None:
        """Compile the name's expression once: it is tried for every new device around."""
        if self.name is not None:
            self._pattern = re.compile(self.name, re.IGNORECASE)

    @property
    def is_certain(self) -> bool:
        """Whether it rests on more than a name, which anybody can give a device."""
        return bool(self.services or self.data)

    @property
    def weight(self) -> int:
        """How much it asks for: of two that fit, the one that asks for more knows the device better."""
        return 2 * len(self.services) + sum(2 + len(one.starts_with) for one in self.data) + (self.name is not None)

    def fits(self, advertisement: Advertisement) -> bool:
        """Return whether the advertisement shows all that is said."""
        if self._pattern is not None and not self._pattern.fullmatch(advertisement.name or ""):
            return False
        advertised = advertisement.service_uuids
        return all(one in advertised for one in self.services) and all(one.fits(advertisement) for one in self.data)

    def evidence(self, advertisement: Advertisement) -> dict[str, str]:
        """Return what was looked at -> what the device shows, for a person who doubts."""
        shown = {"name": advertisement.name or ""} if self.name is not None else {}
        shown |= {f"service {short_uuid(service)}": "advertised" for service in self.services}
        return shown | {str(condition): (condition.carried(advertisement) or b"").hex() for condition in self.data}
