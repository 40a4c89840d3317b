"""Provide a fake hub in memory that fails on request, for tests of everything above HTTP."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Literal, TypeVar
from uuid import uuid4

from pydantic import SecretStr

from gateway.errors import HubError, HubRejected, HubUnauthorised, HubUnreachable
from gateway.hub import (
    ChildRegistration,
    Credentials,
    DeviceUpdate,
    GatewayRegistration,
    ListedChild,
    RejectedEntry,
    TelemetryMessage,
    TelemetryResponse,
    WaitingCommand,
)
from gateway.hub_records import DeviceConfiguration, DeviceInfo, DumpReceipt, Incident, License, ModelFile, Space

T = TypeVar("T")

LOST_ANSWER = "lost answer"
"""Put into `FakeHub.failures` instead of an error: the call is carried out, and its response never arrives."""


@dataclass(frozen=True, slots=True)
class CarriedOutLater:
    """Put into `FakeHub.failures` for `register_child`: the response is lost, and the call carried out after so many seconds."""

    seconds: float


@dataclass(slots=True)
class FakeDevice:
    """The fake hub's record of one device."""

    credentials: Credentials
    parent_id: str | None
    registration: GatewayRegistration | ChildRegistration
    messages: list[TelemetryMessage] = field(default_factory=list)
    commands: deque[WaitingCommand] = field(default_factory=deque)
    outcomes: list[tuple[int | str, str, str | None]] = field(default_factory=list)
    updates: list[dict[str, object]] = field(default_factory=list)
    configuration: DeviceConfiguration = field(default_factory=DeviceConfiguration)
    licences: deque[License] = field(default_factory=deque)
    licence_states: list[tuple[int | str, str, str | None]] = field(default_factory=list)
    incidents: dict[str, Incident] = field(default_factory=dict)
    events: list[tuple[str, str, tuple[int, ...], tuple[str, ...], datetime | None]] = field(default_factory=list)
    dumps: dict[str, bytes] = field(default_factory=dict)
    settings: dict[str, bool | str] = field(default_factory=dict)
    space: Space | None = None
    """`None` while it is unclaimed."""
    space_version: int = 0
    info_version: int = 0


