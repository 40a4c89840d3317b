"""Estimate the time that polling a device takes on its serial line. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from adapters.serial.discovery.identity import parse_address
from adapters.serial.port.line_settings import LineSettings
from adapters.serial.profile.profile import Profile
from adapters.serial.profile.protocol import DeviceProtocol
from gateway.adapter import ChildDevice, PlannedRead

USUAL_ANSWER_BYTES = 24
"""Assumed length of an answer: most answers are shorter."""


def planned_reads(child: ChildDevice, profile: Profile, line: LineSettings) -> Iterator[PlannedRead]:
    """Yield the load of each poll group of a child."""
    protocol = DeviceProtocol(profile)
    address = parse_address(child.address)[1]
    for group, every in profile.intervals.items():
        requests = [
            protocol.query_request(query.name, address).raw for query in profile.queries if query.group == group and query.points
        ]
        seconds = sum(line.character_seconds * (len(raw) + USUAL_ANSWER_BYTES) + profile.talk.pace for raw in requests)
        yield PlannedRead(
            address=child.address, name=child.name, group=group, every=every, seconds=seconds, transactions=len(requests)
        )
