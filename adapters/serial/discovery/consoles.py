"""Recognize the prompts of computers, boot loaders, routers and modems, whose port is a console and no device. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from adapters.serial.framing.notation import escaped_text

LATEST_BYTES = 512
"""Number of the latest bytes that are looked at: a prompt is at the end."""

_TERMINAL_SEQUENCES = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_=>])")
"""Sequences that colour a prompt or move the cursor (ECMA-48, 5.4)."""

_HOST = rb"[A-Za-z0-9][\w.-]{0,62}"
_PATH = rb"[^\r\n]{0,128}"
_LINE = rb"(?:^|[\r\n])"

_AT_THE_END: Mapping[str, re.Pattern[bytes]] = {
    "a log-in prompt of a computer": re.compile(
        rb"(?:^|[\r\n ])(?:" + _HOST + rb" )?(?:login|user ?name|user|pass(?:word|phrase|code)(?: for \S{1,63})?):$",
        re.IGNORECASE,
    ),
    "the prompt of a boot loader": re.compile(
        _LINE + rb"(?:=>|(?:MX\w+ )?U-Boot ?>|grub(?: rescue)?>|Marvell>>|RedBoot>|CFE>|rommon \d+ ?>|switch:)$"
    ),
    "the prompt of an interpreter": re.compile(_LINE + rb"(?:>>>|\(Pdb\)|lua>|In \[\d+\]:)$"),
    "the prompt of a router or switch": re.compile(
        _LINE + rb"(?:" + _HOST + rb"(?:\([\w-]+\))?[>#]|<" + _HOST + rb">|\[" + _HOST + rb"@" + _HOST + rb"\] ?>)$"
    ),
    "the prompt of a shell": re.compile(
        _LINE + rb"(?:[\w.-]+@" + _HOST + rb"[: ]" + _PATH + rb"[#$%]|\[[\w.-]+@" + _HOST + rb" " + _PATH + rb"\][#$]"
        rb"|(?:/[\w./-]{0,128}|~) [#$]|(?:ba|a|da)?sh-[\d.]+[#$]|\(initramfs\)|[#$])$"
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
    """What answers on a port that is no device of this gateway."""

    kind: str
    """`a log-in prompt of a computer`."""
    shown: str
    """The line in which it shows, as text."""


def console_in(received: bytes) -> Console | None:
    """Return the console that these bytes come from; `None` if they show none."""
    text = _TERMINAL_SEQUENCES.sub(b"", received[-LATEST_BYTES:]).rstrip(b" \t\0")
    for kind, pattern in _AT_THE_END.items():
        if (found := pattern.search(text)) is not None:
            return Console(kind, _shown(found[0]))
    for kind, pattern in _ANYWHERE.items():
        if (found := pattern.search(text)) is not None:
            return Console(kind, _shown(found[0]))
    return None


def _shown(line: bytes) -> str:
    return escaped_text(line.strip()[:64])
