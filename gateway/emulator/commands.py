"""Handle Get Command, Get Commands with Children and Update Command (section 6). Pure."""

from __future__ import annotations

from datetime import datetime

from gateway.emulator.api_types import ApiError, Request, Response
from gateway.emulator.cloud import Cloud
from gateway.emulator.device import Device, QueuedCommand
from gateway.emulator.field_validation import optional_text
from gateway.emulator.files import command_parameters


def next_command(device: Device, now: datetime) -> QueuedCommand | None:
    """Return the command that the device gets: the oldest open one that is not scheduled for later."""
    for command in device.commands:
        command.settle(now)
    return next((command for command in device.commands if command.is_open and command.status != "scheduled"), None)


def get(cloud: Cloud, device: Device, request: Request) -> Response:
    """Return the device's next command, or `{}`; one in progress is returned again (section 6.1)."""
    command = next_command(device, cloud.clock())
    if command is None:
        return Response(200, {})
    return Response(200, _command_json(cloud, device, command, request, with_owner=cloud.quirks.since("1.0.7")))


def get_pending(cloud: Cloud, parent: Device, request: Request) -> Response:
    """Return the next command of the parent and of each child (sections 6.2 and 17.26)."""
    now, with_owner = cloud.clock(), cloud.quirks.pending_commands_device_id and cloud.quirks.since("1.0.7")
    waiting = [(device, next_command(device, now)) for device in (parent, *cloud.children(parent))]
    return Response(
        200, [_command_json(cloud, device, command, request, with_owner=with_owner) for device, command in waiting if command]
    )


def update(cloud: Cloud, device: Device, request: Request) -> Response:
    """Store the outcome or the progress of the first command in the queue (section 6.3)."""
    form = request.form()
    status, message = form.get("status"), optional_text(form, "message")
    if status not in ("in_progress", "done", "failed"):
        raise ApiError(422, "invalid status: done/in-progress/failed")
    command = next_command(device, cloud.clock())
    if command is None or (cloud.quirks.since("1.0.1") and str(form.get("id")) != str(command.id)):
        raise ApiError(404, "no command")
    command.message = message
    match status:
        case "in_progress":
            command.status = "in_progress"
        case "done":
            command.status, command.ended_at = "done", cloud.clock()
        case _:
            command.status, command.ended_at = "failed", cloud.clock()
    return Response(200, {"success": True})


def _command_json(
    cloud: Cloud, device: Device, command: QueuedCommand, request: Request, *, with_owner: bool
) -> dict[str, object]:
    return {
        "id": command.id,
        **({"device_id": device.id} if with_owner else {}),
        "status": command.status,
        "name": command.name,
        "parameters": command_parameters(cloud, command, request),
        **({"tunnel": command.tunnel} if command.tunnel else {}),
    }
