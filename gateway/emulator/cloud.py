"""Carry out what customers do in the portal of the emulated cloud. Pure.

The calls of devices are in one file for each chapter of the reference: `registration`, `telemetry`, `commands`, `configuration`,
`device_info`, `spaces`, `licences`, `files`, `incidents`.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType

from gateway.emulator.api_types import ApiError
from gateway.emulator.device import (
    Device,
    Incident,
    IncidentOrigin,
    Licence,
    LicenceAction,
    ModelFile,
    QueuedCommand,
    Space,
)
from gateway.emulator.device_registry import DeviceRegistry, new_id
from gateway.emulator.field_validation import is_semantic
from gateway.emulator.signing import sign


class Cloud(DeviceRegistry):
    """The emulated cloud: the registered devices, and what customers do with them."""

    def claim(self, device_id: str, customer: str = "Example Ltd", space: Space | None = None) -> None:
        """Claim a device and all its children for a customer, in a space (sections 3.4 and 4)."""
        device = self.device(device_id)
        for claimed in (device, *self.descendants(device)):
            claimed.assign(customer, space or Space())

    def unclaim(self, device_id: str) -> None:
        """Remove the customer from a device and all its children."""
        device = self.device(device_id)
        for unclaimed in (device, *self.descendants(device)):
            unclaimed.release()
        if self.quirks.parent_unclaiming == "deletes-children":
            for child in self.children(device):
                self.delete(child.id)

    def set_config(self, device_id: str, values: Mapping[str, object]) -> int:
        """Change a device's configuration in the cloud and return its new version (section 7.3)."""
        return self.device(device_id).config.write(values, self.clock())

    def queue_command(
        self,
        device_id: str,
        name: str,
        parameters: Mapping[str, object] | None = MappingProxyType({}),
        *,
        timeout: timedelta | None = None,
        starts_in: timedelta | None = None,
        file_id: str | None = None,
        tunnel: Mapping[str, object] | None = None,
    ) -> QueuedCommand:
        """Append a command to the queue, scheduled where `starts_in` is given.

        After `timeout` the server itself marks it as failed (section 6). With `file_id` the link, version, checksum and signature
        of that file are added to the parameters (section 6.1).

        Raises:
            ApiError: 422 for an unclaimed device, if such a device takes no commands; 404 for an unknown file.
        """
        device, now = self.device(device_id), self.clock()
        if self.quirks.commands_need_claim and device.space_data_version == 0:
            raise ApiError(422, "only a customer can send commands: the device is not claimed")
        if file_id is not None and all(file.id != file_id for file in self.saved_state.files):
            raise ApiError(404, f"no file {file_id}")
        self.saved_state.commands_queued += 1
        starts_at = None if starts_in is None else now + starts_in
        command = QueuedCommand(
            id=new_id() if self.quirks.command_id == "uuid" else self.saved_state.commands_queued,
            name=name,
            parameters=None if parameters is None else dict(parameters),
            file_id=file_id,
            queued_at=now,
            starts_at=starts_at,
            expires_at=None if timeout is None else (starts_at or now) + timeout,
            tunnel=None if tunnel is None else dict(tunnel),
            status="pending" if starts_at is None else "scheduled",
        )
        device.commands.append(command)
        return command

    def cancel_command(self, device_id: str, command_id: str) -> QueuedCommand:
        """Cancel an open command, as a customer does: it is not offered any more (section 18).

        Raises:
            ApiError: 404 without such a command, 422 for one that has ended.
        """
        command = next((one for one in self.device(device_id).commands if str(one.id) == command_id), None)
        if command is None:
            raise ApiError(404, f"no command {command_id}")
        command.settle(self.clock())
        if not command.is_open:
            raise ApiError(422, f"the command has ended: {command.status}")
        command.status, command.ended_at = "aborted", self.clock()
        return command

    def offer_licence(
        self,
        device_id: str,
        data: str = "",
        action: LicenceAction = "add",
        *,
        licence_id: str | None = None,
        signature: str | None = None,
        expires_at: str | None = None,
    ) -> Licence:
        """Offer a device a new licence, or a change of the one with this id: a renewal is an `update` (sections 9 and 18).

        A change without data keeps the licence's. Without a signature the data is signed with the emulator's key.
        """
        device = self.device(device_id)
        known = next((one for one in device.licences if one.id == licence_id), None)
        data = data or (known.data if known is not None else "")
        licence = Licence(
            id=licence_id or new_id(),
            data=data,
            signature=sign(self.saved_state, data.encode()) if signature is None else signature,
            action=action,
            expires_at=expires_at,
        )
        device.licences = [one for one in device.licences if one is not known] + [licence]
        return licence

    def open_incident(
        self,
        device: Device,
        title: str,
        *,
        issue: str | None = None,
        priority: int = 3,
        description: str | None = None,
        origin: IncidentOrigin = "customer",
    ) -> Incident:
        """Open an incident; one at a time is open for an issue (section 11)."""
        issue, now = issue or secrets.token_hex(8), self.clock()
        for incident in device.incidents:
            if incident.is_open and incident.issue == issue:
                return incident
        incident = Incident(
            id=new_id(),
            title=title,
            issue=issue,
            priority=priority,
            description=description,
            origin=origin,
            created_at=now,
            updated_at=now,
        )
        device.incidents.append(incident)
        return incident

    def add_file(  # noqa: PLR0913 - the properties of a file
        self,
        model_id: str,
        *,
        name: str,
        version: str,
        url: str | None = None,
        content: bytes | None = None,
        file_type: str = "firmware",
        desc: str | None = None,
        public_notes: str | None = None,
        checksum: str | None = None,
        signature: str | None = None,
    ) -> ModelFile:
        """Publish a file for a model: a link to somewhere, or a content that the file server has.

        A content gets its SHA-256 in hexadecimal as checksum, and a signature with the emulator's key, unless others are given.

        Raises:
            ApiError: 422, the version of a firmware is no semantic version (section 6.4), or there is not one of `url` and
                `content`.
        """
        if file_type == "firmware" and not is_semantic(version):
            raise ApiError(422, "Version must be a semantic version")
        if (url is None) == (content is None):
            raise ApiError(422, "Either url or content is needed")
        file = ModelFile(
            id=new_id(),
            model_id=model_id.lower(),
            name=name,
            url=url,
            version=version,
            file_type=file_type,
            desc=desc,
            public_notes=public_notes,
            checksum=hashlib.sha256(content).hexdigest() if checksum is None and content is not None else checksum,
            signature=sign(self.saved_state, content) if signature is None and content is not None else signature,
            created_at=self.clock(),
        )
        if content is not None:
            self.contents[file.id] = content
        self.saved_state.files.append(file)
        return file
