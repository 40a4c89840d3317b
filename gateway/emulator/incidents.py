"""Handle the calls for incidents and events (section 11). Pure."""

from __future__ import annotations

from datetime import timedelta

from gateway.emulator.api_types import ApiError, Form, Request, Response
from gateway.emulator.cloud import Cloud
from gateway.emulator.device import Device, Event, Incident, iso
from gateway.emulator.device_registry import new_id
from gateway.emulator.field_validation import INT32, label, optional_text, optional_time, required_text

PRIORITIES = {1: "critical", 2: "high", 3: "moderate", 4: "low", 5: "planning"}
PRIORITY_TEXTS = frozenset(map(str, PRIORITIES))
SUSPENDED = "incidents.suspend_creation"
"""The cloud setting that stops incident creation (section 8.4)."""
EVENTS_PER_DAY = 100
EVENT_TEXT = 255


def open_one(cloud: Cloud, device: Device, request: Request) -> Response:
    """Open an incident; an unclaimed device gets a dummy id and nothing is stored."""
    form = request.form()
    title, priority = required_text(form, "title"), _priority(form)
    issue, description = optional_text(form, "issue"), optional_text(form, "description")
    if not device.claimed or is_suspended(device):
        return Response(200, {"incident_id": new_id()})
    incident = cloud.open_incident(device, title, issue=issue, priority=priority, description=description, origin="device")
    return Response(200, {"incident_id": incident.id})


def get_open(cloud: Cloud, device: Device, _request: Request) -> Response:
    """List the open incidents of a device, including those of customers and rules."""
    owner = {"device_id": device.id} if cloud.quirks.since("1.0.7") else {}
    return Response(200, [{**_incident_json(incident), **owner} for incident in device.incidents if incident.is_open])


def close_one(cloud: Cloud, device: Device, request: Request) -> Response:
    """Close an incident that the device or a customer opened, not one by rule."""
    for incident in device.incidents:
        if incident.id == request.params["incident_id"] and incident.is_open and incident.origin != "rule":
            incident.close(cloud.clock())
            return Response(200, {"success": True})
    raise ApiError(404, "Incident not found")


def close_own(cloud: Cloud, device: Device, _request: Request) -> Response:
    """Close all incidents that the device itself opened."""
    for incident in device.incidents:
        if incident.is_open and incident.origin == "device":
            incident.close(cloud.clock())
    return Response(200, {"success": True})


def add_event(cloud: Cloud, device: Device, request: Request) -> Response:
    """Store an event, 100 a day for a device; nothing is stored for an unclaimed one (section 11.5).

    What happens to more is not documented: by default it is 429, as for the other limits of section 14.
    """
    form = request.form()
    event = Event(
        name=required_text(form, "name"),
        category=required_text(form, "category"),
        at=optional_time(form, "timestamp") or cloud.clock(),
        keys=_event_keys(form),
    )
    if _is_within_limit(cloud, device) and device.claimed:
        device.events.append(event)
    return Response(200, {"status": True})


def is_suspended(device: Device) -> bool:
    """Return whether the device's cloud settings stop the creation of incidents (section 8.4)."""
    return device.settings.get(SUSPENDED) in (True, "true")


def _priority(form: Form) -> int:
    """Return the priority: an integer or, as [S] types it, a string (section 18)."""
    priority = form.get("priority")
    if priority is None:
        return 3
    if isinstance(priority, str) and priority in PRIORITY_TEXTS:
        return int(priority)
    if type(priority) is not int or priority not in PRIORITIES:
        raise ApiError(422, "Priority must be between 1 and 5")
    return priority


def _is_within_limit(cloud: Cloud, device: Device) -> bool:
    try:
        cloud.admit(f"{device.id} events", limit=EVENTS_PER_DAY, within=timedelta(days=1))
    except ApiError:
        if cloud.quirks.events_over_limit == "refused":
            raise
        return False
    return True


def _event_keys(form: Form) -> dict[str, int | str]:
    keys: dict[str, int | str] = {}
    for field in ("int_key_1", "int_key_2"):
        if (number := form.get(field)) is not None:
            if type(number) is not int or number not in INT32:
                raise ApiError(422, f"{label(field)} must be a 32-bit integer")
            keys[field] = number
    for field in ("string_key_1", "string_key_2"):
        if (text := optional_text(form, field)) is not None:
            if len(text) > EVENT_TEXT:
                raise ApiError(422, f"{label(field)} is too long (maximum is {EVENT_TEXT} characters)")
            keys[field] = text
    return keys


def _incident_json(incident: Incident) -> dict[str, object]:
    return {
        "id": incident.id,
        "status": "active" if incident.is_open else "closed",
        "priority": PRIORITIES[incident.priority],
        "title": incident.title,
        "description": incident.description,
        "issue": incident.issue,
        "created_at": iso(incident.created_at),
        "updated_at": iso(incident.updated_at),
    }
