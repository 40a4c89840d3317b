"""Handle Register Device, Bulk Register, Register Child Device and Get Child Devices (sections 3 and 4). Pure."""

from __future__ import annotations

from gateway.emulator.api_types import ApiError, BaseUrls, Form, Request, Response
from gateway.emulator.cloud import Cloud
from gateway.emulator.device import Device, DeviceConfig, Kinship, iso
from gateway.emulator.device_registry import model_of, new_access_key, new_id
from gateway.emulator.field_validation import CLOUD_ID, optional_object, optional_text, required_firmware_version, required_text

BULK_DEVICES = 25
CHILD_PROSE_FIELDS = frozenset({"model_id", "firmware_version", "sn", "mac", "name", "details"})
"""The fields in the prose table of Register Child Device (section 4.1)."""


def register_device(cloud: Cloud, request: Request) -> Response:
    """Register a stand-alone device or, with `parent_id`, a smart child (section 3.1)."""
    device = _register(cloud, request.json())
    return Response(cloud.quirks.registration_status, _credentials(cloud, device, request.base_urls))


def register_in_bulk(cloud: Cloud, request: Request) -> Response:
    """Register up to 25 devices; a result or an error for each, in request order (sections 3.2 and 17.13)."""
    if cloud.quirks.bulk_register == "missing":
        raise ApiError(404, "Not found")
    forms = request.json()
    if not isinstance(forms, list):
        raise ApiError(400, "Body must be a JSON array")
    if len(forms) > BULK_DEVICES:
        raise ApiError(422, f"At most {BULK_DEVICES} devices in one call")
    answers = [_register_or_error(cloud, form, request.base_urls) for form in forms]
    return Response(422 if any("error" in answer for answer in answers) else cloud.quirks.registration_status, answers)


def register_child(cloud: Cloud, request: Request) -> Response:
    """Register one child under the parent of the path; each call makes another device (sections 4.1 and 17.16)."""
    parent = _parent(cloud, request)
    form = request.form()
    if not cloud.knows_model(form.get("model_id")):
        raise ApiError(404, "Model not found", content_type="text/plain")
    _check_child_fields(cloud, form)
    _check_parent(cloud, parent)
    device = _known_child(cloud, parent, form) or _new_child(cloud, parent, form)
    answer = {"id": device.id, "access_key": device.access_key}
    if cloud.quirks.child_hub_url:
        answer["hub_url"] = _hub_url_in_form(cloud, request.base_urls.hub)
    return Response(cloud.quirks.registration_status, answer)


def get_children(cloud: Cloud, parent: Device, _request: Request) -> Response:
    """List a parent's children, without their keys (section 4.2)."""
    return Response(200, [_child_json(child) for child in cloud.children(parent)])


def vendor_and_model(device: Device) -> dict[str, object]:
    """Return the names of the device's vendor and model in the portal."""
    return {"vendor": "Emulated", "model": f"Model {device.model_id[:8]}"}


def _register_or_error(cloud: Cloud, form: object, base_urls: BaseUrls) -> dict[str, object]:
    try:
        return _credentials(cloud, _register(cloud, form), base_urls)
    except ApiError as error:
        return {"error": error.error}


def _register(cloud: Cloud, form: object) -> Device:
    if not isinstance(form, dict):
        raise ApiError(400, "Body must be a JSON object")
    hardware_key = form.get("hardware_key")
    if not cloud.knows_hardware_key(hardware_key):
        raise ApiError(400, "Hardware key is invalid")
    device = _new_device(
        cloud, form, model_id=model_of(str(hardware_key)), kinship="smart" if form.get("parent_id") else "stand-alone"
    )
    device.cloud_id = _cloud_id(form)
    device.host_address = optional_text(form, "host_address")
    _check_identity(cloud, device)
    device.parent_id = _parent_of_smart_child(cloud, form)
    return _add_or_replace(cloud, device, _devices_to_replace(cloud, device))


def _new_device(cloud: Cloud, form: Form, *, model_id: str, kinship: Kinship) -> Device:
    """Return a new device, not yet added, with the fields that both kinds of registration have."""
    now = cloud.clock()
    return Device(
        id=new_id(),
        access_key=new_access_key(),
        model_id=model_id,
        kinship=kinship,
        sn=optional_text(form, "sn"),
        mac=optional_text(form, "mac"),
        name=optional_text(form, "name"),
        sub_model=optional_text(form, "sub_model"),
        details=optional_object(form, "details") or {},
        firmware_version=required_firmware_version(form, semantic=cloud.quirks.since("1.0.4")),
        registered_at=now,
        config=DeviceConfig(last_updated=now),
    )


def _cloud_id(form: Form) -> str | None:
    cloud_id = optional_text(form, "cloud_id")
    if cloud_id is not None and not CLOUD_ID.fullmatch(cloud_id):
        raise ApiError(422, "Cloud id is invalid")
    return cloud_id


