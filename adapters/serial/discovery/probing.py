"""Who hangs on a port: what to listen for and to ask, in which order, and what the answers say. Read-only.

An interview never waits: it yields a step and is sent the bytes that came, so it can be tried without a port. First it listens,
since who talks by itself need not be asked. Who says nothing at one speed says nothing at any, so that costs one wait. Then each
profile's own harmless question is asked, the settings that most devices have first, until one is answered as that profile says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import TypeAlias

from adapters.serial.framing.framer import framer_for
from adapters.serial.framing.notation import escaped_text
from adapters.serial.port.line_settings import LineSettings
from adapters.serial.profile.grammar import Match, Telling
from adapters.serial.profile.profile import Profile
from adapters.serial.profile.protocol import Address, Answer, Heard, Question, Speech, fact, plausible_serial_number
from gateway.adapter import Confidence, Value

BUDGET_SECONDS = 90.0
"""An interview takes no longer, all its waits added up; what was not asked by then is not asked."""

IDENTITY_TRIES = 2
"""So often is asked what a device's identity hangs on: a lost answer must not make another device of it."""

LATEST_BYTES = 8192
"""Of what a device talks, so much is looked at each time that more comes: several of the longest messages."""

SHOWN_BYTES = 64
"""So much of what came is shown to a person."""


@dataclass(frozen=True, slots=True)
class Step:
    """Set the line, send the request if there is one, and collect what comes."""

    line: LineSettings
    request: bytes
    """Empty: only listen."""
    seconds: float
    """How long to wait at most, from the last character of the request on."""
    is_enough: Callable[[bytes], bool]
    """Whether what came so far is all that is wanted."""
    note: str
    """For a person: `listening at 9600 8N1`."""
    pause: float = 0.0
    """How long the device wants to be left alone afterwards, in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What an interview found out."""

    alive: bool
    """Something came: an answer, a message or bytes that nobody understands."""
    profile: Profile | None = None
    line: LineSettings | None = None
    """How the line is set that it was understood with."""
    address: Address = None
    facts: Mapping[str, str] = field(default_factory=dict)
    """`serial_number`, `manufacturer`, `model`, `firmware_version`, `sub_model`, as far as they are known."""
    confidence: Confidence = Confidence.POSSIBLE
    """How sure it is that the profile fits."""
    evidence: Mapping[str, str] = field(default_factory=dict)
    """What was asked or listened for -> what came, in bytes and in text."""


Steps: TypeAlias = Generator[Step, bytes, Verdict]
Asking: TypeAlias = Generator[Step, bytes, Answer | None]


@dataclass(frozen=True, slots=True)
class _Rule:
    """One way to know one profile."""

    match: Match
    speech: Speech

    @property
    def profile(self) -> Profile:
        return self.speech.profile


