"""Count what others send on an RTU line, and tell the operator about another master and about stray bytes. Pure."""

from __future__ import annotations

from adapters.modbus.client.rtu_search import FrameKind, Heard

CERTAIN_REQUESTS = 2
"""How many requests prove another master; with its answer, one is enough. A single one may be noise."""

REMEMBERED_SECONDS = 3600.0
"""How long another master is told after it was heard last."""

MANY_STRAY_BYTES = 50
"""From how many stray bytes on a person is told about them, if there is more than one to `ANSWERS_PER_STRAY` answers."""

ANSWERS_PER_STRAY = 20


class LineTraffic:
    """The traffic of others on one line since the start."""

    def __init__(self) -> None:
        self.foreign_requests = 0
        """Requests of another master."""
        self.foreign_answers = 0
        """Answers to them."""
        self.stray_bytes = 0
        """Bytes that are in no frame."""
        self.answers = 0
        """Answers to our requests."""
        self._master_heard_at = 0.0
        self._heard_at = 0.0

    def count(self, heard: Heard, now: float) -> None:
        """Count what a search found; `now` is in seconds of any clock."""
        self._heard_at = now
        for frame in heard.frames:
            self.foreign_requests += frame.kind is FrameKind.FOREIGN_REQUEST
            self.foreign_answers += frame.kind is FrameKind.FOREIGN_ANSWER
            self.answers += frame.kind is FrameKind.AWAITED
            if frame.kind is FrameKind.FOREIGN_REQUEST:
                self._master_heard_at = now
        self.stray_bytes += len(heard.noise)

    @property
    def has_other_master(self) -> bool:
        """Whether another master was heard lately."""
        is_certain = self.foreign_requests >= CERTAIN_REQUESTS or self.foreign_answers > 0
        return is_certain and self._heard_at - self._master_heard_at < REMEMBERED_SECONDS

    def remarks(self) -> list[str]:
        """Return what a person should know about the line, one sentence each."""
        remarks = []
        if self.has_other_master:
            remarks.append(
                f"another master speaks on this line ({counted(self.foreign_requests, 'request')} heard): two masters disturb "
                "each other's answers, so let only one of them poll, or give the devices a second line"
            )
        if self.stray_bytes >= MANY_STRAY_BYTES and self.stray_bytes * ANSWERS_PER_STRAY > self.answers:
            remarks.append(
                f"{self.stray_bytes} stray bytes arrived on this line besides the frames, and were skipped: check its bias "
                "resistors, its termination and its shield"
            )
        return remarks

    def summary(self) -> str:
        """Return the counts in one line, for a dump."""
        return (
            f"{counted(self.stray_bytes, 'stray byte')}, {counted(self.foreign_requests, 'request')} of another master, "
            f"{counted(self.foreign_answers, 'answer')} to it"
        )


def counted(number: int, what: str) -> str:
    """Return a number with its noun: `1 request`, `3 requests`."""
    return f"{number} {what}{'' if number == 1 else 's'}"
