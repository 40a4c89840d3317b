"""Send requests on one open port, one at a time, match the answers to them, and pass on all other frames.

An answer rarely identifies its request. A request that timed out may still be answered, so a different request waits until that
late answer has come or can no longer come. The same request need not wait: either answer is valid for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, Self, TypeAlias

from adapters.serial.framing.frames import Frame, Framer
from adapters.serial.framing.notation import escaped_text
from adapters.serial.port.open_errors import lost
from adapters.serial.profile.conversation_settings import ConversationSettings
from adapters.serial.session.digest_login import DigestLogin
from adapters.serial.session.echo_filter import EchoFilter, PromptFilter
from adapters.serial.session.frame_dialogue import FrameDialogue
from adapters.serial.session.login import Login
from gateway.adapter import Cause, DeviceUnreachable, RecentFrames, loop_time, seconds_text

IsAnswer: TypeAlias = Callable[[Frame], bool]
OnUnsolicited: TypeAlias = Callable[[Frame], None]

MAX_GAP_SECONDS = 0.1
"""Maximum pause within a frame; USB adapters deliver characters in bundles, 16 ms apart."""

MAX_GAP_CHARACTERS = 20

PROMPT_SECONDS = 1.0
"""Time limit for waiting for the prompt; after that the request is sent anyway."""

LATEST_BYTES = 512

SHOWN_BYTES = 24
"""Number of bytes of a frame that are shown in an error message."""


class NoAnswer(DeviceUnreachable):
    """The request was sent, and no answer came: the device may have received it."""

    def __init__(self, text: str, received: bytes = b"") -> None:
        super().__init__(text, cause=Cause.NO_ANSWER)
        self.received = received
        """The latest bytes that came since it was sent, without its echo."""


class ConversationPort(Protocol):
    """The part of an open port that a conversation uses."""

    def attach(self, listener: Conversation | None) -> None:
        """Deliver received data to this listener; `None` for no listener."""

    async def write(self, data: bytes) -> None:
        """Write the data."""


@dataclass(slots=True, eq=False)
class _PendingRequest:
    request: bytes
    is_answer: IsAnswer
    answer: asyncio.Future[Frame | None]
    """`None` if the port was lost."""
    other_frames: int = 0
    """Number of received frames that do not answer the request."""
    last_other_frame: bytes = b""
    received: bytes = b""
    """The latest bytes that came since it was sent, at most `LATEST_BYTES`."""


@dataclass(frozen=True, slots=True)
class _LateAnswer:
    """A request that timed out, whose answer may still come."""

    request: bytes
    is_answer: IsAnswer
    until: float


class Conversation:
    """Exchange of requests and answers on an open port, active within its `async with` block.

    Args:
        port: the open port; only the conversation writes to it.
        framer: finds frames in the received bytes.
        settings: timing, echo, prompt and log-in of the device.
        character_seconds: duration of one character on the line; 0 if unknown.
        on_unsolicited: is called with every frame that answers no request, including late answers.
        digest: the digest log-in on this connection; `None` for a device without one.
        dialogue: the log-in and the replies in frames; `None` for a device without them.
        frames: keeps what is sent and received, without log-ins.
    """

    def __init__(
        self,
        port: ConversationPort,
        framer: Framer,
        settings: ConversationSettings | None = None,
        *,
        character_seconds: float = 0.0,
        on_unsolicited: OnUnsolicited = lambda frame: None,
        digest: DigestLogin | None = None,
        dialogue: FrameDialogue | None = None,
        frames: RecentFrames | None = None,
    ) -> None:
        self.framer = framer
        self._port = port
        self._settings = settings or ConversationSettings()
        self._character = character_seconds
        self._max_gap = max(MAX_GAP_SECONDS, MAX_GAP_CHARACTERS * character_seconds)
        self._on_unsolicited = on_unsolicited
        self._echo_filter = EchoFilter(self._settings.echo)
        self._prompt_filter = PromptFilter(self._settings.prompt) if self._settings.prompt else None
        self._lock = asyncio.Lock()
        self._pending: _PendingRequest | None = None
        self._late_answer: _LateAnswer | None = None
        self._loss_reason: str | None = None
        self._digest = digest
        self._dialogue = dialogue
        self._frames = frames if frames is not None else RecentFrames()
        self._prefix = b""
        self._login = Login(port, self._settings) if self._settings.login else None
        self._ready_at = self._received_at = 0.0
        self._changed = asyncio.Event()
        self._is_prompt_seen = True
        self._timer: asyncio.TimerHandle | None = None

    @property
    def echoes(self) -> bool | None:
        """Whether sent bytes are echoed; `None` while that is unknown."""
        return self._echo_filter.is_present

    async def __aenter__(self) -> Self:
        self._port.attach(self)
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._port.attach(None)
        if self._dialogue is not None:
            self._dialogue.close()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def ask(self, request: bytes, is_answer: IsAnswer, timeout_seconds: float) -> Frame:
        """Send the request and return the frame that answers it.

        The time limit starts after the last character of the request; an answer that has begun by then may take as long again.

        Raises:
            NoAnswer: no answer came in time.
            DeviceUnreachable: the port accepts no data, or the log-in failed; the request was not sent.
            BusUnavailable: the port is lost.
        """
        async with self._lock:
            await self._prepare(request)
            pending = _PendingRequest(request, self._answers_or_refuses(is_answer), asyncio.get_running_loop().create_future())
            self._pending = pending
            try:
                await self._write(request)
                frame = await self._answer_to(pending, timeout_seconds)
            finally:
                self._end(pending)
            if self._digest is not None:
                self._digest.check(frame.raw)
            return frame

    def _answers_or_refuses(self, is_answer: IsAnswer) -> IsAnswer:
        """Return a function that also accepts the answer of a device that rejects the log-in."""
        digest = self._digest
        return is_answer if digest is None else lambda frame: is_answer(frame) or digest.is_refused(frame.payload)

    async def send(self, request: bytes) -> None:
        """Send a request that has no answer.

        Raises:
            DeviceUnreachable: the port accepts no data, or the log-in failed.
            BusUnavailable: the port is lost.
        """
        async with self._lock:
            await self._prepare(request)
            await self._write(request)
            self._ready_at = loop_time() + self._character * len(request) + self._settings.pacing_seconds

    def data_received(self, data: bytes) -> None:
        """Process data from the port."""
        self._received_at = now = loop_time()
        if self._pending is not None:
            self._pending.received = (self._pending.received + data)[-LATEST_BYTES:]
        if self._login is None or not self._login.consume(data):
            if self._dialogue is None or not self._dialogue.is_running:
                self._frames.received(data)
            self._process(self._echo_filter.strip_echo(data), now)

    def port_lost(self, why: str) -> None:
        """Fail the pending request: the port is lost."""
        self._loss_reason = why
        self._changed.set()
        if self._login is not None:
            self._login.port_lost(why)
        if self._dialogue is not None:
            self._dialogue.port_lost(why)
        if self._pending is not None and not self._pending.answer.done():
            self._pending.answer.set_result(None)

    # before a request -------------------------------------------------------------------------------------------------

    async def _prepare(self, request: bytes) -> None:
        """Wait until the request can be sent: log-in done, no late answer expected, prompt received, pacing time over."""
        self._check_not_lost()
        if self._login is not None and not self._login.is_done:
            await self._login.run()
            self.framer.clear()
            self._is_prompt_seen = True
        if self._dialogue is not None:
            await self._dialogue.prepare()
        await self._wait_for(
            lambda: self._late_answer is None or self._late_answer.request == request,
            self._late_answer.until if self._late_answer else 0,
        )
        if self._prompt_filter is not None:
            await self._wait_for(lambda: self._is_prompt_seen, self._received_at + PROMPT_SECONDS)
        await asyncio.sleep(max(0.0, self._ready_at - loop_time()))
        self._prefix = b"" if self._digest is None else await self._digest.prefix()
        self._late_answer = None if self._late_answer and self._late_answer.until <= loop_time() else self._late_answer
        if self.framer.pending and loop_time() - self._received_at > self._max_gap:
            self.framer.clear()

    async def _write(self, request: bytes) -> None:
        self._check_not_lost()
        self._echo_filter.request_sent(request)
        self._is_prompt_seen = False
        self._frames.sent(request)  # without the prefix, which is made of a password
        await self._port.write(self._prefix + request)

    def _check_not_lost(self) -> None:
        if self._loss_reason is not None:
            raise lost(self._loss_reason)

    async def _wait_for(self, condition: Callable[[], bool], moment: float) -> bool:
        """Wait until the condition is true, at most until this moment; return whether it is. A lost port ends the wait.

        Raises:
            BusUnavailable: the port is lost.
        """
        while not condition():
            self._check_not_lost()
            self._changed.clear()
            try:
                async with asyncio.timeout_at(moment):
                    await self._changed.wait()
            except TimeoutError:
                return condition()
        return True

    # the answer -------------------------------------------------------------------------------------------------------

    async def _answer_to(self, pending: _PendingRequest, timeout_seconds: float) -> Frame:
        ends = loop_time() + self._character * len(pending.request) + timeout_seconds
        latest = ends + timeout_seconds
        while not pending.answer.done():
            await asyncio.wait([pending.answer], timeout=ends - loop_time())
            now = loop_time()
            if pending.answer.done() or now < ends:
                continue
            if not self.framer.pending or now >= latest or now - self._received_at > self._max_gap:
                break
            ends = min(self._received_at + self._max_gap, latest)
        else:
            return self._result_of(pending)
        self._process(self._echo_filter.release_swallowed(), loop_time())
        if pending.answer.done():
            return self._result_of(pending)
        text = f"no answer within {seconds_text(timeout_seconds)}{self._other_frames_text(pending)}"
        raise NoAnswer(text, pending.received.removeprefix(pending.request))

    def _result_of(self, pending: _PendingRequest) -> Frame:
        frame = pending.answer.result()
        if frame is None:
            raise lost(self._loss_reason)
        return frame

    def _end(self, pending: _PendingRequest) -> None:
        """Finish a request, answered or not."""
        now = loop_time()
        self._pending = None
        self._ready_at = now + self._settings.pacing_seconds
        was_asked_before = self._late_answer is not None and self._late_answer.until > now
        if not pending.answer.done() or was_asked_before:  # one of the two answers may still come
            self._late_answer = _LateAnswer(pending.request, pending.is_answer, now + self._settings.late_answer_seconds)

    def _other_frames_text(self, pending: _PendingRequest) -> str:
        if not pending.other_frames:
            return ""
        has_login = self._login is not None or self._dialogue is not None
        has_secret = has_login or bool(self._prefix)  # an echo of the log-in may be among them
        shown = "" if has_secret else f", the last {escaped_text(pending.last_other_frame[:SHOWN_BYTES])}"
        return f", but {pending.other_frames} that do not answer it{shown}"

    # received data ----------------------------------------------------------------------------------------------------

    def _process(self, data: bytes, now: float) -> None:
        """Find the frames in received bytes, and dispatch them."""
        if not data:
            return
        if self._prompt_filter is None:
            self._dispatch(self.framer.feed(data, now))
        else:
            for piece in self._prompt_filter.split(data, is_between=lambda: not self.framer.pending):
                if piece is None:
                    self._is_prompt_seen = True
                    self._changed.set()
                elif piece:
                    self._dispatch(self.framer.feed(piece, now))
        self._schedule_expiry()

    def _dispatch(self, frames: list[Frame]) -> None:
        for frame in frames:
            pending = self._pending
            if self._echo_filter.is_late_echo(frame.raw):
                continue
            if self._dialogue is not None and self._dialogue.take(frame):
                continue
            if self._digest is not None and self._digest.note_greeting(frame):
                self._on_unsolicited(frame)
                continue
            if pending is not None and not pending.answer.done():
                if pending.is_answer(frame):
                    self._echo_filter.answer_received()
                    pending.answer.set_result(frame)
                    continue
                pending.other_frames, pending.last_other_frame = pending.other_frames + 1, frame.raw
            if self._late_answer is not None and self._late_answer.is_answer(frame):
                self._late_answer = None
                self._changed.set()
            self._on_unsolicited(frame)

    def _schedule_expiry(self) -> None:
        """Schedule a call of `expire`, for frames that are ended by silence."""
        deadline = self.framer.deadline
        if deadline is not None and self._timer is None:
            self._timer = asyncio.get_running_loop().call_at(deadline, self._on_silence)

    def _on_silence(self) -> None:
        self._timer = None
        self._dispatch(self.framer.expire(loop_time()))
        self._schedule_expiry()
