"""Define the points and commands of a profile file. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Annotated, TypeAlias

from pydantic import Field

from adapters.modbus.client.pdu import ADDRESSES, MAX_REGISTERS, Table
from adapters.modbus.profile.matching import StrictModel, ValueRule, check_end
from adapters.modbus.profile.points import FLOATS, NEAR_REGISTERS, NUMBER_FORMATS, TEXTS, PlacedPoint, ValueType, raw_limits
from adapters.modbus.profile.sunspec_layout import NO_MODELS, PlacedModel, SunSpecLayout
from gateway.adapter import (
    CommandTexts,
    Metric,
    MetricTexts,
    ParameterKind,
    ParameterSpec,
    PointFacts,
    Reduce,
    divisor,
    table_check,
)

NotAvailable: TypeAlias = Mapping[ValueType, frozenset[int]]
"""By type, the raw numbers that say that there is no value."""

NONE_DEFINED: NotAvailable = {}
"""The numbers of a maker who defines none."""

NOT_AVAILABLE: NotAvailable = {
    ValueType.INT16: frozenset({-0x8000}),
    ValueType.UINT16: frozenset({0xFFFF}),
    ValueType.INT32: frozenset({-0x80000000}),
    ValueType.UINT32: frozenset({0xFFFFFFFF}),
    ValueType.INT64: frozenset({-0x8000000000000000}),
    ValueType.UINT64: frozenset({0xFFFFFFFFFFFFFFFF}),
}
"""The numbers with which a SunSpec device marks a point as not implemented (SunSpec Device Information Model, types)."""


class SignRule(StrictModel):
    """The register that says whether a number is negative, of a device that tells amount and direction apart."""

    address: int = Field(ge=0, lt=ADDRESSES, description="0-based protocol address, in the table of the point")
    negative: int = Field(ge=0, le=0xFFFF, description="content with which the value is negative; with any other it is positive")


class Point(ValueRule, MetricTexts):
    """One metric: its location, its encoding and its poll group."""

    metric: str = Field(min_length=1)
    table: Table = Table.HOLDING
    address: int | None = Field(default=None, ge=0, lt=ADDRESSES, description="0-based protocol address")
    models: tuple[int, ...] = Field(
        default=(),
        description="SunSpec models that contain the point; the first that the device has is read; "
        "a second one with the same id gives `x_2`",
    )
    at: int | None = Field(default=None, ge=2, description="register within the SunSpec model, whose id is register 0")
    repeats: tuple[Annotated[int, Field(ge=2)], Annotated[int, Field(ge=1)]] | None = Field(
        default=None,
        description="[first register, how many] of a group that the SunSpec model repeats up to its end; `at` is in the first "
        "repetition, and each gives a metric of its own: `x_1`, `x_2`, ...",
    )
    scale: float = 1.0
    offset: float = 0.0
    scale_factor: int | None = Field(
        default=None, ge=0, lt=ADDRESSES, description="register with the power of ten; counted as `at` in a SunSpec model"
    )
    sign: SignRule | None = Field(
        default=None, description="where the sign of the number is; a sign that the number itself has does not count"
    )
    unit: str | None = None
    valid: tuple[float, float] | None = Field(
        default=None, description="[lowest, highest] raw number that is a value; any other says that there is none"
    )
    group: str = "normal"
    urgent: bool = False
    reduce: Reduce = Field(
        default=Reduce.LAST, description="which of the values within a telemetry interval is sent, or their mean"
    )

    def model_post_init(self, _context: object) -> None:
        """Check the name of the metric."""
        self._metric(self.metric)

    @table_check
    def _has_one_location(self) -> Iterator[str]:
        if (self.address is None) == (not self.models) or (self.at is None) != (not self.models):
            yield "a point has either an `address`, or `models` and `at`"
        if self.repeats is not None and not self.models:
            yield "`repeats` belongs to a point of SunSpec `models`"
        if self.table.holds_bits != (self.type is ValueType.BOOL):
            yield f"type bool belongs to coil and discrete, other types to registers, not {self.type} to {self.table}"
        start = self.address if self.address is not None else self.at or 0
        check_end(start, self.words)
        if self.repeats is not None and not self.repeats[0] <= start <= start + self.words <= sum(self.repeats):
            yield (f"its group begins at {self.repeats[0]} and ends before {sum(self.repeats)}, so `at` has to be in between")
        if self.scale_factor is not None and abs(self.scale_factor - start) + self.words > MAX_REGISTERS:
            yield f"its scale factor is so far away that one read of {MAX_REGISTERS} registers cannot hold both"

    @table_check
    def _scales_numbers_only(self) -> Iterator[str]:
        is_scaled = self.scale != 1 or self.offset != 0 or self.scale_factor is not None
        if is_scaled and (self.values or self.bits or self.type not in NUMBER_FORMATS):
            yield "scale, offset and scale_factor belong to plain numbers, not to values, bits or texts"
        if self.decimals is not None and (self.values or self.type in {ValueType.BOOL, *TEXTS}):
            yield "`decimals` belongs to numbers, not to `values`, booleans or texts"
        if self.scale == 0 or (self.scale_factor is not None and (self.scale != 1 or self.offset != 0)):
            yield "scale is not 0, and not used together with a scale_factor"

    @table_check
    def _has_a_near_sign(self) -> Iterator[str]:
        if self.sign is None:
            return
        if self.values or self.bits or self.type not in NUMBER_FORMATS or self.address is None or self.scale_factor is not None:
            yield "`sign` belongs to plain numbers with an `address`, and is not used together with a scale_factor"
        elif max(self.sign.address + 1 - self.address, self.address + self.words - self.sign.address) > NEAR_REGISTERS:
            yield f"the register of its sign is not within {NEAR_REGISTERS} registers"

    @table_check
    def _has_a_valid_range(self) -> Iterator[str]:
        if self.valid is None:
            return
        if self.bits is not None or self.type not in {*NUMBER_FORMATS, ValueType.BCD}:
            yield "`valid` belongs to numbers, not to bits, booleans or texts"
        low, high = raw_limits(self.type) or self.valid
        if not low <= self.valid[0] <= self.valid[1] <= high:
            yield f"`valid` is [lowest, highest], both raw numbers that fit into {self.type}"

    def placed(self, layout: SunSpecLayout = NO_MODELS, not_available: NotAvailable = NONE_DEFINED) -> Iterator[PlacedPoint]:
        """Yield the point as often as a device with these SunSpec models has it; not at all without them.

        Args:
            layout: the models of the device.
            not_available: by type, the numbers of the maker that say "not available"; in SunSpec models, those of SunSpec count.
        """
        if self.address is not None:
            yield self._placed(self.metric, self.address, self.scale_factor, not_available.get(self.type, frozenset()))
            return
        for number, model in enumerate(layout.of(self.models)):
            index = f"_{number + 1}" if number else ""
            for repetition in range(self._repetitions(model)):
                yield self._placed_in(model, repetition, index if self.repeats is None else f"{index}_{repetition + 1}")

    @property
    def number_kind(self) -> ParameterKind:
        """Whether the point takes fractions, as a parameter of a command."""
        has_fractions = self.type in FLOATS or not float(self.scale).is_integer() or not float(self.offset).is_integer()
        return ParameterKind.NUMBER if has_fractions else ParameterKind.WHOLE_NUMBER

    def facts(self, not_available: NotAvailable) -> PointFacts:
        """Return its unit, and whether its values can be negative or missing.

        Args:
            not_available: by type, the numbers of the maker that say "not available".
        """
        limits = self.valid or raw_limits(self.type)
        is_number = self.type in {*NUMBER_FORMATS, ValueType.BCD} and not self.values and self.bits is None
        own = self.not_available if self.not_available is not None else not_available.get(self.type)
        return PointFacts(
            metric=self.metric,
            unit=self.unit,
            is_number=is_number,
            can_be_negative=None if limits is None else is_number and min(limits) * self.scale + self.offset < 0,
            has_no_value_rule=bool(own) or self.valid is not None or (bool(self.models) and self.type in NOT_AVAILABLE),
        )

    def writable(self, between: tuple[float, float] | None) -> tuple[float, float] | None:
        """Return the lowest and the highest value that these limits allow and that the registers can hold."""
        raw = raw_limits(self.type)
        if raw is None:
            return between
        low, high = sorted(self._value_of(end) for end in raw)
        return (low, high) if between is None else (max(low, between[0]), min(high, between[1]))

    def _value_of(self, raw: int) -> float:
        parts = divisor(self.scale)
        return (raw / parts if parts else raw * self.scale) + self.offset

    def _repetitions(self, model: PlacedModel) -> int:
        """Return how often the point is in this model: 0, where it or its scale factor would be behind the end of the model."""
        if max(self._at + self.words, (self.scale_factor or 0) + 1) > model.words:
            return 0
        first, length = self.repeats if self.repeats is not None else (0, model.words)
        return (model.words - first) // length

    @property
    def _at(self) -> int:
        return self.at if self.at is not None else 0

    def _placed_in(self, model: PlacedModel, repetition: int, index: str) -> PlacedPoint:
        first, length = self.repeats if self.repeats is not None else (ADDRESSES, 0)
        shift, factor = repetition * length, self.scale_factor
        if factor is not None:
            factor += model.address + (shift if first <= factor < first + length else 0)
        missing = NOT_AVAILABLE.get(self.type, frozenset())
        return self._placed(f"{self.metric}{index}", model.address + self._at + shift, factor, missing)

    def _metric(self, name: str) -> Metric:
        """Return the metric of this point, or of its repetition with this name: `x_2` of `x`."""
        texts = self.text_fields(suffix=name.removeprefix(self.metric).replace("_", " "))
        return metric_of(name, self.unit, self.urgent, self.reduce, **texts)

    def _placed(self, metric: str, address: int, scale_factor: int | None, not_available: frozenset[int]) -> PlacedPoint:
        encoding = self.encoding(scale=self.scale, offset=self.offset, not_available=not_available)
        return PlacedPoint(
            metric=self._metric(metric),
            table=self.table,
            address=address,
            encoding=replace(encoding, valid=self.valid, negative=None if self.sign is None else self.sign.negative),
            scale_factor=scale_factor,
            sign=None if self.sign is None else self.sign.address,
        )


def unwritable_because(point: Point) -> str | None:
    """Return why a point cannot be written; `None` when it can."""
    if point.table not in {Table.COIL, Table.HOLDING} or point.models:
        return "only coils and holding registers with an address can be written"
    is_plain = point.bits is None and point.scale_factor is None and point.sign is None
    if not is_plain or point.type not in (*NUMBER_FORMATS, ValueType.BOOL):
        return "only whole numbers, floats and coils can be written, not bits, texts or values with a scale_factor or a `sign`"
    return None


class CommandRule(CommandTexts):
    """A command: it writes one point, and succeeds when the point reads back the written value."""

    metric: str = Field(description="the point that is written: a coil or a holding register")
    value: bool | int | float | str | None = Field(
        default=None, description="value that is written each time; without it, the parameter is written"
    )
    parameter: str = Field(default="value", min_length=1, description="name of the command's parameter")
    between: tuple[float, float] | None = Field(default=None, description="lowest and highest number, both included")
    choices: tuple[int | float | str, ...] = Field(
        default=(), description="the only values that are accepted; left out: those of the point, or all between the limits"
    )
    default: bool | int | float | str | None = Field(
        default=None, description="value that is written when the parameter is left out; without it, it is required"
    )
    secret: bool = Field(default=False, description="true: the parameter, such as a PIN, is never logged, stored or shown")
    read_back: bool = Field(default=True, description="false for a button: a register that does not keep what was written")

    def fits(self, point: Point) -> str | None:
        """Return why this point cannot be written by the command; `None` when it can."""
        if (wrong := unwritable_because(point)) is not None:
            return wrong
        if unknown := [choice for choice in self.choices if point.values and choice not in point.values.values()]:
            return f"it has no value {unknown[0]!r}; there are {', '.join(point.values.values())}"
        if self.secret and self.read_back:
            return "a secret is not read back: set `read_back = false`"
        is_limited = self.between is not None or self.choices or point.values or point.type is ValueType.BOOL
        if self.value is None and not is_limited:
            return "set `between`, so that nobody writes a number that does harm"
        return None

    def parameters(self, point: Point) -> tuple[ParameterSpec, ...]:
        """Return the parameter that is written to this point, as far as its registers can hold it; none for a fixed value."""
        if self.value is not None:
            return ()
        is_bool = point.type is ValueType.BOOL
        choices = () if is_bool else self.choices or tuple(point.values.values())
        parameter = ParameterSpec(
            name=self.parameter,
            kind=ParameterKind.BOOLEAN if is_bool else point.number_kind,
            unit=point.unit,
            between=None if choices or is_bool else point.writable(self.between),
            choices=choices,
            default=self.default,
            is_secret=self.secret,
        )
        return (parameter,)


@lru_cache(maxsize=4096)
def metric_of(
    name: str,
    unit: str | None,
    urgent: bool,  # noqa: FBT001 - as a metric takes it
    reduce: Reduce,
    *,
    title: str | None = None,
    decimals: int | None = None,
    headline: bool = False,
) -> Metric:
    """Return the one `Metric` that all readings of a point share."""
    return Metric(name, unit, urgent, reduce, title=title, decimals=decimals, headline=headline)
