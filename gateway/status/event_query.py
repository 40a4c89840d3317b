"""Read which events of the timeline are wanted from an address of the page or the API, and write it into one. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from gateway.state.history.timeline import EventKind, TimelineFilter
from gateway.status.model import decode_id

SEQ: Final = "[0-9]{1,18}"
MOST_ID_LENGTH: Final = 2_000


@dataclass(frozen=True, slots=True)
class EventQuery:
    """The filter of a list of events, as it stands in an address. What is empty filters nothing."""

    device: str = ""
    """The id of a device in addresses."""
    bus: str = ""
    """The id of a bus in addresses."""
    kind: str = ""
    before: str = ""
    """The number of an event: only earlier ones."""
    after: str = ""
    """The number of an event: only later ones."""

    @classmethod
    def parse(cls, parameters: Mapping[str, str]) -> EventQuery:
        """Read the query parameters of an address; invalid ones count as missing."""
        query = cls(*(parameters.get(name, "")[:MOST_ID_LENGTH] for name in ("device", "bus", "kind", "before", "after")))
        return cls(
            device=query.device if len(decode_id(query.device)) == 1 else "",
            bus=query.bus if len(decode_id(query.bus)) == 2 else "",
            kind=query.kind if query.kind in set(EventKind) else "",
            before=query.before if re.fullmatch(SEQ, query.before) else "",
            after=query.after if re.fullmatch(SEQ, query.after) else "",
        )

    def encode(self, **changes: str | int) -> str:
        """Return the query part of an address, with these parameters changed."""
        values = {
            "device": self.device, "bus": self.bus, "kind": self.kind, "before": self.before, "after": self.after,
        } | changes  # fmt: skip
        given = {name: value for name, value in values.items() if value != ""}
        return f"?{urlencode(given)}" if given else "?"

    @property
    def wanted(self) -> TimelineFilter:
        """The same for the timeline."""
        device, bus = decode_id(self.device), decode_id(self.bus)
        entry, bus_name = bus if len(bus) == 2 else (None, None)
        return TimelineFilter(
            child=device[0] if len(device) == 1 and self.device else None,
            entry=entry,
            bus=bus_name,
            kinds=frozenset({EventKind(self.kind)} if self.kind else ()),
            before=int(self.before) if self.before else None,
            after=int(self.after) if self.after else None,
        )
