"""Search the devices on one port: those of the config, the one that was there last, else any that a profile identifies."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Generic, TypeVar

from adapters.serial.codec import DecryptionKeys
from adapters.serial.discovery.address_sweep import STEP_SECONDS, AddressSweep
from adapters.serial.discovery.consoles import Console, prompt_in
from adapters.serial.discovery.identity import BusLocation, format_address, found_device, parse_address
from adapters.serial.discovery.incomplete_identity import IncompleteIdentities
from adapters.serial.discovery.probing import ProbeResult, ProbeStep, ProtocolProbe
from adapters.serial.discovery.remembered_port import RememberedPort
from adapters.serial.port.line_settings import LineSettings
from adapters.serial.port.selection import is_plain_tcp, tcp_port_of, url_scheme
from adapters.serial.profile.profile import Profile
from adapters.serial.session.active_protocol import ActiveProtocol
from adapters.serial.session.answer_causes import LineInUse, unanswered
from adapters.serial.settings import ConfiguredDevice, PortRule, SerialSettings, key_advice, keys_of
from gateway.adapter import Cause, DeviceUnreachable, Found, Progress, SearchSummary, loop_time

log = logging.getLogger("adapters.serial")

CONSOLE_SECONDS = 24 * 3600.0
"""A port on which a console answers is only listened to for so long: each question is a failed log-in there."""

CONFIGURED_CONSOLE_SECONDS = 3600.0
"""The same where the config names a device on the port, or where a known child was on it: somebody may have put a cable right."""

PROMPTS_OF_A_CONSOLE = 3
"""Number of prompts in a row, instead of answers, that show that a console has taken the place of a known device."""

SLOWER = 4.0
"""Other devices on a line may take so many times as long to answer as one that was measured."""

MOST_RECEIVED_BYTES = 4096
"""So much is kept of what arrives in a search."""

LEAST_STEP_SECONDS = 0.05
"""Shortest time for one address of a sweep."""

ResultT = TypeVar("ResultT")


class _ProgressOf(Generic[ResultT]):
    """The progress after each of these steps, and their result at the end.

    Args:
        steps: the steps of a probe or a sweep.
        run_step: carries one out, and returns the received bytes.
    """

    def __init__(self, steps: Generator[ProbeStep, bytes, ResultT], run_step: Callable[[ProbeStep], Awaitable[bytes]]) -> None:
        self.result: ResultT
        self._steps = steps
        self._run_step = run_step

    async def __aiter__(self) -> AsyncIterator[Progress]:
        count = 0
        try:
            step = next(self._steps)
            while True:
                received = await self._run_step(step)
                count += 1
                yield Progress(count, None, step.description)
                step = self._steps.send(received)
        except StopIteration as end:
            self.result = end.value


class DeviceSearch:
    """Search for the devices on one port.

    Args:
        settings: the settings of the entry.
        rule: the rule of the config that selects the port.
        location: entry and bus, for the identity of devices without a serial number.
        remembered: what is remembered of the port.
    """

    def __init__(self, settings: SerialSettings, rule: PortRule, location: BusLocation, remembered: RememberedPort) -> None:
        self.configured = settings.devices_on(rule.name, rule.port)
        """The devices that the config names for this port."""
        self._keys = {device.profile: keys for device in self.configured if (keys := keys_of(device)) is not None}
        self._library = settings.library
        self._rule = rule
        self._location = location
        self._remembered = remembered
        self._probe = partial(ProtocolProbe, may_ask=rule.probe, keys_for=self.keys_for)
        self._step_seconds = STEP_SECONDS
        """Time for one address of a sweep, from how fast devices on this line answer."""
        self._asked = self._answered = 0
        """The questions of the last search, and how many of them anything came after."""
        self.was_heard = False
        """Whether a device was understood on this port since the start."""
        self._received = bytearray()
        """What arrived in the last search for one device."""
        self._prompts_in_a_row = 0
        """Number of the latest requests to a known device after which the prompt of a console came instead of an answer."""
        self.incomplete = IncompleteIdentities()
        """The devices that have to be asked again who they are."""

    async def discover(
        self, active: ActiveProtocol, was_understood_recently: Callable[[Profile], bool]
    ) -> AsyncIterator[Found | Progress]:
        """Yield the devices on the port, and the progress after each step.

        A device that was understood recently is still there, even if it is too busy to answer now: the queries of other profiles
        are not sent to it.
        """
        self._asked = self._answered = 0
        for device in self.configured:
            async for step in self._search_configured(device, active):
                yield step
        if not self.configured:
            async for step in self._search_unknown(active, was_understood_recently):
                yield step
        await self.resume(active)

    @property
    def summary(self) -> SearchSummary:
        """How many questions of profiles were asked on this port in the last search, and stayed unanswered."""
        asked, answered = self._asked, self._answered
        if not asked:
            return SearchSummary(0, 0, "only listened, and asked nothing", None)
        questions = f"{asked} question{'' if asked == 1 else 's'} of its profiles"
        text = f"asked {questions}: {answered} answered, {asked - answered} stayed quiet"
        advice = "if the device is missing, check its power, its cable and the line settings, and name its profile in `devices`"
        return SearchSummary(asked, answered, text, None if answered else advice)

    async def _search_configured(self, device: ConfiguredDevice, active: ActiveProtocol) -> AsyncIterator[Found | Progress]:
        """Search one device of the config; one whose address the config does not give may have any address of its protocol."""
        may_ask = self._may_ask(CONFIGURED_CONSOLE_SECONDS)
        async for step in self._run(self._probe_for(device, may_ask=may_ask), active, device):
            yield step
            if isinstance(step, Found):
                return
        profile = self._library[device.profile]
        if not device.address and may_ask and not self._is_console_held(CONFIGURED_CONSOLE_SECONDS):
            sweep = AddressSweep(profile, self._remembered.line_for(profile), is_complete=True)
            async for step in self._run_sweep(sweep, profile, active, device):
                yield step

    async def _search_unknown(
        self, active: ActiveProtocol, was_understood_recently: Callable[[Profile], bool]
    ) -> AsyncIterator[Found | Progress]:
        """Search any device, the one that was there last first, and then the others that share the line with it."""
        found: list[Found] = []
        last_profile = self._remembered.last_protocol()[0]
        may_ask = self._may_ask(CONSOLE_SECONDS)
        if last_profile is not None:
            lines = [self._remembered.line_for(last_profile)]
            probe = self._probe([], last_profile, lines=lines, may_ask=may_ask, asks_everyone=False)
            async for step in self._noted(self._run(probe, active), found):
                yield step
        is_unknown = not found and (last_profile is None or not was_understood_recently(last_profile))
        if is_unknown:
            probe = self._probe(self._candidates, lines=self._configured_lines, may_ask=may_ask)
            async for step in self._noted(self._run(probe, active), found):
                yield step
        profiles = [self._library[one.profile] for one in found if one.profile is not None] or (
            self._candidates if is_unknown else []
        )
        for profile in profiles if may_ask and not self._is_console_held(CONSOLE_SECONDS) else ():
            if is_unknown and found and found[0].profile != profile.name:
                break
            known = [address for one in found if (address := parse_address(one.address)[1]) is not None]
            line = self._remembered.line_for(profile)
            is_complete = not found and len(self._candidates) == 1
            sweep = AddressSweep(profile, line, known, is_complete=is_complete, step_seconds=self._step_seconds)
            async for step in self._noted(self._run_sweep(sweep, profile, active), found):
                yield step

    async def _noted(self, steps: AsyncIterator[Found | Progress], found: list[Found]) -> AsyncIterator[Found | Progress]:
        """Yield these steps, and keep the devices among them."""
        async for step in steps:
            if isinstance(step, Found):
                found.append(step)
            yield step

    def keys_for(self, profile: Profile) -> DecryptionKeys | None:
        """Return the decryption keys of the config for a device with this profile on this port."""
        return self._keys.get(profile.name)

    def what_to_do(self, profile: Profile, problem: str | None) -> str | None:
        """Return why messages of a device with this profile cannot be decoded, and what to write in the config."""
        if problem is None or profile.name in self._keys:
            return problem
        return f"{problem}; {key_advice(self._rule, profile.name)}"

    async def identify(self, address: str, active: ActiveProtocol) -> Found:
        """Return the device that answers at this address, according to the profile in the address.

        Raises:
            DeviceUnreachable: no device answers, or the address is invalid.
        """
        name, own_address = parse_address(address)
        profile = self._library.get(name)
        if profile is None:
            raise DeviceUnreachable(f"{address!r} names no profile; write the address as `scan` shows it: samsung-mdc/1")
        device = next(
            (one for one in self.configured if one.profile == name and (not one.address or one.address == str(own_address))), None
        )
        self.check_no_console()
        lines = [self._remembered.line_for(profile)]
        probe = self._probe([], profile, lines=lines, address=own_address)
        self._received.clear()
        async for step in self._run(probe, active, device):
            if isinstance(step, Found):
                return step
        if active.login_problem is not None:
            raise DeviceUnreachable(active.login_problem, cause=Cause.LOGIN_REFUSED)
        text, received = f"no device answers like a {profile.title}", bytes(self._received)
        shown = f": {len(received)} bytes arrived instead" if received else ""
        line = self.line_in_use(active)
        raise unanswered(f"{text}{shown}", profile, received, line=line, was_heard=self.was_heard)

    def line_in_use(self, active: ActiveProtocol) -> LineInUse:
        """Return how the devices of this port are connected."""
        kind = url_scheme(self._rule.port)
        return LineInUse(active.line if kind is None else None, is_network=kind == "tcp")

    async def resume(self, active: ActiveProtocol) -> None:
        """Switch back to the last protocol, so that messages are received, whatever the result of a search was."""
        profile, line = self._remembered.last_protocol()
        if profile is not None:
            await active.switch_to(profile, line)

    async def _run(
        self, probe: ProtocolProbe, active: ActiveProtocol, device: ConfiguredDevice | None = None
    ) -> AsyncIterator[Found | Progress]:
        """Run a probe; yield the progress after each step, and at the end the device that it found."""
        profile = None if device is None else self._library.get(device.profile)
        steps = _ProgressOf(probe.run(), partial(self._timed_step, active, profile))
        async for progress in steps:
            yield progress
        result = steps.result
        if result.console is not None:
            self._note_console(result.console)
        if result.profile is not None and result.line is not None:
            self.note_answer()
            needs = self.what_to_do(result.profile, result.problem) or active.needs(result.profile)
            found = self._found(result.profile, result, needs, device.name if device is not None else "")
            self._remembered.remember_protocol(result.profile, result.line)
            self._remembered.remember_child(found.address, found.identity.key)
            await active.switch_to(result.profile, result.line)
            yield found

    async def _run_sweep(
        self, sweep: AddressSweep, profile: Profile, active: ActiveProtocol, device: ConfiguredDevice | None = None
    ) -> AsyncIterator[Found | Progress]:
        """Run a search for addresses; yield the progress, and at the end the devices that were found."""
        steps = _ProgressOf(sweep.run(), partial(self._timed_step, active, None))
        async for progress in steps:
            yield progress
        if sweep.console is not None:
            self._note_console(sweep.console)
        for address in steps.result:
            probe = self._probe([], profile, lines=[sweep.line], address=address)
            async for step in self._run(probe, active, device):
                yield step

    async def _timed_step(self, active: ActiveProtocol, profile: Profile | None, step: ProbeStep) -> bytes:
        """Return the bytes received in a step, and learn how long devices on this line take to answer."""
        began = loop_time()
        received = await active.run_step(step, profile)
        if step.request:
            self._asked += 1
            self._answered += bool(received)
        self._received += received.removeprefix(step.request) if step.request else received
        del self._received[:-MOST_RECEIVED_BYTES]
        if step.request and received and step.is_complete(received):
            took = loop_time() - began - step.pause
            self._step_seconds = min(max(LEAST_STEP_SECONDS, SLOWER * took), STEP_SECONDS)
        return received

    # consoles ---------------------------------------------------------------------------------------------------------

    @property
    def console_remark(self) -> str | None:
        """What an operator should know about a console that answers on this port; `None` if none does."""
        known = self._remembered.console_since()
        if known is None:
            return None
        console, at = known
        again = datetime.fromtimestamp(at, UTC) + timedelta(
            seconds=CONFIGURED_CONSOLE_SECONDS if self.configured else CONSOLE_SECONDS
        )
        return (
            f"{console.kind} answers on this port (`{console.shown}`), so it is a console: nothing is sent to it before "
            f"{again:%Y-%m-%d %H:%M} UTC. List the port in `exclude`, or connect the device to it"
        )

    def check_no_console(self) -> None:
        """Raise `DeviceUnreachable` while nothing is sent to this port, since a console answers on it."""
        if self._rule.probe and self._is_console_held(CONFIGURED_CONSOLE_SECONDS):
            raise DeviceUnreachable(f"{self.console_remark}", cause=Cause.OTHER_DEVICE)

    def note_no_answer(self, profile: Profile, received: bytes) -> None:
        """Note what came instead of an answer of a known device: a console, if it shows a prompt several times in a row.

        A computer that starts shows one for a while, too, and a device may send such a text once.
        """
        console = prompt_in(received, profile.talk.prompts)
        self._prompts_in_a_row = 0 if console is None else self._prompts_in_a_row + 1
        if console is not None and self._prompts_in_a_row >= PROMPTS_OF_A_CONSOLE:
            self._prompts_in_a_row = 0
            self._note_console(console)

    def note_answer(self) -> None:
        """Note that a device is understood on this port."""
        self.was_heard = True
        self._prompts_in_a_row = 0
        self._remembered.remember_console(None, 0.0)

    def _note_console(self, console: Console) -> None:
        known = self._remembered.console_since()
        self._remembered.remember_console(console, datetime.now(UTC).timestamp())
        if known is None or known[0].kind != console.kind:
            log.warning("%s: %s", self._location.bus, self.console_remark)

    def _may_ask(self, console_seconds: float) -> bool:
        """Return whether anything may be sent to this port now."""
        return self._rule.probe and not self._is_console_held(console_seconds)

    def _is_console_held(self, seconds: float) -> bool:
        """Return whether a console answered on this port within this time."""
        known = self._remembered.console_since()
        return known is not None and 0 <= datetime.now(UTC).timestamp() - known[1] < seconds

    def _found(self, profile: Profile, result: ProbeResult, needs: str | None, name: str) -> Found:
        """Return the found device; what it does not tell now, as in standby, is known from an earlier time."""
        address = format_address(profile.name, result.address)
        is_complete = not result.missing and needs is None
        earlier = {} if is_complete else self._remembered.facts_at(address)
        is_another = any(earlier.get(fact, text) != text for fact, text in result.facts.items())
        if not is_another:
            result = replace(result, facts={**earlier, **result.facts})
        self._remembered.remember_facts(address, result.facts)
        self.incomplete.note(address, is_complete=is_complete, now=loop_time())
        has_line = not is_plain_tcp(self._rule.port)
        return found_device(self._location, profile, result if has_line else result.without_line(), name, needs=needs)

    def _probe_for(self, device: ConfiguredDevice, *, may_ask: bool) -> ProtocolProbe:
        profile = self._library[device.profile]
        own_address = parse_address(f"{device.profile}/{device.address}")[1] if device.address else None
        lines = self._configured_lines or profile.lines
        return self._probe([], profile, lines=lines, address=own_address, may_ask=may_ask)

    @property
    def _configured_lines(self) -> Sequence[LineSettings]:
        """The line settings that are tried; none: those of the profiles. By plain TCP nothing depends on them: one is enough."""
        if self._rule.line is not None:
            return (self._rule.line,)
        return (LineSettings(),) if is_plain_tcp(self._rule.port) else ()

    @property
    def _candidates(self) -> Sequence[Profile]:
        """The profiles that an unknown device on this port may have."""
        allowed = self._rule.profiles
        known = [profile for name, profile in self._library.items() if profile.match and (not allowed or name in allowed)]
        return known if allowed else profiles_for(self._rule.port, known)


def profiles_for(port: str, profiles: Sequence[Profile]) -> Sequence[Profile]:
    """Return those of these profiles that an unknown device on a port may have.

    A device with a network port of its own listens at the TCP port of its protocol: where profiles have this one, only those are
    tried. Protocols that are not spoken on serial lines are not tried there.
    """
    if not is_plain_tcp(port):
        return [profile for profile in profiles if not profile.only_tcp]
    tcp_port = tcp_port_of(port) if url_scheme(port) == "tcp" else None
    return [profile for profile in profiles if tcp_port is not None and profile.tcp_port == tcp_port] or profiles
