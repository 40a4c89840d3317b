"""What has to be taken out of what is heard: echoes and prompts. Nothing here waits."""

from __future__ import annotations

from collections.abc import Callable, Iterator


class Echo:
    """Takes the echo of what was sent out of what comes, and finds out whether there is one."""

    def __init__(self, setting: bool | None) -> None:  # noqa: FBT001 - on, off, or not known
        self.is_there = setting
        """`None` while it is not known."""
        self._awaited = b""
        self._held = b""
        self._swallowed = b""
        self._missed = b""

    def sent(self, request: bytes) -> None:
        """Await the echo of this from now on."""
        self._awaited = request if self.is_there is not False else b""
        self._held = self._swallowed = self._missed = b""

    def without(self, data: bytes) -> bytes:
        """Return what came, less the echo; what may be the beginning of one is held back."""
        if not self._awaited:
            return data
        self._held += data
        if self._held.startswith(self._awaited):
            rest = self._held[len(self._awaited) :]
            self._swallowed, self._awaited, self._held = self._awaited, b"", b""
            return rest
        if self._awaited.startswith(self._held):
            return b""
        self._missed = self._awaited if self.is_there else b""
        return self._release()

    def is_late(self, raw: bytes) -> bool:
        """Say whether this frame is the echo, which something else came ahead of."""
        if not self._missed or raw != self._missed:
            return False
        self._missed = b""
        return True

    def answered(self) -> None:
        """Take in that what came was the answer: whether there is an echo is known now."""
        if self.is_there is None:
            self.is_there = bool(self._swallowed)
        self._awaited = self._swallowed = b""

    def given_up(self) -> bytes:
        """Return what was held back or taken for an echo, when nothing else came: it may have been the answer."""
        if self.is_there is None and self._swallowed:
            swallowed, self._swallowed = self._swallowed, b""
            return swallowed
        return self._release()

    def _release(self) -> bytes:
        held, self._held, self._awaited = self._held, b"", b""
        return held


class Prompts:
    """Finds prompts between frames. Within a frame, the same bytes are no prompt."""

    def __init__(self, prompt: bytes) -> None:
        self._prompt = prompt
        self._held = b""

    def pieces(self, data: bytes, *, is_between: Callable[[], bool]) -> Iterator[bytes | None]:
        """Yield what came piece by piece, each to be framed before the next is asked for; `None` stands for a prompt."""
        data, self._held = self._held + data, b""
        at = 0
        while (found := data.find(self._prompt, at)) >= 0:
            yield data[at:found]
            yield None if is_between() else self._prompt
            at = found + len(self._prompt)
        begun = self._begun(data, at)
        yield data[at:begun]
        if is_between():
            self._held = data[begun:]
        else:
            yield data[begun:]

    def _begun(self, data: bytes, at: int) -> int:
        """Return where a prompt may begin that has not come whole."""
        first = max(at, len(data) - len(self._prompt) + 1)
        return next((begin for begin in range(first, len(data)) if self._prompt.startswith(data[begin:])), len(data))
