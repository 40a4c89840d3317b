"""Turn a bus that a person names in the set-up into an entry of the configuration: host, line, port or radio. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.config.entered_texts import QUOTES, parse_host

USUAL_UNITS: Final = "1-16, 255"
"""The unit ids that are asked where a person names none: a whole bus of 247 silent ones takes minutes."""

_PORT: Final = re.compile(r"/dev/[\w./:+-]+|(usb|id):[\w.:-]+|(tcp|socket)://[\w.-]+:\d{1,5}|rfc2217://[\w.-]+:\d{1,5}")
_LINE: Final = re.compile(r"(\d{2,7})\s*(?:[ ,/]\s*)?([78])([NEO])([12])", re.IGNORECASE)
_CONTROLLER: Final = re.compile(r"hci\d{1,3}|([0-9A-F]{2}:){5}[0-9A-F]{2}", re.IGNORECASE)
_UNITS: Final = re.compile(r"\d{1,3}(\s*-\s*\d{1,3})?(\s*,\s*\d{1,3}(\s*-\s*\d{1,3})?)*")


@dataclass(frozen=True, slots=True)
class BusByHand:
    """A bus that a person has named."""

    number: int
    kind: str
    """The type of its adapter."""
    table: Mapping[str, Any]
    """The keys of its entry, without `type`."""
    label: str
    """What a person has entered."""

    @property
    def port(self) -> str | None:
        """The serial port that it uses; `None` for none."""
        for one in (*self.table.get("lines", ()), *self.table.get("ports", ())):
            return str(one["port"])
        return None


def bus_from(number: int, fields: Mapping[str, str]) -> BusByHand:
    """Return the bus that a form describes by its field `what`: modbus-host, modbus-line, serial-port or bluetooth.

    Raises:
        ValueError: a field is wrong; the sentence names it.
    """
    match fields.get("what", ""):
        case "modbus-host":
            host = parse_host(fields.get("host", ""))
            return BusByHand(number, "modbus", {"hosts": [host], "units": _units(fields)}, host)
        case "modbus-line":
            port = _port(fields)
            speed, _, parity, stopbits = _line(fields.get("line", "") or "9600 8N1")
            line = {"port": port, "baudrate": speed, "parity": parity, "stopbits": stopbits}
            return BusByHand(number, "modbus", {"lines": [line], "units": _units(fields)}, port)
        case "serial-port":
            port = _port(fields)
            written = fields.get("line", "").strip()
            rule: dict[str, Any] = {"port": port}
            if written and not port.startswith("tcp://"):
                speed, databits, parity, stopbits = _line(written)
                rule["line"] = f"{speed} {databits}{parity}{stopbits}"
            return BusByHand(number, "serial", {"ports": [rule]}, port)
        case "bluetooth":
            controller = fields.get("controller", "").strip().strip(QUOTES) or "hci0"
            if _CONTROLLER.fullmatch(controller) is None:
                raise ValueError("This is not a Bluetooth adapter; it is called hci0, or by its address.")
            return BusByHand(number, "ble", {"controllers": [controller]}, controller)
    raise ValueError("Choose what is to be added.")


def merged_tables(tables: Mapping[str, Mapping[str, Any]], by_hand: Sequence[BusByHand]) -> dict[str, dict[str, Any]]:
    """Return one table for each adapter: what the search has found, and what a person has named; the latter has the port."""
    named_ports = {bus.port for bus in by_hand} - {None}
    merged = {kind: _without_ports(table, named_ports) for kind, table in tables.items()}
    merged = {kind: table for kind, table in merged.items() if "ports" not in table or table["ports"]}
    for bus in by_hand:
        table = merged.setdefault(bus.kind, {})
        for key, value in bus.table.items():
            if key == "units" and table.get("units", value) != value:
                table["units"] = ", ".join(dict.fromkeys([*str(table["units"]).split(", "), *str(value).split(", ")]))
            elif isinstance(value, list):
                table[key] = [*table.get(key, ()), *(one for one in value if one not in table.get(key, ()))]
            else:
                table[key] = value
    return merged


def _without_ports(table: Mapping[str, Any], ports: set[str | None]) -> dict[str, Any]:
    kept = [one for one in table.get("ports", ()) if not (isinstance(one, Mapping) and one.get("port") in ports)]
    return {**table, "ports": kept} if "ports" in table else dict(table)


def _port(fields: Mapping[str, str]) -> str:
    port = fields.get("port", "").strip().strip(QUOTES)
    if _PORT.fullmatch(port) is None:
        raise ValueError("This is not a serial port; it looks like /dev/ttyUSB0, usb:10c4:ea60 or tcp://192.168.1.40:4352.")
    return port


def _line(text: str) -> tuple[int, int, str, int]:
    written = _LINE.fullmatch(text.strip().strip(QUOTES))
    if written is None:
        raise ValueError("These are not line settings; they look like 9600 8N1.")
    return int(written[1]), int(written[2]), written[3].upper(), int(written[4])


def _units(fields: Mapping[str, str]) -> str:
    units = fields.get("units", "").strip() or USUAL_UNITS
    if _UNITS.fullmatch(units) is None:
        raise ValueError("These are not unit ids; they look like 1-16, 255.")
    return units
