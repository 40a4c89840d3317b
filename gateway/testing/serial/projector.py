"""Simulate a projector that is controlled over a network (JBMIA: PJLink Specifications 2.10, classes 1 and 2).

A command is `%`, the class, four letters, a space and a parameter, ended by a carriage return. With a password, the projector
greets each connection with `PJLINK 1` and a random text, and wants the MD5 of both in front of the first command.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence

from gateway.testing.serial.device import SerialDevice

STANDBY, ON, COOLING, WARMING_UP = 0, 1, 2, 3
UNKNOWN, OUT_OF_RANGE, NOT_NOW = "ERR1", "ERR2", "ERR3"
RANDOM_TEXT = "498e4a67"
"""The random text of its greetings, unless it is changed: that of the example in the specification."""


class Projector(SerialDevice):
    """A projector.

    Args:
        password: its PJLink password; `None` if it has none.
        pjlink_class: 1 or 2.
        manufacturer: its maker.
        model: its product name.
        serial_number: its serial number, which it tells in class 2.
        tells_in_standby: the commands that it answers in standby; it refuses all others with `ERR3` then.
        lower_case: it answers in lower case.
        end: the end of its answers.
    """

    def __init__(
        self,
        *,
        password: str | None = None,
        pjlink_class: int = 1,
        manufacturer: str = "NEC",
        model: str = "P506QL",
        serial_number: str = "9X00123FA",
        tells_in_standby: frozenset[str] = frozenset({"POWR", "CLSS"}),
        lower_case: bool = False,
        end: bytes = b"\r",
    ) -> None:
        super().__init__(f"{manufacturer} {model}")
        self.power, self.input, self.mute, self.is_frozen = ON, "31", "30", False
        self.requests: list[str] = []
        """All received commands, without the hash."""
        self.class_text = ""
        """What it writes before its class, against the specification: `Class `."""
        self.rejected_logins = 0
        """How often a wrong password, or none, was received."""
        self.password = password
        self.random_text = RANDOM_TEXT
        self._class = pjlink_class
        self._tells_in_standby = tells_in_standby
        self._lower_case, self._end = lower_case, end
        self._buffer = b""
        self._is_logged_in = password is None
        self._reads: Mapping[str, Callable[[], str]] = {
            "1CLSS": lambda: f"{self.class_text}{pjlink_class}",
            "1POWR": lambda: str(self.power),
            "1INPT": lambda: self.input,
            "1AVMT": lambda: self.mute,
            "1ERST": lambda: "000000",
            "1LAMP": lambda: "1234 1",
            "1INF1": lambda: manufacturer,
            "1INF2": lambda: model,
            "1INFO": lambda: "",
            "2SNUM": lambda: serial_number,
            "2SVER": lambda: "1.03",
            "2FREZ": lambda: str(int(self.is_frozen)),
            "2IRES": lambda: "1920x1080",
            "2FILT": lambda: "250",
        }

    def connected(self) -> bytes:
        """Return its greeting."""
        self.log_out()
        return self._encoded("PJLINK 0" if self.password is None else f"PJLINK 1 {self.random_text}")

    def log_out(self) -> None:
        """Want the hash again, if it has a password."""
        self._buffer, self._is_logged_in = b"", self.password is None

    def receive(self, data: bytes) -> Sequence[bytes]:
        """Return the answers to the commands that these bytes complete."""
        *lines, self._buffer = (self._buffer + data).split(b"\r")
        return [answer for line in lines if (answer := self._answer(line.decode("utf-8", "replace"))) is not None]

    def _answer(self, line: str) -> bytes | None:
        hashed, percent, command = line.partition("%")
        if not percent:
            return None
        if not self._is_logged_in:
            if hashed != hashlib.md5(f"{self.random_text}{self.password}".encode(), usedforsecurity=False).hexdigest():
                self.rejected_logins += 1
                return self._encoded("PJLINK ERRA")
            self._is_logged_in = True
        self.requests.append(f"%{command}")
        name, _, parameter = command.partition(" ")
        return self._encoded(f"%{name}={self._value(name.upper(), parameter)}", is_lower=self._lower_case)

    def _value(self, name: str, parameter: str) -> str:
        if name not in self._reads or int(name[0]) > self._class:
            return UNKNOWN
        if self.power == STANDBY and name[1:] not in self._tells_in_standby and (name, parameter) != ("1POWR", "1"):
            return NOT_NOW
        return self._reads[name]() if parameter == "?" else self._set(name, parameter)

    def _set(self, name: str, parameter: str) -> str:
        if name == "1POWR" and parameter in {"0", "1"}:
            self.power = ON if parameter == "1" else STANDBY
        elif name == "1INPT" and len(parameter) == 2:
            self.input = parameter
        elif name == "1AVMT" and parameter in {"10", "11", "20", "21", "30", "31"}:
            self.mute = parameter
        elif name == "2FREZ" and parameter in {"0", "1"}:
            self.is_frozen = parameter == "1"
        else:
            return OUT_OF_RANGE
        return "OK"

    def _encoded(self, text: str, *, is_lower: bool = False) -> bytes:
        return (text.lower() if is_lower else text).encode() + self._end