class Interview:
    """The interview of one port.

    Args:
        profiles: those that may fit.
        configured: the profile that a person has said: nothing else is asked for.
        lines: the settings to try; left out, all that the profiles name.
        address: the device's own address; left out, those that a new device usually has.
        may_ask: false on a port that is only listened to.
        budget_seconds: how long all waits together may take.
    """

    def __init__(
        self,
        profiles: Iterable[Profile],
        configured: Profile | None = None,
        *,
        lines: Sequence[LineSettings] = (),
        address: Address = None,
        may_ask: bool = True,
        budget_seconds: float = BUDGET_SECONDS,
    ) -> None:
        self._configured = configured
        known = [configured] if configured is not None else sorted(profiles, key=lambda profile: profile.name)
        rules = [_Rule(match, speech) for speech in map(Speech, known) for match in _ways_to_know(speech.profile, configured)]
        self._rules = sorted(rules, key=lambda rule: rule.match.rank)
        self._lines = tuple(lines) or _likeliest_first(known)
        self._is_given = bool(lines)
        self._address = address
        self._may_ask = may_ask
        self._left = budget_seconds
        self._evidence: dict[str, str] = {}
        self._came: dict[tuple[LineSettings, bytes], bytes] = {}

    def run(self) -> Steps:
        """Yield steps, be sent what came, return the verdict."""
        found = yield from self._listen()
        if found is None and self._may_ask:
            found = yield from self._ask_around()
        return found or Verdict(alive=bool(self._evidence), evidence=self._evidence)

    def _listen(self) -> Generator[Step, bytes, Verdict | None]:
        rules = [rule for rule in self._rules if rule.match.hear is not None]
        if not rules:
            return None
        longest = max(rule.match.within for rule in rules)
        for at, line in enumerate(self._lines):
            here = [rule for rule in rules if self._may_be_at(line, rule.profile)]
            if at and not here:
                continue
            seconds = max((rule.match.within for rule in here), default=0.0) if at else longest
            came = yield from self._take(Step(line, b"", seconds, _any_of(here), f"listening at {line}"))
            if (heard := next((one for one in ((rule, _heard(rule, came)) for rule in here) if one[1]), None)) is not None:
                return (yield from self._conclude(heard[0], line, heard[1][-1].address, _told_by(heard[1])))
            if not came:
                return None
        return None

    def _ask_around(self) -> Generator[Step, bytes, Verdict | None]:
        rules = [rule for rule in self._rules if rule.match.ask is not None]
        for line in self._lines:
            for rule in rules:
                if not self._may_be_at(line, rule.profile):
                    continue
                for address in self._addresses(rule.profile):
                    question = rule.speech.question(rule.match.ask or "", address)
                    answer = yield from self._put(question, line)
                    if answer is not None and self._fits(rule.match, answer):
                        return (yield from self._conclude(rule, line, address, {question.name: answer.values}))
        return None

    def _conclude(self, rule: _Rule, line: LineSettings, address: Address, told: Mapping[str, Mapping[str, Value]]) -> Steps:
        """Ask for what is not known yet of who the device is."""
        answers = dict(told)
        wanted = rule.profile.identity.facts
        for name in dict.fromkeys(telling.told.partition(".")[0] for telling in wanted.values()):
            if name in answers or not self._may_ask or all(query.name != name for query in rule.profile.queries):
                continue
            tries = IDENTITY_TRIES if _is_of(wanted.get("serial_number"), name) else 1
            for _ in range(tries):
                answer = yield from self._put(rule.speech.question(name, address), line, again=True)
                if answer is not None:
                    answers[name] = {} if answer.refused else answer.values
                    break
        return Verdict(
            alive=True,
            profile=rule.profile,
            line=line,
            address=address if rule.profile.addresses is not None else None,
            facts=_facts(rule.profile, answers),
            confidence=self._confidence(rule),
            evidence=self._evidence,
        )

    def _put(self, question: Question, line: LineSettings, *, again: bool = False) -> Asking:
        """Ask, unless the same was asked at the same speed; two profiles may have one question."""
        if again or (line, question.request) not in self._came:
            profile = question.speech.profile
            seconds = profile.talk.timeout
            note = f"asking {profile.name} for {question.name} at {line}"
            step = Step(line, question.request, seconds, lambda came: bool(_answer(question, came)), note, profile.talk.pace)
            self._came[line, question.request] = yield from self._take(step)
        return _answer(question, self._came[line, question.request], is_all=True)

    def _take(self, step: Step) -> Generator[Step, bytes, bytes]:
        """Have a step carried out, if there is time left for it, and note what came."""
        if step.seconds > self._left:
            return b""
        self._left -= step.seconds
        came = yield step
        if came:
            asked = f"{escaped_text(step.request)} at {step.line}" if step.request else step.note
            self._evidence[asked] = describe(came)
        return came

    def _fits(self, match: Match, answer: Answer) -> bool:
        return (answer.refused is None and _holds(match, answer.values)) or (
            self._configured is not None and not match.where and answer.refused is not None
        )

    def _may_be_at(self, line: LineSettings, profile: Profile) -> bool:
        """Say whether devices of this profile are found at this speed; where a person has said the speed, all are."""
        return self._is_given or line in profile.lines

    def _addresses(self, profile: Profile) -> tuple[Address, ...]:
        if profile.addresses is None:
            return (None,)
        return profile.addresses.usual if self._address is None else (self._address,)

    def _confidence(self, rule: _Rule) -> Confidence:
        if rule.match.certain:
            return Confidence.CERTAIN
        is_open = any(message.open for message in rule.profile.messages if message.name == rule.match.hear)
        return Confidence.POSSIBLE if is_open else Confidence.LIKELY


