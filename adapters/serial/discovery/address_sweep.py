"""Find which addresses of one protocol are taken on a line: displays of a chain have other ids than those of the factory. Pure.

A device answers a harmless query within some milliseconds, so an address that is free costs a quarter of a second and not the
time-out of a query. An answer counts for the address that it contains, so one that comes late is not lost.
"""

from __future__ import annotations

from collections.abc import Collection, Generator
from dataclasses import replace

from adapters.serial.discovery.consoles import Console, console_in
from adapters.serial.discovery.probe_answers import answer_in, is_proof
from adapters.serial.discovery.probing import ProbeStep
from adapters.serial.port.line_settings import LineSettings
from adapters.serial.profile.grammar import Addresses, MatchRule
from adapters.serial.profile.profile import Profile
from adapters.serial.profile.protocol import DeviceProtocol, Request

STEP_SECONDS = 0.25
"""Time for one address where nothing is known of how fast such a device answers."""

MOST_AHEAD = 16
"""Number of the first addresses that are tried, and of those on both sides of one that answers."""


class AddressSweep:
    """Search for the addresses that answer on one line.

    Args:
        profile: a profile with addresses and a match rule that asks.
        line: the line settings.
        known: addresses that are known to be taken; they are not asked.
        is_complete: try all addresses until one answers; else the first ones, and those near an address that is taken.
        step_seconds: time for one address.
    """

    def __init__(
        self,
        profile: Profile,
        line: LineSettings,
        known: Collection[int | str] = (),
        *,
        is_complete: bool = False,
        step_seconds: float = STEP_SECONDS,
    ) -> None:
        self._profile = profile
        self._protocol = DeviceProtocol(profile)
        self.line = line
        self._known = set(known)
        self._is_complete = is_complete
        self._step_seconds = step_seconds
        self.console: Console | None = None
        """The console that answers on the line, which ends the search."""

    def run(self) -> Generator[ProbeStep, bytes, list[int | str]]:
        """Yield steps, receive the bytes that came in each of them, and return the addresses that answered."""
        rule = next((match for match in self._profile.match if match.ask is not None), None)
        addresses = self._profile.addresses
        if rule is None or addresses is None:
            return []
        everyone, found = list(addresses.all), list[int | str]()
        taken = [everyone.index(one) for one in self._known if one in everyone]
        for at, address in enumerate(everyone):
            is_near = at < MOST_AHEAD or any(abs(at - one) <= MOST_AHEAD for one in taken)
            if self.console is not None:
                break
            if address in self._known or not (is_near or (self._is_complete and not found)):
                continue
            answering = yield from self._ask(rule, addresses, address)
            if answering is not None and answering in everyone and answering not in self._known:
                found.append(answering)
                self._known.add(answering)
                taken.append(everyone.index(answering))
        return found

    def _ask(self, rule: MatchRule, addresses: Addresses, address: int | str) -> Generator[ProbeStep, bytes, int | str | None]:
        request = replace(self._protocol.query_request(rule.ask or "", address), is_to_everyone=True)
        received = yield ProbeStep(
            self.line,
            request.raw,
            self._step_seconds,
            lambda received: answer_in(request, received) is not None,
            f"looking for {self._profile.name}/{address} at {self.line}",
            self._profile.talk.pace,
            self._profile,
        )
        answering = address_of(request, rule, addresses, received)
        self.console = console_in(received.removeprefix(request.raw), self._profile.talk.prompts) if answering is None else None
        return answering


def address_of(request: Request, rule: MatchRule, addresses: Addresses, received: bytes) -> int | str | None:
    """Return the address in the answer that these bytes contain; `None` if there is none."""
    answer = answer_in(request, received, is_final=True)
    if answer is None or not is_proof(rule, answer):
        return None
    address = answer.values.get(addresses.field)
    return address if isinstance(address, int | str) else None
