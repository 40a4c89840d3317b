"""Define the patterns of a passive scan, and divide them among BlueZ's advertisement monitors. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

PATTERNS_PER_MONITOR = 7
"""More make bluetoothd abort.

It keeps the length of the command for the kernel, 1 + 34 bytes for each pattern, in one byte (`merged_pattern_send_add_pattern`
in src/adv_monitor.c of BlueZ 5.56 to 5.87): with 8 it writes beyond the memory that it requested. Monitors of other programs do
not count: only monitors with the same patterns in the same order share such a command.
"""

MOST_MONITORS = 4
"""The kernel has 32 for all programs (`HCI_MAX_ADV_MONITOR_NUM_HANDLES`), a controller that matches patterns itself has fewer."""

MOST_PATTERNS = PATTERNS_PER_MONITOR * MOST_MONITORS

# Assigned Numbers, section 2.3: common data types
FLAGS = 0x01
SOME_SERVICES_16 = 0x02
ALL_SERVICES_16 = 0x03
SOME_SERVICES_128 = 0x06
ALL_SERVICES_128 = 0x07
COMPLETE_NAME = 0x09
SERVICE_DATA_16 = 0x16
SERVICE_DATA_128 = 0x21
MANUFACTURER_DATA = 0xFF


class Pattern(NamedTuple):
    """A pattern of advertisements: some bytes at a position of the data in a structure of some type."""

    position: int
    kind: int
    content: bytes

    def includes(self, other: Pattern) -> bool:
        """Return whether each advertisement that contains the other contains this one."""
        return self[:2] == other[:2] and other.content.startswith(self.content)


USUAL_FLAGS = tuple(Pattern(0, FLAGS, bytes([flags])) for flags in (0x06, 0x1A, 0x05, 0x04, 0x02, 0x18))
"""The flags of nearly all devices, the most common first.

They are the only patterns that every BlueZ matches: some versions since 5.69 match no structure that they parse (bluez#652).
"""


def monitors(patterns: Iterable[Pattern]) -> list[Sequence[Pattern]]:
    """Return the patterns of each monitor: the first monitor has the first patterns; those that do not fit are dropped."""
    wanted = list(dict.fromkeys(patterns))[:MOST_PATTERNS]
    return [wanted[start : start + PATTERNS_PER_MONITOR] for start in range(0, len(wanted), PATTERNS_PER_MONITOR)]
