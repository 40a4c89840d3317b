"""Question and answer on one open port: one question at a time, and everything that is no answer handed on.

An answer rarely says what it answers. A question that was given up on may still be answered, so another one waits until that
answer came or cannot come any more; the same one need not, either answer will do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, Self, TypeAlias

from adapters.serial.framing.frames import Frame, Framer
from adapters.serial.framing.notation import escaped_text
from adapters.serial.profile.conversation_settings import Manner
from adapters.serial.session.echo_filter import Echo, Prompts
from adapters.serial.session.login import Login
from gateway.adapter import BusUnavailable, DeviceUnreachable

IsAnswer: TypeAlias = Callable[[Frame], bool]
Unsolicited: TypeAlias = Callable[[Frame], None]

GAP_SECONDS = 0.1
"""A frame that has begun goes on sooner than this; USB adapters hand characters over in bundles, 16 ms apart."""

GAP_CHARACTERS = 20

PROMPT_SECONDS = 1.0
"""Who has not said its prompt by then is asked all the same."""

SHOWN_BYTES = 24
"""So much of what came instead of an answer is shown to a person."""


class Wire(Protocol):
    """An open port, as far as a conversation needs one."""

    def attach(self, listener: Conversation | None) -> None:
        """Tell this listener what comes; `None` for nobody."""

    async def write(self, data: bytes) -> None:
        """Hand this to the port."""


@dataclass(slots=True, eq=False)
class _Question:
    request: bytes
    is_answer: IsAnswer
    answer: asyncio.Future[Frame | None]
    """`None` when the port was lost instead."""
    others: int = 0
    """How many frames came that do not answer it."""
    instead: bytes = b""
    """The last of them."""


@dataclass(frozen=True, slots=True)
class _Owed:
    """An answer that may still come."""

    request: bytes
    is_answer: IsAnswer
    until: float


class Conversation:
    """What is said on an open port, from its `async with` on to its end.

    Args:
        port: the open port; nobody else writes to it.
        framer: cuts what comes into frames.
        manner: how the device wants to be talked to.
        character_seconds: how long one character takes on the line; 0 where that is not known.
        on_unsolicited: is handed every frame that answers no question, late answers among them.
    """

    def __init__(
        self,
        port: Wire,
        framer: Framer,
        manner: Manner | None = None,
        *,
        character_seconds: float = 0.0,
        on_unsolicited: Unsolicited = lambda frame: None,
    ) -> None:
        self.framer = framer
        self._port = port
        self._manner = manner or Manner()
        self._character = character_seconds
        self._gap = max(GAP_SECONDS, GAP_CHARACTERS * character_seconds)
        self._on_unsolicited = on_unsolicited
        self._echo = Echo(self._manner.echo)
        self._prompts = Prompts(self._manner.prompt) if self._manner.prompt else None
        self._turn = asyncio.Lock()
        self._question: _Question | None = None
        self._owed: _Owed | None = None
        self._why_lost: str | None = None
        self._login = Login(port, self._manner) if self._manner.login else None
        self._free_at = self._heard_at = 0.0
        self._news = asyncio.Event()
        self._is_ready = True
        self._timer: asyncio.TimerHandle | None = None

    @property
    def echoes(self) -> bool | None:
        """Whether what is sent is heard again; `None` while it is not known."""
        return self._echo.is_there

    async def __aenter__(self) -> Self:
        self._port.attach(self)
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._port.attach(None)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def ask(self, request: bytes, is_answer: IsAnswer, timeout_seconds: float) -> Frame:
        """Send the request and return the frame that answers it.

        The time counts from the last character of the request; an answer that has begun by then may take as long again.

        Raises:
            DeviceUnreachable: no answer came in time, the port takes no more, or the device lets nobody in.
            BusUnavailable: the port is lost.
        """
        async with self._turn:
            await self._prepare(request)
            question = _Question(request, is_answer, asyncio.get_running_loop().create_future())
            self._question = question
            try:
                await self._write(request)
                return await self._answer_to(question, timeout_seconds)
            finally:
                self._end(question)

    async def tell(self, request: bytes) -> None:
        """Send what is not answered.

        Raises:
            DeviceUnreachable: the port takes no more, or the device lets nobody in.
            BusUnavailable: the port is lost.
        """
        async with self._turn:
            await self._prepare(request)
            await self._write(request)
            self._free_at = _now() + self._character * len(request) + self._manner.pacing_seconds

    def data_received(self, data: bytes) -> None:
        """Take in what the port hears."""
        self._heard_at = now = _now()
        if self._login is None or not self._login.takes(data):
            self._frame(self._echo.without(data), now)

    def port_lost(self, why: str) -> None:
        """Take in that nothing more comes."""
        self._why_lost = why
        self._news.set()
        if self._login is not None:
            self._login.port_lost(why)
        if self._question is not None and not self._question.answer.done():
            self._question.answer.set_result(None)

    # before a question ------------------------------------------------------------------------------------------------

    async def _prepare(self, request: bytes) -> None:
        """Wait until the device can be asked this."""
        self._check_not_lost()
        if self._login is not None and not self._login.is_done:
            await self._login.run()
            self.framer.clear()
            self._is_ready = True
        await self._until(lambda: self._owed is None or self._owed.request == request, self._owed.until if self._owed else 0)
        if self._prompts is not None:
            await self._until(lambda: self._is_ready, self._heard_at + PROMPT_SECONDS)
        await asyncio.sleep(max(0.0, self._free_at - _now()))
        self._owed = None if self._owed and self._owed.until <= _now() else self._owed
        if self.framer.pending and _now() - self._heard_at > self._gap:
            self.framer.clear()

    async def _write(self, request: bytes) -> None:
        self._check_not_lost()
        self._echo.sent(request)
        self._is_ready = False
        await self._port.write(request)

    def _check_not_lost(self) -> None:
        if self._why_lost is not None:
            raise BusUnavailable(self._why_lost)

    async def _until(self, claim: Callable[[], bool], moment: float) -> bool:
        """Return whether the claim came true by this moment, as soon as that is known. A lost port ends the wait.

        Raises:
            BusUnavailable: the port is lost.
        """
        while not claim():
            self._check_not_lost()
            self._news.clear()
            try:
                async with asyncio.timeout_at(moment):
                    await self._news.wait()
            except TimeoutError:
                return claim()
        return True

    # the answer -------------------------------------------------------------------------------------------------------

    async def _answer_to(self, question: _Question, timeout_seconds: float) -> Frame:
        ends = _now() + self._character * len(question.request) + timeout_seconds
        latest = ends + timeout_seconds
        while not question.answer.done():
            await asyncio.wait([question.answer], timeout=ends - _now())
            now = _now()
            if question.answer.done() or now < ends:
                continue
            if not self.framer.pending or now >= latest or now - self._heard_at > self._gap:
                break
            ends = min(self._heard_at + self._gap, latest)
        else:
            return self._told(question)
        self._frame(self._echo.given_up(), _now())
        if question.answer.done():
            return self._told(question)
        raise DeviceUnreachable(f"no answer within {timeout_seconds:g} s{self._what_came(question)}")

    def _told(self, question: _Question) -> Frame:
        frame = question.answer.result()
        if frame is None:
            raise BusUnavailable(self._why_lost)
        return frame

    def _end(self, question: _Question) -> None:
        """Leave a question behind, answered or not."""
        now = _now()
        self._question = None
        self._free_at = now + self._manner.pacing_seconds
        if not question.answer.done() or (self._owed is not None and self._owed.until > now):  # asked twice, answered once
            self._owed = _Owed(question.request, question.is_answer, now + self._manner.late_seconds)

    def _what_came(self, question: _Question) -> str:
        if not question.others:
            return ""
        shown = "" if self._login is not None else f", the last {escaped_text(question.instead[:SHOWN_BYTES])}"
        return f", but {question.others} that do not answer it{shown}"

    # what comes -------------------------------------------------------------------------------------------------------

    def _frame(self, data: bytes, now: float) -> None:
        """Cut what came into frames, and take them in."""
        if not data:
            return
        if self._prompts is None:
            self._take(self.framer.feed(data, now))
        else:
            for piece in self._prompts.pieces(data, is_between=lambda: not self.framer.pending):
                if piece is None:
                    self._is_ready = True
                    self._news.set()
                elif piece:
                    self._take(self.framer.feed(piece, now))
        self._wait_for_silence()

    def _take(self, frames: list[Frame]) -> None:
        for frame in frames:
            question = self._question
            if self._echo.is_late(frame.raw):
                continue
            if question is not None and not question.answer.done():
                if question.is_answer(frame):
                    self._echo.answered()
                    question.answer.set_result(frame)
                    continue
                question.others, question.instead = question.others + 1, frame.raw
            if self._owed is not None and self._owed.is_answer(frame):
                self._owed = None
                self._news.set()
            self._on_unsolicited(frame)

    def _wait_for_silence(self) -> None:
        """Have a frame taken that ends by nothing more coming."""
        deadline = self.framer.deadline
        if deadline is not None and self._timer is None:
            self._timer = asyncio.get_running_loop().call_at(deadline, self._silence)

    def _silence(self) -> None:
        self._timer = None
        self._take(self.framer.expire(_now()))
        self._wait_for_silence()


def _now() -> float:
    return asyncio.get_running_loop().time()
