"""Where in a device's registers the value on its display stands, and how it is encoded. Nothing here waits.

Every register is read in every way that devices are known to use, and what gives the value that a person saw is weighed: how
likely such an encoding is, how unlikely it is to hit the value by chance, and whether its neighbours make sense when read like
it. A second and a third value, seen a while later, settle most of what is left.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from math import isfinite, log2

from adapters.modbus.profile.points import FLOATS, NUMBER_FORMATS, Encoding, ValueType, number_words
from gateway.adapter import Dump, Explanation, divisor

TYPES: Mapping[ValueType, float] = {
    ValueType.UINT16: 0.0,
    ValueType.INT16: -0.7,
    ValueType.FLOAT32: 0.0,
    ValueType.INT32: -0.5,
    ValueType.UINT32: -0.6,
    ValueType.FLOAT64: -2.0,
    ValueType.INT64: -2.0,
    ValueType.UINT64: -2.0,
}
"""How usual each type is, in bits beside the most usual ones."""

SCALES: Mapping[float, float] = {1: 0.0, 0.1: -0.2, 0.01: -0.5, 0.001: -1.0, 0.0001: -4.0, 10: -4.0, 100: -5.0, 1000: -5.0}
"""How usual it is that a whole number is multiplied with this."""

FLOAT_SCALE = -6.0
"""A float that is scaled at all is rare: a power in W that is shown in kW."""

COARSEST = 10.001
"""A display shows at most one digit more than its register has: what counts in tens is not shown as 7777.1, but as 7770."""

LOW_WORD_FIRST = -1.5
LOW_BYTE_FIRST = -5.0
ODD_PLACE = -3.0
"""A value of several registers that does not begin where its neighbours would have it."""

MISSED_BITS = 1.0
"""What it costs to be as far from what was shown as is allowed; half of that costs half."""

CHANCE_BITS = 0.9
"""What a bit of agreement with the display is worth: less than a bit, for registers are no random numbers."""

FLOAT_NEIGHBOUR_BITS = 2.5
"""What it is worth that a neighbour, read as a float too, gives a sensible number: most bits are none."""

LONG_NEIGHBOUR_BITS = 0.7
"""The same for a whole number of several registers, where little is not sensible."""

EMPTY_HIGH_WORD = -3.0
"""The high word holds nothing: the low word alone is the simpler truth."""

KIN_BITS = 1.5
"""And what, that it is of the same size, as the three phases of a meter are."""

MOST = 20
"""So many explanations are told."""


@dataclass(frozen=True, slots=True)
class _Way:
    """One way to read a number."""

    encoding: Encoding
    prior: float
    parts: int
    """10 for the scale 0.1: dividing keeps 230.1 what it is."""
    order: tuple[int, ...]
    """Which register is the highest word, and so on down."""
    pack: Callable[..., bytes]
    unpack: Callable[[bytes], tuple[float, ...]]

    @property
    def words(self) -> int:
        return self.encoding.words

    def __str__(self) -> str:
        parts = [str(self.encoding.type)]
        if self.encoding.low_word_first:
            parts.append("low word first")
        if self.encoding.low_byte_first:
            parts.append("low byte first")
        if self.encoding.scale != 1:
            parts.append(f"x {self.encoding.scale:g}")
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class _Candidate:
    way: _Way
    table: str
    address: int
    values: tuple[float, ...]
    score: float
    why: tuple[str, ...]


def explain(seen: Sequence[tuple[Dump, Decimal]], *, tolerance: float) -> list[Explanation]:
    """Return how the values that a person saw may stand in the device, the likeliest first, at most `MOST`.

    Args:
        seen: a dump, and what the display showed when it was taken, with as many decimals as it showed.
        tolerance: how far the device may have moved on in between, as a share of what was shown.
    """
    first, _ = seen[0]
    found = [
        candidate
        for table, cells in first.cells.items()
        if table in {"holding", "input"}
        for way in _ways()
        for candidate in _hits(way, table, sorted(cells), seen, tolerance)
    ]
    found.sort(key=lambda one: (-one.score, one.table, one.address))
    best = _without_shadows(found)[:MOST]
    top = best[0].score if best else 0.0
    return [_explanation(one, top) for one in best]


@lru_cache(maxsize=1)
def _ways() -> tuple[_Way, ...]:
    return tuple(_all_ways())


def _all_ways() -> Iterator[_Way]:
    for kind, usual in TYPES.items():
        words = number_words(kind)
        for low_word_first in (False, True) if words > 1 else (False,):
            for low_byte_first in (False, True):
                for scale, scaled in SCALES.items():
                    prior = usual + low_word_first * LOW_WORD_FIRST + low_byte_first * LOW_BYTE_FIRST
                    prior += scaled if kind not in FLOATS or scale == 1 else FLOAT_SCALE + scaled
                    if prior > -9:
                        encoding = Encoding(
                            type=kind, words=words, low_word_first=low_word_first, low_byte_first=low_byte_first, scale=scale
                        )
                        order = tuple(reversed(range(words))) if low_word_first else tuple(range(words))
                        pack = struct.Struct(f"{'<' if low_byte_first else '>'}{words}H").pack
                        unpack = struct.Struct(f">{NUMBER_FORMATS[kind]}").unpack
                        yield _Way(encoding, prior, divisor(scale), order, pack, unpack)


def _hits(
    way: _Way, table: str, addresses: Sequence[int], seen: Sequence[tuple[Dump, Decimal]], tolerance: float
) -> Iterator[_Candidate]:
    finest = min(_last_digit(told) for _, told in seen)
    if way.encoding.type not in FLOATS and way.encoding.scale > COARSEST * finest:
        tolerance = 0.0
    cells = [dump.cells.get(table, {}) for dump, _ in seen]
    shown = float(seen[0][1])
    room = _room(seen[0][1], tolerance)
    lowest, highest = (shown - room) / way.encoding.scale - 1e-9, (shown + room) / way.encoding.scale + 1e-9
    for address in addresses:
        raw = _raw(way, cells[0], address)
        if raw is None or not lowest <= raw <= highest:
            continue
        values: list[float] = []
        for words, (_, told) in zip(cells, seen, strict=True):
            value = _value(way, words, address)
            if value is None or abs(value - float(told)) > _room(told, tolerance):
                break
            values.append(value)
        else:
            missed = max(abs(value - float(told)) / _room(told, tolerance) for value, (_, told) in zip(values, seen, strict=True))
            yield _weighed(way, table, address, tuple(values), cells[0], seen, missed)


def _value(way: _Way, cells: Mapping[int, int], address: int) -> float | None:
    raw = _raw(way, cells, address)
    return None if raw is None else raw / way.parts if way.parts else raw * way.encoding.scale


def _raw(way: _Way, cells: Mapping[int, int], address: int) -> float | None:
    """Return the number that stands there before it is scaled; `None` for none."""
    try:
        words = [cells[address + place] for place in way.order]
    except KeyError:
        return None
    raw: float = way.unpack(way.pack(*words))[0]
    return raw if isfinite(raw) else None


def _room(shown: Decimal, tolerance: float) -> float:
    """Return how far a value may be from what was shown: half of its last digit, and what the device moved on."""
    return _last_digit(shown) * 0.501 + tolerance * abs(float(shown))


def _last_digit(shown: Decimal) -> float:
    """Return what the last digit is worth: 0.1 for 230.1."""
    exponent = shown.as_tuple().exponent
    return 10.0 ** (exponent if isinstance(exponent, int) else 0)


def _weighed(
    way: _Way,
    table: str,
    address: int,
    values: tuple[float, ...],
    cells: Mapping[int, int],
    seen: Sequence[tuple[Dump, Decimal]],
    missed: float,
) -> _Candidate:
    why = []
    score = way.prior - MISSED_BITS * missed
    told = {str(shown): shown for _, shown in seen}
    bits = sum(_surprise(way, float(shown), _room(shown, 0.0)) for shown in told.values())
    score += CHANCE_BITS * bits
    if len(told) > 1:
        why.append(f"it changed with the display, {len(told)} values")
    elif len(seen) > 1:
        why.append("the display showed the same each time, which rules little out")
    if any(abs(value - float(shown)) > _room(shown, 0.0) for value, (_, shown) in zip(values, seen, strict=True)):
        why.append("it is as near as the tolerance allows, and not what was shown")
    neighbours = [_value(way, cells, address + place * way.words) for place in (-2, -1, 1, 2)]
    sensible = [value for value in neighbours if value is not None and _is_sensible(way, value, values[0])]
    kin = [value for value in sensible if values[0] and 0.3 <= value / values[0] <= 3]
    neighbourly = FLOAT_NEIGHBOUR_BITS if way.encoding.type in FLOATS else LONG_NEIGHBOUR_BITS if way.words > 1 else 0.0
    score += neighbourly * min(len(sensible), 2) + KIN_BITS * min(len(kin), 2)
    if kin:
        why.append(f"{len(kin)} of its neighbours read alike are of its size")
    if way.words > 1 and way.encoding.type not in FLOATS and abs(values[0]) / way.encoding.scale < 32768:
        score += EMPTY_HIGH_WORD
        why.append("the high word holds nothing: it may as well be one register")
    if way.words > 1 and _place_in_run(cells, address) % way.words:
        score += ODD_PLACE
        why.append("it begins at an odd place")
    return _Candidate(way, table, address, values, score, tuple(why))


def _surprise(way: _Way, shown: float, room: float) -> float:
    """Return how many bits of agreement there are: how unlikely it is that a register shows this by chance."""
    if way.encoding.type in FLOATS:
        return log2(max(abs(shown), room) / room + 1) + 6  # most numbers are no sensible floats at all
    counts = abs(shown) / way.encoding.scale
    width = max(1.0, 2 * room / way.encoding.scale)
    return log2(counts / width + 1)


def _is_sensible(way: _Way, value: float, beside: float) -> bool:
    if value == 0:
        return False
    if way.encoding.type in FLOATS:
        return 1e-3 <= abs(value) <= 1e8
    return abs(value) < max(1e4, 100 * abs(beside)) if way.words > 1 else True


def _place_in_run(cells: Mapping[int, int], address: int) -> int:
    """Return how far into its run of readable registers an address is; at an even base that is the address itself."""
    start = address
    while start - 1 in cells and address - start < 200:
        start -= 1
    return address - start


def _without_shadows(found: Iterable[_Candidate]) -> list[_Candidate]:
    """Leave out what says the same as a better one at the same place: an unsigned number read as a signed one."""
    kept: list[_Candidate] = []
    taken: set[tuple[str, int, tuple[float, ...], int]] = set()
    for one in found:
        place = (one.table, one.address, one.values, one.way.words)
        if place not in taken:
            taken.add(place)
            kept.append(one)
    return kept


def _explanation(one: _Candidate, top: float) -> Explanation:
    encoding = one.way.encoding
    last = one.address + one.way.words - 1
    places = f"{one.table} {one.address}" + (f"-{last}" if last > one.address else "")
    lines = ["[[points]]", 'metric = "name_it"', f"address = {one.address}", f'type = "{encoding.type}"']
    lines += ['table = "input"'] * (one.table == "input")
    lines += ['word_order = "low-first"'] * encoding.low_word_first + ['byte_order = "low-first"'] * encoding.low_byte_first
    lines += [f"scale = {encoding.scale:g}"] * (encoding.scale != 1)
    digits = 6 if divisor(encoding.scale) or encoding.scale == 1 else 4
    return Explanation(
        where=f"{places}, {one.way}",
        score=round(2.0 ** max((one.score - top) / 2, -10.0), 3),
        why=one.why,
        values=[round(value, digits) for value in one.values],
        toml="\n".join(lines) + "\n",
    )