def describe(came: bytes) -> str:
    """Return bytes as a person reads them: the text, and the hexadecimal digits where it is no plain one."""
    shown = came[:SHOWN_BYTES]
    more = f" and {len(came) - SHOWN_BYTES} bytes more" if len(came) > SHOWN_BYTES else ""
    text = escaped_text(shown)
    return f'"{text}"{more}' if r"\x" not in text else f'{shown.hex(" ")} "{text}"{more}'


def _ways_to_know(profile: Profile, configured: Profile | None) -> tuple[Match, ...]:
    """Return the rules of a profile; for one that a person has said and that has none, anything that it can be asked or says."""
    if configured is None or profile.match:
        return profile.match
    if profile.queries:
        return (Match(ask=profile.queries[0].name),)
    return (Match(hear=profile.messages[0].name, within=min(60.0, profile.may_be_quiet or 60.0)),)


def _likeliest_first(profiles: Sequence[Profile]) -> tuple[LineSettings, ...]:
    """Return all settings, those first that most profiles have, and have before others."""
    weight: dict[LineSettings, float] = {}
    for profile in profiles:
        for at, line in enumerate(profile.lines):
            weight[line] = weight.get(line, 0.0) + 1 / (1 + at)
    return tuple(sorted(weight, key=lambda line: (-weight[line], str(line))))


def _any_of(rules: Sequence[_Rule]) -> Callable[[bytes], bool]:
    return lambda came: any(_heard(rule, came) for rule in rules)


def _heard(rule: _Rule, came: bytes) -> list[Heard]:
    """Return the messages that prove a rule, if there are enough of them."""
    framer = framer_for(rule.profile.framing, starts_mid_frame=True)
    heard = [rule.speech.heard(frame.payload) for frame in framer.feed(came[-LATEST_BYTES:])]
    wanted = [one for one in heard if one is not None and one.message == rule.match.hear and _holds(rule.match, one.values)]
    return wanted if len(wanted) >= rule.match.times else []


def _told_by(heard: Iterable[Heard]) -> dict[str, Mapping[str, Value]]:
    return {one.message: one.values for one in heard}


def _answer(question: Question, came: bytes, *, is_all: bool = False) -> Answer | None:
    """Return the answer among what came; `is_all`: nothing more comes, so a silence has ended what is there."""
    framer = framer_for(question.speech.profile.framing)
    frames = framer.feed(came.removeprefix(question.request))
    frames += framer.expire(inf) if is_all else []
    answers = (question.read(frame.payload) for frame in frames)
    return next((answer for answer in answers if answer is not None), None)


def _holds(match: Match, values: Mapping[str, Value]) -> bool:
    return all(
        re.fullmatch(pattern, str(values.get(name, "")).strip(), re.IGNORECASE) is not None
        for name, pattern in match.where.items()
    )


def _is_of(telling: Telling | None, name: str) -> bool:
    return telling is not None and telling.told.partition(".")[0] == name


def _facts(profile: Profile, answers: Mapping[str, Mapping[str, Value]]) -> dict[str, str]:
    """Return what is known of the device: what it says itself, then what its profile says."""
    told: dict[str, str | None] = {"manufacturer": profile.maker, "sub_model": profile.sub_model}
    for name, telling in profile.identity.facts.items():
        said = fact(telling, answers.get(telling.told.partition(".")[0], {}))
        told[name] = (plausible_serial_number(said) if name == "serial_number" else said) or told.get(name)
    return {name: text for name, text in told.items() if text is not None}
