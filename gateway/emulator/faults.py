"""Bad weather on demand: which calls are to fail, how, and how often."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from gateway.emulator.api_types import Answer

FaultKind: TypeAlias = Literal["401", "404", "429", "500-html", "slow", "drop", "drop-after", "garbage"]

KINDS: Final[dict[FaultKind, str]] = {
    "401": "not carried out, answered 401 `Not authorized`",
    "404": "not carried out, answered 404 `Not found`",
    "429": "not carried out, answered 429, with `Retry-After` when `retry_after` is given",
    "500-html": "not carried out, answered 500 with an HTML page",
    "slow": "carried out, answered after `seconds`",
    "drop": "not carried out, the connection is closed",
    "drop-after": "carried out, and the connection is closed instead of answered",
    "garbage": "carried out, answered 200 with a body that is no JSON",
}
HTML_PAGE: Final = "<!DOCTYPE html>\n<html><head><title>500</title></head><body><h1>Internal Server Error</h1></body></html>\n"
GARBAGE: Final = "\x00garbage{"


@dataclass(slots=True, kw_only=True)
class Fault:
    """One fault, until it was played often enough."""

    kind: FaultKind
    call: str | None = None
    """Only this call, as the reference names it; `None` is any."""
    device: str | None = None
    """Only calls whose path names this device; `None` is any."""
    times: int | None = 1
    """How often it is still played; `None` is until cleared."""
    retry_after: int | None = None
    """Seconds, for 429."""
    seconds: float = 5.0
    """For slow."""

    def meets(self, call: str, device: str | None) -> bool:
        """Return whether this fault is for that call."""
        return self.call in (None, call) and self.device in (None, device)

    @property
    def prevents(self) -> bool:
        """The call is not carried out."""
        return self.kind in ("401", "404", "429", "500-html", "drop")

    def spoil(self, answer: Answer | None) -> Answer | None:
        """Return what the client hears instead of this answer; `None` is nothing, the connection is cut."""
        match self.kind:
            case "401":
                return Answer(401, {"error": "Not authorized"})
            case "404":
                return Answer(404, {"error": "Not found"})
            case "429":
                headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
                return Answer(429, {"error": "Too many requests"}, headers=headers)
            case "500-html":
                return Answer(500, HTML_PAGE, content_type="text/html")
            case "garbage":
                return Answer(200, GARBAGE)
            case "drop" | "drop-after":
                return None
            case "slow":
                return answer


class Faults:
    """The faults that wait for their calls, oldest first."""

    def __init__(self) -> None:
        self._waiting: list[Fault] = []

    def add(
        self,
        kind: FaultKind,
        *,
        call: str | None = None,
        device: str | None = None,
        times: int | None = 1,
        retry_after: int | None = None,
        seconds: float = 5.0,
    ) -> Fault:
        """Let the next `times` fitting calls fail; `None` is all until `clear`."""
        fault = Fault(kind=kind, call=call, device=device, times=times, retry_after=retry_after, seconds=seconds)
        self._waiting.append(fault)
        return fault

    def take(self, call: str, device: str | None) -> Fault | None:
        """Return the oldest fault that fits this call and count it as played, `None` when there is none."""
        for fault in self._waiting:
            if fault.meets(call, device):
                self._count(fault)
                return fault
        return None

    def waiting(self) -> list[Fault]:
        """Return the faults that are still to be played."""
        return list(self._waiting)

    def clear(self) -> None:
        """Forget all faults: good weather."""
        self._waiting.clear()

    def _count(self, fault: Fault) -> None:
        if fault.times is not None:
            fault.times -= 1
            if fault.times <= 0:
                self._waiting.remove(fault)
