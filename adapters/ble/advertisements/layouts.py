"""Parse advertisements whose values stand at fixed places, by the layouts that a file in `advertisers/` contains. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from adapters.ble.advertisements.advertisement import Advertisement, address_bytes
from adapters.ble.advertisements.formats import decode
from adapters.ble.advertisements.layout_values import Companies, Condition, LayoutValue
from adapters.ble.advertisements.metrics import Measured
from adapters.ble.advertisements.parser import MalformedAdvertisement, ParsedAdvertisement
from adapters.ble.advertisements.sequences import Sequence
from adapters.ble.advertisements.signatures import SignatureCheck
from adapters.ble.advertisements.special_formats import NotInPayload
from adapters.ble.advertisements.toml_types import Bytes, FrozenTable, Services
from adapters.ble.advertisements.value_layout import ValueLayout
from gateway.adapter import table_check

WRONG_KEY = "the right bind key: the configured one does not fit"


class OwnAddress(FrozenTable):
    """The place where the device repeats its own address, which tells such data from others of the same length."""

    at: int = Field(default=0, ge=0, le=255)
    byte_order: Literal["little", "big"] = "little"


class Layout(FrozenTable):
    """The layout of one model's data: the data of a service, or of a company."""

    model: str = Field(min_length=1)
    maker: str | None = None
    service_data: Services | None = Field(default=None, description="the values are in the data of one of these services")
    company: Companies = Field(
        default=(), description="the values are in the manufacturer data of this company, or of one of several"
    )
    name: str = Field(default="", description="the beginning of its advertised name, ignoring case")
    address: Bytes = Field(default=b"", description="the first bytes of its address, where its maker numbers models by them")
    lengths: frozenset[Annotated[int, Field(ge=1, le=255)]] = Field(
        default=frozenset(), description="the possible numbers of bytes; left out: any, for data with a `sequence` only"
    )
    starts_with: Bytes = Field(default=b"", description="the first bytes")
    only_if: tuple[Condition, ...] = Field(default=(), description="what some bits of the data have to be: all of this")
    own_address: OwnAddress | None = None
    signature: Literal["enocean"] | None = Field(
        default=None, description="the last bytes show, with the device's key, that the data is its own and new"
    )
    serial_number: ValueLayout | None = Field(default=None, description="where its serial number is: a text")
    firmware_version: ValueLayout | None = Field(default=None, description="where its firmware version is: a text")
    values: tuple[LayoutValue, ...] = ()
    sequence: Sequence | None = Field(default=None, description="fields whose places depend on those before them")

    @table_check
    def _has_one_source(self) -> Iterator[str]:
        if (self.service_data is None) == (not self.company):
            yield "a layout has either `service_data` or `company`, where its values are"
        if not self.values and self.sequence is None:
            yield "a layout has `values`, a `sequence` of fields, or both"
        if self.signature is not None and len(self.company) != 1:
            yield "a `signature` is one of manufacturer data: the layout has a `company`"
        if not self.lengths and self.sequence is None:
            yield "a layout without a `sequence` has `lengths`, the possible numbers of bytes"

    def payload(self, advertisement: Advertisement) -> bytes | None:
        """Return the data with the values, if the advertisement is one of this model."""
        return next((sent for sent in self._candidates(advertisement) if self._fits(sent, advertisement)), None)

    def measured(self, payload: bytes, advertisement: Advertisement) -> Iterator[Measured]:
        """Yield the values and events of the advertisement.

        Raises:
            NotInPayload: the data ends before a value does.
        """
        for value in self.values:
            sent = value.payload(payload, advertisement)
            if sent is not None and (found := value.measured(sent)) is not None:
                yield found
        for field, part in () if self.sequence is None else self.sequence.found(payload):
            yield from filter(None, (value.measured(part) for value in field.values))

    def text(self, place: ValueLayout | None, payload: bytes) -> str | None:
        """Return the text at this place of the data, if there is one.

        Raises:
            NotInPayload: the data ends before the text does.
        """
        found = None if place is None else decode(place.encoding, payload)
        return None if found is None else str(found)

    def _candidates(self, advertisement: Advertisement) -> Iterator[bytes]:
        yield from filter(None, map(advertisement.manufacturer_data.get, self.company))
        yield from filter(None, map(advertisement.service_data.get, self.service_data or ()))

    def _fits(self, sent: bytes, advertisement: Advertisement) -> bool:
        return (
            (not self.lengths or len(sent) in self.lengths)
            and sent.startswith(self.starts_with)
            and all(condition.is_met(sent) for condition in self.only_if)
            and (advertisement.name or "").lower().startswith(self.name.lower())
            and (not self.address or address_bytes(advertisement.address).startswith(self.address))
            and self._names_its_sender(sent, advertisement)
        )

    def _names_its_sender(self, sent: bytes, advertisement: Advertisement) -> bool:
        if self.own_address is None:
            return True
        address = sent[self.own_address.at :][:6]
        return address_bytes(advertisement.address) == (address if self.own_address.byte_order == "big" else address[::-1])


class LayoutParser:
    """The parser of a device whose model has one of these layouts.

    Args:
        layouts: the layouts, of which the first that fits counts.
        key: the key of the device, for layouts with a signature.
    """

    def __init__(self, layouts: tuple[Layout, ...], key: bytes | None = None) -> None:
        self._layouts = layouts
        self._signatures = None if key is None else SignatureCheck(key)

    def parse(self, advertisement: Advertisement, received_at: float) -> ParsedAdvertisement | None:
        """Return the values of the device, by the first layout that fits."""
        for layout in self._layouts:
            if (payload := layout.payload(advertisement)) is not None:
                return self._parsed(layout, payload, advertisement)
        return None

    def _parsed(self, layout: Layout, payload: bytes, advertisement: Advertisement) -> ParsedAdvertisement:
        if layout.signature is not None and self._signatures is not None:
            try:
                self._signatures.check(advertisement.address, layout.company[0], payload)
            except MalformedAdvertisement:
                if self._signatures.has_fitted:
                    raise
                return ParsedAdvertisement(
                    model=layout.model, manufacturer=layout.maker, name=advertisement.name, needs=(WRONG_KEY,)
                )
        try:
            found = list(layout.measured(payload, advertisement))
            serial_number, firmware = (layout.text(at, payload) for at in (layout.serial_number, layout.firmware_version))
        except NotInPayload as error:
            raise MalformedAdvertisement(f"an advertisement of a {layout.model} lacks values: {error}") from error
        return ParsedAdvertisement(
            model=layout.model,
            manufacturer=layout.maker,
            name=advertisement.name,
            serial_number=serial_number,
            firmware_version=firmware,
            measured=[one for one in found if not one[0].is_event],
            events=[one for one in found if one[0].is_event],
        )
