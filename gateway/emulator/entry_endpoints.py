"""List the endpoints of the entry server, where devices register (section 2). Pure."""

from __future__ import annotations

from typing import Final

from gateway.emulator import incidents, registration
from gateway.emulator.api_types import ApiError, Endpoint, Request, Response
from gateway.emulator.cloud import Cloud


def _add_event(cloud: Cloud, request: Request) -> Response:
    """Handle Add Event where the quirk `events_on_entry` is set (section 17.14)."""
    if not cloud.quirks.events_on_entry:
        raise ApiError(404, "Not found")
    return incidents.add_event(cloud, cloud.authorise(request.device_id, request.authorization), request)


ENDPOINTS: Final[tuple[Endpoint[Cloud], ...]] = (
    Endpoint("Register Device", "POST", "/v1/devices", registration.register_device),
    Endpoint("Bulk Register Devices", "POST", "/v1/devices/bulk_create", registration.register_in_bulk),
    Endpoint("Register Child Device", "POST", "/v1/devices/{device_id}/children", registration.register_child),
    Endpoint("Add Event", "POST", "/v1/devices/{device_id}/events", _add_event),
)
