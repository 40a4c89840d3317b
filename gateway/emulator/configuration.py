"""Handle Get Config and Set Config, with the version counter (section 7). Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC

from gateway.emulator.api_types import ApiError, Form, Request, Response
from gateway.emulator.cloud import Cloud
from gateway.emulator.device import Device, iso

SERVER_FIELDS = frozenset({"version", "last_updated", "name", "device_id"})
"""The fields beside `config` in the response to Get Config."""


def get(cloud: Cloud, device: Device, _request: Request) -> Response:
    """Return the device's configuration (section 7.1)."""
    owner = {"device_id": device.id} if cloud.quirks.since("1.0.7") else {}
    return Response(200, {**config_json(cloud, device), "name": device.name, **owner})


def config_json(cloud: Cloud, device: Device) -> dict[str, object]:
    """Return the configuration as JSON, nested in `config` from Model API version 1.0.5 on."""
    values = {"config": device.config.values} if cloud.quirks.since("1.0.5") else device.config.values
    moment = device.config.last_updated.astimezone(UTC).isoformat(timespec="milliseconds")
    return {**values, "version": device.config.version, "last_updated": moment}


def flat_config_json(device: Device) -> dict[str, object]:
    """Return the configuration's values beside the server's fields, as Get Device Info has them at each version (section 18)."""
    return {**device.config.values, "version": device.config.version, "last_updated": iso(device.config.last_updated)}


def set_from_device(cloud: Cloud, device: Device, request: Request) -> Response:
    """Store a configuration that changed on the device, and return its new version (sections 7.2, 17.8 and 17.9)."""
    form = request.form()
    version = form.get("version")
    if isinstance(version, int | float) and not isinstance(version, bool) and version < device.config.version:
        raise ApiError(422, f"Error setting config with old version, latest is {device.config.version}")
    values = _unwrapped(cloud, form)
    if cloud.quirks.set_config_bumps == "always" or not _are_same(values, device.config.values):
        device.config.write(values, cloud.clock())
    device.config.applied_version = device.config.version  # the device has it: it sent it
    return Response(200, {"success": True, "version": device.config.version})


def _unwrapped(cloud: Cloud, form: Form) -> dict[str, object]:
    """Return the configuration itself. It counts as wrapped when there is an object `config` and only server fields beside it."""
    inner = form.get("config")
    is_wrapped = isinstance(inner, dict) and form.keys() - {"config"} <= SERVER_FIELDS
    if cloud.quirks.set_config_body == "wrapped" and not is_wrapped:
        raise ApiError(422, "Config can't be blank")
    if isinstance(inner, dict) and is_wrapped and cloud.quirks.set_config_body != "bare":
        return dict(inner)
    server_fields = {"version"} if cloud.quirks.since("1.0.5") else SERVER_FIELDS  # below 1.0.5 they stand beside the values
    return {key: value for key, value in form.items() if key not in server_fields}


def _are_same(one: Mapping[str, object], other: Mapping[str, object]) -> bool:
    """Return whether two configurations are the same JSON: `true` is not 1, nor 1 the same as 1.0."""
    return json.dumps(one, sort_keys=True, allow_nan=False) == json.dumps(other, sort_keys=True, allow_nan=False)
