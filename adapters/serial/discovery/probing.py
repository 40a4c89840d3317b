"""Find out which protocol a device on a port speaks: what to listen for, and what to ask. Pure.

A probe never waits: it yields steps and receives the bytes that came, so it can be tested without a port. It listens first, since
a device that sends unasked need not be queried. A port that is silent at one line setting is silent at all, so this costs one
wait. Then it sends the harmless query of each profile, at the most common line settings first, until an answer matches.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from adapters.serial.discovery.consoles import Console, console_in
from adapters.serial.discovery.probe_answers import (
    ProbeRule,
    answer_in,
    any_matches,
    describe_bytes,
    facts_of,
    is_asked,
    is_proof,
    is_read_from,
    match_rules,
    matching_messages,
    needed_queries,
    own_address,
)
from adapters.serial.framing.notation import escaped_text
from adapters.serial.port.line_settings import LineSettings
from adapters.serial.profile.grammar import MatchRule
from adapters.serial.profile.profile import Profile
from adapters.serial.profile.protocol import (
    Address,
    DeviceMessage,
    DeviceProtocol,
    KeysFor,
    QueryAnswer,
    Request,
    without_keys,
)
from gateway.adapter import Confidence, Value

BUDGET_SECONDS = 240.0
"""Time limit of a probe, the sum of all its waits; steps beyond it are skipped."""

IDENTITY_TRIES = 2
"""Number of attempts to read the serial number: after a lost answer, the device would be taken for another one."""


@dataclass(frozen=True, slots=True)
class ProbeStep:
    """Apply line settings, send the request if there is one, and collect the received bytes."""

    line: LineSettings
    request: bytes
    """Empty: only listen."""
    seconds: float
    """Time limit, from the last character of the request on."""
    is_complete: Callable[[bytes], bool]
    """Return whether the bytes received so far are sufficient."""
    description: str
    """Description for people: `listening at 9600 8N1`."""
    pause: float = 0.0
    """Pause that the device needs afterwards, in seconds."""
    profile: Profile | None = None
    """The profile that the request belongs to; `None` for listening."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult:
    """Result of a probe."""

    is_alive: bool
    """Something was received: an answer, a message or unknown bytes."""
    profile: Profile | None = None
    line: LineSettings | None = None
    """The line settings at which the device was understood."""
    address: Address = None
    facts: Mapping[str, str] = field(default_factory=dict)
    """`serial_number`, `manufacturer`, `model`, `firmware_version`, `sub_model`, as far as they are known."""
    confidence: Confidence = Confidence.POSSIBLE
    """How certain it is that the profile fits."""
    missing: frozenset[str] = frozenset()
    """The facts that the device refused to tell, or did not tell, now."""
    problem: str | None = None
    """Why its messages cannot be decoded before a person does something, as a sentence."""
    console: Console | None = None
    """The console that answers on the port: nothing more was sent to it."""
    evidence: Mapping[str, str] = field(default_factory=dict)
    """Request or listening step -> received bytes, in hexadecimal digits and as text."""

    def without_line(self) -> ProbeResult:
        """Return what is left where no line settings count: by plain TCP, they say nothing about the device."""
        if self.line is None:
            return self
        evidence = {asked.removesuffix(f" at {self.line}"): told for asked, told in self.evidence.items()}
        return replace(self, line=None, evidence=evidence)


ProbeSteps: TypeAlias = Generator[ProbeStep, bytes, ProbeResult]
AnswerSteps: TypeAlias = Generator[ProbeStep, bytes, QueryAnswer | None]


