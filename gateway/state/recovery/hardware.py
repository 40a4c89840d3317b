"""Recognise the hardware that the gateway runs on, and see whether a store was moved to another one.

Two copies of a store, such as cloned SD cards, would speak to the cloud with one key. What is compared is what stays when a
program, a container or a card is exchanged: the serial number of the board, and the addresses that network cards were made with.
A container has neither unless it uses the network of its host; then nothing is compared, so its recreation raises no false alarm,
unless `[gateway] hardware_id` names the hardware. The machine id is a file on the card, which a clone has, too: it counts only
where there is nothing else.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from gateway import strict_json
from gateway.state.database.columns import Unusable, json_object

_BOARD_FILES: Final = (
    "proc/device-tree/serial-number",
    "sys/firmware/devicetree/base/serial-number",
    "sys/class/dmi/id/product_uuid",
    "sys/class/dmi/id/board_serial",
    "sys/class/dmi/id/product_serial",
)
_NO_SERIAL: Final = re.compile(
    r"(?i)^(0*|f*|none|n/?a|unknown|default string|not (specified|applicable|available)|to be filled.*|system serial number"
    r"|123456789?|03000200-0400-0500-0006-000700080009|(0{4,}|f{4,}).*-.*(0{4,}|f{4,}))$"
)
"""What makers write where they have given no serial number."""

_FIXED_ADDRESS: Final = "0"
"""`addr_assign_type` of a network card whose address is its own, and was neither made by chance nor set."""

_SET_BY_SOFTWARE: Final = 0x02
"""This bit of the first byte is set in addresses that programs such as Docker give."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """What is known of a machine; each part may be unknown."""

    given: str | None = None
    """`[gateway] hardware_id`."""
    boards: tuple[tuple[str, str], ...] = ()
    """The serial numbers of its board, by the file that has them."""
    macs: frozenset[str] = frozenset()
    """The addresses of its network cards."""
    machine: str | None = None
    """A hash of its machine id, which is no one else's business."""

    @classmethod
    def of_machine(cls, given: str | None, *, is_in_container: bool, root: Path = Path("/")) -> Self:
        """Read it from the files of this machine. May block for a moment."""
        boards = ((name, _text(root / name)) for name in _BOARD_FILES)
        machine = None if is_in_container else _text(root / "etc/machine-id")
        return cls(
            given=given,
            boards=tuple((name, serial) for name, serial in boards if serial is not None and not _NO_SERIAL.match(serial)),
            macs=frozenset(_macs(root / "sys/class/net", is_in_container=is_in_container)),
            machine=None if machine is None else hashlib.sha256(f"xyte-gateway {machine}".encode()).hexdigest()[:32],
        )

    def to_json(self) -> str:
        """Return it as it is stored."""
        facts = {"given": self.given, "boards": dict(self.boards), "macs": sorted(self.macs), "machine": self.machine}
        return strict_json.dumps(facts)

    @classmethod
    def from_json(cls, written: object) -> Self:
        """Return what was stored.

        Raises:
            Unusable: that is damaged.
        """
        facts = json_object(written, "the hardware")
        given, boards, macs, machine = (facts.get(name) for name in ("given", "boards", "macs", "machine"))
        if not isinstance(boards, dict) or not isinstance(macs, list):
            raise Unusable("the hardware has no boards or cards")
        return cls(
            given=None if given is None else str(given),
            boards=tuple((str(name), str(serial)) for name, serial in boards.items()),
            macs=frozenset(map(str, macs)),
            machine=None if machine is None else str(machine),
        )

    def seen_again(self, now: Hardware) -> Hardware:
        """Return what is known after the same machine was seen again: what is missing now, such as a card, stays known."""
        return Hardware(
            given=now.given or self.given,
            boards=tuple({**dict(self.boards), **dict(now.boards)}.items()),
            macs=now.macs or self.macs,
            machine=now.machine or self.machine,
        )


def difference(known: Hardware, now: Hardware) -> str | None:
    """Return why this is another machine, for a person; `None` where nothing says so. The first thing that both have decides."""
    if known.given is not None and now.given is not None:
        return _differs("gateway.hardware_id", known.given, now.given)
    both = dict(known.boards).keys() & dict(now.boards).keys()
    for name in _BOARD_FILES:
        if name in both:
            return _differs(f"the serial number /{name}", dict(known.boards)[name], dict(now.boards)[name])
    if known.macs and now.macs:
        if known.macs & now.macs:
            return None
        return f"its network cards are {', '.join(sorted(now.macs))}, and were {', '.join(sorted(known.macs))}"
    if known.machine is not None and now.machine is not None and known.machine != now.machine:
        return "its machine id (/etc/machine-id) is another one"
    return None


def _differs(what: str, known: str, now: str) -> str | None:
    return None if known == now else f"{what} is {now}, and was {known}"


def _macs(cards: Path, *, is_in_container: bool) -> list[str]:
    found = []
    for card in sorted(cards.glob("*")):
        mac = _text(card / "address")
        if mac is None or not re.fullmatch(r"([0-9a-f]{2}:){5}[0-9a-f]{2}", mac) or mac == "00:00:00:00:00:00":
            continue
        is_hardware = (card / "device").exists() and _text(card / "addr_assign_type") == _FIXED_ADDRESS
        if is_hardware and not (is_in_container and int(mac[:2], 16) & _SET_BY_SOFTWARE):
            found.append(mac)
    return found


def _text(file: Path) -> str | None:
    try:
        return file.read_text(encoding="ascii", errors="replace").strip("\0 \t\r\n") or None
    except OSError:
        return None
