"""Remove echoes and prompts from received bytes. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator


class EchoFilter:
    """Removes the echo of sent bytes from received bytes, and detects whether there is an echo."""

    def __init__(self, setting: bool | None) -> None:  # noqa: FBT001 - on, off, or not known
        self.is_present = setting
        """`None` while it is unknown."""
        self._awaited = b""
        self._held = b""
        self._swallowed = b""
        self._missed = b""

    def request_sent(self, request: bytes) -> None:
        """Expect the echo of this request from now on."""
        self._awaited = request if self.is_present is not False else b""
        self._held = self._swallowed = self._missed = b""

    def strip_echo(self, data: bytes) -> bytes:
        """Return received bytes without the echo; hold back what may be the beginning of the echo."""
        if not self._awaited:
            return data
        self._held += data
        if self._held.startswith(self._awaited):
            rest = self._held[len(self._awaited) :]
            self._swallowed, self._awaited, self._held = self._awaited, b"", b""
            return rest
        if self._awaited.startswith(self._held):
            return b""
        self._missed = self._awaited if self.is_present else b""
        return self._release_held()

    def is_late_echo(self, raw: bytes) -> bool:
        """Return whether this frame is the echo, received after something else."""
        if not self._missed or raw != self._missed:
            return False
        self._missed = b""
        return True

    def answer_received(self) -> None:
        """Note that the answer was received, which shows whether there is an echo."""
        if self.is_present is None:
            self.is_present = bool(self._swallowed)
        self._awaited = self._swallowed = b""

    def release_swallowed(self) -> bytes:
        """Return the bytes that were held back or taken for an echo, after a time-out: they may be the answer."""
        if self.is_present is None and self._swallowed:
            swallowed, self._swallowed = self._swallowed, b""
            return swallowed
        return self._release_held()

    def _release_held(self) -> bytes:
        held, self._held, self._awaited = self._held, b"", b""
        return held


class PromptFilter:
    """Finds prompts between frames. Within a frame, the same bytes are data."""

    def __init__(self, prompt: bytes) -> None:
        self._prompt = prompt
        self._held = b""

    def split(self, data: bytes, *, is_between: Callable[[], bool]) -> Iterator[bytes | None]:
        """Yield the received bytes in pieces, `None` for a prompt; the caller frames each piece before it takes the next."""
        data, self._held = self._held + data, b""
        at = 0
        while (found := data.find(self._prompt, at)) >= 0:
            yield data[at:found]
            yield None if is_between() else self._prompt
            at = found + len(self._prompt)
        begun = self._begin_of_prompt(data, at)
        yield data[at:begun]
        if is_between():
            self._held = data[begun:]
        else:
            yield data[begun:]

    def _begin_of_prompt(self, data: bytes, at: int) -> int:
        """Return the position of an incomplete prompt at the end of the data."""
        first = max(at, len(data) - len(self._prompt) + 1)
        return next((begin for begin in range(first, len(data)) if self._prompt.startswith(data[begin:])), len(data))
