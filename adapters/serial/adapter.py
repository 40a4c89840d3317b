"""Implement the adapter contract for serial devices: open the port, poll queries, receive messages, execute commands."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing, nullcontext
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Self

from pydantic import BaseModel

from adapters.serial.bus_facts import facts_of
from adapters.serial.device_search import DeviceSearch
from adapters.serial.discovery.identity import BusLocation, format_address, parse_address
from adapters.serial.discovery.network_discovery import ANNOUNCED_AS, look_for_devices
from adapters.serial.discovery.remembered_port import RememberedPort
from adapters.serial.framing.frames import Frame
from adapters.serial.port.open_errors import lost
from adapters.serial.port.port import Port
from adapters.serial.profile.commands import PreparedCommand, prepare_command
from adapters.serial.profile.conversation_settings import Credentials
from adapters.serial.profile.profile import Profile
from adapters.serial.profile.protocol import DeviceProtocol, QueryAnswer, Request
from adapters.serial.profile.setting_writes import prepare_settings
from adapters.serial.served_ports import ServedPort, named_port, served_ports
from adapters.serial.session.active_protocol import ActiveProtocol
from adapters.serial.session.answer_causes import cause_of, next_step
from adapters.serial.session.command_execution import CommandExecution, CommandLine, sent_sentence
from adapters.serial.session.conversation import Conversation, NoAnswer
from adapters.serial.session.device_settings import DeviceSettings
from adapters.serial.session.digest_login import LoginKnowledge
from adapters.serial.session.query_reading import QueryLine, QueryReading
from adapters.serial.session.unsolicited import UnsolicitedReadings
from adapters.serial.settings import ConfiguredDevice, SerialSettings, password_advice, password_of, rejected_password
from adapters.serial.tools.doctor_checks import examine_ports, ports_to_listen_on
from adapters.serial.tools.line_load import planned_reads
from adapters.serial.tools.workbench import SerialWorkbench
from gateway.adapter import (
    Adapter,
    BusFact,
    BusUnavailable,
    Cause,
    ChildDevice,
    Command,
    CommandRejected,
    CommandResult,
    CommandSpec,
    DeviceUnreachable,
    Finding,
    Found,
    Licence,
    Metric,
    NamedNetworks,
    NetworkHost,
    PlannedRead,
    Progress,
    Reading,
    RecentFrames,
    RecordedFrame,
    SearchSummary,
    SettingValue,
    Uplink,
    Value,
    Workbench,
    WrittenSetting,
    licence_command,
    loop_time,
    seconds_text,
    settings_model,
)

log = logging.getLogger(__name__)

RECENT_SECONDS = 120.0
"""A device that was understood within this time is assumed to be still there."""


class SerialAdapter(Adapter[SerialSettings]):
    """One serial port."""

    settings_model = SerialSettings
    announced_as = tuple(ANNOUNCED_AS)

    def __init__(self, settings: SerialSettings, served: ServedPort | None = None) -> None:
        super().__init__(settings)
        self._served = served if served is not None else named_port(settings, settings.ports[0])
        rule = self._served.rule
        self._configured = settings.devices_on(rule.name, rule.port)
        configured_profile = self._profile(self._configured[0].profile) if self._configured else None
        self._remembered = RememberedPort(self.bus, settings.library, configured_profile, rule.line, lambda: self.memory)
        self._search = DeviceSearch(settings, rule, BusLocation(settings.entry, self.bus), self._remembered)
        self._port: Port | None = None
        self._active: ActiveProtocol | None = None
        self._uplink: Uplink | None = None
        self._last_address = ""
        """The address at which opening the port was tried last; empty if the port did not exist."""
        self._understood_at: float | None = None
        """Time at which the device on this port was understood last."""
        self._queries = QueryReading(QueryLine(self._protocol_of, self._ask))
        self._unsolicited = UnsolicitedReadings()
        self._logins: dict[str, LoginKnowledge] = {}
        self._frames = RecentFrames()
        self._needs: str | None = None
        """What a person has to do before the device on this port can be read."""
        self._problem: str | None = None
        """Why the last message on this port could not be decoded, and what to do, as a sentence."""

    @property
    def bus(self) -> str:
        """The name from the config, else the port as written there or its identity: never its current tty name."""
        return self._served.label

    @classmethod
    async def buses(cls, settings: SerialSettings) -> AsyncIterator[Self]:
        """Yield an adapter for each port of the entry, as the ports appear."""
        async for served in served_ports(settings):
            yield cls(settings, served)

    @classmethod
    def examine(cls, settings: SerialSettings | None) -> AsyncIterator[Finding]:
        """Check whether the ports exist, may be used and are free, and suggest stable names for them."""
        return examine_ports(settings)

    @classmethod
    async def first_look(cls, hosts: Sequence[str]) -> Mapping[str, Any] | None:
        """Propose an entry that only listens, on each port that the operating system lists."""
        return await ports_to_listen_on()

    @classmethod
    def look_in_networks(cls, networks: NamedNetworks) -> AsyncIterator[NetworkHost | Progress | SearchSummary]:
        """Yield the projectors that answer a search and the devices that are announced, each with its port."""
        return look_for_devices(networks)

    async def __aenter__(self) -> Self:
        found = await self._served.find()
        self._last_address = "" if found is None else found.address
        if found is None:
            text = f"the port {self.bus} does not exist: plug it in, or correct its name in the config"
            raise BusUnavailable(text, cause=Cause.NO_PORT)
        port = Port(found.address)
        await port.open(self._remembered.last_protocol()[1])
        self._port, self._active = port, self._active_on(port)
        try:
            await self._check_needs(self._active)
            await self._search.resume(self._active)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        active, self._active, self._uplink = self._active, None, None
        port, self._port = self._port, None
        self._queries.forget_conditions()
        if active is not None:
            await active.stop()
        if port is not None:
            await port.close()

    async def reappears(self) -> None:
        """Wait until the port has been away and back, or has another address."""
        await self._served.reappears(self._last_address)

    async def _check_needs(self, active: ActiveProtocol) -> None:
        """Raise `BusUnavailable` while the device still needs what it needed on the last connection, which it closes again."""
        profile = self._remembered.last_protocol()[0]
        if self._needs is None or profile is None:
            return
        await active.wait_for_greeting(profile)
        self._needs = active.needs(profile)
        if self._needs is not None:
            raise BusUnavailable(self._needs, cause=Cause.LOGIN_REFUSED)

    # unsolicited messages ---------------------------------------------------------------------------------------------

    async def listen(self, uplink: Uplink) -> None:
        """Pass on the readings of messages until the port is lost."""
        self._uplink = uplink
        raise lost(await self._open_port.wait_until_lost())

    def _on_unsolicited(self, protocol: DeviceProtocol, frame: Frame) -> None:
        message = protocol.read_message(frame.payload)
        if message is None:
            return
        self._understood_at = loop_time()
        self._search.note_answer()
        self._note_problem(protocol.profile, message.problem)
        key = self._remembered.child_at(format_address(protocol.profile.name, message.address))
        readings = protocol.readings_of(message.name, message, key or "", datetime.now(UTC))
        self._unsolicited.add(protocol.profile.name, readings)
        if key is not None and self._uplink is not None:
            self._uplink.heard(readings)

    def _note_problem(self, profile: Profile, problem: str | None) -> None:
        """Note whether messages can be decoded; log it when it changes."""
        if problem is not None:
            self._unsolicited.give_up(profile.name)
        text = self._search.what_to_do(profile, problem)
        if text == self._problem:
            return
        self._problem = text
        if text is None:
            log.info("%s: the messages of the %s can be decoded now", self.bus, profile.title)
        else:
            log.warning("%s: the messages of the %s cannot be decoded: %s", self.bus, profile.title, text)

    def may_be_quiet(self, child: ChildDevice) -> timedelta | None:
        """Return how long a device that only sends unasked may be silent; `None` for a device that is polled."""
        profile = self._profile(child.profile)
        if profile is None or profile.intervals or profile.may_be_quiet is None:
            return None
        self._remembered.remember_child(child.address, child.key)
        return timedelta(seconds=profile.may_be_quiet)

    # discovery --------------------------------------------------------------------------------------------------------

    async def discover(self) -> AsyncIterator[Found | Progress]:
        """Yield the devices on the port: those of the config, the one that was there last, else any that can be identified."""
        async for step in self._search.discover(self._open_line, self._was_understood_recently):
            if isinstance(step, Found):
                self._note(step)
            yield step

    def last_search(self) -> SearchSummary | None:
        """Return how many questions were asked on this port and stayed unanswered."""
        return self._search.summary

    async def identify(self, address: str) -> Found:
        """Return the device that answers at this address."""
        found = await self._search.identify(address, self._open_line)
        self._note(found)
        return found

    def _note(self, found: Found) -> None:
        self._understood_at, self._needs = loop_time(), found.needs
        self._queries.forget_conditions(found.address)

    def _was_understood_recently(self, profile: Profile) -> bool:
        recent = max(profile.may_be_quiet or 0.0, RECENT_SECONDS)
        return self._understood_at is not None and loop_time() - self._understood_at < recent

    # reading ----------------------------------------------------------------------------------------------------------

    def poll_groups(self, child: ChildDevice) -> Mapping[str, timedelta]:
        """Return the poll groups of the child's profile; none for a device that only sends unasked."""
        profile = self._profile(child.profile)
        return {} if profile is None else profile.intervals

    async def read(self, child: ChildDevice, due: frozenset[str]) -> AsyncIterator[Sequence[Reading]]:
        """Send each query that is due and yield after each; for a device that only sends unasked, wait for its next message."""
        profile = self._profile(child.profile)
        if profile is None:
            return
        if not profile.intervals:
            yield await self._next_message(child, profile)
            return
        has_answered = False
        async with aclosing(self._queries.read(child, profile, due)) as answers:
            async for readings in answers:
                has_answered = True
                yield readings
        if has_answered:
            await self._ask_again_who_it_is(child)

    async def _ask_again_who_it_is(self, child: ChildDevice) -> None:
        """Identify a device again that did not tell all about itself, when its state changes or some time has passed."""
        state = self._queries.state_of(child)
        if self._uplink is None or not self._search.incomplete.is_due(child.address, state, loop_time()):
            return
        uplink = self._uplink
        try:
            uplink.found(await self.identify(child.address))
        except DeviceUnreachable:
            return  # it answered a moment ago, and is asked again when it is next due

    async def _conversation(self, profile: Profile) -> Conversation:
        return await self._open_line.switch_to(profile, self._remembered.line_for(profile))

    async def _protocol_of(self, profile: Profile) -> DeviceProtocol:
        await self._conversation(profile)
        return self._protocol

    async def _ask(self, profile: Profile, request: Request) -> QueryAnswer:
        self._search.check_no_console()
        conversation = await self._conversation(profile)
        try:
            frame = await conversation.ask(
                request.raw, lambda frame: request.read(frame.payload) is not None, profile.talk.timeout
            )
        except NoAnswer as error:
            self._search.note_no_answer(profile, error.received)
            line = self._search.line_in_use(self._open_line)
            error.cause = cause_of(profile, error.received, line=line, was_heard=self._search.was_heard)
            error.next_step = next_step(error.cause, line)
            raise
        self._search.note_answer()
        self._open_line.login_problem = None
        self._understood_at = loop_time()
        answer = request.read(frame.payload)
        return answer if answer is not None else QueryAnswer({})

    async def _next_message(self, child: ChildDevice, profile: Profile) -> Sequence[Reading]:
        """Return the readings of the next message of a device that only sends unasked."""
        await self._conversation(profile)
        seconds = max((match.within for match in profile.match if match.hear), default=3.0)
        readings = await self._unsolicited.next_for(profile.name, seconds)
        if not readings:
            cause = Cause.NO_ANSWER if self._problem is None else Cause.WRONG_ANSWER
            raise DeviceUnreachable(self._problem or f"no message within {seconds_text(seconds)}", cause=cause)
        latest = {reading.metric.name: reading._replace(child=child.key) for reading in readings}
        return list(latest.values())

    # commands ---------------------------------------------------------------------------------------------------------

    def commands(self, child: ChildDevice) -> Sequence[CommandSpec]:
        """Return the commands of the child's profile."""
        profile = self._profile(child.profile)
        return () if profile is None else profile.command_specs

    async def execute(self, child: ChildDevice, command: Command) -> CommandResult:
        """Send the command once, and read back its effect where the profile names a metric that shows it."""
        profile, prepared = self._prepare_command(child, command)
        with self._frames.hiding() if prepared.has_secret else nullcontext():
            return await self._execution(child, profile, prepared).run()

    def recent_frames(self) -> Sequence[str]:
        """Return the last frames on the port, without log-ins and secrets."""
        return self._frames.lines()

    async def read_back(self, child: ChildDevice, command: Command) -> CommandResult | None:
        """Return the result of an interrupted command if the device shows its effect now.

        That is the proof: the command asks for a state, and the device is in it. Whether it was before is not known any more. A
        command without a metric that shows its effect, such as `tare`, cannot be proven.
        """
        profile, prepared = self._prepare_command(child, command)
        return await self._execution(child, profile, prepared).read_back()

    def planned_writes(self, child: ChildDevice, command: Command) -> Sequence[str]:
        """Return the bytes of the command, and the query that would read back its effect."""
        profile, prepared = self._prepare_command(child, command)
        return [sent_sentence(child, prepared, as_text=profile.notation == "text")]

    def _prepare_command(self, child: ChildDevice, command: Command) -> tuple[Profile, PreparedCommand]:
        profile = self._profile(child.profile)
        if profile is None:
            raise CommandRejected(f"{child.name} takes no commands: its profile is missing")
        return profile, prepare_command(profile, command, parse_address(child.address)[1])

    def _execution(self, child: ChildDevice, profile: Profile, prepared: PreparedCommand) -> CommandExecution:
        return CommandExecution(child, prepared, self._line_of(profile))

    def _line_of(self, profile: Profile) -> CommandLine:
        return CommandLine(partial(self._ask, profile), partial(self._send, profile))

    def licence_command(self, child: ChildDevice, licence: Licence) -> Command:
        """Return the command that the profile names for a licence."""
        profile = self._profile(child.profile)
        return licence_command(None if profile is None else profile.licence, child, licence)

    def metrics(self, child: ChildDevice) -> Mapping[str, Sequence[Metric]]:
        """Return the metrics of the child's queries; unknown for a device that names metrics itself."""
        profile = self._profile(child.profile)
        return {} if profile is None else profile.metrics_by_group

    def configuration_model(self, child: ChildDevice) -> type[BaseModel] | None:
        """Return the settings of the child's profile."""
        profile = self._profile(child.profile)
        return None if profile is None or not profile.settings else settings_model(profile.setting_specs)

    async def differing_settings(self, child: ChildDevice, config: Mapping[str, SettingValue]) -> Mapping[str, Value]:
        """Send the queries that show these settings, and return those that have another value."""
        return await (await self._settings_of(child, config)).differing()

    async def configure(self, child: ChildDevice, config: Mapping[str, SettingValue]) -> Sequence[WrittenSetting]:
        """Send the command of each setting, in order, and read back its effect."""
        return await (await self._settings_of(child, config)).write()

    async def _settings_of(self, child: ChildDevice, config: Mapping[str, SettingValue]) -> DeviceSettings:
        profile = self._profile(child.profile)
        if profile is None:
            raise CommandRejected(f"{child.name} has no settings: its profile is missing")
        protocol = await self._protocol_of(profile)
        prepared = prepare_settings(profile, config, parse_address(child.address)[1], protocol)
        return DeviceSettings(child, prepared, self._line_of(profile))

    async def _send(self, profile: Profile, raw: bytes) -> None:
        self._search.check_no_console()
        conversation = await self._conversation(profile)
        await conversation.send(raw)

    # information for people -------------------------------------------------------------------------------------------

    def planned_reads(self, children: Sequence[ChildDevice]) -> Sequence[PlannedRead]:
        """Return the time that polling these children takes on the line, assuming answers of usual length."""
        profiles = ((child, self._profile(child.profile)) for child in children)
        return [
            planned
            for child, profile in profiles
            if profile is not None
            for planned in planned_reads(child, profile, self._remembered.line_for(profile))
        ]

    def remarks(self, child: ChildDevice) -> Sequence[str]:
        """Return the line settings, what the child refuses, and what received bytes were discarded."""
        is_set_here = self._port is not None and self._port.is_configurable
        line = self._active.line if self._active is not None and is_set_here else None
        remarks = self._queries.remarks(child)
        if self._problem is not None:
            remarks.append(self._problem)
        if self._active is not None and (discarded := self._active.discarded):
            remarks.append(f"discarded received bytes: {discarded}")
        return remarks if line is None else [f"its line is set to {line}", *remarks]

    def why_no_values(self, child: ChildDevice) -> str | None:
        """Return that the child refuses all of its queries, if so."""
        return self._queries.why_no_values(child)

    def recorded_frames(self, address: str) -> Sequence[RecordedFrame]:
        """Return the last frames on the port; a port has one device, or devices that its frames do not tell apart."""
        return self._frames.recorded()

    def bus_facts(self) -> Sequence[BusFact]:
        """Return the port, the protocol that is spoken on it, and how its line is set."""
        protocol, line = self._remembered.last_protocol()
        if self._active is not None:
            protocol = protocol if self._active.protocol is None else self._active.protocol.profile
            line = self._active.line or line
        return facts_of(self._served.rule, self._last_address, protocol, line, self._remembered.sources(protocol, line))

    def bus_remarks(self) -> Sequence[str]:
        """Return that a console answers on this port, or that a log-in fails, if so."""
        login_problem = None if self._active is None else self._active.login_problem
        return [remark for remark in (self._search.console_remark, login_problem) if remark is not None]

    @classmethod
    def workbench(cls, adapter: Self | None = None) -> Workbench:
        """Return the command-line tools for serial devices."""
        return SerialWorkbench() if adapter is None else SerialWorkbench(adapter.settings.library, adapter._read_with)  # noqa: SLF001 - one of its own

    async def _read_with(self, address: str, profile: Profile) -> AsyncIterator[Sequence[Reading]]:
        """Read a device with a profile that is being tried, whatever its own profile is."""
        own_address = parse_address(address)[1]
        child = self.unregistered_child(
            address=format_address(profile.name, own_address), name=profile.title, profile=profile.name
        )
        for query in profile.queries:
            if query.points:
                yield await self._queries.read_query(child, profile, query)
        if not profile.intervals:
            yield await self._next_message(child, profile)

    # the open port ----------------------------------------------------------------------------------------------------

    @property
    def _open_port(self) -> Port:
        if self._port is None:
            raise BusUnavailable(f"the port {self.bus} is not open")
        return self._port

    @property
    def _open_line(self) -> ActiveProtocol:
        if self._active is None:
            raise BusUnavailable(f"the port {self.bus} is not open")
        return self._active

    @property
    def _protocol(self) -> DeviceProtocol:
        if (protocol := self._open_line.protocol) is None:
            raise BusUnavailable(f"no protocol is active on {self.bus}")
        return protocol

    def _profile(self, name: str | None) -> Profile | None:
        return None if name is None else self.settings.library.get(name)

    def _active_on(self, port: Port) -> ActiveProtocol:
        return ActiveProtocol(
            port, self._on_unsolicited, self._credentials_for, self._login_knowledge, self._search.keys_for, self._frames
        )

    def _credentials_for(self, profile: Profile) -> Credentials:
        device = self._configured_as(profile)
        return Credentials() if device is None else Credentials(device.user, password_of(device))

    def _configured_as(self, profile: Profile) -> ConfiguredDevice | None:
        return next((one for one in self._configured if one.profile == profile.name), None)

    def _login_knowledge(self, profile: Profile) -> LoginKnowledge:
        if profile.name not in self._logins:
            advice = password_advice(self._served.rule, profile.name)
            given = rejected_password(device) if (device := self._configured_as(profile)) else "the password"
            self._logins[profile.name] = LoginKnowledge(f"it needs a password: {advice}", f"it rejects {given}")
        return self._logins[profile.name]
