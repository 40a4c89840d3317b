"""Ask a device over an open connection: write a request, and put the answer together from its notifications."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from adapters.ble.profile.answer_frames import Answer, AnswerAssembler, AnswerRule
from adapters.ble.profile.requests import RequestRule
from adapters.ble.radio.connection import GattConnection

ANSWER_SECONDS = 5.0
"""The longest wait for an answer: devices answer within a second, and send 300 bytes in another one."""

ATTEMPTS = 2
"""A request only asks, so it may be repeated: one lost notification damages an answer."""


class RequestUnanswered(Exception):
    """The device is connected, and answers a request not at all, or refuses it. Never leaves this adapter.

    Args:
        text: what happened.
        is_refusal: the device answered that it has no answer.
    """

    def __init__(self, text: str, *, is_refusal: bool = False) -> None:
        super().__init__(text)
        self.is_refusal = is_refusal


async def ask(connection: GattConnection, request: RequestRule) -> bytes:
    """Return the answer to a request, without its checksum.

    Raises:
        RequestUnanswered: there was no whole answer, or a refusal; the text says so.
        AttributeRefused: the device refuses the write or the subscription.
        DeviceUnreachable: the device is gone.
    """
    answers: asyncio.Queue[Answer] = asyncio.Queue()
    listener = _Listener(request.answer, answers)
    unsubscribe: list[Callable[[], None]] = []
    if request.secret:
        connection.hidden.add((request.answered_in, request.notify))
        unsubscribe.append(partial(connection.hidden.discard, (request.answered_in, request.notify)))
    try:
        if request.status is not None:
            unsubscribe.append(await connection.subscribe(request.service, request.status, listener.hear_status))
        unsubscribe.append(await connection.subscribe(request.answered_in, request.notify, listener.hear))
        for _ in range(ATTEMPTS):
            await _write(connection, request)
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    answer = await answers.get()
            except TimeoutError:
                listener.begin_anew()
                continue
            if answer.refusal is not None:
                raise RequestUnanswered(
                    f"{request.name}: the device answers {answer.content.hex(' ')}: {answer.refusal}", is_refusal=True
                )
            return answer.content
    finally:
        for end in unsubscribe:
            end()
    raise RequestUnanswered(f"{request.name}: {listener.problem}")


async def _write(connection: GattConnection, request: RequestRule) -> None:
    uses = connection.services.get(request.service, {}).get(request.write, frozenset())
    await connection.write(request.service, request.write, request.payload, with_response="write-without-response" not in uses)


class _Listener:
    """Receives the notifications that follow a request, and passes on the answers in them."""

    def __init__(self, rule: AnswerRule, answers: asyncio.Queue[Answer]) -> None:
        self._rule = rule
        self._answers = answers
        self._assembler = AnswerAssembler(rule)
        self._damaged = 0

    def hear(self, notification: bytes) -> None:
        """Take a notification."""
        answer = self._assembler.feed(notification)
        if answer is not None:
            self._answers.put_nowait(answer)

    def hear_status(self, notification: bytes) -> None:
        """Take a notification of the characteristic that only tells how the request ended."""
        refusal = self._rule.refusal_in(notification)
        if refusal is not None:
            self._answers.put_nowait(refusal)

    def begin_anew(self) -> None:
        """Forget the part of an answer that was received."""
        self._damaged += self._assembler.damaged
        self._assembler = AnswerAssembler(self._rule)

    @property
    def problem(self) -> str:
        """Why there was no answer, in words."""
        if self._damaged:
            return f"{self._damaged} answers came damaged, with a wrong checksum"
        return f"the device sent no whole answer within {ANSWER_SECONDS:.0f} s, asked {ATTEMPTS} times"
