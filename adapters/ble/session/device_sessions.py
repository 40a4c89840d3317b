"""What is done at a device while it is connected: learn who it is, read it, carry a command out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from adapters.ble.discovery.tracked_device import Neighbour
from adapters.ble.profile.commands import Order, order_for
from adapters.ble.profile.profile import Profile
from adapters.ble.profile.read_plan import Facts, Place, Reader, Visit, facts_of, plan, questions
from adapters.ble.profile.special_formats import NotInPayload
from adapters.ble.profile.standard_services import profile_for
from adapters.ble.radio.radio import AttributeRefused, Connection
from adapters.ble.session.connection_pool import Connections
from gateway.adapter import ChildDevice, Command, CommandRejected, DeviceUnreachable, Reading, Uplink

NOTIFIED_SECONDS = 10.0
"""So long a first notification is waited for; a device that has nothing to tell sooner is not disturbed longer."""

ANSWERED_SECONDS = 5.0
"""A device that answers a command by a notification does so within this time."""


class Visits:
    """The visits to the devices around one radio."""

    def __init__(self, connections: Connections) -> None:
        self.uplink: Uplink | None = None
        """Where values go that a device notifies between its visits."""
        self._connections = connections
        self._remarks: dict[str, Sequence[str]] = {}

    def remarks(self, child: ChildDevice) -> Sequence[str]:
        """Return what the child lacks and refuses, and how many connections there are."""
        slots = f"{self._connections.used} of {self._connections.slots} connections are in use"
        return [*self._remarks.get(child.key, ()), slots]

    async def introduce(self, neighbour: Neighbour) -> None:
        """Learn by a visit who a device is, and by which profile it is read if none was known; trouble is noted with it."""
        try:
            async with self._visit(neighbour) as connection:
                neighbour.profile = neighbour.profile or profile_for(connection.services)
                neighbour.was_visited(await _facts(connection, neighbour.profile))
        except DeviceUnreachable as error:
            neighbour.could_not_be_visited(str(error))

    async def read(
        self, child: ChildDevice, neighbour: Neighbour, profile: Profile, due: frozenset[str], readings: list[Reading]
    ) -> None:
        """Put the readings of the poll groups that are due into `readings`, as they come.

        Raises:
            DeviceUnreachable: it takes no connection, or was lost in the middle.
        """
        async with self._visit(neighbour, profile) as connection:
            visit = plan(profile, due, connection.services)
            remarks = list(visit.remarks)
            await self._prepare(connection, visit, remarks)
            firsts = [await self._subscribe(connection, reader, child, remarks) for reader in visit.subscriptions]
            for reader in visit.reads:
                readings += await self._read(connection, reader, child, remarks)
            for first in firsts:
                readings += await first()
            self._remarks[child.key] = remarks
        neighbour.heard_at = asyncio.get_running_loop().time()

    async def execute(self, child: ChildDevice, neighbour: Neighbour, profile: Profile, command: Command) -> str:
        """Write what a command means, once, and return what the operator should know.

        Raises:
            CommandRejected: it is none of the device's, or the device refused it or did something else.
            DeviceUnreachable: the device was lost; whether it obeyed is not known.
        """
        order = order_for(profile, command)
        async with self._visit(neighbour, profile) as connection:
            try:
                shown = await _carried_out(connection, order)
            except AttributeRefused as refusal:
                raise CommandRejected(f"{child.name} refuses {command.name}: {refusal}") from refusal
        if order.check is not None and (problem := order.check.problem_in(shown)) is not None:
            raise CommandRejected(f"{child.name} did not obey {command.name}: {problem}")
        return f"{child.name} {'took' if order.check is None else 'has done'} {command.name}"

    @asynccontextmanager
    async def _visit(self, neighbour: Neighbour, profile: Profile | None = None) -> AsyncIterator[Connection]:
        stays = profile is not None and profile.connection.mode == "stay"
        try:
            async with self._connections.visit(neighbour.address, stays=stays) as connection:
                yield connection
        except DeviceUnreachable:
            neighbour.is_in_doubt = True
            raise
        neighbour.is_in_doubt = False

    async def _prepare(self, connection: Connection, visit: Visit, remarks: list[str]) -> None:
        for one in visit.writes:
            place = Place(one.service, one.characteristic)
            if place in connection.prepared:
                continue
            try:
                await connection.write(*place, one.payload, with_response=one.response)
            except AttributeRefused as refusal:
                remarks.append(str(refusal))
            else:
                connection.prepared.add(place)

    async def _subscribe(
        self, connection: Connection, reader: Reader, child: ChildDevice, remarks: list[str]
    ) -> Callable[[], Awaitable[list[Reading]]]:
        """Subscribe, unless that was done on this connection, and return what waits for the first value."""
        first: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        def heard(payload: bytes) -> None:
            if not first.done() and not reader.is_event:
                first.set_result(payload)
            elif self.uplink is not None:
                self.uplink.heard(_readings(reader, payload, child, []))

        async def first_readings() -> list[Reading]:
            try:
                async with asyncio.timeout(NOTIFIED_SECONDS):
                    return _readings(reader, await first, child, remarks)
            except TimeoutError:
                remarks.append(f"{reader.place} notified nothing within {NOTIFIED_SECONDS:.0f} s")
                return []

        if reader.place not in connection.subscribed:
            try:
                await connection.subscribe(*reader.place, heard)
            except AttributeRefused as refusal:
                remarks.append(str(refusal))
            else:
                connection.subscribed.add(reader.place)
                return _nothing if reader.is_event else first_readings
        return _nothing

    async def _read(self, connection: Connection, reader: Reader, child: ChildDevice, remarks: list[str]) -> list[Reading]:
        try:
            payload = await connection.read(*reader.place)
        except AttributeRefused as refusal:
            remarks.append(str(refusal))
            return []
        return _readings(reader, payload, child, remarks)


async def _nothing() -> list[Reading]:
    return []


def _readings(reader: Reader, payload: bytes, child: ChildDevice, remarks: list[str]) -> list[Reading]:
    try:
        return list(reader.decode(payload, child.key, datetime.now(UTC)))
    except NotInPayload as error:
        remarks.append(str(error))
        return []


async def _facts(connection: Connection, profile: Profile | None) -> Facts:
    answers: dict[Place, bytes] = {}
    for place in questions(profile, connection.services):
        try:
            answers[place] = await connection.read(*place)
        except AttributeRefused:
            continue  # who a device is may be told in part
    return facts_of(profile, answers)


async def _carried_out(connection: Connection, order: Order) -> bytes:
    """Write, and return what shows whether it was obeyed; nothing, where nothing shows it."""
    check = order.check
    if check is None or not check.by_notification:
        await connection.write(order.service, order.characteristic, order.payload, with_response=order.with_response)
        return b"" if check is None else await connection.read(order.check_service, check.characteristic)
    answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def heard(payload: bytes) -> None:
        if not answer.done():
            answer.set_result(payload)

    stop = await connection.subscribe(order.check_service, check.characteristic, heard)
    try:
        await connection.write(order.service, order.characteristic, order.payload, with_response=order.with_response)
        async with asyncio.timeout(ANSWERED_SECONDS):
            return await answer
    except TimeoutError as error:
        raise DeviceUnreachable(f"it did not answer within {ANSWERED_SECONDS:.0f} s; whether it obeyed is not known") from error
    finally:
        stop()
