"""Simulated units made from profiles: every register that a profile names holds a value that the profile accepts. Pure.

The words are packed here with `struct`, apart from the decoder of the adapter: each point gets a number of its own, so that two
points that are mixed up are seen.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from math import ceil

from hypothesis import Phase, find, settings
from hypothesis import strategies as st

from adapters.modbus.client.pdu import Table
from adapters.modbus.profile.grammar import Point
from adapters.modbus.profile.matching import MatchRule, ObjectOrigin, RegisterCondition, SunSpecCondition, ValueRule
from adapters.modbus.profile.points import FLOATS, NUMBER_FORMATS, ValueType
from adapters.modbus.profile.profile import Profile
from gateway.testing.modbus import Firmware, Identification, ServerId, SimulatedUnit, SunSpecModel, sunspec_registers
from gateway.testing.modbus import Table as SimulatedTable

TABLES: Mapping[Table, SimulatedTable] = {
    Table.COIL: SimulatedTable.COILS,
    Table.DISCRETE: SimulatedTable.DISCRETE_INPUTS,
    Table.INPUT: SimulatedTable.INPUT_REGISTERS,
    Table.HOLDING: SimulatedTable.HOLDING_REGISTERS,
}
PRINTABLE = st.characters(min_codepoint=0x20, max_codepoint=0x7E)
FIRST_FOUND = settings(database=None, derandomize=True, max_examples=2000, phases=[Phase.generate])
MOST_CHARACTERS = 30
CHARACTERS_IN_REGISTER = {ValueType.HEX: 4, ValueType.WIDE_STRING: 1}


@dataclass(frozen=True)
class ProfileUnit:
    """The content of a unit, and what its points must read as."""

    unit_id: int
    tables: Mapping[Table, Mapping[int, int]]
    identification: Mapping[int, bytes]
    server_id: bytes
    values: Mapping[str, object]

    def simulated(self) -> SimulatedUnit:
        """Return a unit for a simulated bus."""
        firmware = Firmware(
            identification=Identification(self.identification) if self.identification else None,
            server_id=ServerId(self.server_id) if self.server_id else None,
        )
        registers = {TABLES[table]: content for table, content in self.tables.items() if content}
        return SimulatedUnit(self.unit_id, registers=registers, firmware=firmware)


@dataclass
class _Cells:
    """The words and bits of a unit under construction; what is written first stays."""

    tables: dict[Table, dict[int, int]] = field(default_factory=lambda: {table: {} for table in Table})

    def write(self, table: Table, address: int, words: list[int]) -> None:
        for at, word in enumerate(words, start=address):
            self.tables[table].setdefault(at, word)

    def words(self, table: Table, address: int, count: int) -> list[int]:
        return [self.tables[table].get(at, 0) for at in range(address, address + count)]


def unit_of(profile: Profile, unit_id: int) -> ProfileUnit:
    """Return a unit that has everything the profile names, and the value of each of its metrics."""
    cells = _Cells()
    rule = profile.match[0] if profile.match else None
    for condition in rule.registers if rule is not None else ():
        cells.write(condition.table, condition.address, _words_of(condition, _fitting_value(condition)))
    for origin in (profile.identity.serial_number, profile.identity.mac, profile.identity.firmware_version, profile.sub_model):
        if origin is not None and not isinstance(origin, ObjectOrigin | str):
            cells.write(origin.table, origin.address, _words_of(origin, _identity_value(origin, unit_id)))
    if profile.is_sunspec:
        values = _write_models(profile, rule.sunspec if rule is not None else None, unit_id, cells)
    else:
        values = _write_points(profile, cells)
    return ProfileUnit(unit_id, cells.tables, _identification(rule), _server_id(rule), values)


def _write_points(profile: Profile, cells: _Cells) -> dict[str, object]:
    values = {}
    for number, point in enumerate(profile.points, start=1):
        assert point.address is not None
        if point.bits is not None:
            _set_bits(point, number, cells)
        cells.write(point.table, point.address, _words_of(point, _raw_number(point, number)))
        if point.scale_factor is not None:
            cells.write(point.table, point.scale_factor, [0])
        if point.sign is not None:
            cells.write(point.table, point.sign.address, [point.sign.negative])
        values[point.metric] = value_in(point, cells.words(point.table, point.address, point.words))
    for rule in profile.settings:
        if rule.address is not None:
            cells.write(rule.table, rule.address, _words_of(rule, _raw_number(rule, 1)))
    _fill_holes(profile, cells)
    return values


def _write_models(profile: Profile, condition: SunSpecCondition | None, unit_id: int, cells: _Cells) -> dict[str, object]:
    """Write the chain of models, with one of those that each point allows."""
    wanted = min(condition.any_model) if condition is not None else None
    chosen: set[int] = set() if wanted is None else {wanted}
    for point in profile.points:
        if point.models and not chosen & set(point.models):
            chosen.add(point.models[0])
    ends = {placed.id: placed.length for placed in profile.least_layout.models}
    words: dict[int, dict[int, int]] = {model: {} for model in chosen}
    values = {}
    for number, point in enumerate(profile.points, start=1):
        if point.address is not None:
            cells.write(point.table, point.address, _words_of(point, _raw_number(point, number)))
            values[point.metric] = value_in(point, cells.words(point.table, point.address, point.words))
            continue
        model = next(one for one in point.models if one in chosen)
        assert point.at is not None
        for at, word in enumerate(_words_of(point, _raw_number(point, number)), start=point.at):
            words[model].setdefault(at, word)
        if point.scale_factor is not None:
            words[model].setdefault(point.scale_factor, 0)
        found = [words[model][at] for at in range(point.at, point.at + point.words)]
        values[point.metric if point.repeats is None else f"{point.metric}_1"] = value_in(point, found)
    registers = sunspec_registers(
        [SunSpecModel(model, ends[model], words[model]) for model in sorted(chosen)],
        manufacturer=text_like(condition.manufacturer if condition is not None else ".*", "Acme"),
        model=text_like(condition.model if condition is not None else ".*", "Sun 9"),
        serial_number=f"SN-{unit_id}",
    )
    cells.tables[Table.HOLDING] |= registers[SimulatedTable.HOLDING_REGISTERS]
    return values


def _set_bits(point: Point, number: int, cells: _Cells) -> None:
    """Set the bits of a point in its word, which several points share: the lowest number that has a meaning, or an odd one."""
    assert point.bits is not None
    assert point.address is not None
    first, length = point.bits
    content = min(point.values) if point.values else number % (1 << length) or 1
    there = _number(point, cells.words(point.table, point.address, point.words))
    words = _packed(point, int(there) | content << first)
    cells.tables[point.table].update(dict(enumerate(words, start=point.address)))


def _fill_holes(profile: Profile, cells: _Cells) -> None:
    """Write zeros between points, where the profile says that the device lets them be read."""
    for content in cells.tables.values():
        ordered = sorted(content)
        for before, after in pairwise(ordered):
            if after - before - 1 <= profile.read_through:
                content.update(dict.fromkeys(range(before + 1, after), 0))


def _identification(rule: MatchRule | None) -> dict[int, bytes]:
    if rule is None or rule.identification is None:
        return {}
    texts = (text_like(rule.identification.vendor, "Acme"), text_like(rule.identification.product, "P 1"), "1.0")
    return {number: text.encode() for number, text in enumerate(texts)}


def _server_id(rule: MatchRule | None) -> bytes:
    return b"" if rule is None or rule.server_id is None else text_like(rule.server_id, "").encode()


def text_like(pattern: str, anything: str, most: int = MOST_CHARACTERS) -> str:
    """Return a text of at most so many characters that the pattern matches as a whole; `anything` where every text fits."""
    if re.fullmatch(pattern, anything, re.IGNORECASE):
        return anything

    def fits(text: str) -> bool:
        return 0 < len(text) <= most and text == text.strip()

    return find(st.from_regex(pattern, fullmatch=True, alphabet=PRINTABLE), fits, settings=FIRST_FOUND)


def _fitting_value(condition: RegisterCondition) -> object:
    """Return the decoded value that meets the condition."""
    if condition.equals is not None:
        return condition.equals
    if condition.between is not None:
        low = condition.between[0]
        return low if condition.type in FLOATS else ceil(low)
    assert condition.matches is not None
    most = CHARACTERS_IN_REGISTER.get(condition.type, 2) * condition.words
    text = text_like(condition.matches, "A" * 12, most)
    return int(text) if condition.type in NUMBER_FORMATS and not condition.values else text


def _identity_value(origin: ValueRule, unit_id: int) -> object:
    if origin.values:
        return min(origin.values)
    if origin.type in NUMBER_FORMATS:
        return 1000 + unit_id
    length = 2 * (origin.length or 1)
    if origin.type in {ValueType.STRING, ValueType.WIDE_STRING}:
        return f"{0xA0B0C0D0E000 + unit_id:012x}"[-length:][-CHARACTERS_IN_REGISTER.get(origin.type, 2) * origin.words :]
    return f"{unit_id:0{4 * (origin.length or 1)}}"[-2 * length :] if origin.type is not ValueType.DOTTED else unit_id


def _raw_number(rule: ValueRule, number: int) -> object:
    """Return a raw number that is a value of this point: another one for each point."""
    if rule.type is ValueType.BOOL:
        return number % 2
    if rule.values and rule.bits is None:
        return sorted(rule.values)[number % len(rule.values)]
    if (valid := getattr(rule, "valid", None)) is not None and not valid[0] <= 100 + number <= valid[1]:
        return ceil(valid[0]) + number % (int(valid[1]) - ceil(valid[0]) + 1)
    if rule.type in FLOATS:
        return number + 0.5
    return 100 + number if rule.type in NUMBER_FORMATS or rule.type is ValueType.BCD else f"T{number}"


def _words_of(rule: ValueRule, content: object) -> list[int]:
    """Return the registers that hold this decoded content."""
    if rule.values and isinstance(content, str):
        content = next(raw for raw, meaning in rule.values.items() if meaning == content)
    if rule.type is ValueType.BOOL:
        return [int(bool(content))]
    if rule.bits is not None and isinstance(content, int):
        return _packed(rule, content << rule.bits[0])
    return _packed(rule, content)


def _packed(rule: ValueRule, content: object) -> list[int]:
    size = 2 * rule.words
    if rule.type in NUMBER_FORMATS:
        raw = struct.pack(f">{NUMBER_FORMATS[rule.type]}", content)
    elif rule.type is ValueType.STRING:
        raw = str(content).encode().ljust(size, b"\0")
    elif rule.type is ValueType.WIDE_STRING:
        raw = str(content).encode("utf-16-be").ljust(size, b"\0")
    elif rule.type is ValueType.DOTTED:
        raw = int(str(content)).to_bytes(size)
    else:
        raw = bytes.fromhex(str(content).rjust(2 * size, "0"))
    assert len(raw) == size, f"{content!r} has more than {size} bytes"
    return _reordered(rule, [int.from_bytes(raw[at : at + 2]) for at in range(0, size, 2)])


def _reordered(rule: ValueRule, words: list[int]) -> list[int]:
    """Return words in the order of the device, or back."""
    ordered = list(reversed(words)) if rule.word_order == "low-first" else words
    return [(word & 0xFF) << 8 | word >> 8 for word in ordered] if rule.byte_order == "low-first" else ordered


def value_in(point: Point, words: list[int]) -> object:
    """Return what a point with these registers must read as, by the plain rule of the grammar: raw x scale + offset."""
    if point.type is ValueType.BOOL:
        return point.values.get(words[0], bool(words[0])) if point.values else bool(words[0])
    if point.type is ValueType.BCD:
        digits = "".join(f"{word:04x}" for word in _reordered(point, words))
        return _exact(point, int(digits))
    if point.type not in NUMBER_FORMATS:
        raw = b"".join(word.to_bytes(2) for word in _reordered(point, words))
        return raw.decode("utf-16-be" if point.type is ValueType.WIDE_STRING else "utf-8").rstrip("\0")
    number = _number(point, words)
    if point.bits is not None:
        number = int(number) >> point.bits[0] & (1 << point.bits[1]) - 1
        if point.bits[1] == 1 and not point.values:
            return bool(number)
    if point.sign is not None:
        number = -abs(number)  # as the unit has it
    return point.values.get(int(number), str(int(number))) if point.values else _exact(point, number)


def _number(point: ValueRule, words: list[int]) -> float:
    raw = b"".join(word.to_bytes(2) for word in _reordered(point, words))
    (number,) = struct.unpack(f">{NUMBER_FORMATS[point.type]}", raw)
    return number


def _exact(point: Point, number: float) -> float:
    value = Fraction(number) * Fraction(str(point.scale)) + Fraction(str(point.offset))
    return int(value) if value.denominator == 1 else float(value)
