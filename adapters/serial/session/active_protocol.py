"""An open port and the protocol that is spoken on it right now: one at a time, or none while somebody is asked who it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

from pydantic import SecretStr

from adapters.serial.discovery.probing import Step
from adapters.serial.framing.framer import framer_for
from adapters.serial.framing.frames import Frame
from adapters.serial.port.line_settings import LineSettings
from adapters.serial.port.port import Port
from adapters.serial.profile.profile import Profile
from adapters.serial.profile.protocol import Speech
from adapters.serial.session.conversation import Conversation
from gateway.adapter import DeviceUnreachable

Overheard = Callable[[Speech, Frame], None]

MOST_COLLECTED = 64 * 1024
"""So many bytes of one step of an interview are kept: a device that talks without end tells no more by more."""


class SpokenLine:
    """The line of an open port.

    Args:
        port: the open port.
        overheard: is handed every frame that nobody asked for, with the speech that cut it.
        password_for: the password for a device with this profile, `None` where there is none.
    """

    def __init__(self, port: Port, overheard: Overheard, password_for: Callable[[Profile], SecretStr | None]) -> None:
        self.speech: Speech | None = None
        """What is spoken; `None` while nothing is."""
        self.line: LineSettings | None = port.line
        self._port = port
        self._overheard = overheard
        self._password_for = password_for
        self._conversation: Conversation | None = None
        self._talking = AsyncExitStack()

    async def speak(self, profile: Profile, line: LineSettings) -> Conversation:
        """Return the conversation by this profile, begun anew only when something else was spoken.

        Raises:
            BusUnavailable: the port does not take these settings, or is lost.
        """
        is_spoken = self.speech is not None and self.speech.profile is profile and self.line == line
        if is_spoken and self._conversation is not None:
            return self._conversation
        await self.fall_silent()
        await self._set(line)
        self.speech = speech = Speech(profile)
        self._conversation = conversation = Conversation(
            self._port,
            framer_for(profile.framing, character_seconds=line.character_seconds, starts_mid_frame=not profile.intervals),
            profile.talk.conversation_settings(self._password_for(profile)),
            character_seconds=line.character_seconds,
            on_unsolicited=lambda frame: self._overheard(speech, frame),
        )
        await self._talking.enter_async_context(conversation)
        return conversation

    @property
    def thrown_away(self) -> str:
        """What of that which came was of no use, for a person; empty when all was."""
        return "" if self._conversation is None else str(self._conversation.framer.discards)

    async def fall_silent(self) -> None:
        """End the conversation."""
        self.speech, self._conversation = None, None
        await self._talking.aclose()

    async def carry_out(self, step: Step, profile: Profile | None = None) -> bytes:
        """Return what comes in this step of an interview. Who only listens disturbs no conversation at the same settings.

        Args:
            step: what to send, and for how long to listen.
            profile: of the device that is asked, where a person has said it: one that wants a log-in is asked after it.

        Raises:
            BusUnavailable: the port does not take the settings, or is lost.
        """
        if profile is not None and profile.talk.login and step.request:
            return await self._ask(step, profile)
        goes_on = self._conversation if not step.request and step.line == self.line else None
        if goes_on is None:
            await self.fall_silent()
            await self._set(step.line)
        collector = _Collector(step.is_enough, goes_on)
        self._port.attach(collector)
        try:
            if step.request:
                await self._port.write(step.request)
            await collector.wait(step.seconds + len(step.request) * step.line.character_seconds)
            await asyncio.sleep(step.pause)
        except DeviceUnreachable:
            return b""  # it takes nothing, so it answers nothing
        finally:
            self._port.attach(goes_on)
        return bytes(collector.came)

    async def _ask(self, step: Step, profile: Profile) -> bytes:
        conversation = await self.speak(profile, step.line)
        try:
            frame = await conversation.ask(step.request, lambda frame: step.is_enough(frame.raw), step.seconds)
        except DeviceUnreachable:
            return b""
        return frame.raw

    async def _set(self, line: LineSettings) -> None:
        if self._port.line != line:
            await self._port.set_line(line)
        self.line = line


class _Collector:
    """Collects what a port hears until it is enough, or the port is lost; a conversation that goes on hears it, too."""

    def __init__(self, is_enough: Callable[[bytes], bool], conversation: Conversation | None) -> None:
        self.came = bytearray()
        self._is_enough = is_enough
        self._conversation = conversation
        self._done = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        if self._conversation is not None:
            self._conversation.data_received(data)
        self.came += data[: MOST_COLLECTED - len(self.came)]
        if len(self.came) >= MOST_COLLECTED or self._is_enough(bytes(self.came)):
            self._done.set()

    def port_lost(self, why: str) -> None:
        """Nothing more comes."""
        if self._conversation is not None:
            self._conversation.port_lost(why)
        self._done.set()

    async def wait(self, seconds: float) -> None:
        """Wait until it is enough, and no longer than this."""
        try:
            async with asyncio.timeout(seconds):
                await self._done.wait()
        except TimeoutError:
            pass
