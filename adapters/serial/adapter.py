"""Serial devices by the adapter contract: which question is asked on which port, and what becomes of what is heard."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from pydantic import SecretStr

from adapters.serial.discovery.identity import Place, found, read_address, written_address
from adapters.serial.discovery.probing import Interview, Verdict
from adapters.serial.discovery.remembered_port import KnownPort
from adapters.serial.framing.frames import Frame
from adapters.serial.port.line_settings import LineSettings
from adapters.serial.port.port import Port
from adapters.serial.profile.commands import Order, order_for, orders_for
from adapters.serial.profile.profile import Profile
from adapters.serial.profile.protocol import Answer, Question, Speech
from adapters.serial.served_ports import ServedPort, named_port, served_ports
from adapters.serial.session.active_protocol import SpokenLine
from adapters.serial.session.conversation import Conversation
from adapters.serial.settings import ConfiguredDevice, SerialSettings, password_of
from adapters.serial.tools.examination import examined, ports_to_listen_on
from adapters.serial.tools.workbench import SerialWorkbench
from gateway.adapter import (
    Adapter,
    BusUnavailable,
    ChildDevice,
    Command,
    CommandRejected,
    DeviceUnreachable,
    Finding,
    Found,
    PlannedRead,
    Progress,
    Reading,
    Uplink,
    Workbench,
)

ANSWER_BYTES = 24
"""What an answer is reckoned with in a plan: most are shorter."""

LATELY_SECONDS = 120.0
"""So long after it was understood last a device is taken to be the one that lives on its port."""

LOOK_AGAIN_SECONDS = 0.5
"""How often is looked whether a command has been obeyed, while its device may still take its time."""


class SerialAdapter(Adapter[SerialSettings]):
    """One serial port."""

    settings_model = SerialSettings

    def __init__(self, settings: SerialSettings, served: ServedPort | None = None) -> None:
        super().__init__(settings)
        self._served = served if served is not None else named_port(settings, settings.ports[0])
        self._place = Place(settings.entry, self.bus)
        self._configured = settings.devices_on(self._served.rule.name, self._served.rule.port)
        named = self._profile(self._configured[0].profile) if self._configured else None
        self._known = KnownPort(self.bus, settings.library, named, self._served.rule.line, lambda: self.memory)
        self._port: Port | None = None
        self._spoken: SpokenLine | None = None
        self._uplink: Uplink | None = None
        self._tried = ""
        """The address at which the port was opened last, or could not be; empty when it was not there."""
        self._understood_at: float | None = None
        """When the device that lives here was understood last."""
        self._remarks: dict[str, dict[str, str]] = {}
        self._heard: dict[str, list[Reading]] = {}
        self._news = asyncio.Event()

    @property
    def bus(self) -> str:
        """The name given in the config, else the port as written there or who it is: never today's tty name."""
        return self._served.label

    @classmethod
    async def buses(cls, settings: SerialSettings) -> AsyncIterator[Self]:
        """Yield an adapter for each port of the entry, as they appear."""
        async for served in served_ports(settings):
            yield cls(settings, served)

    @classmethod
    def examine(cls, settings: SerialSettings | None) -> AsyncIterator[Finding]:
        """Look whether the ports are there, may be used and are free, and by which name they are better called."""
        return examined(settings)

    @classmethod
    async def first_look(cls, hosts: Sequence[str]) -> Mapping[str, Any] | None:
        """Only listen, on each port that the machine tells of."""
        return await ports_to_listen_on()

    async def __aenter__(self) -> Self:
        there = await self._served.find()
        self._tried = "" if there is None else there.address
        if there is None:
            raise BusUnavailable(f"the port {self.bus} is not there: plug it in, or mend its name in the config")
        port = Port(there.address)
        await port.open(self._known.last_spoken()[1])
        self._port, self._spoken = port, SpokenLine(port, self._overheard, self._password_for)
        try:
            await self._go_on()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        spoken, self._spoken, self._uplink = self._spoken, None, None
        port, self._port = self._port, None
        if spoken is not None:
            await spoken.fall_silent()
        if port is not None:
            await port.close()

    async def reappears(self) -> None:
        """Return when the port was gone and is back, or has another name; never, while it is where it failed."""
        await self._served.reappears(self._tried)

    # what is heard ----------------------------------------------------------------------------------------------------

    async def listen(self, uplink: Uplink) -> None:
        """Hand over what devices say unasked until the port is lost."""
        self._uplink = uplink
        raise BusUnavailable(await self._open_port.wait_until_lost())

    def _overheard(self, speech: Speech, frame: Frame) -> None:
        heard = speech.heard(frame.payload)
        if heard is None:
            return
        self._understood_at = _now()
        key = self._known.resident(written_address(speech.profile.name, heard.address))
        readings = speech.readings_of(heard.message, heard, key or "", datetime.now(UTC))
        self._heard.setdefault(speech.profile.name, []).extend(readings)
        del self._heard[speech.profile.name][:-1000]
        self._news.set()
        if key is not None and self._uplink is not None:
            self._uplink.heard(readings)

    def may_be_quiet(self, child: ChildDevice) -> timedelta | None:
        """Return how long a device that only talks may be quiet until its interval is learned; `None` for one that is asked."""
        profile = self._profile(child.profile)
        if profile is None or profile.intervals or profile.may_be_quiet is None:
            return None
        self._known.lives_at(child.address, child.key)
        return timedelta(seconds=profile.may_be_quiet)

    # who is there -----------------------------------------------------------------------------------------------------

    async def discover(self) -> AsyncIterator[Found | Progress]:
        """Tell who hangs on the port: whom the config names, who was there before, else whoever can be found out.

        Yields after each step. A device that was understood lately is not asked what others are asked, though it may be busy.
        """
        for device in self._configured:
            async for step in self._conduct(self._interview_of(device), device):
                yield step
        before = self._known.last_spoken()[0]
        if before is not None and not self._configured:
            async for step in self._conduct(Interview([], before, lines=[self._known.line_of(before)], may_ask=self._may_ask)):
                yield step
        if not self._configured and (before is None or not self._was_understood_lately(before)):
            async for step in self._conduct(Interview(self._candidates, lines=self._said_lines, may_ask=self._may_ask)):
                yield step
        await self._go_on()

    def _was_understood_lately(self, profile: Profile) -> bool:
        lately = max(profile.may_be_quiet or 0.0, LATELY_SECONDS)
        return self._understood_at is not None and _now() - self._understood_at < lately

    async def _go_on(self) -> None:
        """Speak again what was spoken here last, so that who talks is heard, whatever came of a search."""
        profile, line = self._known.last_spoken()
        if profile is not None:
            await self._line.speak(profile, line)

    async def identify(self, address: str) -> Found:
        """Return who answers at this address, asked for what it was before."""
        name, own = read_address(address)
        profile = self._profile(name)
        if profile is None:
            raise DeviceUnreachable(f"{address!r} names no profile; an address is written as `scan` shows it: samsung-mdc/1")
        device = next(
            (one for one in self._configured if one.profile == name and (not one.address or one.address == str(own))), None
        )
        interview = Interview([], profile, lines=[self._known.line_of(profile)], address=own, may_ask=self._may_ask)
        async for step in self._conduct(interview, device):
            if isinstance(step, Found):
                return step
        raise DeviceUnreachable(f"nobody answers as a {profile.title} does")

    async def _conduct(self, interview: Interview, device: ConfiguredDevice | None = None) -> AsyncIterator[Found | Progress]:
        """Carry an interview out; yields after each step, and at the end whom it met."""
        steps, asked = interview.run(), 0
        profile = None if device is None else self._profile(device.profile)
        try:
            step = next(steps)
            while True:
                came = await self._line.carry_out(step, profile)
                asked += 1
                yield Progress(asked, None, step.note)
                step = steps.send(came)
        except StopIteration as end:
            verdict: Verdict = end.value
        if verdict.profile is not None and verdict.line is not None:
            self._understood_at = _now()
            met = found(self._place, verdict.profile, verdict, device.name if device is not None else "")
            self._known.is_spoken(verdict.profile, verdict.line)
            self._known.lives_at(met.address, met.identity.key)
            await self._line.speak(verdict.profile, verdict.line)
            yield met

    def _interview_of(self, device: ConfiguredDevice) -> Interview:
        profile = self.settings.library[device.profile]
        own = read_address(f"{device.profile}/{device.address}")[1] if device.address else None
        return Interview([], profile, lines=self._said_lines or profile.lines, address=own, may_ask=self._may_ask)

    # reading and commanding -------------------------------------------------------------------------------------------

    def poll_groups(self, child: ChildDevice) -> Mapping[str, timedelta]:
        """Return the groups of the child's profile that are asked for; none for a device that only talks."""
        profile = self._profile(child.profile)
        return {} if profile is None else profile.intervals

    async def read(self, child: ChildDevice, due: frozenset[str]) -> AsyncIterator[Sequence[Reading]]:
        """Ask each query that is due; yields after each. Of a device that only talks, what it says next."""
        profile = self._profile(child.profile)
        if profile is None:
            return
        if not profile.intervals:
            yield await self._next_words(child, profile)
            return
        has_answered = False
        for query in profile.queries:
            if query.group in due and query.points:
                try:
                    readings = await self._query(child, profile, query.name, is_optional=query.optional)
                except DeviceUnreachable as silence:
                    if not has_answered:
                        raise
                    self._remark(child, query.name, f"{query.name}: {silence}")
                    yield ()
                else:
                    has_answered = True
                    yield readings

    async def _speak(self, profile: Profile) -> Conversation:
        return await self._line.speak(profile, self._known.line_of(profile))

    async def _query(self, child: ChildDevice, profile: Profile, name: str, *, is_optional: bool) -> Sequence[Reading]:
        await self._speak(profile)
        speech = self._speech
        answer = await self._ask(profile, speech.question(name, read_address(child.address)[1]))
        if answer.refused is not None:
            self._remark(child, name, None if is_optional else f"{name}: {answer.refused}")
            return ()
        self._remark(child, name, None)
        return speech.readings_of(name, answer, child.key, datetime.now(UTC))

    async def _ask(self, profile: Profile, question: Question) -> Answer:
        conversation = await self._speak(profile)
        frame = await conversation.ask(
            question.request, lambda frame: question.read(frame.payload) is not None, profile.talk.timeout
        )
        self._understood_at = _now()
        answer = question.read(frame.payload)
        return answer if answer is not None else Answer({})

    async def _next_words(self, child: ChildDevice, profile: Profile) -> Sequence[Reading]:
        """Wait for what a device that only talks says of all that it tells, as long as it may take."""
        await self._speak(profile)
        self._heard.pop(profile.name, None)
        within = max((match.within for match in profile.match if match.hear), default=3.0)
        ends = _now() + within
        while (left := ends - _now()) > 0 and not self._heard.get(profile.name):
            self._news.clear()
            try:
                async with asyncio.timeout(left):
                    await self._news.wait()
            except TimeoutError:
                break
        latest = {reading.metric.name: reading._replace(child=child.key) for reading in self._heard.get(profile.name, ())}
        if not latest:
            raise DeviceUnreachable(f"it said nothing within {within:g} s")
        return list(latest.values())

    async def execute(self, child: ChildDevice, command: Command) -> str | None:
        """Send what the command means, once, and look whether it was obeyed."""
        profile = self._profile(child.profile)
        if profile is None:
            raise CommandRejected(f"{child.name} takes no commands: no profile says which")
        await self._speak(profile)
        order = order_for(profile, command, read_address(child.address)[1], self._speech)
        await self._obey(child, profile, order)
        return f"{child.name} has done {command.name}" if order.check else f"{child.name} took {command.name}"

    async def configure(self, child: ChildDevice, config: Mapping[str, Any]) -> None:
        """Send the command of each setting, in order."""
        profile = self._profile(child.profile)
        if profile is None:
            raise CommandRejected(f"{child.name} takes no configuration: no profile says which")
        for order in orders_for(profile, config, read_address(child.address)[1]):
            await self._obey(child, profile, order)

    async def _obey(self, child: ChildDevice, profile: Profile, order: Order) -> None:
        if not order.question.is_answered:
            conversation = await self._speak(profile)
            await conversation.send(order.question.request)
        elif (refused := (await self._ask(profile, order.question)).refused) is not None:
            raise CommandRejected(f"{child.name} refuses {order.question.name}: {refused}")
        if order.check is None:
            return
        ends = _now() + order.check.settles
        while (problem := await self._problem_after(profile, order)) is not None:
            if _now() >= ends:
                raise CommandRejected(f"{child.name} did not obey {order.question.name}: {problem}")
            await asyncio.sleep(LOOK_AGAIN_SECONDS)

    async def _problem_after(self, profile: Profile, order: Order) -> str | None:
        """Return what does not show yet that the order was obeyed; a device may be silent while it settles."""
        if order.check is None:
            return None
        try:
            answer = await self._ask(profile, order.check.question)
        except DeviceUnreachable as silence:
            return f"whether it did cannot be read back: {silence}"
        return order.check.problem_in(answer.values) if answer.refused is None else answer.refused

    # what a person should know ----------------------------------------------------------------------------------------

    def planned_reads(self, children: Sequence[ChildDevice]) -> Sequence[PlannedRead]:
        """Return what asking these children costs, by the speed of the line; of an answer, the usual length is reckoned with."""
        profiles = ((child, self._profile(child.profile)) for child in children)
        return [
            self._planned(child, profile, group, every)
            for child, profile in profiles
            if profile is not None
            for group, every in profile.intervals.items()
        ]

    def _planned(self, child: ChildDevice, profile: Profile, group: str, every: timedelta) -> PlannedRead:
        speech, line = Speech(profile), self._known.line_of(profile)
        own = read_address(child.address)[1]
        requests = [
            speech.question(query.name, own).request for query in profile.queries if query.group == group and query.points
        ]
        seconds = sum(line.character_seconds * (len(request) + ANSWER_BYTES) + profile.talk.pace for request in requests)
        return PlannedRead(
            address=child.address, name=child.name, group=group, every=every, seconds=seconds, transactions=len(requests)
        )

    def remarks(self, child: ChildDevice) -> Sequence[str]:
        """Return how the line is set, and what the child refuses."""
        line = None if self._spoken is None else self._spoken.line
        told = [*self._remarks.get(child.key, {}).values()]
        if self._spoken is not None and (lost := self._spoken.thrown_away):
            told.append(f"what came was of no use: {lost}")
        return told if line is None else [f"its line is set to {line}", *told]

    @classmethod
    def workbench(cls, adapter: Self | None = None) -> Workbench:
        """Return the tools that serial devices have: their profiles."""
        return SerialWorkbench() if adapter is None else SerialWorkbench(adapter.settings.library, adapter._read_by)  # noqa: SLF001 - one of its own

    async def _read_by(self, address: str, profile: Profile) -> AsyncIterator[Sequence[Reading]]:
        """Read a device by a profile that is tried on it, whatever else it may be."""
        own = read_address(address)[1]
        child = self.unregistered_child(address=written_address(profile.name, own), name=profile.title, profile=profile.name)
        for query in profile.queries:
            if query.points:
                yield await self._query(child, profile, query.name, is_optional=query.optional)
        if not profile.intervals:
            yield await self._next_words(child, profile)

    def _remark(self, child: ChildDevice, query: str, told: str | None) -> None:
        remarks = self._remarks.setdefault(child.key, {})
        if told is None:
            remarks.pop(query, None)
        else:
            remarks[query] = told

    # what is known of the port ----------------------------------------------------------------------------------------

    @property
    def _open_port(self) -> Port:
        if self._port is None:
            raise BusUnavailable(f"the port {self.bus} is not open")
        return self._port

    @property
    def _line(self) -> SpokenLine:
        if self._spoken is None:
            raise BusUnavailable(f"the port {self.bus} is not open")
        return self._spoken

    @property
    def _speech(self) -> Speech:
        if (speech := self._line.speech) is None:
            raise BusUnavailable(f"nothing is spoken on {self.bus}")
        return speech

    @property
    def _may_ask(self) -> bool:
        return self._served.rule.probe

    @property
    def _said_lines(self) -> Sequence[LineSettings]:
        """Return the settings that the config says, if it does."""
        line = self._served.rule.line
        return () if line is None else (line,)

    @property
    def _candidates(self) -> Sequence[Profile]:
        """Return the profiles that whoever hangs here may have."""
        wanted = self._served.rule.profiles
        return [profile for name, profile in self.settings.library.items() if profile.match and (not wanted or name in wanted)]

    def _profile(self, name: str | None) -> Profile | None:
        return None if name is None else self.settings.library.get(name)

    def _password_for(self, profile: Profile) -> SecretStr | None:
        device = next((one for one in self._configured if one.profile == profile.name), None)
        return None if device is None else password_of(device)


def _now() -> float:
    return asyncio.get_running_loop().time()
