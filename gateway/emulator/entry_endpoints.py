"""The calls of the entry server: where devices register, and nothing else (section 2)."""

from __future__ import annotations

from typing import Final

from gateway.emulator import incidents, registration
from gateway.emulator.api_types import Answer, Call, Refused, Request
from gateway.emulator.cloud import Cloud


def _add_event(cloud: Cloud, request: Request) -> Answer:
    """Only with the quirk `events_on_entry` (section 17.14)."""
    if not cloud.quirks.events_on_entry:
        raise Refused(404, "Not found")
    return incidents.add_event(cloud, cloud.authorise(request.device_id, request.authorization), request)


CALLS: Final[tuple[Call[Cloud], ...]] = (
    Call("Register Device", "POST", "/v1/devices", registration.register_device),
    Call("Bulk Register Devices", "POST", "/v1/devices/bulk_create", registration.register_in_bulk),
    Call("Register Child Device", "POST", "/v1/devices/{device_id}/children", registration.register_child),
    Call("Add Event", "POST", "/v1/devices/{device_id}/events", _add_event),
)
