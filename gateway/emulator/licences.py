"""Which licence changes wait for a device, and which states it may report: Get License(s), Update License (section 9)."""

from __future__ import annotations

from typing import Final

from gateway.emulator.api_types import Answer, Refused, Request
from gateway.emulator.cloud import Cloud
from gateway.emulator.device import Device, Licence, LicenceState, iso
from gateway.emulator.field_validation import optional_text

REPORTABLE: Final[dict[str, LicenceState]] = {"inuse": "inuse", "removed": "removed", "error": "error"}
NO_WAY_BACK: Final[frozenset[tuple[str, str]]] = frozenset({("inuse", "error"), ("removed", "inuse"), ("removed", "error")})
"""From -> to: the documented 422, and by analogy what would bring a removed licence back."""


def get_next(cloud: Cloud, device: Device, _request: Request) -> Answer:
    """Hand out one pending change, or `{}` (section 9.1)."""
    for licence in _pending(device):
        told = _told(cloud, device, licence)
        return Answer(200, [told] if cloud.quirks.license_form == "array" else told)
    return Answer(200, {})


def get_all(cloud: Cloud, device: Device, _request: Request) -> Answer:
    """Hand out all pending changes in the older form (section 9.2)."""
    owner = _owner(cloud, device)
    return Answer(200, [{**_core(licence), **owner, **_booleans(licence)} for licence in _pending(device)])


def update(_cloud: Cloud, device: Device, request: Request) -> Answer:
    """Take the state that a change ended in (section 9.3)."""
    form = request.form()
    state = REPORTABLE.get(str(form.get("state")))
    if state is None:
        raise Refused(403, "Only allowed to set: inuse/removed/error")
    licence = next((known for known in device.licences if known.id == form.get("id")), None)
    if licence is None:
        raise Refused(404, "Couldn't find License")
    if (licence.state, state) in NO_WAY_BACK:
        raise Refused(422, f"State can't switch to {state} from {licence.state}")
    licence.error = optional_text(form, "error")
    licence.state = state
    return Answer(200, {**_core(licence), "expires_at": licence.expires_at})


def _pending(device: Device) -> list[Licence]:
    return [licence for licence in device.licences if licence.state == "pending"]


def _core(licence: Licence) -> dict[str, object]:
    return {"id": licence.id, "data": licence.data, "signature": licence.signature}


def _owner(cloud: Cloud, device: Device) -> dict[str, object]:
    return {"device_id": device.id} if cloud.quirks.since("1.0.7") else {}


def _booleans(licence: Licence) -> dict[str, object]:
    actions = {action: licence.action == action for action in ("add", "remove", "update")}
    return {**actions, "expired_at": licence.expires_at}


def _told(cloud: Cloud, device: Device, licence: Licence) -> dict[str, object]:
    kind: dict[str, object] = {"action": licence.action, "expires_at": licence.expires_at}
    if cloud.quirks.license_form == "booleans":
        kind = _booleans(licence)
    return {**_core(licence), **_owner(cloud, device), **kind, "current_time": iso(cloud.clock())}
