"""Make calls fail on demand: which ones, how, and how often. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gateway.emulator.api_types import Response
from gateway.emulator.raw_answers import RAW_ANSWERS, RawAnswer

DOWNLOAD: Final = "Download File"
"""The name of a download from the file server."""
DOWNLOAD_KINDS: Final = frozenset({"corrupt", "truncate", "oversize", "trickle", "redirect"})
"""The kinds for downloads alone."""

KINDS: Final[dict[str, str]] = {
    "401": "not carried out, answered 401 `Not authorized`",
    "404": "not carried out, answered 404 `Not found`",
    "429": "not carried out, answered 429, with `Retry-After` when `retry_after` is given",
    "500-html": "not carried out, answered 500 with an HTML page",
    "slow": "carried out, answered after `seconds`",
    "late": "carried out and answered after `seconds`",
    "drop": "not carried out, the connection is closed",
    "drop-after": "carried out, and the connection is closed instead of answered",
    "drop-late": "the connection is closed at once, and the call carried out after `seconds`",
    "garbage": "carried out, answered 200 with a body that is no JSON",
    "corrupt": "Download File: the last byte is wrong, so the checksum is, too",
    "truncate": "Download File: the connection is closed after half of the content",
    "oversize": "Download File: no length is given, and 64 MB follow after the content",
    "trickle": "Download File: the content comes in 20 pieces over `seconds`",
    "redirect": "Download File: answered 302 to another host",
    **{
        name: f"{'carried out' if answer.means_done else 'not carried out'}, answered with raw bytes: {name}"
        for name, answer in RAW_ANSWERS.items()
    },
}
"""Every kind of fault, and what it does: the one list of them."""
HTML_PAGE: Final = "<!DOCTYPE html>\n<html><head><title>500</title></head><body><h1>Internal Server Error</h1></body></html>\n"
GARBAGE: Final = "\x00garbage{"


@dataclass(slots=True, kw_only=True)
class Fault:
    """One fault, and how often it is still applied."""

    kind: str
    """One of `KINDS`."""
    call: str | None = None
    """Only this call, as the reference names it; `None` means any."""
    device: str | None = None
    """Only calls whose path names this device, or downloads of this file; `None` means any."""
    times: int | None = 1
    """The number of calls that it is still applied to; `None` means until cleared."""
    retry_after: int | None = None
    """Seconds, for the kind 429."""
    seconds: float = 5.0
    """The delay, for the kinds slow, late, drop-late and trickle."""

    def matches(self, call: str, device: str | None) -> bool:
        """Return whether this fault applies to a call."""
        is_fit = call == DOWNLOAD or self.kind not in DOWNLOAD_KINDS
        return is_fit and self.call in (None, call) and self.device in (None, device)

    @property
    def prevents_call(self) -> bool:
        """True when the call is not carried out."""
        return self.kind in ("401", "404", "429", "500-html", "drop") or (self.raw is not None and not self.raw.means_done)

    @property
    def raw(self) -> RawAnswer | None:
        """The raw bytes that are sent instead of the response; `None` for another kind."""
        return RAW_ANSWERS.get(self.kind)

    @property
    def delays_call(self) -> bool:
        """True when the call is carried out later."""
        return self.kind in ("late", "drop-late")

    @property
    def drops_connection(self) -> bool:
        """True when the connection is closed instead of answered."""
        return self.kind in ("drop", "drop-after", "drop-late")

    def replace_response(self, response: Response | None) -> Response | None:
        """Return the response to send instead of this one; `None` closes the connection."""
        match self.kind:
            case "401":
                return Response(401, {"error": "Not authorized"})
            case "404":
                return Response(404, {"error": "Not found"})
            case "429":
                headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
                return Response(429, {"error": "Too many requests"}, headers=headers)
            case "500-html":
                return Response(500, HTML_PAGE, content_type="text/html")
            case "garbage":
                return Response(200, GARBAGE)
            case "drop" | "drop-after" | "drop-late":
                return None
            case _:
                return response


class FaultQueue:
    """The active faults, oldest first."""

    def __init__(self) -> None:
        self._active: list[Fault] = []

    def add(
        self,
        kind: str,
        *,
        call: str | None = None,
        device: str | None = None,
        times: int | None = 1,
        retry_after: int | None = None,
        seconds: float = 5.0,
    ) -> Fault:
        """Make the next `times` matching calls fail; `None` means all until `clear`.

        Raises:
            ValueError: the kind is not in `KINDS`.
        """
        if kind not in KINDS:
            raise ValueError(f"{kind} is no kind of fault")
        fault = Fault(kind=kind, call=call, device=device, times=times, retry_after=retry_after, seconds=seconds)
        self._active.append(fault)
        return fault

    def take(self, call: str, device: str | None) -> Fault | None:
        """Return the oldest fault that matches this call and count it as applied; `None` when there is none."""
        for fault in self._active:
            if fault.matches(call, device):
                self._count(fault)
                return fault
        return None

    def active(self) -> list[Fault]:
        """Return the faults that are still active."""
        return list(self._active)

    def clear(self) -> None:
        """Remove all faults."""
        self._active.clear()

    def _count(self, fault: Fault) -> None:
        if fault.times is not None:
            fault.times -= 1
            if fault.times <= 0:
                self._active.remove(fault)
