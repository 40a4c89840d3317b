"""Parse advertisements whose values stand at fixed places, by the layouts that a file in `advertisers/` contains. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import Field, PrivateAttr, model_validator

from adapters.ble.advertisements.advertisement import Advertisement, address_bytes
from adapters.ble.advertisements.formats import Encoding, Format, decode
from adapters.ble.advertisements.metrics import Measured, measured, state
from adapters.ble.advertisements.parser import MalformedAdvertisement, ParsedAdvertisement
from adapters.ble.advertisements.special_formats import NotInPayload
from adapters.ble.advertisements.toml_types import Bytes, FrozenTable, Services
from adapters.ble.advertisements.value_layout import ValueLayout

Company: TypeAlias = Annotated[int, Field(ge=0, le=0xFFFF)]
"""A company id that the Bluetooth SIG has assigned."""


class LayoutValue(ValueLayout):
    """A value: its place in the data, its encoding and its metric."""

    metric: str = Field(min_length=1)
    unit: str | None = None
    company: Company | None = Field(
        default=None, description="the value is in the manufacturer data of this company; left out: in the data of the layout"
    )
    service_data: Services | None = Field(default=None, description="the value is in the data of one of these services")
    true: frozenset[int] = Field(default=frozenset(), description="the numbers that mean yes; all others mean no")

    _encoding: Encoding = PrivateAttr()

    def model_post_init(self, _context: object) -> None:
        """Create its encoding once."""
        self._encoding = self.encoding

    @model_validator(mode="after")
    def _is_yes_or_no_or_a_number(self) -> Self:
        if self.true and (self.values or self.unit):
            raise ValueError("`true` makes the value yes or no: it has neither `values` nor a `unit`")
        return self

    @model_validator(mode="after")
    def _is_in_one_place(self) -> Self:
        if self.company is not None and self.service_data is not None:
            raise ValueError("a value is in the data of a `company` or of a service (`service_data`), not of both")
        return self

    def payload(self, layout_payload: bytes, advertisement: Advertisement) -> bytes | None:
        """Return the data that contains the value, if the advertisement has it: not every one has that of other services."""
        if self.company is None and self.service_data is None:
            return layout_payload
        sent = [] if self.company is None else [advertisement.manufacturer_data.get(self.company)]
        sent += map(advertisement.service_data.get, self.service_data or ())
        return next((data for data in sent if data and data.startswith(self.starts_with)), None)

    def measured(self, payload: bytes) -> Measured | None:
        """Return the metric and the value in this payload; `None` for a metric that is left out everywhere.

        Raises:
            NotInPayload: the payload does not contain it.
        """
        value = decode(self._encoding, payload)
        if self.true and value is not None:
            value = value in self.true
        is_state = bool(self.true) or self.format is Format.BOOL or (self.bits is not None and self.bits[1] == 1)
        return state(self.metric, value) if is_state and not self.values else measured(self.metric, self.unit, value)


class OwnAddress(FrozenTable):
    """The place where the device repeats its own address, which tells such data from others of the same length."""

    at: int = Field(default=0, ge=0, le=255)
    byte_order: Literal["little", "big"] = "little"


class Layout(FrozenTable):
    """The layout of one model's data: the data of a service, or of a company."""

    model: str = Field(min_length=1)
    maker: str | None = None
    service_data: Services | None = Field(default=None, description="the values are in the data of one of these services")
    company: Company | None = Field(default=None, description="the values are in the manufacturer data of this company")
    lengths: frozenset[Annotated[int, Field(ge=1, le=255)]] = Field(min_length=1, description="the possible numbers of bytes")
    starts_with: Bytes = Field(default=b"", description="the first bytes")
    own_address: OwnAddress | None = None
    values: tuple[LayoutValue, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        if (self.service_data is None) == (self.company is None):
            raise ValueError("a layout has either `service_data` or `company`, where its values are")
        return self

    def payload(self, advertisement: Advertisement) -> bytes | None:
        """Return the data with the values, if the advertisement is one of this model."""
        return next((sent for sent in self._candidates(advertisement) if self._fits(sent, advertisement)), None)

    def measured(self, payload: bytes, advertisement: Advertisement) -> Iterator[Measured]:
        """Yield the values of the advertisement.

        Raises:
            NotInPayload: the data ends before a value does.
        """
        for value in self.values:
            sent = value.payload(payload, advertisement)
            if sent is not None and (found := value.measured(sent)) is not None:
                yield found

    def _candidates(self, advertisement: Advertisement) -> Iterator[bytes]:
        if self.company is not None:
            yield from filter(None, [advertisement.manufacturer_data.get(self.company)])
        yield from filter(None, map(advertisement.service_data.get, self.service_data or ()))

    def _fits(self, sent: bytes, advertisement: Advertisement) -> bool:
        return len(sent) in self.lengths and sent.startswith(self.starts_with) and self._names_its_sender(sent, advertisement)

    def _names_its_sender(self, sent: bytes, advertisement: Advertisement) -> bool:
        if self.own_address is None:
            return True
        address = sent[self.own_address.at :][:6]
        return address_bytes(advertisement.address) == (address if self.own_address.byte_order == "big" else address[::-1])


class LayoutParser:
    """The parser of a device whose model has one of these layouts."""

    def __init__(self, layouts: tuple[Layout, ...]) -> None:
        self._layouts = layouts

    def parse(self, advertisement: Advertisement, received_at: float) -> ParsedAdvertisement | None:
        """Return the values of the device, by the first layout that fits."""
        for layout in self._layouts:
            if (payload := layout.payload(advertisement)) is not None:
                return ParsedAdvertisement(
                    model=layout.model,
                    manufacturer=layout.maker,
                    name=advertisement.name,
                    measured=_values(layout, payload, advertisement),
                )
        return None


def _values(layout: Layout, payload: bytes, advertisement: Advertisement) -> list[Measured]:
    try:
        return list(layout.measured(payload, advertisement))
    except NotInPayload as error:
        raise MalformedAdvertisement(f"an advertisement of a {layout.model} lacks values: {error}") from error
