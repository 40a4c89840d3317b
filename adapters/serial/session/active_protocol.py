"""Switch an open port between protocols: one conversation at a time, or none while the port is probed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import replace

from adapters.serial.discovery.probe_answers import describe_bytes
from adapters.serial.discovery.probing import ProbeStep
from adapters.serial.framing.framer import framer_for
from adapters.serial.framing.frames import Frame
from adapters.serial.port.line_settings import LineSettings
from adapters.serial.port.port import Port
from adapters.serial.port.selection import url_scheme
from adapters.serial.profile.conversation_settings import ConversationSettings, Credentials
from adapters.serial.profile.digest import Digest
from adapters.serial.profile.profile import Profile
from adapters.serial.profile.protocol import DeviceProtocol, KeysFor, without_keys
from adapters.serial.session.conversation import Conversation, NoAnswer
from adapters.serial.session.digest_login import DigestLogin, LoginKnowledge, LoginNeeded
from adapters.serial.session.frame_dialogue import FrameDialogue
from gateway.adapter import DeviceUnreachable, RecentFrames

OnUnsolicited = Callable[[DeviceProtocol, Frame], None]

MAX_COLLECTED_BYTES = 64 * 1024
"""Number of bytes of one probe step that are kept: an endless stream does not become clearer with more bytes."""


class ActiveProtocol:
    """The protocol and the line settings that an open port uses now.

    Args:
        port: the open port.
        on_unsolicited: is called with every frame that answers no request, and the protocol that decodes it.
        credentials_for: returns what the config gives for the log-in to a device with this profile.
        logins: what is known about log-ins by digest, by profile; it outlives the connection.
        keys_for: returns the decryption keys for a device with this profile, `None` if there are none.
    """

    def __init__(
        self,
        port: Port,
        on_unsolicited: OnUnsolicited,
        credentials_for: Callable[[Profile], Credentials],
        logins: Callable[[Profile], LoginKnowledge] = lambda profile: LoginKnowledge(),
        keys_for: KeysFor = without_keys,
        frames: RecentFrames | None = None,
    ) -> None:
        self.protocol: DeviceProtocol | None = None
        """`None` while no conversation is active."""
        self.login_problem: str | None = None
        """Why a configured device could not be asked after its log-in, when it was searched last."""
        self.line: LineSettings | None = port.line
        self._port = port
        self._on_unsolicited = on_unsolicited
        self._credentials_for = credentials_for
        self._logins = logins
        self._keys_for = keys_for
        self._frames = frames if frames is not None else RecentFrames()
        self._digests: dict[str, DigestLogin] = {}
        self._begun: set[str] = set()
        """The profiles whose opening message was sent on this connection."""
        self._conversation: Conversation | None = None
        self._exit_stack = AsyncExitStack()

    async def switch_to(self, profile: Profile, line: LineSettings) -> Conversation:
        """Return the conversation by this profile; start a new one only if another profile or line was active.

        Raises:
            BusUnavailable: the port rejects the line settings, or is lost.
        """
        is_active = self.protocol is not None and self.protocol.profile is profile and self.line == line
        if is_active and self._conversation is not None:
            return self._conversation
        await self.stop()
        await self._set_line(line)
        await self._begin(profile)
        self.protocol = protocol = DeviceProtocol(profile, self._keys_for(profile))
        self._conversation = conversation = Conversation(
            self._port,
            framer_for(profile.framing, character_seconds=line.character_seconds, starts_mid_frame=not profile.intervals),
            self._settings_for(profile),
            character_seconds=line.character_seconds,
            on_unsolicited=lambda frame: self._on_unsolicited(protocol, frame),
            digest=self._digest_login(profile),
            dialogue=self._dialogue(profile),
            frames=self._frames,
        )
        await self._exit_stack.enter_async_context(conversation)
        return conversation

    @property
    def discarded(self) -> str:
        """Summary of the received bytes that were discarded; empty if there are none."""
        return "" if self._conversation is None else str(self._conversation.framer.discards)

    async def stop(self) -> None:
        """End the conversation."""
        self.protocol, self._conversation = None, None
        await self._exit_stack.aclose()

    def needs(self, profile: Profile) -> str | None:
        """Return what a person has to do before a device with this profile can be read; `None` if nothing."""
        login = self._digest_login(profile)
        return None if login is None else login.needs

    async def wait_for_greeting(self, profile: Profile) -> None:
        """Wait until a device with a digest log-in has greeted; not at all for another one."""
        if (login := self._digest_login(profile)) is not None:
            await login.wait_for_greeting()

    def _digest_login(self, profile: Profile | None) -> DigestLogin | None:
        """Return the log-in on this connection for a profile with a digest log-in."""
        if profile is None or profile.talk.digest is None:
            return None
        if profile.name not in self._digests:
            credentials, knowledge = self._credentials_for(profile), self._logins(profile)
            self._digests[profile.name] = DigestLogin(self._port, Digest(profile), credentials, knowledge)
        return self._digests[profile.name]

    async def run_step(self, step: ProbeStep, profile: Profile | None = None) -> bytes:
        """Return the bytes received in this probe step. Listening at the current line settings keeps the conversation active.

        Args:
            step: the request and the time to listen.
            profile: the profile of a configured device: one with a log-in is queried after the log-in.

        Raises:
            BusUnavailable: the port rejects the line settings, or is lost.
        """
        if profile is not None and profile.talk.needs_login and step.request:
            return await self._ask(step, profile)
        login = self._digest_login(step.profile) if step.request else None
        try:
            prefix = b"" if login is None else await login.prefix()
        except LoginNeeded as error:
            return error.frame
        kept = self._conversation if not step.request and step.line == self.line else None
        if kept is None:
            await self.stop()
            await self._set_line(step.line)
        await self._begin(step.profile)
        collector = _Collector(step.is_complete, kept)
        self._port.attach(collector)
        if self._port.is_unused and not step.request:
            collector.collect(self._port.first_bytes)
        try:
            if step.request:
                await self._port.write(prefix + step.request)
            await collector.wait(step.seconds + len(step.request) * step.line.character_seconds)
            if collector.received:
                await asyncio.sleep(step.pause)
        except DeviceUnreachable:
            return b""  # the port accepts no data, so there is no answer
        finally:
            self._port.attach(kept)
        received = bytes(collector.received)
        if prefix:  # a line that echoes must not show the hash as evidence
            received = received.replace(prefix, b"")
        with suppress(DeviceUnreachable):  # what it needs is asked for after the search
            if login is not None:
                login.check(received)
        return received

    def _dialogue(self, profile: Profile) -> FrameDialogue | None:
        """Return the log-in and the replies of a profile that has them in frames."""
        has_none = profile.talk.frame_login is None and not profile.talk.replies
        return None if has_none else FrameDialogue(self._port, profile, self._credentials_for(profile))

    def _settings_for(self, profile: Profile) -> ConversationSettings:
        settings = profile.talk.conversation_settings(self._credentials_for(profile))
        is_wanted = not profile.talk.login_only_tcp or url_scheme(self._port.address) == "tcp"
        return settings if is_wanted else replace(settings, login=())

    async def _begin(self, profile: Profile | None) -> None:
        """Send the message with which each connection to a device on a network begins, once; not through a device server."""
        rule = None if profile is None else profile.talk.opening
        if profile is None or rule is None or profile.name in self._begun or url_scheme(self._port.address) != "tcp":
            return
        self._begun.add(profile.name)
        before = len(self._port.first_bytes)
        await self._port.write(rule.send)
        await self._port.wait_for_first_bytes(lambda received: len(received) - before >= len(rule.answer), profile.talk.timeout)
        answer = self._port.first_bytes[before:]
        if answer and not answer.startswith(rule.answer):
            self.login_problem = f"the device refuses the connection: {rule.refused or describe_bytes(answer)}"

    async def _ask(self, step: ProbeStep, profile: Profile) -> bytes:
        conversation = await self.switch_to(profile, step.line)
        try:
            frame = await conversation.ask(step.request, lambda frame: step.is_complete(frame.raw), step.seconds)
        except NoAnswer:
            return b""
        except DeviceUnreachable as error:
            self.login_problem = str(error)
            return b""
        self.login_problem = None
        return frame.raw

    async def _set_line(self, line: LineSettings) -> None:
        if self._port.line != line:
            await self._port.set_line(line)
        self.line = line


class _Collector:
    """Collects the data of a port until it is complete or the port is lost, and passes it on to an active conversation."""

    def __init__(self, is_complete: Callable[[bytes], bool], conversation: Conversation | None) -> None:
        self.received = bytearray()
        self._is_complete = is_complete
        self._conversation = conversation
        self._done = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        """Collect received bytes."""
        if self._conversation is not None:
            self._conversation.data_received(data)
        self.collect(data)

    def collect(self, data: bytes) -> None:
        """Collect bytes that the conversation has already."""
        self.received += data[: MAX_COLLECTED_BYTES - len(self.received)]
        if len(self.received) >= MAX_COLLECTED_BYTES or self._is_complete(bytes(self.received)):
            self._done.set()

    def port_lost(self, why: str) -> None:
        """Stop collecting: the port is lost."""
        if self._conversation is not None:
            self._conversation.port_lost(why)
        self._done.set()

    async def wait(self, seconds: float) -> None:
        """Wait until the data is complete, at most for this time."""
        try:
            async with asyncio.timeout(seconds):
                await self._done.wait()
        except TimeoutError:
            pass
