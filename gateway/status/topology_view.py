"""Define what the page of the topology needs from the gateway besides the snapshot. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class TopologyView(Protocol):
    """The load of single devices, which a snapshot does not have."""

    def device_loads(self, entry: str, bus: str) -> Mapping[str, float]:
        """Return the share of the bus's time, 0 to 1, that each of its children used lately, by key.

        Children that used none are left out; a bus that is not there has none.
        """
