"""How devices and children come to be: Register Device, Bulk Register, Register and Get Child Devices (sections 3 and 4)."""

from __future__ import annotations

from gateway.emulator.api_types import Answer, Form, Refused, Request
from gateway.emulator.cloud import Cloud, model_of, new_access_key, new_id
from gateway.emulator.device import Configuration, Device, Kinship, iso
from gateway.emulator.field_validation import CLOUD_ID, optional_object, optional_text, required_firmware_version, required_text

BULK_DEVICES = 25
CHILD_PROSE_FIELDS = frozenset({"model_id", "firmware_version", "sn", "mac", "name", "details"})
"""What the prose table of Register Child Device names (section 4.1)."""


def register_device(cloud: Cloud, request: Request) -> Answer:
    """Register a stand-alone device or, with `parent_id`, a smart child (section 3.1)."""
    device = _enrol(cloud, request.json())
    return Answer(cloud.quirks.registration_status, _credentials(cloud, device, request.hub_url))


def register_in_bulk(cloud: Cloud, request: Request) -> Answer:
    """Register up to 25 devices; an answer or an error for each, in request order (sections 3.2 and 17.13)."""
    if cloud.quirks.bulk_register == "missing":
        raise Refused(404, "Not found")
    forms = request.json()
    if not isinstance(forms, list):
        raise Refused(400, "Body must be a JSON array")
    if len(forms) > BULK_DEVICES:
        raise Refused(422, f"At most {BULK_DEVICES} devices in one call")
    answers = [_enrol_or_error(cloud, form, request.hub_url) for form in forms]
    return Answer(422 if any("error" in answer for answer in answers) else cloud.quirks.registration_status, answers)


def register_child(cloud: Cloud, request: Request) -> Answer:
    """Register one child under the parent of the path; each time another device (sections 4.1 and 17.16)."""
    parent = _parent(cloud, request)
    form = request.form()
    if not cloud.knows_model(form.get("model_id")):
        raise Refused(404, "Model not found", content_type="text/plain")
    _check_child_fields(cloud, form)
    _check_parent(cloud, parent)
    device = _known_child(cloud, parent, form) or _new_child(cloud, parent, form)
    answer = {"id": device.id, "access_key": device.access_key}
    if cloud.quirks.child_hub_url:
        answer["hub_url"] = _in_form(cloud, request.hub_url)
    return Answer(cloud.quirks.registration_status, answer)


def get_children(cloud: Cloud, parent: Device, _request: Request) -> Answer:
    """List a parent's children, without their keys (section 4.2)."""
    return Answer(200, [_listed(child) for child in cloud.children(parent)])


def vendor_and_model(device: Device) -> dict[str, object]:
    """Return what the portal would call the device's maker and model."""
    return {"vendor": "Emulated", "model": f"Model {device.model_id[:8]}"}


def _enrol_or_error(cloud: Cloud, form: object, hub_url: str) -> dict[str, object]:
    try:
        return _credentials(cloud, _enrol(cloud, form), hub_url)
    except Refused as refusal:
        return {"error": refusal.error}


def _enrol(cloud: Cloud, form: object) -> Device:
    if not isinstance(form, dict):
        raise Refused(400, "Body must be a JSON object")
    hardware_key = form.get("hardware_key")
    if not cloud.knows_hardware_key(hardware_key):
        raise Refused(400, "Hardware key is invalid")
    device = _described(
        cloud, form, model_id=model_of(str(hardware_key)), kinship="smart" if form.get("parent_id") else "stand-alone"
    )
    device.cloud_id = _cloud_id(form)
    device.host_address = optional_text(form, "host_address")
    _check_ownership_proof(cloud, device)
    device.parent_id = _parent_of_smart_child(cloud, form)
    return _take_in(cloud, device, _twins(cloud, device))


def _described(cloud: Cloud, form: Form, *, model_id: str, kinship: Kinship) -> Device:
    """Return a device that is not yet in the world, with what both ways of registering it tell."""
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
        config=Configuration(last_updated=now),
    )


def _cloud_id(form: Form) -> str | None:
    cloud_id = optional_text(form, "cloud_id")
    if cloud_id is not None and not CLOUD_ID.fullmatch(cloud_id):
        raise Refused(422, "Cloud id is invalid")
    return cloud_id


