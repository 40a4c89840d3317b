"""The control surface: what Xyte's portal, its customers and the weather do, over HTTP, for tests and demonstrations.

It lives under `/_emulator/` on the hub's port, which Xyte does not have, takes and gives JSON and asks for no key: a tool for the
loopback interface. `GET /_emulator/` lists the same table.

| Method | Path below `/_emulator/` | Does |
| ------ | ------------------------ | ---- |
| GET    | (nothing)                | list the actions |
| GET    | `devices`                | all devices; no keys unless `?keys=1` |
| GET    | `devices/{id}`           | one device with everything about it; no keys unless `?keys=1` |
| DELETE | `devices/{id}`           | delete as in the portal: later calls with its key are refused |
| GET    | `devices/{id}/telemetry` | the telemetry messages that were accepted, the last 1000 |
| GET    | `devices/{id}/commands`  | all commands ever queued, with their outcomes |
| POST   | `devices/{id}/command`   | queue one: `{name, parameters, timeout_seconds, tunnel}` |
| POST   | `devices/{id}/config`    | change the configuration: the body is the configuration |
| POST   | `devices/{id}/claim`     | claim with its children: `{customer, space}` |
| POST   | `devices/{id}/unclaim`   | give back with its children |
| POST   | `devices/{id}/replace`   | Replace Device: a registration with the same ids is accepted |
| POST   | `devices/{id}/license`   | offer a licence change: `{data, action, id, signature, expires_at}` |
| POST   | `devices/{id}/incident`  | open an incident: `{title, issue, priority, description, origin}` |
| POST   | `models/files`           | publish a file: `{model_id, name, url, version, file_type, desc, public_notes}` |
| GET    | `journal`                | what came in, the last 1000 calls; after number N with `?since=N` |
| DELETE | `journal`                | forget journal and counts |
| GET    | `calls`                  | how often each call came in |
| POST   | `faults`                 | let calls fail: `{kind, call, device, times, retry_after, seconds}` |
| GET    | `faults`                 | the faults still to be played, and the kinds there are |
| DELETE | `faults`                 | forget all faults |
| GET    | `quirks`                 | all quirks with value, default and meaning |
| PATCH  | `quirks`                 | set some: `{name: value}` |

A fault without `times` is played once, with `"times": null` until cleared; `call` is a name as in `calls`, `device` an id.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import timedelta
from typing import Final, TypeVar

from aiohttp import web
from pydantic import TypeAdapter, ValidationError

from gateway.emulator.api_routes import CONTROL_PATH
from gateway.emulator.api_types import Answer, Call, Refused, Request, as_answer, carry_out
from gateway.emulator.cloud import Cloud
from gateway.emulator.commands import next_command
from gateway.emulator.control_requests import Asked, ClaimAsked, CommandAsked, FaultAsked, FileAsked, IncidentAsked, LicenceAsked
from gateway.emulator.device import Device
from gateway.emulator.faults import KINDS, Fault, Faults
from gateway.emulator.http import read_request, respond
from gateway.emulator.journal import AcceptedTelemetry, JournalEntry
from gateway.emulator.quirks import BadQuirk

AskedT = TypeVar("AskedT", bound=Asked)
DONE: Final = Answer(200, {"success": True})
_DEVICE: Final = TypeAdapter(Device)
_ENTRIES: Final = TypeAdapter(list[JournalEntry])
_MESSAGES: Final = TypeAdapter(list[AcceptedTelemetry])
_FAULTS: Final = TypeAdapter(list[Fault])


class Control:
    """The actions on one running emulator."""

    def __init__(self, *, cloud: Cloud, faults: Faults, call_names: frozenset[str], changed: Callable[[bool], None]) -> None:
        self.cloud = cloud
        self.faults = faults
        self.call_names = call_names
        self._changed = changed

    def routes(self) -> list[web.RouteDef]:
        """Return the aiohttp routes of all actions."""
        return [web.route(action.method, f"{CONTROL_PATH}/{action.path}", self._served(action)) for action in ACTIONS]

    def _served(self, action: Call[Control]) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def serve(request: web.Request) -> web.StreamResponse:
            try:
                answer = carry_out(action.answer, self, await read_request(request))
            except Refused as refusal:
                answer = as_answer(refusal)
            self._changed(action.method != "GET")
            return respond(answer)

        return serve


def _list_actions(_control: Control, _request: Request) -> Answer:
    return Answer(200, [{"method": one.method, "path": f"{CONTROL_PATH}/{one.path}", "does": one.name} for one in ACTIONS])


def _list_devices(control: Control, request: Request) -> Answer:
    return Answer(200, [_told(control, device, request) for device in control.cloud.devices.values()])


def _show_device(control: Control, request: Request) -> Answer:
    return Answer(200, _told(control, control.cloud.device(request.device_id), request))


def _delete_device(control: Control, request: Request) -> Answer:
    control.cloud.delete(request.device_id)
    return DONE


def _list_telemetry(control: Control, request: Request) -> Answer:
    return Answer(200, _MESSAGES.dump_python(control.cloud.journal.telemetry(request.device_id), mode="json"))


def _list_commands(control: Control, request: Request) -> Answer:
    device = control.cloud.device(request.device_id)
    next_command(device, control.cloud.clock())
    return Answer(200, _DEVICE.dump_python(device, mode="json")["commands"])


def _queue_command(control: Control, request: Request) -> Answer:
    asked = _read(CommandAsked, request)
    timeout = None if asked.timeout_seconds is None else timedelta(seconds=asked.timeout_seconds)
    command = control.cloud.queue_command(request.device_id, asked.name, asked.parameters, timeout=timeout, tunnel=asked.tunnel)
    return Answer(201, {"id": command.id})


def _set_config(control: Control, request: Request) -> Answer:
    return Answer(200, {"version": control.cloud.set_config(request.device_id, request.form())})


def _claim(control: Control, request: Request) -> Answer:
    asked = _read(ClaimAsked, request)
    control.cloud.claim(request.device_id, asked.customer, asked.space)
    return DONE


def _unclaim(control: Control, request: Request) -> Answer:
    control.cloud.unclaim(request.device_id)
    return DONE


def _replace(control: Control, request: Request) -> Answer:
    control.cloud.replace(request.device_id)
    return DONE


def _offer_licence(control: Control, request: Request) -> Answer:
    asked = _read(LicenceAsked, request)
    licence = control.cloud.offer_licence(
        request.device_id,
        asked.data,
        asked.action,
        licence_id=asked.id,
        signature=asked.signature,
        expires_at=asked.expires_at,
    )
    return Answer(201, {"id": licence.id})


def _open_incident(control: Control, request: Request) -> Answer:
    asked = _read(IncidentAsked, request)
    return Answer(201, {"id": control.cloud.open_incident(control.cloud.device(request.device_id), **asked.model_dump()).id})


def _add_file(control: Control, request: Request) -> Answer:
    return Answer(201, {"id": control.cloud.add_file(**_read(FileAsked, request).model_dump()).id})


def _list_journal(control: Control, request: Request) -> Answer:
    since = request.query.get("since", "0")
    if not (since.isascii() and since.isdigit() and len(since) < 19):
        raise Refused(400, "since: a number of the journal")
    return Answer(200, _ENTRIES.dump_python(control.cloud.journal.entries(int(since)), mode="json"))


def _clear_journal(control: Control, _request: Request) -> Answer:
    control.cloud.journal.clear()
    return DONE


def _count_calls(control: Control, _request: Request) -> Answer:
    return Answer(200, dict(control.cloud.journal.calls()))


def _add_fault(control: Control, request: Request) -> Answer:
    asked = _read(FaultAsked, request)
    if asked.call is not None and asked.call not in control.call_names:
        raise Refused(400, f"call: {asked.call} is none of {', '.join(sorted(control.call_names))}")
    return Answer(201, asdict(control.faults.add(**asked.model_dump())))


def _list_faults(control: Control, _request: Request) -> Answer:
    return Answer(200, {"waiting": _FAULTS.dump_python(control.faults.waiting(), mode="json"), "kinds": KINDS})


def _clear_faults(control: Control, _request: Request) -> Answer:
    control.faults.clear()
    return DONE


def _list_quirks(control: Control, _request: Request) -> Answer:
    return Answer(200, control.cloud.quirks.told())


def _change_quirks(control: Control, request: Request) -> Answer:
    try:
        control.cloud.quirks = control.cloud.quirks.changed(request.form())
    except BadQuirk as error:
        raise Refused(400, str(error)) from error
    return Answer(200, control.cloud.quirks.model_dump())


def _told(control: Control, device: Device, request: Request) -> dict[str, object]:
    """Return all that is known about a device; its key only when `?keys=1` asks for it."""
    hidden = None if request.query.get("keys") == "1" else {"access_key"}
    children = [child.id for child in control.cloud.children(device)]
    told: dict[str, object] = _DEVICE.dump_python(device, mode="json", exclude=hidden)
    return {**told, "space_data_version": device.space_data_version, "children": children}


def _read(form: type[AskedT], request: Request) -> AskedT:
    """Return the checked form of an action; an empty body is an empty form. 400 says what is wrong with it."""
    try:
        return form.model_validate(request.form() if request.body else {})
    except ValidationError as error:
        problems = (f"{'.'.join(map(str, one['loc'])) or 'body'}: {one['msg']}" for one in error.errors())
        raise Refused(400, "; ".join(problems)) from error


ACTIONS: Final[tuple[Call[Control], ...]] = (
    Call("list the actions", "GET", "", _list_actions),
    Call("all devices; no keys unless ?keys=1", "GET", "devices", _list_devices),
    Call("one device with everything about it; no keys unless ?keys=1", "GET", "devices/{device_id}", _show_device),
    Call("delete as in the portal: later calls with its key are refused", "DELETE", "devices/{device_id}", _delete_device),
    Call("the accepted telemetry messages, the last 1000", "GET", "devices/{device_id}/telemetry", _list_telemetry),
    Call("all commands ever queued, with their outcomes", "GET", "devices/{device_id}/commands", _list_commands),
    Call("queue one: {name, parameters, timeout_seconds, tunnel}", "POST", "devices/{device_id}/command", _queue_command),
    Call("change the configuration: the body is the configuration", "POST", "devices/{device_id}/config", _set_config),
    Call("claim with its children: {customer, space}", "POST", "devices/{device_id}/claim", _claim),
    Call("give back with its children", "POST", "devices/{device_id}/unclaim", _unclaim),
    Call("Replace Device: a registration with the same ids is accepted", "POST", "devices/{device_id}/replace", _replace),
    Call(
        "offer a licence change: {data, action, id, signature, expires_at}",
        "POST",
        "devices/{device_id}/license",
        _offer_licence,
    ),
    Call(
        "open an incident: {title, issue, priority, description, origin}",
        "POST",
        "devices/{device_id}/incident",
        _open_incident,
    ),
    Call("publish a file: {model_id, name, url, version, file_type, desc, public_notes}", "POST", "models/files", _add_file),
    Call("what came in, the last 1000 calls; after number N with ?since=N", "GET", "journal", _list_journal),
    Call("forget journal and counts", "DELETE", "journal", _clear_journal),
    Call("how often each call came in", "GET", "calls", _count_calls),
    Call("let calls fail: {kind, call, device, times, retry_after, seconds}", "POST", "faults", _add_fault),
    Call("the faults still to be played, and the kinds there are", "GET", "faults", _list_faults),
    Call("forget all faults", "DELETE", "faults", _clear_faults),
    Call("all quirks with value, default and meaning", "GET", "quirks", _list_quirks),
    Call("set some: {name: value}", "PATCH", "quirks", _change_quirks),
)
