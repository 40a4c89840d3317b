"""Define the conditions by which a profile recognizes a device's advertisements. Pure."""

from __future__ import annotations

import re

from pydantic import Field, PrivateAttr, field_validator

from adapters.ble.advertisements.advertisement import Advertisement, short_uuid
from adapters.ble.advertisements.toml_types import Bytes, FrozenTable, Uuid
from gateway.adapter import table_check


class DataCondition(FrozenTable):
    """A condition on the manufacturer data or service data of an advertisement."""

    company: int | None = Field(default=None, ge=0, le=0xFFFF, description="company id of the manufacturer data")
    service: Uuid | None = Field(default=None, description="service of the service data")
    at: int = Field(default=0, ge=0, le=254)
    starts_with: Bytes = Field(default=b"", description="the bytes from `at` on, as `5b05`")

    @table_check
    def _has_company_or_service(self) -> None:
        if (self.company is None) == (self.service is None):
            raise ValueError("data needs either its `company` or its `service`")

    def __str__(self) -> str:
        """Return it in words: `data of service fe95 with 5b05 at 2`."""
        source = f"company {self.company:#06x}" if self.company is not None else f"service {short_uuid(self.service or '')}"
        content = f" with {self.starts_with.hex()} at {self.at}" if self.starts_with else ""
        return f"data of {source}{content}"

    def data_in(self, advertisement: Advertisement) -> bytes | None:
        """Return the data of that company or service; `None` when the advertisement contains none."""
        if self.company is not None:
            return advertisement.manufacturer_data.get(self.company)
        return advertisement.service_data.get(self.service or "")

    def fits(self, advertisement: Advertisement) -> bool:
        """Return whether the advertisement contains such data."""
        data = self.data_in(advertisement)
        return data is not None and data.startswith(self.starts_with, self.at)


class MatchRule(FrozenTable):
    """Conditions that the advertisement of a device meets: all of them."""

    name: str | None = Field(default=None, min_length=1, description="regular expression for the whole name, ignoring case")
    services: tuple[Uuid, ...] = Field(default=(), description="services that are advertised, all of them")
    data: tuple[DataCondition, ...] = Field(default=(), description="manufacturer or service data, all of them")

    _pattern: re.Pattern[str] | None = PrivateAttr(default=None)

    @field_validator("name")
    @classmethod
    def _is_pattern(cls, name: str | None) -> str | None:
        try:
            re.compile(name or "")
        except re.error as error:
            raise ValueError(f"{name!r} is not a regular expression: {error}") from error
        return name

    @table_check
    def _has_a_condition(self) -> None:
        if not (self.name or self.services or self.data):
            raise ValueError("a match without a condition would match every device")

    def model_post_init(self, _context: object) -> None:
        """Compile the name's expression once: it is tried for every new device."""
        if self.name is not None:
            self._pattern = re.compile(self.name, re.IGNORECASE)

    @property
    def is_certain(self) -> bool:
        """Whether it requires more than a name, which anybody can give a device."""
        return bool(self.services or self.data)

    @property
    def weight(self) -> int:
        """The number of conditions: of two rules that fit, the one with more conditions fits better."""
        return 2 * len(self.services) + sum(2 + len(one.starts_with) for one in self.data) + (self.name is not None)

    def fits(self, advertisement: Advertisement) -> bool:
        """Return whether the advertisement meets all conditions."""
        if self._pattern is not None and not self._pattern.fullmatch(advertisement.name or ""):
            return False
        advertised = advertisement.service_uuids
        return all(one in advertised for one in self.services) and all(one.fits(advertisement) for one in self.data)

    def evidence(self, advertisement: Advertisement) -> dict[str, str]:
        """Return what was examined -> what the device advertises, for a person in doubt."""
        found = {"name": advertisement.name or ""} if self.name is not None else {}
        found |= {f"service {short_uuid(service)}": "advertised" for service in self.services}
        return found | {str(condition): (condition.data_in(advertisement) or b"").hex() for condition in self.data}
