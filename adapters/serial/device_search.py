"""Search the devices on one port: those of the config, the one that was there last, else any that a profile identifies."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from functools import partial

from adapters.serial.codec import DecryptionKeys
from adapters.serial.discovery.identity import BusLocation, format_address, found_device, parse_address
from adapters.serial.discovery.incomplete_identity import IncompleteIdentities
from adapters.serial.discovery.probing import ProbeResult, ProtocolProbe
from adapters.serial.discovery.remembered_port import RememberedPort
from adapters.serial.port.line_settings import LineSettings
from adapters.serial.profile.profile import Profile
from adapters.serial.session.active_protocol import ActiveProtocol
from adapters.serial.settings import ConfiguredDevice, PortRule, SerialSettings, key_advice, keys_of
from gateway.adapter import DeviceUnreachable, Found, Progress, loop_time


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
        self.incomplete = IncompleteIdentities()
        """The devices that have to be asked again who they are."""

    async def discover(
        self, active: ActiveProtocol, was_understood_recently: Callable[[Profile], bool]
    ) -> AsyncIterator[Found | Progress]:
        """Yield the devices on the port, and the progress after each step.

        A device that was understood recently is still there, even if it is too busy to answer now: the queries of other profiles
        are not sent to it.
        """
        for device in self.configured:
            async for step in self._run(self._probe_for(device), active, device):
                yield step
        if not self.configured:
            last_profile = self._remembered.last_protocol()[0]
            if last_profile is not None:
                lines = [self._remembered.line_for(last_profile)]
                async for step in self._run(ProtocolProbe([], last_profile, lines=lines), active):
                    yield step
            if last_profile is None or not was_understood_recently(last_profile):
                probe = self._probe(self._candidates, lines=self._configured_lines)
                async for step in self._run(probe, active):
                    yield step
        await self.resume(active)

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
        lines = [self._remembered.line_for(profile)]
        probe = self._probe([], profile, lines=lines, address=own_address)
        async for step in self._run(probe, active, device):
            if isinstance(step, Found):
                return step
        raise DeviceUnreachable(f"no device answers like a {profile.title}")

    async def resume(self, active: ActiveProtocol) -> None:
        """Switch back to the last protocol, so that messages are received, whatever the result of a search was."""
        profile, line = self._remembered.last_protocol()
        if profile is not None:
            await active.switch_to(profile, line)

    async def _run(
        self, probe: ProtocolProbe, active: ActiveProtocol, device: ConfiguredDevice | None = None
    ) -> AsyncIterator[Found | Progress]:
        """Run a probe; yield the progress after each step, and at the end the device that it found."""
        steps, step_count = probe.run(), 0
        profile = None if device is None else self._library.get(device.profile)
        try:
            step = next(steps)
            while True:
                received = await active.run_step(step, profile)
                step_count += 1
                yield Progress(step_count, None, step.description)
                step = steps.send(received)
        except StopIteration as end:
            result: ProbeResult = end.value
        if result.profile is not None and result.line is not None:
            needs = self.what_to_do(result.profile, result.problem) or active.needs(result.profile)
            found = self._found(result.profile, result, needs, device.name if device is not None else "")
            self._remembered.remember_protocol(result.profile, result.line)
            self._remembered.remember_child(found.address, found.identity.key)
            await active.switch_to(result.profile, result.line)
            yield found

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
        return found_device(self._location, profile, result, name, needs=needs)

    def _probe_for(self, device: ConfiguredDevice) -> ProtocolProbe:
        profile = self._library[device.profile]
        own_address = parse_address(f"{device.profile}/{device.address}")[1] if device.address else None
        lines = self._configured_lines or profile.lines
        return self._probe([], profile, lines=lines, address=own_address)

    @property
    def _configured_lines(self) -> Sequence[LineSettings]:
        return () if self._rule.line is None else (self._rule.line,)

    @property
    def _candidates(self) -> Sequence[Profile]:
        """The profiles that an unknown device on this port may have."""
        allowed = self._rule.profiles
        return [profile for name, profile in self._library.items() if profile.match and (not allowed or name in allowed)]
