"""Say where a serial port is, what is spoken on it and how its line is set, each fact with where it comes from. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from adapters.serial.port.line_settings import LineSettings
from adapters.serial.port.selection import is_plain_tcp, url_scheme
from adapters.serial.profile.profile import Profile
from adapters.serial.settings import PortRule
from gateway.adapter import BusFact, FactSource

PARITIES: Final = {"N": "none", "E": "even", "O": "odd", "M": "mark", "S": "space"}
FLOW_CONTROLS: Final = {"none": "none", "rtscts": "hardware (RTS/CTS)", "xonxoff": "software (XON/XOFF)"}


def facts_of(
    rule: PortRule, address: str, protocol: Profile | None, line: LineSettings, sources: tuple[FactSource, FactSource]
) -> Sequence[BusFact]:
    """Return the facts about a port.

    Args:
        rule: the rule of the configuration that it fits.
        address: where it was opened last, empty if it was not there.
        protocol: the profile that is spoken on it, `None` while none is known.
        line: how its line is set.
        sources: where the protocol and the line settings come from.
    """
    port = address or rule.port
    facts = [BusFact("port", port, FactSource.CONFIGURED if port == rule.port else FactSource.FOUND)]
    if port != rule.port:
        facts.append(BusFact("selected_by", rule.port, FactSource.CONFIGURED))
    facts.append(BusFact("protocol", "not known yet") if protocol is None else BusFact("protocol", protocol.title, sources[0]))
    if url_scheme(port) == "socket":
        return [*facts, BusFact("speed", "set on the device server")]
    return facts if is_plain_tcp(port) else [*facts, *_line_facts(line, sources[1])]


def _line_facts(line: LineSettings, source: FactSource) -> Iterator[BusFact]:
    yield BusFact("speed", f"{line.baudrate} baud", source)
    yield BusFact("data_bits", str(line.bytesize), source)
    yield BusFact("parity", PARITIES[line.parity], source)
    yield BusFact("stop_bits", str(line.stopbits), source)
    yield BusFact("flow_control", FLOW_CONTROLS[line.flow_control], source)
