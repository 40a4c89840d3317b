"""Carry out what people ask to be done with children: retire one, let another device replace one, register one."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from gateway.cloud import child_records
from gateway.errors import HubRejected
from gateway.hub import Credentials, Hub, RejectedEntry, TelemetryMessage
from gateway.models import Status
from gateway.state.child_states import ChildEvent, ChildState
from gateway.state.events import ReportEvent
from gateway.state.outbox import LossReason, Outbox
from gateway.state.records import RETIRED, ChildRecord, ChildRequest, Request
from gateway.state.registry import Registry
from gateway.state.replacement import replacement

log = logging.getLogger(__name__)

SAMPLES_AT_ONCE = 50


class ChildRequests:
    """Carries out one request after the other. Each is kept in the store until it is done, and may be repeated."""

    def __init__(
        self,
        hub: Hub,
        registry: Registry,
        outbox: Outbox,
        *,
        report_event: ReportEvent,
        register_now: Callable[[str], None] = lambda child: None,
    ) -> None:
        self._hub = hub
        self._registry = registry
        self._outbox = outbox
        self._report_event = report_event
        self._register_now = register_now

    async def carry_out_next(self, parent: Credentials) -> bool:
        """Carry out one request; return `False` when there is none, or only such as have to wait for a registration.

        Raises:
            HubUnreachable: it is carried out later.
            StoreError: likewise.
        """
        for request in self._registry.requests.values():
            record = self._registry.children.get(request.key)
            if record is None:
                await self._registry.end_request(request.key)
                return True
            if not self._has_open_registration(request.key) and not self._has_open_registration(request.new_key):
                await self._carry_out(parent, record, request)
                return True
        return False

    def _has_open_registration(self, key: str | None) -> bool:
        record = None if key is None else self._registry.children.get(key)
        return record is not None and record.state is ChildState.REGISTERING

    async def _carry_out(self, parent: Credentials, record: ChildRecord, request: ChildRequest) -> None:
        match request.request:
            case Request.RETIRE:
                await self._retire(record, in_cloud=True)
            case Request.RETIRE_HERE:
                await self._say_goodbye(parent, record)
                await self._retire(record, in_cloud=False)
            case Request.REPLACE:
                await self._replace(record, request)
            case Request.REGISTER:
                await self._register(record)

    async def _retire(self, record: ChildRecord, *, in_cloud: bool) -> None:
        child = record.child
        unused = record.left_behind("belonged to a device that a person has retired") if in_cloud else None
        why = f"{RETIRED}; to admit it again: xyte-gateway children admit {child.key}"
        if unused is not None and unused.access_key is None:
            why = f"{why}. Its access key is lost: delete {unused.device_id} in the portal"
        await self._registry.retire(child.key, why=why, unused=unused)
        dropped = await self._outbox.drop_child(child.key, LossReason.RETIRED)
        text = f"retired; {'it is deleted in the cloud' if in_cloud else 'it stays in the cloud'}; {dropped} samples dropped"
        log.info("%s: %s", child.name, text)
        self._report_event(None, "device_retired", "device", f"{child.name}: {text}")

    async def _say_goodbye(self, parent: Credentials, record: ChildRecord) -> None:
        """Send the samples of a child that stays in the cloud, and then that it is offline (section 13.2)."""
        if not record.state.is_in_cloud or record.device_id is None:
            return
        while samples := await self._outbox.oldest_of(record.child.key, SAMPLES_AT_ONCE):
            for queued in samples:
                sample = queued.sample
                await self._send(parent, record, TelemetryMessage(status=sample.status, values=sample.values, at=sample.at))
                await self._outbox.confirm([queued])
        await self._send(parent, record, TelemetryMessage(status=Status.OFFLINE, values={}))

    async def _send(self, parent: Credentials, record: ChildRecord, message: TelemetryMessage) -> None:
        credentials, device_id = record.credentials(parent), record.device_id or ""
        try:
            if credentials is not None:
                await self._hub.send_telemetry(credentials, message)
                return
            answer = (await self._hub.send_child_telemetries(parent, {device_id: message})).get(device_id)
            error = answer.error if isinstance(answer, RejectedEntry) else None
        except HubRejected as rejected:
            error = str(rejected)
        if error is not None:
            log.info("%s: the cloud does not take its last telemetry: %s", record.child.name, error)

    async def _replace(self, record: ChildRecord, request: ChildRequest) -> None:
        old, new_key = record.child, request.new_key or ""
        device = replacement(self._registry, old.key, new_key)
        if isinstance(device, str):
            await self._registry.end_request(old.key)
            log.error("%s: it is not replaced: %s", old.name, device)
            return
        new = self._registry.children.get(new_key)
        unused = None if new is None else new.left_behind(f"was registered for {device.name} before that replaced {old.name}")
        await self._registry.replace(old.key, device, unused=unused)
        text = f"{device.name} (serial number {device.serial_number or 'unknown'}) replaces {old.name} ({old.key})"
        log.info("%s; its device in the cloud goes on", text)
        self._report_event(new_key, "device_replaced", "device", text)

    async def _register(self, record: ChildRecord) -> None:
        await self._registry.end_request(record.child.key)
        self._register_now(record.child.key)
        if record.state is ChildState.HELD:
            await self._registry.save_child(record.released())
        elif record.awaits_decision:
            log.info("%s: is registered again, as a person asks; its former device was %s", record.child.name, record.device_id)
            await self._registry.save_child(child_records.unregistered(record, ChildEvent.REQUESTED))
        elif record.replaces is not None:
            await self._registry.save_child(replace(record, replaces=None))
