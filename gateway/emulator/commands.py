"""What waits for a device and how it ends: Get Command, Get Commands with Children, Update Command (section 6)."""

from __future__ import annotations

from datetime import datetime

from gateway.emulator.api_types import Answer, Refused, Request
from gateway.emulator.cloud import Cloud
from gateway.emulator.device import Device, QueuedCommand
from gateway.emulator.field_validation import optional_text


def next_command(device: Device, now: datetime) -> QueuedCommand | None:
    """Return the one command that the device sees: the oldest open one. Those past their timeout fail first."""
    for command in device.commands:
        if command.is_open and command.expires_at is not None and command.expires_at <= now:
            command.status, command.message, command.ended_at = "failed", "timed out", command.expires_at
        if command.is_open:
            return command
    return None


def get(cloud: Cloud, device: Device, _request: Request) -> Answer:
    """Hand out the device's next command, or `{}`; one in progress is handed out again (section 6.1)."""
    command = next_command(device, cloud.clock())
    if command is None:
        return Answer(200, {})
    return Answer(200, _told(device, command, with_owner=cloud.quirks.since("1.0.7")))


def get_pending(cloud: Cloud, parent: Device, _request: Request) -> Answer:
    """Hand out the next command of the parent and of each child (sections 6.2 and 17.26)."""
    now, with_owner = cloud.clock(), cloud.quirks.pending_commands_device_id and cloud.quirks.since("1.0.7")
    waiting = [(device, next_command(device, now)) for device in (parent, *cloud.children(parent))]
    return Answer(200, [_told(device, command, with_owner=with_owner) for device, command in waiting if command])


def update(cloud: Cloud, device: Device, request: Request) -> Answer:
    """Take the outcome or the progress of the command at the head of the queue (section 6.3)."""
    form = request.form()
    status, message = form.get("status"), optional_text(form, "message")
    if status not in ("in_progress", "done", "failed"):
        raise Refused(422, "invalid status: done/in-progress/failed")
    command = next_command(device, cloud.clock())
    if command is None or (cloud.quirks.since("1.0.1") and str(form.get("id")) != str(command.id)):
        raise Refused(404, "no command")
    command.message = message
    match status:
        case "in_progress":
            command.status = "in_progress"
        case "done":
            command.status, command.ended_at = "done", cloud.clock()
        case _:
            command.status, command.ended_at = "failed", cloud.clock()
    return Answer(200, {"success": True})


def _told(device: Device, command: QueuedCommand, *, with_owner: bool) -> dict[str, object]:
    return {
        "id": command.id,
        **({"device_id": device.id} if with_owner else {}),
        "status": command.status,
        "name": command.name,
        "parameters": command.parameters,
        **({"tunnel": command.tunnel} if command.tunnel else {}),
    }