def _check_identity(cloud: Cloud, device: Device) -> None:
    """Require a Cloud ID, or a MAC and a serial number; from Model API version 1.0.2 on always a serial number."""
    if device.cloud_id is None and device.mac is None:
        raise ApiError(422, "Cloud id can't be blank")
    if device.sn is None and (device.cloud_id is None or cloud.quirks.since("1.0.2")):
        raise ApiError(422, "Sn can't be blank")


def _parent_of_smart_child(cloud: Cloud, form: Form) -> str | None:
    parent_id = optional_text(form, "parent_id")
    if parent_id is None:
        return None
    parent = cloud.devices.get(parent_id)
    if parent is None:
        raise ApiError(422, "Parent must exist")
    _check_parent(cloud, parent)
    return parent_id


def _devices_to_replace(cloud: Cloud, device: Device) -> list[Device]:
    """Return the devices of the same model with its Cloud ID or serial number: none or, after Replace Device, one.

    Raises:
        ApiError: 422, an id is already taken by a device that does not await replacement.
    """
    replaced = []
    for other in cloud.devices.values():
        if other.model_id != device.model_id or other.kinship == "controlled":
            continue
        taken = _shared_id(other, device)
        if taken and not other.awaits_replacement:
            raise ApiError(422, f"{taken} has already been taken")
        if taken:
            replaced.append(other)
    return replaced


def _shared_id(one: Device, other: Device) -> str | None:
    if one.cloud_id is not None and one.cloud_id == other.cloud_id:
        return "Cloud id"
    return "Sn" if one.sn is not None and one.sn == other.sn else None


def _add_or_replace(cloud: Cloud, device: Device, replaced: list[Device]) -> Device:
    """Add a new device, or put it in the place of the one to be replaced: same id, same history, new key."""
    if not replaced:
        cloud.add(device)
        return device
    known = replaced[0]
    for field in ("access_key", "sn", "mac", "cloud_id", "sub_model", "firmware_version", "host_address", "details"):
        setattr(known, field, getattr(device, field))
    known.awaits_replacement = False
    return known


def _parent(cloud: Cloud, request: Request) -> Device:
    parent = cloud.devices.get(request.device_id)
    if parent is not None and not cloud.quirks.child_registration_needs_key:
        return parent
    return cloud.authorise(request.device_id, request.authorization)


def _check_parent(cloud: Cloud, parent: Device) -> None:
    """Check that a device may get another child; controlled children have none (section 4)."""
    if parent.kinship == "controlled":
        raise ApiError(422, "Parent must be a physical device")
    if cloud.quirks.child_before_claim == "refused" and not parent.claimed:
        raise ApiError(422, "Parent must be claimed")
    limit = cloud.quirks.children_per_parent
    if limit and len(cloud.children(parent)) >= limit:
        raise ApiError(422, f"Parent can't have more than {limit} children")


def _check_child_fields(cloud: Cloud, form: Form) -> None:
    unknown = sorted(form.keys() - CHILD_PROSE_FIELDS)
    if unknown and cloud.quirks.strict_child_fields:
        raise ApiError(400, f"Unknown field: {', '.join(unknown)}")


def _known_child(cloud: Cloud, parent: Device, form: Form) -> Device | None:
    if cloud.quirks.repeated_child == "another" or not form.get("sn"):
        return None
    return next((child for child in cloud.children(parent) if child.sn == form["sn"]), None)


def _new_child(cloud: Cloud, parent: Device, form: Form) -> Device:
    child = _new_device(cloud, form, model_id=required_text(form, "model_id").lower(), kinship="controlled")
    child.parent_id = parent.id
    replaced = [other for other in cloud.children(parent) if other.awaits_replacement and _are_same_child(other, child)]
    return _add_or_replace(cloud, child, replaced)


def _are_same_child(one: Device, other: Device) -> bool:
    return one.model_id == other.model_id and one.sn is not None and one.sn == other.sn


def _credentials(cloud: Cloud, device: Device, base_urls: BaseUrls) -> dict[str, object]:
    """Return the five fields of section 3.1. The MQTT address is not served: the emulator has HTTP only."""
    host = base_urls.hub.partition("://")[2].rpartition(":")[0]
    return {
        "id": device.id,
        "access_key": device.access_key,
        "hub_url": _hub_url_in_form(cloud, base_urls.hub),
        "hub_url_static_cert": _hub_url_in_form(cloud, base_urls.static_hub),
        "mqtt_hub_url": f"mqtts://{host}:8883",
    }


def _hub_url_in_form(cloud: Cloud, hub_url: str) -> str:
    match cloud.quirks.hub_url_form:
        case "bare":
            return hub_url.partition("://")[2]
        case "slash":
            return f"{hub_url}/"
        case _:
            return hub_url


def _child_json(child: Device) -> dict[str, object]:
    return {
        "id": child.id,
        "sn": child.sn,
        "mac": child.mac,
        "state": dict(child.state) or None,
        "last_seen": iso(child.last_seen) if child.last_seen else None,
        "name": child.name,
        "firmware_version": child.firmware_version,
        **vendor_and_model(child),
        "claimed": child.claimed,
        "details": child.details,
    }
