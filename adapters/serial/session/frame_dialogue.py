"""Log in to a device by a frame of its protocol, and reply to its messages that want it. Secrets never appear in messages."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from pydantic import SecretStr

from adapters.serial.framing.frames import Frame
from adapters.serial.port.open_errors import lost
from adapters.serial.profile.conversation_settings import Credentials
from adapters.serial.profile.grammar import LOGIN_FIELD, USER_FIELD
from adapters.serial.profile.profile import Profile
from adapters.serial.profile.template import Template
from adapters.serial.session.login import LoginPort
from gateway.adapter import BusUnavailable, Cause, DeviceUnreachable, loop_time, seconds_text

ANSWER_SECONDS = 5.0
"""Time limit for the answer to the log-in, and for the message that the device sends behind it."""

REFUSED_SECONDS = 600.0
"""A password that was refused is not sent again within this time: a device may lock who tries again and again."""


class FrameDialogue:
    """The log-in and the replies on one connection, for one profile.

    Args:
        port: the open port.
        profile: a profile with `talk.frame_login` or `talk.replies`.
        credentials: what the config gives for the log-in.
    """

    def __init__(self, port: LoginPort, profile: Profile, credentials: Credentials) -> None:
        rule = profile.talk.frame_login
        self.is_running = False
        """Whether the log-in is being exchanged."""
        self._port = port
        self._is_done = rule is None
        self._request = None if rule is None else _login_frame(profile, rule.send, credentials)
        self._is_password_missing = rule is not None and credentials.password is None
        told = (None,) * 4 if rule is None else (rule.accepted, rule.refused, rule.then, rule.lost)
        self._accepted, self._refused, self._then, self._lost = (
            None if written is None else profile.template(written) for written in told
        )
        self._replies = [(profile.template(one.hear), profile.framing.wrap(one.send)) for one in profile.talk.replies]
        self._refused_until = 0.0
        self._heard: list[bytes] = []
        self._changed = asyncio.Event()
        self._loss_reason: str | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def prepare(self) -> None:
        """Log in, unless that is done.

        Raises:
            DeviceUnreachable: the config gives no password, or the device does not answer or rejects the log-in.
            BusUnavailable: the port is lost.
        """
        if self._is_done:
            return
        if self._is_password_missing:
            raise DeviceUnreachable(
                "log-in: it needs a password: name a `password_file` for it in `devices` of this entry", cause=Cause.LOGIN_REFUSED
            )
        if self._request is None:
            raise DeviceUnreachable("log-in: user and password are too long for the device", cause=Cause.LOGIN_REFUSED)
        if loop_time() < self._refused_until:
            raise _refusal()
        self.is_running, self._heard = True, []
        try:
            await self._log_in(self._request)
        finally:
            self.is_running = False
        self._is_done = True

    async def _log_in(self, request: SecretStr) -> None:
        await self._port.write(request.get_secret_value().encode("latin-1"))
        if not await self._wait_for(self._accepted, self._refused):
            raise DeviceUnreachable(f"log-in: no answer within {seconds_text(ANSWER_SECONDS)}", cause=Cause.NO_ANSWER)
        if self._is_heard(self._refused):
            self._refused_until = loop_time() + REFUSED_SECONDS
            raise _refusal()
        if self._then is not None:  # a device that does not send it takes requests all the same
            await self._wait_for(self._then)
            await asyncio.gather(*self._tasks)

    def take(self, frame: Frame) -> bool:
        """Reply to a frame that wants a reply; return whether it is one of those, or belongs to the running log-in."""
        if self.is_running:
            self._heard.append(frame.payload)
            self._changed.set()
        reply = next((reply for hear, reply in self._replies if hear.match(frame.payload) is not None), None)
        if reply is not None:
            self._start(self._send(reply))
        if self._lost is not None and self._lost.match(frame.payload) is not None:
            self._is_done = False
        return self.is_running or reply is not None

    def port_lost(self, why: str) -> None:
        """Fail the running log-in: the port is lost."""
        self._loss_reason = why
        self._changed.set()

    def close(self) -> None:
        """Cancel the replies that are not sent yet."""
        for task in self._tasks:
            task.cancel()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send(self, reply: bytes) -> None:
        with suppress(DeviceUnreachable, BusUnavailable):  # the next request tells it
            await self._port.write(reply)

    def _is_heard(self, *templates: Template | None) -> bool:
        return any(one.match(payload) is not None for one in templates if one is not None for payload in self._heard)

    async def _wait_for(self, *templates: Template | None) -> bool:
        """Wait for a frame that one of these templates matches; return whether it came."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                while not self._is_heard(*templates):
                    if self._loss_reason is not None:
                        raise lost(self._loss_reason)
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True


def _refusal() -> DeviceUnreachable:
    return DeviceUnreachable(
        "log-in: the device rejects it: check the user and the password in the config", cause=Cause.LOGIN_REFUSED
    )


def _login_frame(profile: Profile, send: bytes, credentials: Credentials) -> SecretStr | None:
    """Return the frame of the log-in, one character for each byte; `None` if user and password do not fit into one."""
    secret = "" if credentials.password is None else credentials.password.get_secret_value()
    texts = {USER_FIELD.encode(): credentials.user or profile.talk.user, LOGIN_FIELD.encode(): secret}
    pattern = b"|".join(map(re.escape, texts))
    payload = re.sub(pattern, lambda found: texts[found[0]].encode(), send)
    try:
        return SecretStr(profile.framing.wrap(payload).decode("latin-1"))
    except ValueError:
        return None
