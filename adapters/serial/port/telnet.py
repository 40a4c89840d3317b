"""Take the options of Telnet out of received bytes, and refuse each of them (RFC 854). Pure.

A device on port 23 asks for options before it says anything, and some say nothing until they are answered.
"""

from __future__ import annotations

from typing import NamedTuple

TELNET_PORT = 23

IAC, DONT, DO, WONT, WILL, SB, SE = 255, 254, 253, 252, 251, 250, 240

MAX_NEGOTIATION = 512
"""Bytes of a negotiation (SB … SE) that is waited for; beyond, its beginning was none, and what follows it is data."""

_REFUSALS = {DO: WONT, WILL: DONT}


class Received(NamedTuple):
    """What a piece of received bytes contains."""

    data: bytes
    """Without options and commands of Telnet."""
    answer: bytes
    """The bytes to send at once; empty: there is nothing to answer."""


class TelnetOptions:
    """The options of one connection, all of them refused: a line of text is all that is wanted."""

    def __init__(self) -> None:
        self._rest = b""
        """The beginning of a command whose end has not come yet."""
        self._answered: set[tuple[int, int]] = set()

    def received(self, piece: bytes) -> Received:
        """Return what this piece contains; a command may be spread over several pieces."""
        raw, data, answer = self._rest + piece, bytearray(), bytearray()
        at = 0
        while at < len(raw):
            if raw[at] != IAC:
                stop = raw.find(IAC, at)
                stop = stop if stop >= 0 else len(raw)
                data += raw[at:stop]
                at = stop
                continue
            length = _length_of_command(raw, at)
            if length is None:
                break
            command = raw[at : at + length]
            data += bytes([IAC]) if command[1] == IAC else b""
            answer += self._answer_to(command)
            at += length
        self._rest = raw[at:]
        return Received(bytes(data), bytes(answer))

    def _answer_to(self, command: bytes) -> bytes:
        verb, option = command[1], command[-1]
        if verb not in _REFUSALS or (verb, option) in self._answered:
            return b""
        self._answered.add((verb, option))
        return bytes((IAC, _REFUSALS[verb], option))


def sent_by_telnet(data: bytes) -> bytes:
    """Return these bytes as they are sent: a byte 255 is doubled."""
    return data.replace(bytes([IAC]), bytes((IAC, IAC)))


def _length_of_command(raw: bytes, at: int) -> int | None:
    """Return the length of the command that begins here; `None` if its end has not come yet."""
    if at + 1 >= len(raw):
        return None
    verb = raw[at + 1]
    if verb == SB:
        stop = raw.find(bytes((IAC, SE)), at + 2)
        if stop < 0:
            return 2 if len(raw) - at > MAX_NEGOTIATION else None
        return stop + 2 - at
    length = 3 if verb in {DO, DONT, WILL, WONT} else 2
    return length if at + length <= len(raw) else None