class FakeHub:
    """Implements `gateway.hub.Hub` in memory.

    `failures` maps a method's name to the errors that its next calls raise, one each; `refusals` maps a device id to the error
    texts for its next entries in bulk calls.
    """

    def __init__(self) -> None:
        self.devices: dict[str, FakeDevice] = {}
        self.failures: dict[str, deque[HubError | CarriedOutLater | str]] = {}
        self.refusals: dict[str, deque[str]] = {}
        self.calls: Counter[str] = Counter()
        self.answer = TelemetryResponse()
        """The flags in every response to telemetry."""
        self.hub_url = "https://hub.example"
        self.files: list[ModelFile] = []
        """The files of the model of every device."""
        self.names_owners = True
        """Commands with Children name their device, as from Model API version 1.0.7 on."""

    def fail(self, method: str, *errors: HubError | CarriedOutLater | str) -> None:
        """Make the next calls of `method` fail with these errors, one after the other."""
        self.failures.setdefault(method, deque()).extend(errors)

    def children_of(self, parent_id: str) -> list[FakeDevice]:
        """Return the parent's children in the order of their registration."""
        return [device for device in self.devices.values() if device.parent_id == parent_id]

    async def register_device(self, gateway: GatewayRegistration) -> Credentials:
        """See `Hub`."""
        arrives = self._begin("register_device")
        return self._respond(self._create(gateway, None), arrives)

    async def register_child(self, parent: Credentials, child: ChildRegistration) -> Credentials:
        """See `Hub`."""
        planned = self.failures.get("register_child")
        if planned and isinstance(later := planned[0], CarriedOutLater):
            planned.popleft()
            self.calls["register_child"] += 1
            asyncio.get_running_loop().call_later(later.seconds, self._create, child, parent.device_id)
            raise HubUnreachable("the response was lost", maybe_done=True)
        arrives = self._begin("register_child")
        self._authorise(parent)
        return self._respond(self._create(child, parent.device_id), arrives)

    async def get_children(self, parent: Credentials) -> list[ListedChild]:
        """See `Hub`."""
        self._begin("get_children")
        self._authorise(parent)
        return [
            ListedChild(
                device_id=one.credentials.device_id,
                serial_number=one.registration.serial_number,
                name=one.registration.name,
                details=one.registration.details,
            )
            for one in self.children_of(parent.device_id)
        ]

    async def send_telemetry(self, device: Credentials, message: TelemetryMessage) -> TelemetryResponse:
        """See `Hub`."""
        self._begin("send_telemetry")
        self._authorise(device).messages.append(message)
        return self._flags(device.device_id)

    async def send_child_telemetries(
        self, parent: Credentials, messages: Mapping[str, TelemetryMessage]
    ) -> dict[str, TelemetryResponse | RejectedEntry]:
        """See `Hub`."""
        arrives = self._begin("send_child_telemetries")
        self._authorise(parent)
        answers: dict[str, TelemetryResponse | RejectedEntry] = {}
        for device_id, message in messages.items():
            device = self.devices.get(device_id)
            if (refusals := self.refusals.get(device_id)) and refusals:
                answers[device_id] = RejectedEntry(refusals.popleft())
            elif device is None or device.parent_id != parent.device_id:
                answers[device_id] = RejectedEntry("Not found")
            else:
                device.messages.append(message)
                answers[device_id] = self._flags(device_id)
        return self._respond(answers, arrives)

    async def get_command(self, device: Credentials) -> WaitingCommand | None:
        """See `Hub`."""
        self._begin("get_command")
        commands = self._authorise(device).commands
        return commands[0] if commands else None

    async def get_commands_with_children(self, parent: Credentials) -> list[WaitingCommand]:
        """See `Hub`."""
        self._begin("get_commands_with_children")
        family = [self._authorise(parent), *self.children_of(parent.device_id)]
        return [
            replace(one.commands[0], device_id=one.credentials.device_id if self.names_owners else None)
            for one in family
            if one.commands
        ]

    async def update_command(self, device: Credentials, command_id: int | str, status: str, message: str | None) -> None:
        """See `Hub`."""
        self._begin("update_command")
        known = self._authorise(device)
        if not known.commands or known.commands[0].id != command_id:
            raise HubRejected("Update Command: no command", status=404, error="no command")
        known.outcomes.append((command_id, status, message))
        if status != "in_progress":
            known.commands.popleft()

    async def update_device(self, device: Credentials, update: DeviceUpdate) -> None:
        """See `Hub`."""
        self._begin("update_device")
        known = self._authorise(device)
        known.updates.append({key: value for key, value in asdict(update).items() if value is not None})
        if update.parent_id is not None:
            known.parent_id = update.parent_id

    def configure(self, device_id: str, values: Mapping[str, object]) -> None:
        """Change the configuration of a device in the cloud."""
        device = self.devices[device_id]
        device.configuration = replace(device.configuration, version=device.configuration.version + 1, values=dict(values))

    async def get_config(self, device: Credentials) -> DeviceConfiguration:
        """See `Hub`."""
        self._begin("get_config")
        return self._authorise(device).configuration

    async def set_config(self, device: Credentials, config: Mapping[str, object]) -> int | None:
        """See `Hub`."""
        arrives = self._begin("set_config")
        known = self._authorise(device)
        if known.configuration.values != config:
            self.configure(device.device_id, config)
        return self._respond(known.configuration.version, arrives)

    async def get_device_info(self, device: Credentials) -> DeviceInfo:
        """See `Hub`."""
        self._begin("get_device_info")
        known = self._authorise(device)
        names = [update["name"] for update in known.updates if "name" in update]
        return DeviceInfo(device_id=device.device_id, name=str(names[-1]) if names else known.registration.name)

    async def delete_device(self, device: Credentials) -> None:
        """See `Hub`."""
        arrives = self._begin("delete_device")
        known = self.devices.get(device.device_id)
        if known is not None and known.credentials.access_key == device.access_key:
            del self.devices[device.device_id]
        self._respond(None, arrives)

    async def set_cloud_settings(self, device: Credentials, setting: str, value: bool | str) -> None:  # noqa: FBT001  # the value is the setting
        """See `Hub`."""
        self._begin("set_cloud_settings")
        self._authorise(device).settings[setting] = value

    async def get_space_info(self, device: Credentials) -> Space:
        """See `Hub`."""
        self._begin("get_space_info")
        known = self._authorise(device)
        if known.space is None:
            raise HubRejected("Get Space Info: Device not in space", status=422, error="Device not in space")
        return known.space

    async def space_move(self, device: Credentials, target: Literal["follow_parent", "unsorted"]) -> Space:
        """See `Hub`."""
        self._begin("space_move")
        known = self._authorise(device)
        known.space = Space(name=target)
        return known.space

    async def get_license(self, device: Credentials) -> License | None:
        """See `Hub`."""
        self._begin("get_license")
        licences = self._authorise(device).licences
        return licences[0] if licences else None

    async def get_licenses(self, device: Credentials) -> list[License]:
        """See `Hub`."""
        self._begin("get_licenses")
        return [*self._authorise(device).licences]

    async def update_license(
        self,
        device: Credentials,
        license_id: int | str,
        state: Literal["inuse", "removed", "error"],
        error: str | None = None,
    ) -> None:
        """See `Hub`."""
        arrives = self._begin("update_license")
        known = self._authorise(device)
        known.licence_states.append((license_id, state, error))
        known.licences = deque(licence for licence in known.licences if licence.id != license_id)
        self._respond(None, arrives)

    async def send_dump(self, device: Credentials, mime_type: str, filename: str, dump: bytes) -> DumpReceipt:
        """See `Hub`."""
        arrives = self._begin("send_dump")
        receipt = DumpReceipt(str(uuid4()))
        self._authorise(device).dumps[receipt.id] = dump
        return self._respond(receipt, arrives)

    async def append_dump(self, device: Credentials, dump_id: str, mime_type: str, dump: bytes) -> int | None:
        """See `Hub`."""
        arrives = self._begin("append_dump")
        dumps = self._authorise(device).dumps
        dumps[dump_id] += dump
        return self._respond(len(dumps[dump_id]), arrives)

    async def get_files(self, device: Credentials) -> list[ModelFile]:
        """See `Hub`."""
        self._begin("get_files")
        self._authorise(device)
        return [*self.files]

    async def get_file(self, device: Credentials, file_id: str) -> ModelFile:
        """See `Hub`."""
        self._begin("get_file")
        self._authorise(device)
        for file in self.files:
            if file.id == file_id:
                return file
        raise HubRejected("Get File: File not found", status=400, error="File not found")

    async def open_incident(
        self,
        device: Credentials,
        title: str,
        *,
        description: str | None = None,
        priority: int | None = None,
        issue: str | None = None,
    ) -> str:
        """See `Hub`."""
        arrives = self._begin("open_incident")
        incidents = self._authorise(device).incidents
        same = next((one for one in incidents.values() if issue is not None and one.issue == issue), None)
        incident = same or Incident(id=str(uuid4()), status="active", title=title, description=description, issue=issue)
        incidents[incident.id] = incident
        return self._respond(incident.id, arrives)

    async def get_incidents(self, device: Credentials) -> list[Incident]:
        """See `Hub`."""
        self._begin("get_incidents")
        return [*self._authorise(device).incidents.values()]

    async def close_incident(self, device: Credentials, incident_id: str) -> None:
        """See `Hub`."""
        arrives = self._begin("close_incident")
        if self._authorise(device).incidents.pop(incident_id, None) is None:
            raise HubRejected("Close Incident: Incident not found", status=404, error="Incident not found")
        self._respond(None, arrives)

    async def close_incidents(self, device: Credentials) -> None:
        """See `Hub`."""
        arrives = self._begin("close_incidents")
        self._authorise(device).incidents.clear()
        self._respond(None, arrives)

    async def add_event(
        self,
        device: Credentials,
        name: str,
        category: str,
        *,
        integers: tuple[int, ...] = (),
        strings: tuple[str, ...] = (),
        at: datetime | None = None,
    ) -> None:
        """See `Hub`."""
        arrives = self._begin("add_event")
        self._authorise(device).events.append((name, category, integers, strings, at))
        self._respond(None, arrives)

    def _begin(self, method: str) -> bool:
        """Count the call, raise its planned error if there is one, and return whether its response arrives."""
        self.calls[method] += 1
        planned = self.failures.get(method)
        failure = planned.popleft() if planned else None
        if isinstance(failure, HubError):
            raise failure
        return failure is None

    def _respond(self, answer: T, arrives: bool) -> T:  # noqa: FBT001 - private
        if not arrives:
            raise HubUnreachable("the response was lost", maybe_done=True)
        return answer

    def _create(self, registration: GatewayRegistration | ChildRegistration, parent_id: str | None) -> Credentials:
        credentials = Credentials(device_id=str(uuid4()), access_key=SecretStr(uuid4().hex), hub_url=self.hub_url)
        self.devices[credentials.device_id] = FakeDevice(credentials, parent_id, replace(registration))
        return credentials

    def _authorise(self, device: Credentials) -> FakeDevice:
        known = self.devices.get(device.device_id)
        if known is None or known.credentials.access_key != device.access_key:
            raise HubUnauthorised("the key is not accepted", status=401, error="Not authorized")
        return known

    def _flags(self, device_id: str) -> TelemetryResponse:
        device = self.devices[device_id]
        return replace(
            self.answer,
            command=bool(device.commands),
            config_version=max(self.answer.config_version, device.configuration.version),
            new_licenses=self.answer.new_licenses or bool(device.licences),
            space_data_version=max(self.answer.space_data_version, device.space_version),
            info_version=max(self.answer.info_version, device.info_version),
        )
