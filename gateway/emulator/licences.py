"""Handle Get License, Get Licenses and Update License (section 9). Pure."""

from __future__ import annotations

from typing import Final

from gateway.emulator.api_types import ApiError, Request, Response
from gateway.emulator.cloud import Cloud
from gateway.emulator.device import Device, Licence, LicenceState, iso
from gateway.emulator.field_validation import optional_text

REPORTABLE: Final[dict[str, LicenceState]] = {"inuse": "inuse", "removed": "removed", "error": "error"}
FORBIDDEN_CHANGES: Final[frozenset[tuple[str, str]]] = frozenset({("inuse", "error"), ("removed", "inuse"), ("removed", "error")})
"""From -> to: the documented 422, and by analogy the changes that would bring a removed licence back."""


def get_next(cloud: Cloud, device: Device, _request: Request) -> Response:
    """Return one pending change, or an empty object or array (sections 9.1 and 18)."""
    pending = _pending(device)
    if pending and cloud.quirks.license_form == "all":
        owner = _owner_json(cloud, device)
        return Response(200, [{**_core_json(one), **owner, one.action: True, "expires_at": one.expires_at} for one in pending])
    for licence in pending:
        entry = _licence_json(cloud, device, licence)
        return Response(200, [entry] if cloud.quirks.license_form == "array" else entry)
    return Response(200, [] if cloud.quirks.no_license == "array" else {})


def get_all(cloud: Cloud, device: Device, _request: Request) -> Response:
    """Return all pending changes in the older form (section 9.2)."""
    owner = _owner_json(cloud, device)
    return Response(
        200,
        [
            {**_core_json(licence), **owner, **_boolean_actions_json(licence), "expires_at": licence.expires_at}
            for licence in _pending(device)
        ],
    )


def update(_cloud: Cloud, device: Device, request: Request) -> Response:
    """Store the state in which a change ended (section 9.3)."""
    form = request.form()
    state = REPORTABLE.get(str(form.get("state")))
    if state is None:
        raise ApiError(403, "Only allowed to set: inuse/removed/error")
    licence = next((known for known in device.licences if known.id == form.get("id")), None)
    if licence is None:
        raise ApiError(404, "Couldn't find License")
    if (licence.state, state) in FORBIDDEN_CHANGES:
        raise ApiError(422, f"State can't switch to {state} from {licence.state}")
    licence.error = optional_text(form, "error")
    licence.state = state
    return Response(200, {**_core_json(licence), "expires_at": licence.expires_at})


def _pending(device: Device) -> list[Licence]:
    return [licence for licence in device.licences if licence.state == "pending"]


def _core_json(licence: Licence) -> dict[str, object]:
    return {"id": licence.id, "data": licence.data, "signature": licence.signature}


def _owner_json(cloud: Cloud, device: Device) -> dict[str, object]:
    return {"device_id": device.id} if cloud.quirks.since("1.0.7") else {}


def _boolean_actions_json(licence: Licence) -> dict[str, object]:
    return {action: licence.action == action for action in ("add", "remove", "update")}


def _licence_json(cloud: Cloud, device: Device, licence: Licence) -> dict[str, object]:
    kind: dict[str, object] = {"action": licence.action, "expires_at": licence.expires_at}
    if cloud.quirks.license_form == "booleans":
        kind = {**_boolean_actions_json(licence), "expired_at": licence.expires_at}
    return {**_core_json(licence), **_owner_json(cloud, device), **kind, "current_time": iso(cloud.clock())}
