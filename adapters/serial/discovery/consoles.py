"""Recognize the prompts of computers, boot loaders, routers and modems, whose port is a console and no device. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from adapters.serial.framing.notation import escaped_text

LATEST_BYTES = 512
"""Number of the latest bytes that are looked at: a prompt is at the end."""

READABLE_BYTES = 24
"""Number of the latest bytes that must be text: a computer that starts may send anything before."""

_TERMINAL_SEQUENCES = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_=>])")
"""Sequences that colour a prompt or move the cursor (ECMA-48, 5.4)."""

_HOST = rb"[A-Za-z0-9][\w.-]{0,62}"
_PATH = rb"[^\r\n]{0,128}"
_LINE = rb"(?:^|[\r\n])"
_NEW_LINE = rb"[\r\n]"
"""In front of short prompts: a byte or two at the begin may be noise."""

_UNREADABLE = re.compile(rb"[^\t\r\n\b\a\x20-\x7e\x80-\xff]")

_AT_THE_END: Mapping[str, re.Pattern[bytes]] = {
    "a log-in prompt of a computer": re.compile(
        rb"(?:^|[\r\n ])(?:" + _HOST + rb" )?(?:login|user ?name|user|pass(?:word|phrase|code)(?: for \S{1,63})?):$",
        re.IGNORECASE,
    ),
    "the prompt of a boot loader": re.compile(
        _NEW_LINE + rb"(?:=>|(?:MX\w+ )?U-Boot ?>|grub(?: rescue)?>|Marvell>>|RedBoot>|CFE>|rommon \d+ ?>|switch:)$"
    ),
    "the prompt of an interpreter": re.compile(_NEW_LINE + rb"(?:>>>|\(Pdb\)|lua>|In \[\d+\]:)$"),
    "the prompt of a router or switch": re.compile(
        _NEW_LINE + rb"(?:" + _HOST + rb"(?:\([\w-]+\))?[>#]|<" + _HOST + rb">|\[" + _HOST + rb"@" + _HOST + rb"\] ?>)$"
    ),
    "the prompt of a shell": re.compile(
        _LINE + rb"(?:[\w.-]+@" + _HOST + rb"[: ]" + _PATH + rb"[#$%]|\[[\w.-]+@" + _HOST + rb" " + _PATH + rb"\][#$])$"
        rb"|" + _NEW_LINE + rb"(?:(?:/[\w./-]{0,128}|~) [#$]|(?:ba|a|da)?sh-[\d.]+[#$]|\(initramfs\)|[#$])$"
    ),
}
"""What answers on the port -> what stands before its cursor; blanks behind that are left out."""

_KERNEL_TIME = rb"\[ {0,4}\d{1,7}\.\d{6}\] "

_ANYWHERE: Mapping[str, re.Pattern[bytes]] = {
    "the console of a kernel": re.compile(_LINE + _KERNEL_TIME + rb"[^\r\n]+[\r\n]+" + _KERNEL_TIME),
    "a modem": re.compile(_LINE + rb"(?:NO CARRIER|RING|\+C[A-Z]{3,6}: |\^[A-Z]{3,8}:|AT[\w+&?=]{0,16}\r{1,2}\n(?:OK|ERROR)\r)"),
}
"""What answers on the port -> what it shows at any place."""


@dataclass(frozen=True, slots=True)
class Console:
    """A console that answers on a port and is no device of this gateway."""

    kind: str
    """`a log-in prompt of a computer`."""
    shown: str
    """The line in which it shows, as text."""


def console_in(received: bytes, prompts: Collection[bytes] = ()) -> Console | None:
    """Return the console that these bytes come from; `None` if they show none.

    Args:
        received: the bytes.
        prompts: prompts of devices that may be on the line: what ends with one of them is no console.
    """
    if (console := prompt_in(received, prompts)) is not None:
        return console
    text = _plain_text(received)
    for kind, pattern in _ANYWHERE.items():
        if (found := pattern.search(text)) is not None:
            return Console(kind, _shown(found[0]))
    return None


def prompt_in(received: bytes, prompts: Collection[bytes] = ()) -> Console | None:
    """Return the console whose prompt these bytes end with; `None` if they end with none, or with one of a device."""
    text = _plain_text(received)
    if not _is_readable(text) or any(text.endswith(prompt.rstrip()) for prompt in prompts if prompt.strip()):
        return None
    for kind, pattern in _AT_THE_END.items():
        if (found := pattern.search(text)) is not None:
            return Console(kind, _shown(found[0]))
    return None


def _plain_text(received: bytes) -> bytes:
    return _TERMINAL_SEQUENCES.sub(b"", received[-LATEST_BYTES:]).rstrip(b" \t\0")


def _is_readable(text: bytes) -> bool:
    """Return whether the last lines are text, unlike what is received at a wrong speed."""
    latest = text[-READABLE_BYTES:]
    try:
        latest.decode()
    except UnicodeDecodeError as error:
        if error.start >= 3:  # the first bytes may be the rest of a character
            return False
    return _UNREADABLE.search(latest) is None


def _shown(line: bytes) -> str:
    return escaped_text(line.strip()[:64])
