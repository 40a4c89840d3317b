"""List the endpoints of the hub server, for registered devices (section 2). Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gateway.emulator import commands, configuration, device_info, files, incidents, licences, registration, spaces, telemetry
from gateway.emulator.api_types import Endpoint, Method, Request, Response
from gateway.emulator.cloud import Cloud
from gateway.emulator.device import Device

DEVICE: Final = "/v1/devices/{device_id}"


def _device_info(cloud: Cloud, request: Request) -> Response:
    """Handle Get Device Info, which answers a wrong id or key with 400 and a deleted device with 401 (sections 8.1 and 18)."""
    refusal = cloud.quirks.device_info_refusal
    device = cloud.authorise(
        request.device_id,
        request.authorization,
        wrong_key_status=401 if refusal == "always-401" else 400,
        deleted_status=400 if refusal == "always-400" else 401,
    )
    return device_info.get(cloud, device, request)


def _device_endpoint(
    name: str, method: Method, path: str, handle: Callable[[Cloud, Device, Request], Response], *, changes_little: bool = False
) -> Endpoint[Cloud]:
    """Return the endpoint of a call that a device makes under its own id with its own key."""

    def authorised(cloud: Cloud, request: Request) -> Response:
        return handle(cloud, cloud.authorise(request.device_id, request.authorization), request)

    return Endpoint(name, method, DEVICE + path, authorised, changes_little)


ENDPOINTS: Final[tuple[Endpoint[Cloud], ...]] = (
    Endpoint("Send Mass Telemetry", "POST", "/v1/devices/telemetries", telemetry.send_mass, changes_little=True),
    Endpoint(
        "Send Child Telemetries", "POST", f"{DEVICE}/children/telemetries", telemetry.send_for_children, changes_little=True
    ),
    Endpoint("Get Device Info", "GET", DEVICE, _device_info, changes_little=True),
    _device_endpoint("Get Child Devices", "GET", "/children", registration.get_children, changes_little=True),
    _device_endpoint("Send Telemetry", "POST", "/telemetry", telemetry.send, changes_little=True),
    _device_endpoint("Get Command", "GET", "/command", commands.get, changes_little=True),
    _device_endpoint("Get Commands with Children", "GET", "/command/pending_commands", commands.get_pending, changes_little=True),
    _device_endpoint("Update Command", "POST", "/command", commands.update),
    _device_endpoint("Get Config", "GET", "/config", configuration.get, changes_little=True),
    _device_endpoint("Set Config", "POST", "/config", configuration.set_from_device),
    _device_endpoint("Update Device", "PUT", "", device_info.update),
    _device_endpoint("Delete Device", "DELETE", "", device_info.delete),
    _device_endpoint("Set Cloud Settings", "PUT", "/cloud_settings", device_info.set_cloud_settings),
    _device_endpoint("Get Space Info", "GET", "/space", spaces.get, changes_little=True),
    _device_endpoint("Space Move", "PUT", "/space/move", spaces.move),
    _device_endpoint("Get License", "GET", "/license", licences.get_next, changes_little=True),
    _device_endpoint("Get Licenses", "GET", "/licenses", licences.get_all, changes_little=True),
    _device_endpoint("Update License", "POST", "/licenses", licences.update),
    _device_endpoint("Send Dump", "POST", "/dumps/{mime_type}/{filename}", files.send, changes_little=True),
    _device_endpoint("Append Dump", "PUT", "/dumps/{dump_id}", files.append, changes_little=True),
    _device_endpoint("Get Files", "GET", "/files", files.get_files, changes_little=True),
    _device_endpoint("Get File", "GET", "/files/{file_id}", files.get_file, changes_little=True),
    _device_endpoint("Open Incident", "POST", "/incidents", incidents.open_one),
    _device_endpoint("Get Incidents", "GET", "/incidents", incidents.get_open, changes_little=True),
    _device_endpoint("Close Incident", "DELETE", "/incidents/{incident_id}", incidents.close_one),
    _device_endpoint("Close Incidents", "DELETE", "/incidents", incidents.close_own),
    _device_endpoint("Add Event", "POST", "/events", incidents.add_event),
)
