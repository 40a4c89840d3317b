"""Evaluate the match rules of profiles, and read identity values, from the responses of a unit. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from adapters.modbus.client.pdu import ExceptionResponse, NoResponse, Response
from adapters.modbus.profile.matching import IdentificationCondition, MatchRule, RegisterCondition, RegisterOrigin
from adapters.modbus.profile.points import Encoding, ValueType
from adapters.modbus.profile.values import decode_one
from gateway.adapter import Value

OBJECT_NAMES: Mapping[int, str] = {
    0: "vendor",
    1: "product",
    2: "revision",
    3: "vendor URL",
    4: "product name",
    5: "model",
    6: "application",
}
"""Objects of the device identification (Modbus Application Protocol V1.1b3, section 6.21)."""


def evaluation_order(rule: MatchRule, name: str) -> tuple[int, int, str]:
    """Return a sort key: rules on requests that are sent anyway first, then registers, SunSpec last; stricter rules earlier."""
    kind = 3 if rule.sunspec else 2 if rule.registers else 1 if rule.server_id else 0
    conditions = [rule.identification, rule.server_id, *rule.registers, rule.sunspec]
    strictness = sum(condition is not None for condition in conditions)
    if rule.sunspec is not None:
        strictness += (rule.sunspec.manufacturer != ".*") + (rule.sunspec.model != ".*")
    if rule.identification is not None:
        strictness += rule.identification.product != ".*"
    return kind, -strictness, name


def needs_only_identification(rule: MatchRule) -> bool:
    """Return whether the device identification alone decides this rule."""
    return rule.server_id is None and not rule.registers and rule.sunspec is None


def identification_holds(condition: IdentificationCondition, objects: Mapping[int, str | None]) -> bool:
    """Return whether these identification objects meet the condition."""
    return matches_whole(condition.vendor, objects.get(0)) and matches_whole(condition.product, objects.get(1))


def server_id_holds(pattern: str, answer: Response) -> bool:
    """Return whether the pattern occurs in a server id."""
    return isinstance(answer, bytes) and re.search(pattern, answer.decode("latin-1"), re.IGNORECASE) is not None


def register_holds(condition: RegisterCondition, answer: Response) -> bool:
    """Return whether the answer to a register read meets the condition."""
    value = register_value(condition, answer)
    if condition.matches is not None:
        return value is not None and matches_whole(condition.matches, str(value))
    if condition.between is not None:
        low, high = condition.between
        return isinstance(value, int | float) and low <= value <= high
    return value == condition.equals


def matches_whole(pattern: str, text: str | None) -> bool:
    """Return whether the pattern matches the whole text, ignoring case."""
    return re.fullmatch(pattern, text or "", re.IGNORECASE) is not None


def register_value(origin: RegisterOrigin, answer: Response) -> Value:
    """Return the decoded value of a register read; `None` without a value."""
    return decode_one(origin.encoding(), answer) if isinstance(answer, bytes) else None


def object_texts(answer: Response) -> dict[int, str | None]:
    """Return the objects of a device identification as texts; none for any other answer."""
    return {key: _text(raw) for key, raw in answer.items()} if isinstance(answer, Mapping) else {}


def _text(raw: bytes) -> str | None:
    words = (len(raw) + 1) // 2
    value = decode_one(Encoding(type=ValueType.STRING, words=words), raw.ljust(2 * words, b"\0")) if raw else None
    return None if value is None else str(value)


def describe(answer: Response) -> str:
    """Return an answer in a form that a person can read."""
    match answer:
        case bytes():
            readable = answer.decode("ascii", errors="replace").strip("\0 ")
            shown = f' "{readable}"' if len(readable) > 2 and readable.isprintable() and readable.isascii() else ""
            return answer.hex(" ", 2) + shown
        case ExceptionResponse():
            return str(answer)
        case NoResponse():
            return f"silence: {answer.reason}"
        case _:
            return ", ".join(
                f'{OBJECT_NAMES.get(key, f"object {key}")} "{_text(raw) or ""}"' for key, raw in sorted(answer.items())
            )


def plausible_serial_number(serial_number: str | None) -> str | None:
    """Return the serial number, unless it is a value of devices without one: nothing, zeros, all bits set."""
    if serial_number is None or not serial_number.strip():
        return None
    empty = re.fullmatch(r"[0\s.-]*|[Ff\s]*|65535|4294967295|-1|[xX?*\ufffd-]+|n/?a", serial_number.strip(), re.IGNORECASE)
    return None if empty else serial_number.strip()


def plausible_mac(mac: str | None) -> str | None:
    """Return the MAC as `00:90:e8:12:34:56`, `None` when it is not one."""
    digits = re.sub(r"[\s:.-]", "", mac or "").lower()
    if not re.fullmatch(r"[0-9a-f]{12}", digits) or digits in {"0" * 12, "f" * 12}:
        return None
    return ":".join(digits[at : at + 2] for at in range(0, 12, 2))
