"""Serve the control surface: HTTP actions for what portal users and customers do, and for faults, in tests and demos.

Its paths start with `/_emulator/` on the hub's port. It reads and returns JSON and needs no key: it is meant for the loopback
interface only. `GET /_emulator/` lists the same table.

| Method | Path below `/_emulator/` | Does |
| ------ | ------------------------ | ---- |
| GET    | (nothing)                | list the actions |
| GET    | `devices`                | all devices; no keys unless `?keys=1` |
| GET    | `devices/{id}`           | one device with everything about it and the status shown; no keys unless `?keys=1` |
| DELETE | `devices/{id}`           | delete as in the portal: later calls with its key are refused |
| GET    | `devices/{id}/telemetry` | the telemetry messages that were accepted, the last 1000 |
| GET    | `devices/{id}/commands`  | all commands ever queued, with their outcomes |
| POST   | `devices/{id}/command`   | queue one: `{name, parameters, timeout_seconds, starts_in_seconds, file_id, tunnel}` |
| DELETE | `devices/{id}/commands/{command_id}` | cancel one that has not ended |
| POST   | `devices/{id}/config`    | change the configuration: the body is the configuration |
| POST   | `devices/{id}/claim`     | claim with its children: `{customer, space}` |
| POST   | `devices/{id}/unclaim`   | unclaim with its children |
| POST   | `devices/{id}/replace`   | Replace Device: a registration with the same ids is accepted |
| POST   | `devices/{id}/license`   | offer a licence change: `{data, action, id, signature, expires_at}` |
| POST   | `devices/{id}/incident`  | open an incident: `{title, issue, priority, description, origin}` |
| POST   | `models/files`           | publish a file: `{model_id, name, version, url or content_base64, file_type, ...}` |
| GET    | `models/signing_key`     | the public key of the signatures of files and licences |
| POST   | `models/{model_id}/offline_threshold` | after how long a device is offline: `{minutes}` |
| POST   | `offline_check`          | look for devices that are offline now, as done every 30 s |
| GET    | `journal`                | the received calls, the last 1000; after number N with `?since=N` |
| DELETE | `journal`                | clear journal and counts |
| GET    | `calls`                  | how often each call was received |
| POST   | `faults`                 | let calls fail: `{kind, call, device, times, retry_after, seconds}` |
| GET    | `faults`                 | the faults that are still active, and all kinds of faults |
| DELETE | `faults`                 | clear all faults |
| GET    | `quirks`                 | all quirks with value, default and meaning |
| PATCH  | `quirks`                 | set some: `{name: value}` |

A fault without `times` is applied once, with `"times": null` until cleared; `call` is a name as in `calls`, `device` an id; for
the call `Download File` it is the id of a file. A file has more fields: `desc`, `public_notes`, `checksum` and `signature`, which
are made from the content unless given. `starts_in_seconds` makes a command `scheduled`. The keys of the journal's entries for
downloads are `headers`, with each key masked, and `leaked_keys_of`, the devices whose key was sent.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import timedelta
from typing import Final, TypeVar

from aiohttp import web
from pydantic import ValidationError

from gateway.emulator.api_routes import CONTROL_PATH
from gateway.emulator.api_types import ApiError, BaseUrls, Endpoint, Request, Response, error_response, run_endpoint
from gateway.emulator.cloud import Cloud
from gateway.emulator.control_requests import (
    AddFaultRequest,
    ClaimRequest,
    ControlRequest,
    OfferLicenceRequest,
    OfflineThresholdRequest,
    OpenIncidentRequest,
    PublishFileRequest,
    QueueCommandRequest,
)
from gateway.emulator.control_views import commands_json, device_json, faults_json, journal_json, telemetry_json
from gateway.emulator.faults import DOWNLOAD, DOWNLOAD_KINDS, FaultQueue
from gateway.emulator.files import file_path
from gateway.emulator.http import http_response, read_request
from gateway.emulator.offline import check_devices
from gateway.emulator.quirks import BadQuirk
from gateway.emulator.signing import public_key

RequestT = TypeVar("RequestT", bound=ControlRequest)
DONE: Final = Response(200, {"success": True})


class ControlSurface:
    """The control actions of one running emulator."""

    def __init__(
        self,
        *,
        cloud: Cloud,
        faults: FaultQueue,
        call_names: frozenset[str],
        changed: Callable[[bool], None],
        base_urls: Callable[[web.Request], BaseUrls],
    ) -> None:
        self.cloud = cloud
        self.faults = faults
        self.call_names = call_names
        self._changed = changed
        self._base_urls = base_urls

    def routes(self) -> list[web.RouteDef]:
        """Return the aiohttp routes of all actions."""
        return [web.route(action.method, f"{CONTROL_PATH}/{action.path}", self._handler_of(action)) for action in ACTIONS]

    def _handler_of(self, action: Endpoint[ControlSurface]) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def serve(request: web.Request) -> web.StreamResponse:
            try:
                response = run_endpoint(action.handle, self, await read_request(request, self._base_urls(request)))
            except ApiError as error:
                response = error_response(error)
            self._changed(action.method != "GET")
            return http_response(response)

        return serve


def _list_actions(_control: ControlSurface, _request: Request) -> Response:
    return Response(200, [{"method": one.method, "path": f"{CONTROL_PATH}/{one.path}", "does": one.name} for one in ACTIONS])


def _list_devices(control: ControlSurface, request: Request) -> Response:
    return Response(
        200, [device_json(control.cloud, device, with_key=_wants_key(request)) for device in control.cloud.devices.values()]
    )


def _show_device(control: ControlSurface, request: Request) -> Response:
    return Response(200, device_json(control.cloud, control.cloud.device(request.device_id), with_key=_wants_key(request)))


def _delete_device(control: ControlSurface, request: Request) -> Response:
    control.cloud.delete(request.device_id)
    return DONE


def _list_telemetry(control: ControlSurface, request: Request) -> Response:
    return Response(200, telemetry_json(control.cloud, request.device_id))


def _list_commands(control: ControlSurface, request: Request) -> Response:
    return Response(200, commands_json(control.cloud, control.cloud.device(request.device_id)))


def _queue_command(control: ControlSurface, request: Request) -> Response:
    action_request = _parse(QueueCommandRequest, request)
    command = control.cloud.queue_command(
        request.device_id,
        action_request.name,
        action_request.parameters,
        timeout=_duration(action_request.timeout_seconds),
        starts_in=_duration(action_request.starts_in_seconds),
        file_id=action_request.file_id,
        tunnel=action_request.tunnel,
    )
    return Response(201, {"id": command.id})


def _cancel_command(control: ControlSurface, request: Request) -> Response:
    control.cloud.cancel_command(request.device_id, request.params["command_id"])
    return DONE


def _set_config(control: ControlSurface, request: Request) -> Response:
    return Response(200, {"version": control.cloud.set_config(request.device_id, request.form())})


def _claim(control: ControlSurface, request: Request) -> Response:
    action_request = _parse(ClaimRequest, request)
    control.cloud.claim(request.device_id, action_request.customer, action_request.space)
    return DONE


def _unclaim(control: ControlSurface, request: Request) -> Response:
    control.cloud.unclaim(request.device_id)
    return DONE


def _replace(control: ControlSurface, request: Request) -> Response:
    control.cloud.replace(request.device_id)
    return DONE


def _offer_licence(control: ControlSurface, request: Request) -> Response:
    action_request = _parse(OfferLicenceRequest, request)
    licence = control.cloud.offer_licence(
        request.device_id,
        action_request.data,
        action_request.action,
        licence_id=action_request.id,
        signature=action_request.signature,
        expires_at=action_request.expires_at,
    )
    return Response(201, {"id": licence.id})


def _open_incident(control: ControlSurface, request: Request) -> Response:
    action_request = _parse(OpenIncidentRequest, request)
    return Response(
        201, {"id": control.cloud.open_incident(control.cloud.device(request.device_id), **action_request.model_dump()).id}
    )


def _add_file(control: ControlSurface, request: Request) -> Response:
    published = _parse(PublishFileRequest, request)
    file = control.cloud.add_file(content=published.content_base64, **published.model_dump(exclude={"content_base64"}))
    url = request.base_urls.files + file_path(file) if file.url is None else file.url
    return Response(201, {"id": file.id, "url": url, "checksum": file.checksum, "signature": file.signature})


def _show_signing_key(control: ControlSurface, _request: Request) -> Response:
    key = public_key(control.cloud.saved_state)
    return Response(200, {"algorithm": None if key is None else "Ed25519", "public_key_base64": key})


def _set_offline_threshold(control: ControlSurface, request: Request) -> Response:
    minutes = _parse(OfflineThresholdRequest, request).minutes
    thresholds, model_id = control.cloud.saved_state.offline_minutes, request.params["model_id"].lower()
    if minutes is None:
        thresholds.pop(model_id, None)
    else:
        thresholds[model_id] = minutes
    return DONE


def _check_offline(control: ControlSurface, _request: Request) -> Response:
    return Response(200, {"offline": [device.id for device in check_devices(control.cloud)]})


def _list_journal(control: ControlSurface, request: Request) -> Response:
    since = request.query.get("since", "0")
    if not (since.isascii() and since.isdigit() and len(since) < 19):
        raise ApiError(400, "since: must be an entry number")
    return Response(200, journal_json(control.cloud, int(since)))


def _clear_journal(control: ControlSurface, _request: Request) -> Response:
    control.cloud.journal.clear()
    return DONE


def _count_calls(control: ControlSurface, _request: Request) -> Response:
    return Response(200, dict(control.cloud.journal.calls()))


def _add_fault(control: ControlSurface, request: Request) -> Response:
    action_request = _parse(AddFaultRequest, request)
    if action_request.call is not None and action_request.call not in control.call_names:
        raise ApiError(400, f"call: {action_request.call} is not one of {', '.join(sorted(control.call_names))}")
    if action_request.kind in DOWNLOAD_KINDS and action_request.call not in (None, DOWNLOAD):
        raise ApiError(400, f"call: a fault of kind {action_request.kind} is for {DOWNLOAD}")
    return Response(201, asdict(control.faults.add(**action_request.model_dump())))


def _list_faults(control: ControlSurface, _request: Request) -> Response:
    return Response(200, faults_json(control.faults))


def _clear_faults(control: ControlSurface, _request: Request) -> Response:
    control.faults.clear()
    return DONE


def _list_quirks(control: ControlSurface, _request: Request) -> Response:
    return Response(200, control.cloud.quirks.describe())


def _change_quirks(control: ControlSurface, request: Request) -> Response:
    try:
        control.cloud.quirks = control.cloud.quirks.changed(request.form())
    except BadQuirk as error:
        raise ApiError(400, str(error)) from error
    return Response(200, control.cloud.quirks.model_dump())


def _wants_key(request: Request) -> bool:
    return request.query.get("keys") == "1"


def _duration(seconds: float | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)


def _parse(model: type[RequestT], request: Request) -> RequestT:
    """Return the validated request of an action; an empty body counts as `{}`. The text of the 400 names each problem."""
    try:
        return model.model_validate(request.form() if request.body else {})
    except ValidationError as error:
        problems = (f"{'.'.join(map(str, one['loc'])) or 'body'}: {one['msg']}" for one in error.errors())
        raise ApiError(400, "; ".join(problems)) from error


ACTIONS: Final[tuple[Endpoint[ControlSurface], ...]] = (
    Endpoint("list the actions", "GET", "", _list_actions),
    Endpoint("all devices; no keys unless ?keys=1", "GET", "devices", _list_devices),
    Endpoint(
        "one device with everything about it and the status shown; no keys unless ?keys=1",
        "GET",
        "devices/{device_id}",
        _show_device,
    ),
    Endpoint("delete as in the portal: later calls with its key are refused", "DELETE", "devices/{device_id}", _delete_device),
    Endpoint("the accepted telemetry messages, the last 1000", "GET", "devices/{device_id}/telemetry", _list_telemetry),
    Endpoint("all commands ever queued, with their outcomes", "GET", "devices/{device_id}/commands", _list_commands),
    Endpoint(
        "queue one: {name, parameters, timeout_seconds, starts_in_seconds, file_id, tunnel}",
        "POST",
        "devices/{device_id}/command",
        _queue_command,
    ),
    Endpoint(
        "cancel one that has not ended: it is not offered any more",
        "DELETE",
        "devices/{device_id}/commands/{command_id}",
        _cancel_command,
    ),
    Endpoint("change the configuration: the body is the configuration", "POST", "devices/{device_id}/config", _set_config),
    Endpoint("claim with its children: {customer, space}", "POST", "devices/{device_id}/claim", _claim),
    Endpoint("unclaim with its children", "POST", "devices/{device_id}/unclaim", _unclaim),
    Endpoint("Replace Device: a registration with the same ids is accepted", "POST", "devices/{device_id}/replace", _replace),
    Endpoint(
        "offer a licence change: {data, action, id, signature, expires_at}",
        "POST",
        "devices/{device_id}/license",
        _offer_licence,
    ),
    Endpoint(
        "open an incident: {title, issue, priority, description, origin}",
        "POST",
        "devices/{device_id}/incident",
        _open_incident,
    ),
    Endpoint(
        "publish a file: {model_id, name, version, url or content_base64, file_type, desc, public_notes, checksum, signature}",
        "POST",
        "models/files",
        _add_file,
    ),
    Endpoint("the public key of the signatures of files and licences", "GET", "models/signing_key", _show_signing_key),
    Endpoint(
        "after how long a device of this model is offline: {minutes}",
        "POST",
        "models/{model_id}/offline_threshold",
        _set_offline_threshold,
    ),
    Endpoint("look for devices that are offline now, as done every 30 s", "POST", "offline_check", _check_offline),
    Endpoint("the received calls, the last 1000; after number N with ?since=N", "GET", "journal", _list_journal),
    Endpoint("clear journal and counts", "DELETE", "journal", _clear_journal),
    Endpoint("how often each call was received", "GET", "calls", _count_calls),
    Endpoint("let calls fail: {kind, call, device, times, retry_after, seconds}", "POST", "faults", _add_fault),
    Endpoint("the faults that are still active, and all kinds of faults", "GET", "faults", _list_faults),
    Endpoint("clear all faults", "DELETE", "faults", _clear_faults),
    Endpoint("all quirks with value, default and meaning", "GET", "quirks", _list_quirks),
    Endpoint("set some: {name: value}", "PATCH", "quirks", _change_quirks),
)
