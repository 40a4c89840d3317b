"""Carry out what a person decides about the life of a device: admitted, ignored, retired, replaced by another one."""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import UTC, datetime
from uuid import UUID

from gateway.errors import StoreError
from gateway.field.children.intake import DeviceIntake
from gateway.models import ChildDevice
from gateway.state.child_states import ChildState
from gateway.state.history.timeline import EventKind, Timeline
from gateway.state.records import ChildRequest, Decision, Request
from gateway.state.registry import Registry
from gateway.state.replacement import replacement
from gateway.status.device_actions import ActionProblem, AskedOfChild, Problem, Successor
from gateway.status.model import encode_id
from gateway.status.requester_context import asked_by, with_asker

NO_SUCH_DEVICE = ActionProblem(kind=Problem.UNKNOWN, error="there is no such device (any more)")


class ChildLife:
    """The decisions of people about devices.

    Args:
        registry: keeps children, found devices, and what people ask of children.
        intake: makes children of devices.
        timeline: is told who asks for what.
    """

    def __init__(self, registry: Registry, intake: DeviceIntake, timeline: Timeline) -> None:
        self._registry = registry
        self._intake = intake
        self._timeline = timeline

    def known_models(self, family: str | None) -> tuple[str, ...]:
        """Return the Xyte models that children of this family are registered under, to be offered for another one."""
        children = (record.child for record in self._registry.children.values())
        return tuple(dict.fromkeys(child.model_id for child in children if child.family == family and child.model_id))

    async def admit(self, key: str, model_id: str | None = None) -> ActionProblem | None:
        """Admit a found device as a child, whatever the policy says; under this model, where its family has none."""
        device = self._registry.found_devices.get(key)
        if model_id is not None:
            if device is None:
                return NO_SUCH_DEVICE
            try:
                model_id = str(UUID(model_id.strip()))
            except ValueError:
                text = "is not one of the Partner Portal, such as c2d1e0ff-0a0b-4c0d-8e0f-112233445566"
                return ActionProblem(kind=Problem.INVALID, error=f"the model id {text}", fields={"model_id": text})
        self._timeline.askers.note(key, asked_by())
        problem = await self._changed(self._registry.decide(key, Decision.ADMIT))
        if problem is not None:
            return problem
        await self._intake.admit_approved(model_ids={} if model_id is None else {key: model_id})
        left = self._registry.found_devices.get(key)
        return None if left is None else ActionProblem(kind=Problem.REFUSED, error=f"{left.name} is not admitted: {left.why}")

    async def ignore(self, key: str) -> ActionProblem | None:
        """Ignore a found device from now on."""
        self._timeline.askers.note(key, asked_by())
        return await self._changed(self._registry.decide(key, Decision.IGNORE))

    async def retire(self, key: str, *, keep_in_cloud: bool) -> ActionProblem | None:
        """Ask for a child to be retired; it is done when the cloud answers."""
        if key not in self._registry.children:
            return NO_SUCH_DEVICE
        request = Request.RETIRE_HERE if keep_in_cloud else Request.RETIRE
        problem = await self._requested(ChildRequest(key=key, request=request, at=datetime.now(UTC)))
        if problem is None:
            self._timeline.record(EventKind.RETIRED, with_asker("is to be retired"), child=key)
        return problem

    async def replace(self, key: str, successor: str) -> ActionProblem | None:
        """Ask for another device to go on as a child; it is done when the cloud answers."""
        if key not in self._registry.children:
            return NO_SUCH_DEVICE
        possible = replacement(self._registry, key, successor)
        if isinstance(possible, str):
            return ActionProblem(kind=Problem.REFUSED, error=possible)
        request = ChildRequest(key=key, request=Request.REPLACE, new_key=successor, at=datetime.now(UTC))
        problem = await self._requested(request)
        if problem is None:
            by = self._registry.name_of(successor) or successor
            self._timeline.record(EventKind.EXCHANGED, with_asker(f"is to be replaced by {by} ({successor})"), child=key)
        return problem

    def successors_of(self, key: str) -> tuple[Successor, ...]:
        """Return the devices that could go on as a child, the likeliest first: the one at its address, then its family."""
        record = self._registry.children.get(key)
        if record is None:
            return ()
        found = [one.found.as_child(adapter=one.adapter, bus=one.bus) for one in self._registry.found_devices.values()]
        held = [one.child for one in self._registry.children.values() if one.replaces == key or one.state is ChildState.HELD]
        possible = [one for one in (*held, *found) if not isinstance(replacement(self._registry, key, one.key), str)]
        return tuple(_successor(one, record.child) for one in sorted(possible, key=lambda one: _distance(one, record.child)))

    def asked_of(self, key: str) -> AskedOfChild | None:
        """Return what a person asks to be done with a child, and that is not done yet."""
        request = self._registry.requests.get(key)
        if request is None:
            return None
        successor = None if request.new_key is None else self._registry.name_of(request.new_key) or request.new_key
        return AskedOfChild(what=request.request.value, at=request.at, successor=successor)

    async def _requested(self, request: ChildRequest) -> ActionProblem | None:
        try:
            await self._registry.request(request)
        except StoreError as error:
            return ActionProblem(kind=Problem.REFUSED, error=f"it cannot be stored: {error}")
        return None

    async def _changed(self, change: Awaitable[bool]) -> ActionProblem | None:
        try:
            return None if await change else NO_SUCH_DEVICE
        except StoreError as error:
            return ActionProblem(kind=Problem.REFUSED, error=f"it cannot be stored: {error}")


def _distance(one: ChildDevice, child: ChildDevice) -> tuple[bool, bool, bool, str]:
    """Return how unlikely it is that a device is the successor of a child."""
    is_elsewhere = (one.adapter, one.bus, one.address) != (child.adapter, child.bus, child.address)
    return is_elsewhere, one.profile != child.profile, one.family != child.family, one.name


def _successor(one: ChildDevice, child: ChildDevice) -> Successor:
    return Successor(
        id=encode_id(one.key),
        key=one.key,
        name=one.name,
        place=f"{one.bus} {one.address}",
        serial_number=one.serial_number,
        profile=one.profile,
        is_at_its_address=(one.adapter, one.bus, one.address) == (child.adapter, child.bus, child.address),
        is_alike=one.profile is not None and one.profile == child.profile,
    )
