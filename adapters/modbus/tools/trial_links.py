"""Try settings on a serial line: open links with changing settings, and carry out the steps of `line_finder`."""

from __future__ import annotations

from collections.abc import Callable

from adapters.modbus.client.ascii_frames import overheard_at_8n1
from adapters.modbus.client.buses import SerialLine
from adapters.modbus.client.link import Link
from adapters.modbus.client.pdu import FIRST_REGISTER, ExceptionResponse
from adapters.modbus.client.rtu_search import frames_in
from adapters.modbus.client.transport import RetryPolicy
from adapters.modbus.tools.line_finder import Heard, ListenStep, Step, StepResult
from gateway.adapter import BusUnavailable, DeviceUnreachable

LISTEN_SECONDS = 1.5
"""How long each of the likely settings is listened at: a master that polls is heard within this time."""


class TrialLinks:
    """One open link at a time, whose settings change. A port may reject some of them."""

    def __init__(self, link_to: Callable[[SerialLine], Link]) -> None:
        self.failure: BusUnavailable | None = None
        """Why the port could not be opened; `None` once it was opened with some settings."""
        self._link_to = link_to
        self._link: Link | None = None
        self._tried: SerialLine | None = None
        self._has_opened = False

    async def with_settings(self, line: SerialLine) -> Link | None:
        """Return an open link with these settings; `None` when the port rejects them."""
        if line == self._tried:
            return self._link
        self.close()
        self._tried, link = line, self._link_to(line)
        try:
            await link.open()
        except BusUnavailable as error:
            self.failure = None if self._has_opened else error
            return None
        self._link, self._has_opened, self.failure = link, True, None
        return link

    def close(self) -> None:
        """Close what is open."""
        if self._link is not None:
            self._link.close()
        self._link = self._tried = None


async def run_step(step: Step, link: Link, seconds: float) -> StepResult:
    """Carry out one step of the search for line settings, and return its result."""
    if isinstance(step, ListenStep):
        return _heard(step.line, await link.listen(LISTEN_SECONDS))
    try:
        answer = await link.ask(step.unit, FIRST_REGISTER, RetryPolicy(seconds))
    except ExceptionResponse as refusal:
        return str(refusal)
    except DeviceUnreachable:
        return None
    return answer.hex(" ", 2)


def _heard(line: SerialLine, received: bytes) -> Heard:
    """Return the RTU frames in what was received, and at 8N1 the ASCII frames in whatever form of ten bits."""
    if (line.data_bits, line.parity, line.stopbits) != (8, "N", 1):
        return Heard(frames_in(received))
    found = overheard_at_8n1(received)
    form = {"framing": "ascii", "bytesize": found.bytesize, "parity": found.parity, "stopbits": found.stopbits}
    return Heard(frames_in(received), found.frames, line.model_copy(update=form))
