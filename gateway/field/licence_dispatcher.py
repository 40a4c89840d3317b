"""Pass a licence change to the bus of its child, as the command that the child's adapter names for it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from gateway.adapter import Adapter
from gateway.command_parameters import shown_text
from gateway.command_secrets import without_secrets
from gateway.errors import AdapterError, BusUnavailable, CommandRejected, DeviceUnreachable, OutcomeUnknown
from gateway.field.child_buses import Begin, ChildBuses
from gateway.field.children.availability import Availability
from gateway.field.declared_commands import checked_for
from gateway.field.polling.supervisor import Supervisor
from gateway.models import ChildDevice, Command, CommandResult, Licence, LicenceChange, Reach
from gateway.plain_text import MOST_ERROR_CHARACTERS, plain_text, raw_text_of_error
from gateway.state.registry import Registry

log = logging.getLogger(__name__)

SHORTEST_SECRET = 6
"""Shorter content of a licence, such as `pro`, is no secret, and to mask it would wreck the words that contain it."""

WITHIN = timedelta(minutes=1)
"""How long a change waits for a bus that is busy or not there, before it is tried again later."""


class LicenceDispatcher:
    """Makes the changes of licences on the children.

    Args:
        registry: knows the children.
        buses: the buses of the children.
        availability: knows which children answer.
        refusal: returns why the cloud may not change the licences of this child; `None` when it may.
    """

    def __init__(
        self,
        registry: Registry,
        buses: ChildBuses,
        availability: Availability,
        *,
        refusal: Callable[[str | None], str | None] = lambda child: None,
    ) -> None:
        self._registry = registry
        self._buses = buses
        self._availability = availability
        self._refusal = refusal

    async def apply(self, child: str | None, licence: Licence) -> None:
        """Make a change of a licence on its device. No error shows the content of the licence.

        Raises:
            CommandRejected: the device does not take it; the text says why.
            AdapterError: the device or its bus does not answer, or whether the device has made the change is unknown.
        """
        if child is None:
            raise CommandRejected("the gateway itself uses no licences; assign them to its children")
        refusal = None if licence.change is LicenceChange.EXPIRE else self._refusal(child)  # nobody in the cloud asks for an end
        if refusal is not None:
            raise CommandRejected(refusal)
        secrets = _secrets_of(licence)
        try:
            await self._apply(child, licence, secrets)
        except AdapterError as error:
            raise _without_secrets(error, secrets) from None  # the cause would show them

    async def _apply(self, child: str, licence: Licence, secrets: frozenset[str]) -> None:
        has_begun = False

        async def begin() -> None:
            nonlocal has_begun
            has_begun = True

        async def run(supervisor: Supervisor, device: ChildDevice, left: timedelta, follow: Begin) -> CommandResult:
            if supervisor.problem is not None:
                raise DeviceUnreachable(f"its bus {device.bus} is not open")
            command = _command_for(supervisor.adapter, device, licence, secrets)
            return await supervisor.execute(child, command, within=left, before_start=follow, secrets=secrets)

        if child not in self._registry.children:
            raise CommandRejected("this device is not a child of the gateway any more")
        if self._availability.of(child).reach is not Reach.REACHABLE:
            raise DeviceUnreachable("the device does not answer")
        try:
            await self._buses.where_the_child_is(child, run, within=WITHIN, before_start=begin)
        except _NotTaken as error:
            raise CommandRejected(raw_text_of_error(error)) from None
        except CommandRejected as error:
            if has_begun or child not in self._registry.children:
                raise
            raise DeviceUnreachable(raw_text_of_error(error)) from error  # its bus was busy, or is not there: nothing was sent


class _NotTaken(CommandRejected):
    """The device does not take the licence."""


def _command_for(adapter: Adapter[Any], child: ChildDevice, licence: Licence, secrets: frozenset[str]) -> Command:
    """Return the command of the adapter for this change, checked against what the child declares.

    Raises:
        CommandRejected: the child does not take the licence, or the adapter failed; nothing was sent.
        AdapterError: what else the adapter raised.
    """
    try:
        return checked_for(adapter, child, _checked_form(adapter.licence_command(child, licence), child))
    except CommandRejected as error:
        raise _NotTaken(raw_text_of_error(error)) from None
    except AdapterError:
        raise
    except Exception as error:  # noqa: BLE001 - code of a third-party adapter: its bug costs this licence, nothing else
        bug = without_secrets(f"{type(error).__name__}: {raw_text_of_error(error)}", secrets)
        log.error("%s: a bug in its adapter while making the command for a licence: %.300s", child.name, bug)  # noqa: TRY400 - a traceback would show the licence
        raise _NotTaken(f"its adapter failed: {type(error).__name__}") from None


def _checked_form(command: object, child: ChildDevice) -> Command:
    """Return what `licence_command` returned, if it is a command of this child."""
    if not isinstance(command, Command) or not isinstance(command.name, str) or not isinstance(command.parameters, Mapping):
        raise TypeError("Adapter.licence_command returns something other than a Command")
    if command.child != child.key:
        raise ValueError("Adapter.licence_command returns a command for another device")
    return command


def _secrets_of(licence: Licence) -> frozenset[str]:
    """Return the content of a licence as an error may quote it: in full, and shortened."""
    if licence.payload is None:
        return frozenset()
    payload = licence.payload.get_secret_value()
    forms = (payload, repr(payload)[1:-1], shown_text(payload)[1:-1])
    return frozenset(form for form in forms if len(payload) >= SHORTEST_SECRET)


def _without_secrets(error: AdapterError, secrets: frozenset[str]) -> AdapterError:
    hidden = plain_text(without_secrets(raw_text_of_error(error), secrets), MOST_ERROR_CHARACTERS)
    if error.args and error.args[0] is hidden:
        return error
    kinds = (CommandRejected, DeviceUnreachable, BusUnavailable, OutcomeUnknown)
    return next((kind(hidden) for kind in kinds if isinstance(error, kind)), DeviceUnreachable(hidden))