def _check_ownership_proof(cloud: Cloud, device: Device) -> None:
    """A device has a Cloud ID, or a MAC and a serial number; from Model API version 1.0.2 on always a serial number."""
    if device.cloud_id is None and device.mac is None:
        raise Refused(422, "Cloud id can't be blank")
    if device.sn is None and (device.cloud_id is None or cloud.quirks.since("1.0.2")):
        raise Refused(422, "Sn can't be blank")


def _parent_of_smart_child(cloud: Cloud, form: Form) -> str | None:
    parent_id = optional_text(form, "parent_id")
    if parent_id is None:
        return None
    parent = cloud.devices.get(parent_id)
    if parent is None:
        raise Refused(422, "Parent must exist")
    _check_parent(cloud, parent)
    return parent_id


def _twins(cloud: Cloud, device: Device) -> list[Device]:
    """Return the devices of the same model that hold its Cloud ID or serial number: nobody or, with Replace Device, one.

    Raises:
        Refused: 422, an id has already been taken by a device that nobody asked to replace.
    """
    twins = []
    for other in cloud.devices.values():
        if other.model_id != device.model_id or other.kinship == "controlled":
            continue
        taken = _shared_id(other, device)
        if taken and not other.awaits_replacement:
            raise Refused(422, f"{taken} has already been taken")
        if taken:
            twins.append(other)
    return twins


def _shared_id(one: Device, other: Device) -> str | None:
    if one.cloud_id is not None and one.cloud_id == other.cloud_id:
        return "Cloud id"
    return "Sn" if one.sn is not None and one.sn == other.sn else None


def _take_in(cloud: Cloud, device: Device, twins: list[Device]) -> Device:
    """Add a new device, or let it take over the one that the customer asked to replace: same id, same history, new key."""
    if not twins:
        cloud.add(device)
        return device
    known = twins[0]
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
    """Controlled children are no Physical Devices, so they have no children (section 4)."""
    if parent.kinship == "controlled":
        raise Refused(422, "Parent must be a physical device")
    if cloud.quirks.child_before_claim == "refused" and not parent.claimed:
        raise Refused(422, "Parent must be claimed")
    limit = cloud.quirks.children_per_parent
    if limit and len(cloud.children(parent)) >= limit:
        raise Refused(422, f"Parent can't have more than {limit} children")


def _check_child_fields(cloud: Cloud, form: Form) -> None:
    unknown = sorted(form.keys() - CHILD_PROSE_FIELDS)
    if unknown and cloud.quirks.strict_child_fields:
        raise Refused(400, f"Unknown field: {', '.join(unknown)}")


def _known_child(cloud: Cloud, parent: Device, form: Form) -> Device | None:
    if cloud.quirks.repeated_child == "another" or not form.get("sn"):
        return None
    return next((child for child in cloud.children(parent) if child.sn == form["sn"]), None)


def _new_child(cloud: Cloud, parent: Device, form: Form) -> Device:
    child = _described(cloud, form, model_id=required_text(form, "model_id").lower(), kinship="controlled")
    child.parent_id = parent.id
    twins = [other for other in cloud.children(parent) if other.awaits_replacement and _are_same_child(other, child)]
    return _take_in(cloud, child, twins)


def _are_same_child(one: Device, other: Device) -> bool:
    return one.model_id == other.model_id and one.sn is not None and one.sn == other.sn


def _credentials(cloud: Cloud, device: Device, hub_url: str) -> dict[str, object]:
    """The five fields of section 3.1. Nobody listens at the MQTT address: the emulator speaks HTTP only."""
    host = hub_url.partition("://")[2].rpartition(":")[0]
    return {
        "id": device.id,
        "access_key": device.access_key,
        "hub_url": _in_form(cloud, hub_url),
        "hub_url_static_cert": _in_form(cloud, hub_url),
        "mqtt_hub_url": f"mqtts://{host}:8883",
    }


def _in_form(cloud: Cloud, hub_url: str) -> str:
    match cloud.quirks.hub_url_form:
        case "bare":
            return hub_url.partition("://")[2]
        case "slash":
            return f"{hub_url}/"
        case _:
            return hub_url


def _listed(child: Device) -> dict[str, object]:
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
