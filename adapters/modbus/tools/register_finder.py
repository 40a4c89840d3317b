"""Find the register and the encoding of a value that a device shows on its display. Pure.

Every register is decoded in every way that devices are known to use, and each result that equals the displayed value is scored:
by how usual such an encoding is, how unlikely it is to match the value by chance, and whether adjacent registers make sense in
the same encoding. A second and a third value, read a while later, decide most of the remaining cases.
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
"""How usual each type is, in bits relative to the most usual ones."""

SCALES: Mapping[float, float] = {1: 0.0, 0.1: -0.2, 0.01: -0.5, 0.001: -1.0, 0.0001: -4.0, 10: -4.0, 100: -5.0, 1000: -5.0}
"""How usual each scale of an integer is."""

FLOAT_SCALE = -6.0
"""The score of a scaled float, which is rare: a power in W that is displayed in kW."""

COARSEST = 10.001
"""The coarsest scale, relative to the last displayed digit: a register that counts in tens is shown as 7770, not as 7777.1."""

LOW_WORD_FIRST = -1.5
LOW_BYTE_FIRST = -5.0
MISALIGNED = -3.0
"""The score of a value of several registers that is not aligned with the values before it."""

DIFFERENCE_BITS = 1.0
"""The penalty for the largest allowed difference from the displayed value; half of the difference costs half."""

CHANCE_BITS = 0.9
"""The score for a bit of agreement with the display: less than a bit, since registers are not random numbers."""

ADJACENT_FLOAT_BITS = 2.5
"""The score for an adjacent register that decodes to a sensible float: most bit patterns do not."""

ADJACENT_LONG_BITS = 0.7
"""The same for an integer of several registers, where most numbers are sensible."""

EMPTY_HIGH_WORD = -3.0
"""The score where the high word is 0: the low word alone is the simpler explanation."""

SIMILAR_BITS = 1.5
"""The score for an adjacent value of similar size, as the three phases of a meter have."""

MOST_EXPLANATIONS = 20


@dataclass(frozen=True, slots=True)
class _Interpretation:
    """One way to decode a number."""

    encoding: Encoding
    prior: float
    divisor: int
    """10 for the scale 0.1: dividing gives exactly 230.1; 0 for other scales."""
    order: tuple[int, ...]
    """The offsets of the words, the highest first."""
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
            parts.append(f"x {self.encoding.scale:.6g}")
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class _Candidate:
    interpretation: _Interpretation
    table: str
    address: int
    values: tuple[float, ...]
    score: float
    why: tuple[str, ...]


def explain(seen: Sequence[tuple[Dump, Decimal]], *, tolerance: float) -> list[Explanation]:
    """Return how the displayed values may be stored in the device, the likeliest first, at most `MOST_EXPLANATIONS`.

    Args:
        seen: dumps with the value that the display showed at the time, with as many decimals as displayed.
        tolerance: how much the value may have changed in between, as a fraction of it.
    """
    first, _ = seen[0]
    found = [
        candidate
        for table, cells in first.cells.items()
        if table in {"holding", "input"}
        for interpretation in _interpretations()
        for candidate in _hits(interpretation, table, sorted(cells), seen, tolerance)
    ]
    found.sort(key=lambda one: (-one.score, one.table, one.address))
    best = _without_duplicates(found)[:MOST_EXPLANATIONS]
    top = best[0].score if best else 0.0
    return [_explanation(one, top) for one in best]


@lru_cache(maxsize=1)
def _interpretations() -> tuple[_Interpretation, ...]:
    return tuple(_all_interpretations())


def _all_interpretations() -> Iterator[_Interpretation]:
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
                        yield _Interpretation(encoding, prior, divisor(scale), order, pack, unpack)


def _hits(
    interpretation: _Interpretation, table: str, addresses: Sequence[int], seen: Sequence[tuple[Dump, Decimal]], tolerance: float
) -> Iterator[_Candidate]:
    finest = min(_last_digit(shown) for _, shown in seen)
    if interpretation.encoding.type not in FLOATS and interpretation.encoding.scale > COARSEST * finest:
        tolerance = 0.0
    cells = [dump.cells.get(table, {}) for dump, _ in seen]
    allowed = [_allowed_difference(shown, tolerance) for _, shown in seen]
    first = float(seen[0][1])
    lowest, highest = (first - allowed[0]) / interpretation.encoding.scale, (first + allowed[0]) / interpretation.encoding.scale
    for address in addresses:
        raw = _raw(interpretation, cells[0], address)
        if raw is None or not lowest - 1e-9 <= raw <= highest + 1e-9:
            continue
        values = [_value(interpretation, words, address) for words in cells]
        known = [value for value in values if value is not None]
        if len(known) < len(values):
            continue
        differences = [abs(value - float(shown)) / most for value, (_, shown), most in zip(known, seen, allowed, strict=True)]
        if max(differences) <= 1:
            yield _scored(interpretation, table, address, tuple(known), cells[0], seen, max(differences))


def _value(interpretation: _Interpretation, cells: Mapping[int, int], address: int) -> float | None:
    raw = _raw(interpretation, cells, address)
    return (
        None if raw is None else raw / interpretation.divisor if interpretation.divisor else raw * interpretation.encoding.scale
    )


def _raw(interpretation: _Interpretation, cells: Mapping[int, int], address: int) -> float | None:
    """Return the number at this address before it is scaled; `None` if there is none."""
    try:
        words = [cells[address + place] for place in interpretation.order]
    except KeyError:
        return None
    raw: float = interpretation.unpack(interpretation.pack(*words))[0]
    return raw if isfinite(raw) else None


def _allowed_difference(shown: Decimal, tolerance: float) -> float:
    """Return the largest allowed difference from the displayed value: half of its last digit, and the tolerance."""
    return _last_digit(shown) * 0.501 + tolerance * abs(float(shown))


def _last_digit(shown: Decimal) -> float:
    """Return the value of the last digit: 0.1 for 230.1."""
    exponent = shown.as_tuple().exponent
    return 10.0 ** (exponent if isinstance(exponent, int) else 0)


def _scored(
    interpretation: _Interpretation,
    table: str,
    address: int,
    values: tuple[float, ...],
    cells: Mapping[int, int],
    seen: Sequence[tuple[Dump, Decimal]],
    difference: float,
) -> _Candidate:
    """Return the candidate with its score and the reasons for it.

    Args:
        interpretation: how it is decoded.
        table: where it is.
        address: where it is.
        values: the decoded values, one for each dump.
        cells: the registers of the first dump.
        seen: the dumps and the displayed values.
        difference: the largest difference from a displayed value, as a fraction of the allowed one.
    """
    why = []
    score = interpretation.prior - DIFFERENCE_BITS * difference
    distinct = {str(shown): shown for _, shown in seen}
    bits = sum(_agreement_bits(interpretation, float(shown), _allowed_difference(shown, 0.0)) for shown in distinct.values())
    score += CHANCE_BITS * bits
    if len(distinct) > 1:
        why.append(f"it changed with the display, {len(distinct)} values")
    elif len(seen) > 1:
        why.append("the display showed the same value each time, which excludes little")
    if any(abs(value - float(shown)) > _allowed_difference(shown, 0.0) for value, (_, shown) in zip(values, seen, strict=True)):
        why.append("it is within the tolerance, but not equal to the displayed value")
    sensible, similar = _adjacent_values(interpretation, cells, address, values[0])
    score += _adjacent_bits(interpretation) * min(sensible, 2) + SIMILAR_BITS * min(similar, 2)
    if similar:
        why.append(f"{similar} adjacent values in the same encoding are of similar size")
    is_long_integer = interpretation.words > 1 and interpretation.encoding.type not in FLOATS
    if is_long_integer and abs(values[0]) / interpretation.encoding.scale < 32768:
        score += EMPTY_HIGH_WORD
        why.append("the high word is 0: it may as well be one register")
    if interpretation.words > 1 and _offset_in_run(cells, address) % interpretation.words:
        score += MISALIGNED
        why.append("it is not aligned with the values before it")
    return _Candidate(interpretation, table, address, values, score, tuple(why))


def _adjacent_values(interpretation: _Interpretation, cells: Mapping[int, int], address: int, value: float) -> tuple[int, int]:
    """Return how many of the values beside an address are sensible, and how many of these are of similar size."""
    adjacent = [_value(interpretation, cells, address + place * interpretation.words) for place in (-2, -1, 1, 2)]
    sensible = [other for other in adjacent if other is not None and _is_sensible(interpretation, other, value)]
    similar = [other for other in sensible if value and 0.3 <= other / value <= 3]
    return len(sensible), len(similar)


def _adjacent_bits(interpretation: _Interpretation) -> float:
    if interpretation.encoding.type in FLOATS:
        return ADJACENT_FLOAT_BITS
    return ADJACENT_LONG_BITS if interpretation.words > 1 else 0.0


def _agreement_bits(interpretation: _Interpretation, shown: float, allowed: float) -> float:
    """Return the bits of agreement: how unlikely it is that a register matches the displayed value by chance."""
    if interpretation.encoding.type in FLOATS:
        return log2(max(abs(shown), allowed) / allowed + 1) + 6  # most bit patterns are not sensible floats
    counts = abs(shown) / interpretation.encoding.scale
    width = max(1.0, 2 * allowed / interpretation.encoding.scale)
    return log2(counts / width + 1)


def _is_sensible(interpretation: _Interpretation, value: float, beside: float) -> bool:
    if value == 0:
        return False
    if interpretation.encoding.type in FLOATS:
        return 1e-3 <= abs(value) <= 1e8
    return abs(value) < max(1e4, 100 * abs(beside)) if interpretation.words > 1 else True


def _offset_in_run(cells: Mapping[int, int], address: int) -> int:
    """Return the offset of an address in its run of readable registers."""
    start = address
    while start - 1 in cells and address - start < 200:
        start -= 1
    return address - start


def _without_duplicates(found: Iterable[_Candidate]) -> list[_Candidate]:
    """Leave out candidates equal to a better one at the same address: an unsigned number decoded as a signed one."""
    kept: list[_Candidate] = []
    taken: set[tuple[str, int, tuple[float, ...], int]] = set()
    for one in found:
        place = (one.table, one.address, one.values, one.interpretation.words)
        if place not in taken:
            taken.add(place)
            kept.append(one)
    return kept


def _explanation(one: _Candidate, top: float) -> Explanation:
    encoding = one.interpretation.encoding
    last = one.address + one.interpretation.words - 1
    places = f"{one.table} {one.address}" + (f"-{last}" if last > one.address else "")
    lines = ["[[points]]", 'metric = "name_it"', f"address = {one.address}", f'type = "{encoding.type}"']
    lines += ['table = "input"'] * (one.table == "input")
    lines += ['word_order = "low-first"'] * encoding.low_word_first + ['byte_order = "low-first"'] * encoding.low_byte_first
    lines += [f"scale = {encoding.scale:.6g}"] * (encoding.scale != 1)
    digits = 6 if divisor(encoding.scale) or encoding.scale == 1 else 4
    return Explanation(
        where=f"{places}, {one.interpretation}",
        score=round(2.0 ** max((one.score - top) / 2, -10.0), 3),
        why=one.why,
        values=[round(value, digits) for value in one.values],
        toml="\n".join(lines) + "\n",
    )