class ProtocolProbe:
    """Probe of one port.

    Args:
        profiles: the profiles to try.
        configured: the profile from the config: only this one is tried.
        lines: the line settings to try; left out, those of all profiles.
        address: the address of the device; left out, the factory defaults.
        may_ask: false for a port that is only listened to.
        asks_everyone: where no device has one of the usual addresses, the one to which all devices answer is tried, too.
        budget_seconds: time limit for all waits together.
        keys_for: returns the decryption keys for a device with this profile, `None` if there are none.
    """

    def __init__(
        self,
        profiles: Iterable[Profile],
        configured: Profile | None = None,
        *,
        lines: Sequence[LineSettings] = (),
        address: Address = None,
        may_ask: bool = True,
        asks_everyone: bool = True,
        budget_seconds: float = BUDGET_SECONDS,
        keys_for: KeysFor = without_keys,
    ) -> None:
        self._configured = configured
        tried = [configured] if configured is not None else sorted(profiles, key=lambda profile: profile.name)
        rules = [
            ProbeRule(match, protocol)
            for protocol in (DeviceProtocol(profile, keys_for(profile)) for profile in tried)
            for match in match_rules(protocol.profile, configured)
        ]
        self._rules = sorted(rules, key=lambda rule: rule.match.rank)
        self._lines = tuple(lines) or _most_common_first(tried)
        self._has_given_lines = bool(lines)
        self._address = address
        self._may_ask = may_ask
        self._asks_everyone = asks_everyone
        self._console: Console | None = None
        self._prompts = tried[0].talk.prompts if len(tried) == 1 else [p.talk.prompt for p in tried if p.talk.prompt]
        self._remaining_seconds = budget_seconds
        self._evidence: dict[str, str] = {}
        self._received: dict[tuple[LineSettings, bytes], bytes] = {}

    def run(self) -> ProbeSteps:
        """Yield steps, receive the bytes that came in each of them, and return the result."""
        found = yield from self._listen()
        if found is None and self._may_ask and self._console is None:
            found = yield from self._send_queries()
        return found or ProbeResult(is_alive=bool(self._evidence), evidence=self._evidence, console=self._console)

    def _listen(self) -> Generator[ProbeStep, bytes, ProbeResult | None]:
        rules = [rule for rule in self._rules if rule.match.hear is not None]
        if not rules:
            return None
        longest = max(rule.match.within for rule in rules)
        for at, line in enumerate(self._lines):
            rules_here = [rule for rule in rules if self._is_used_at(line, rule.profile)]
            if at and not rules_here:
                continue
            seconds = max((rule.match.within for rule in rules_here), default=0.0) if at else longest
            received = yield from self._run_step(ProbeStep(line, b"", seconds, any_matches(rules_here), f"listening at {line}"))
            for rule in rules_here:
                if messages := matching_messages(rule, received):
                    last = messages[-1]
                    result = yield from self._identify(rule, line, last.address, _values_by_name(messages))
                    return replace(result, problem=last.problem)
            if not received or self._is_console(received):
                return None
        return None

    def _is_console(self, received: bytes) -> bool:
        """Return whether a console answers here, which ends the interview: whatever is typed next may be a command there."""
        self._console = self._console or console_in(received, self._prompts)
        return self._console is not None

    def _send_queries(self) -> Generator[ProbeStep, bytes, ProbeResult | None]:
        rules = [rule for rule in self._rules if rule.match.ask is not None]
        for line in self._lines:
            for rule in rules:
                if not self._is_used_at(line, rule.profile):
                    continue
                for address in self._addresses(rule.profile):
                    request = self._query_request(rule, address)
                    answer = yield from self._ask(request, line)
                    if answer is not None and self._is_proof(rule.match, answer):
                        known = {request.name: answer.values} if answer.refusal is None else {}
                        return (yield from self._identify(rule, line, own_address(rule.profile, answer, address), known))
                    if answer is None and self._is_console(self._received[line, request.raw].removeprefix(request.raw)):
                        return None
        return None

    def _query_request(self, rule: ProbeRule, address: Address) -> Request:
        """Return the query of a match rule; one to all addresses is answered by any device."""
        addresses, request = rule.profile.addresses, rule.protocol.query_request(rule.match.ask or "", address)
        return replace(request, is_to_everyone=addresses is not None and address == addresses.everyone)

    def _identify(
        self, rule: ProbeRule, line: LineSettings, address: Address, known: Mapping[str, Mapping[str, Value]]
    ) -> ProbeSteps:
        """Query the identity of the device, as far as it is not known yet."""
        answers = dict(known)
        sources = rule.profile.identity.facts
        missing: set[str] = set()
        queries = {query.name: query for query in rule.profile.queries}
        parts = [one.part_name for source in sources.values() for one in source.alternatives]
        wanted = [name for part in parts for name in needed_queries(queries.get(part), part)]
        for name in dict.fromkeys(wanted):
            if name in answers or not self._may_ask or name not in queries or not is_asked(queries[name], answers):
                continue
            missing.add(name)
            tries = IDENTITY_TRIES if is_read_from(sources.get("serial_number"), name) else 1
            for _ in range(tries):
                answer = yield from self._ask(rule.protocol.query_request(name, address), line, again=True)
                if answer is not None and answer.refusal is not None:
                    break
                if answer is not None:
                    answers[name] = answer.values
                    missing.discard(name)
                    break
        return ProbeResult(
            is_alive=True,
            profile=rule.profile,
            line=line,
            address=address if rule.profile.addresses is not None else None,
            facts=facts_of(rule.profile, answers),
            missing=frozenset(
                fact
                for fact, source in sources.items()
                for one in source.alternatives
                if missing.intersection(needed_queries(queries.get(one.part_name), one.part_name))
            ),
            confidence=self._confidence(rule),
            evidence=self._evidence,
        )

    def _ask(self, request: Request, line: LineSettings, *, again: bool = False) -> AnswerSteps:
        """Send a request, unless the same bytes were sent at these line settings: two profiles may have the same query."""
        if again or (line, request.raw) not in self._received:
            profile = request.protocol.profile
            step = ProbeStep(
                line,
                request.raw,
                profile.talk.timeout,
                lambda received: answer_in(request, received) is not None,
                f"asking {profile.name} for {request.name} at {line}",
                profile.talk.pace,
                profile,
            )
            self._received[line, request.raw] = yield from self._run_step(step)
        return answer_in(request, self._received[line, request.raw], is_final=True)

    def _run_step(self, step: ProbeStep) -> Generator[ProbeStep, bytes, bytes]:
        """Yield a step, if there is time left for it, and record the received bytes as evidence."""
        if step.seconds > self._remaining_seconds:
            return b""
        self._remaining_seconds -= step.seconds
        received = yield step
        if received:
            sent = f"{escaped_text(step.request)} at {step.line}" if step.request else step.description
            self._evidence[sent] = describe_bytes(received)
        return received

    def _is_proof(self, match: MatchRule, answer: QueryAnswer) -> bool:
        """Return whether the answer proves the profile; for a configured profile, a refusal proves that the device is there."""
        return is_proof(match, answer) or (answer.refusal is not None and self._configured is not None and not match.where)

    def _is_used_at(self, line: LineSettings, profile: Profile) -> bool:
        """Return whether devices with this profile use these line settings; given line settings apply to all profiles."""
        return self._has_given_lines or line in profile.lines

    def _addresses(self, profile: Profile) -> tuple[Address, ...]:
        if profile.addresses is None:
            return (None,)
        if self._address is not None:
            return (self._address,)
        everyone = profile.addresses.everyone if self._asks_everyone else None
        return profile.addresses.usual if everyone is None else (*profile.addresses.usual, everyone)

    def _confidence(self, rule: ProbeRule) -> Confidence:
        if rule.match.certain:
            return Confidence.CERTAIN
        is_open = any(message.open for message in rule.profile.messages if message.name == rule.match.hear)
        return Confidence.POSSIBLE if is_open else Confidence.LIKELY


def _most_common_first(profiles: Sequence[Profile]) -> tuple[LineSettings, ...]:
    """Return all line settings, those first that most profiles list, and list first."""
    weights: dict[LineSettings, float] = {}
    for profile in profiles:
        for at, line in enumerate(profile.lines):
            weights[line] = weights.get(line, 0.0) + 1 / (1 + at)
    return tuple(sorted(weights, key=lambda line: (-weights[line], str(line))))


def _values_by_name(messages: Iterable[DeviceMessage]) -> dict[str, Mapping[str, Value]]:
    return {one.name: one.values for one in messages}
