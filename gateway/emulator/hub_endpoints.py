"""The calls of the hub server: everything a registered device says and asks (section 2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gateway.emulator import commands, configuration, device_info, files, incidents, licences, registration, spaces, telemetry
from gateway.emulator.api_types import Answer, Call, Method, Request
from gateway.emulator.cloud import Cloud
from gateway.emulator.device import Device

DEVICE: Final = "/v1/devices/{device_id}"


def _device_info(cloud: Cloud, request: Request) -> Answer:
    """The one call that answers 400 where all others answer 401 (section 8.1)."""
    return device_info.get(cloud, cloud.authorise(request.device_id, request.authorization, refusal_status=400), request)


def _own(
    name: str, method: Method, path: str, answer: Callable[[Cloud, Device, Request], Answer], *, changes_little: bool = False
) -> Call[Cloud]:
    """Return the row of a call that a device makes under its own id with its own key."""

    def authorised(cloud: Cloud, request: Request) -> Answer:
        return answer(cloud, cloud.authorise(request.device_id, request.authorization), request)

    return Call(name, method, DEVICE + path, authorised, changes_little)


CALLS: Final[tuple[Call[Cloud], ...]] = (
    Call("Send Mass Telemetry", "POST", "/v1/devices/telemetries", telemetry.send_mass, changes_little=True),
    Call("Send Child Telemetries", "POST", f"{DEVICE}/children/telemetries", telemetry.send_for_children, changes_little=True),
    Call("Get Device Info", "GET", DEVICE, _device_info, changes_little=True),
    _own("Get Child Devices", "GET", "/children", registration.get_children, changes_little=True),
    _own("Send Telemetry", "POST", "/telemetry", telemetry.send, changes_little=True),
    _own("Get Command", "GET", "/command", commands.get, changes_little=True),
    _own("Get Commands with Children", "GET", "/command/pending_commands", commands.get_pending, changes_little=True),
    _own("Update Command", "POST", "/command", commands.update),
    _own("Get Config", "GET", "/config", configuration.get, changes_little=True),
    _own("Set Config", "POST", "/config", configuration.set_from_device),
    _own("Update Device", "PUT", "", device_info.update),
    _own("Delete Device", "DELETE", "", device_info.delete),
    _own("Set Cloud Settings", "PUT", "/cloud_settings", device_info.set_cloud_settings),
    _own("Get Space Info", "GET", "/space", spaces.get, changes_little=True),
    _own("Space Move", "PUT", "/space/move", spaces.move),
    _own("Get License", "GET", "/license", licences.get_next, changes_little=True),
    _own("Get Licenses", "GET", "/licenses", licences.get_all, changes_little=True),
    _own("Update License", "POST", "/licenses", licences.update),
    _own("Send Dump", "POST", "/dumps/{mime_type}/{filename}", files.send, changes_little=True),
    _own("Append Dump", "PUT", "/dumps/{dump_id}", files.append, changes_little=True),
    _own("Get Files", "GET", "/files", files.get_files, changes_little=True),
    _own("Get File", "GET", "/files/{file_id}", files.get_file, changes_little=True),
    _own("Open Incident", "POST", "/incidents", incidents.open_one),
    _own("Get Incidents", "GET", "/incidents", incidents.get_open, changes_little=True),
    _own("Close Incident", "DELETE", "/incidents/{incident_id}", incidents.close_one),
    _own("Close Incidents", "DELETE", "/incidents", incidents.close_own),
    _own("Add Event", "POST", "/events", incidents.add_event),
)
