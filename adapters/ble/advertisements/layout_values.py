"""Define a value in an advertisement: where it stands, on what it depends, what is done with its number, and its metric. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal, TypeAlias

from pydantic import BeforeValidator, Field, PrivateAttr

from adapters.ble.advertisements.advertisement import Advertisement
from adapters.ble.advertisements.formats import INTEGERS, Encoding, Format, decode, size_of
from adapters.ble.advertisements.metrics import Measured, event, measured, state
from adapters.ble.advertisements.special_formats import first_bytes
from adapters.ble.advertisements.toml_types import FrozenTable, Services
from adapters.ble.advertisements.value_layout import ValueLayout
from gateway.adapter import Value, table_check

Company: TypeAlias = Annotated[int, Field(ge=0, le=0xFFFF)]
"""A company id that the Bluetooth SIG has assigned."""

Companies: TypeAlias = Annotated[tuple[Company, ...], BeforeValidator(lambda one: [one] if isinstance(one, int) else one)]
"""One company id, or several of which the device uses one."""

_Numbers: TypeAlias = Annotated[
    frozenset[int], BeforeValidator(lambda one: [one] if isinstance(one, int) else one), Field(min_length=1)
]
"""One number, or several of which any will do."""


class Condition(FrozenTable):
    """A condition on some bits of a byte."""

    at: int = Field(default=0, ge=0, le=255, description="the offset of the byte")
    mask: int = Field(default=0xFF, ge=1, le=0xFF, description="its bits that are compared")
    equals: _Numbers = Field(description="what these bits are, the other bits being 0: a number, or a list of possible ones")

    def is_met(self, payload: bytes) -> bool:
        """Return whether the payload has such a byte."""
        return self.at < len(payload) and payload[self.at] & self.mask in self.equals


class Factor(FrozenTable):
    """A number in the same data by which a value is multiplied or divided: the range of a sensor, the pulses of a meter."""

    at: int = Field(ge=0, le=255)
    format: Literal[Format.UINT8, Format.UINT16, Format.UINT32] = Format.UINT8
    byte_order: Literal["little", "big"] = "little"
    bits: tuple[Annotated[int, Field(ge=0, le=31)], Annotated[int, Field(ge=1, le=32)]] | None = None
    values: Mapping[int, float] = Field(default_factory=dict, description="what a raw number stands for: `{ 0 = 100 }`")

    def read(self, payload: bytes) -> float:
        """Return the number.

        Raises:
            PayloadTooShort: the payload ends before it does.
        """
        raw = int.from_bytes(first_bytes(payload[self.at :], size_of(self.format)), self.byte_order)
        if self.bits is not None:
            raw = raw >> self.bits[0] & (1 << self.bits[1]) - 1
        return self.values.get(raw, raw)


class LayoutValue(ValueLayout):
    """A value: its place in the data, its encoding and its metric."""

    metric: str = Field(min_length=1)
    unit: str | None = None
    company: Company | None = Field(
        default=None, description="the value is in the manufacturer data of this company; left out: in the data of the layout"
    )
    service_data: Services | None = Field(default=None, description="the value is in the data of one of these services")
    only_if: tuple[Condition, ...] = Field(default=(), description="only data that meets all of this contains the value")
    true: frozenset[int] = Field(default=frozenset(), description="the numbers that mean yes; all others mean no")
    event: bool = Field(
        default=False, description="something that happened, like a press of a button: told once, by its `values`"
    )
    multiplied_by: Factor | None = None
    divided_by: Factor | None = None

    _encoding: Encoding = PrivateAttr()

    def model_post_init(self, _context: object) -> None:
        """Create its encoding once."""
        self._encoding = self.encoding

    @table_check
    def _is_yes_or_no_or_a_number(self) -> Iterator[str]:
        if self.true and (self.values or self.unit):
            yield "`true` makes the value yes or no: it has neither `values` nor a `unit`"
        if self.event and (self.true or self.unit or not self.values):
            yield "an `event` has `values`, the names of what happens, and neither `true` nor a `unit`"
        is_number = self.format in INTEGERS and not (self.values or self.true or self._is_one_bit)
        if (self.multiplied_by or self.divided_by) and not is_number:
            yield "`multiplied_by` and `divided_by` are for whole numbers"

    @table_check
    def _is_in_one_place(self) -> Iterator[str]:
        if self.company is not None and self.service_data is not None:
            yield "a value is in the data of a `company` or of a service (`service_data`), not of both"

    def payload(self, layout_payload: bytes, advertisement: Advertisement) -> bytes | None:
        """Return the data that contains the value, if the advertisement has it: not every one has that of other services."""
        if self.company is None and self.service_data is None:
            return layout_payload
        sent = [] if self.company is None else [advertisement.manufacturer_data.get(self.company)]
        sent += map(advertisement.service_data.get, self.service_data or ())
        return next((data for data in sent if data and data.startswith(self.starts_with)), None)

    def measured(self, payload: bytes) -> Measured | None:
        """Return the metric and the value in this payload; `None` for one that is left out, here or everywhere.

        Raises:
            NotInPayload: the payload does not contain it.
        """
        if not all(condition.is_met(payload) for condition in self.only_if):
            return None
        value = decode(self._encoding, payload)
        if self.event:
            return event(self.metric, value) if isinstance(value, str) else None
        if self.true and value is not None:
            value = value in self.true
        is_state = bool(self.true) or self.format is Format.BOOL or self._is_one_bit
        return (
            state(self.metric, value)
            if is_state and not self.values
            else measured(self.metric, self.unit, self._times(value, payload))
        )

    def _times(self, value: Value, payload: bytes) -> Value:
        """Return the value, multiplied and divided by what the payload says; `None` where that is a division by 0."""
        if isinstance(value, str | bool) or value is None:
            return value
        if self.multiplied_by is not None:
            value *= self.multiplied_by.read(payload)
        if self.divided_by is None:
            return value
        return value / divisor if (divisor := self.divided_by.read(payload)) else None
