"""Who answers at a unit id: what to ask, in which order, and what the answers say. Read-only.

An interview never waits: it yields a question and is sent the answer, so it can be tried without a bus. `conduct` carries it out.
Cheap and standard questions come first: device identification (43/14), server id (17), then the registers that profiles match by,
then the SunSpec markers. Peers answer what they do not know with exceptions 01, 02 or 04, with nonsense or not at all; each of
these is only the answer to one question.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from adapters.modbus.client.pdu import (
    FIRST_REGISTER,
    Answer,
    Level,
    NoSuchUnit,
    Question,
    Read,
    ReadIdentification,
    Refused,
    ReportServerId,
    Silence,
)
from adapters.modbus.discovery.sunspec import SunSpec, walk
from adapters.modbus.profile.matching import Match, ObjectOrigin, Origin, RegisterCondition, RegisterOrigin
from adapters.modbus.profile.points import Encoding, ValueType
from adapters.modbus.profile.profile import Profile
from adapters.modbus.profile.sunspec_layout import NOWHERE, Layout
from adapters.modbus.profile.sunspec_models import profile_for, with_other_models
from adapters.modbus.profile.values import decode_one
from gateway.adapter import Confidence, DeviceUnreachable, Value

OBJECT_NAMES: Mapping[int, str] = {
    0: "vendor",
    1: "product",
    2: "revision",
    3: "vendor URL",
    4: "product name",
    5: "model",
    6: "application",
}
"""Objects of the device identification (Modbus Application Protocol V1.1b3, section 6.21)."""

SILENCES_BOUND = 4
"""A living unit that was silent so often is asked nothing more: each silence costs the bus a timeout."""

IDENTITY_TRIES = 3
"""So often is asked what a device's identity hangs on: a lost answer must not make another device of it."""

Asking: TypeAlias = Generator[Question, Answer, Answer]
Steps: TypeAlias = Generator[Question, Answer, "Verdict"]


class Asker(Protocol):
    """What carries a question to a unit: a `Link`, or a test's memory."""

    async def ask(self, unit: int, question: Question) -> bytes | Mapping[int, bytes]:
        """Return the answer, or raise `Refused`, `DeviceUnreachable` or `BusUnavailable`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What an interview found out."""

    alive: bool
    """The unit answered something, if only an exception of its own."""
    told: bool = False
    """It answered something that is no exception."""
    profile: Profile | None = None
    serial_number: str | None = None
    mac: str | None = None
    firmware_version: str | None = None
    sub_model: str | None = None
    vendor: str | None = None
    product: str | None = None
    models: Layout = NOWHERE
    """The SunSpec models that it has."""
    confidence: Confidence = Confidence.POSSIBLE
    """How sure it is that the profile fits."""
    sign_of_life: Question | None = None
    """A question that it answered."""
    evidence: Mapping[str, str] = field(default_factory=dict)
    """What was asked -> what was answered."""
    signature: tuple[str, ...] = ()
    """Equal for two units that nothing in their answers tells apart; measured values are not compared."""


class Interview:
    """One unit's interview: asks each question once and remembers the answers.

    Args:
        profiles: those that may fit.
        configured: the profile that a person has said.
        openers: asked in turn until one is answered; the unit is taken for absent if none is. Default: the identification, then a
            register.
    """

    def __init__(
        self, profiles: Iterable[Profile], configured: Profile | None = None, openers: Sequence[Question] | None = None
    ) -> None:
        self._rules = sorted(
            ((match, profile) for profile in profiles for match in profile.match), key=lambda rule: _effort(rule[0], rule[1].name)
        )
        self._configured = configured
        self._openers = openers if openers is not None else (ReadIdentification(), self._first_register())
        self._matched: Match | None = None
        self._answers: dict[Question, Answer] = {}
        self._sunspec: SunSpec | None = None
        self._walked = False
        self._says_its_models = False

    def run(self) -> Steps:
        """Yield questions, be sent their answers, return the verdict."""
        if not (yield from self._is_alive()):
            return Verdict(alive=False, evidence=self._evidence())
        profile = self._configured or (yield from self._fitting_profile()) or self._profile_from_models()
        if profile is not None and profile.is_sunspec:
            found = yield from self._walk()
            profile = profile if found is None else with_other_models(profile, found.models.ids)
        return (yield from self._verdict(profile))

    def _ask(self, question: Question) -> Asking:
        if question not in self._answers:
            silences = sum(isinstance(answer, Silence) for answer in self._answers.values())
            if silences >= SILENCES_BOUND:
                return Silence("not asked: it was silent too often")
            self._answers[question] = yield question
        return self._answers[question]

    def _ask_firmly(self, question: Question) -> Asking:
        """Ask again what was met with silence, however silent the unit was before."""
        for _ in range(IDENTITY_TRIES):
            answer = self._answers.get(question)
            if answer is not None and not (isinstance(answer, Silence) and not answer.certain):
                return answer
            self._answers[question] = yield question
        return self._answers[question]

    def _is_alive(self) -> Generator[Question, Answer, bool]:
        for opener in self._openers:
            answer = yield from self._ask(opener)
            if not isinstance(answer, Silence):
                return True
            if answer.certain:
                break
        return False

    def _first_register(self) -> Read:
        """Return a register that answers on this device for sure, where its profile is known; else the very first one."""
        if self._configured is None:
            return FIRST_REGISTER
        placed = next((placed for point in self._configured.points for placed in point.placed()), None)
        return FIRST_REGISTER if placed is None else Read(placed.table, placed.start, placed.end - placed.start)

    def _fitting_profile(self) -> Generator[Question, Answer, Profile | None]:
        for match, profile in self._rules:
            if not _needs_only_identification(match):
                yield from self._ask(ReportServerId())
            if (yield from self._fits(match)):
                self._matched = match
                return profile
        yield from self._ask(ReportServerId())
        return None

    def _fits(self, match: Match) -> Generator[Question, Answer, bool]:
        if (wanted := match.identification) is not None:
            objects = yield from self._identification()
            if not (_whole(wanted.vendor, objects.get(0)) and _whole(wanted.product, objects.get(1))):
                return False
        if match.server_id is not None and not _within(match.server_id, (yield from self._ask(ReportServerId()))):
            return False
        for condition in match.registers:
            if not _holds(condition, (yield from self._ask(Read(condition.table, condition.address, condition.words)))):
                return False
        if match.sunspec is not None:
            found = yield from self._walk()
            return found is not None and bool(
                _whole(match.sunspec.manufacturer, found.manufacturer)
                and _whole(match.sunspec.model, found.model)
                and match.sunspec.any_model & found.models.ids
            )
        return True

    def _identification(self) -> Generator[Question, Answer, dict[int, str | None]]:
        return _texts((yield from self._ask(ReadIdentification())))

    def _walk(self) -> Generator[Question, Answer, SunSpec | None]:
        if not self._walked:
            self._walked = True
            walker = walk()
            try:
                question = next(walker)
                while True:
                    question = walker.send((yield from self._ask(question)))
            except StopIteration as end:
                self._sunspec = end.value
        return self._sunspec

    def _verdict(self, profile: Profile | None) -> Steps:
        objects = yield from self._identification()
        common = self._sunspec or SunSpec()
        serial_number, mac, firmware, sub_model = common.serial_number, None, common.version, common.model
        if profile is not None:
            who = profile.identity
            serial_number = (yield from self._fact(who.serial_number, self._ask_firmly)) or serial_number
            mac = yield from self._fact(who.mac, self._ask_firmly)
            firmware = (yield from self._fact(who.firmware_version)) or firmware
            told = profile.sub_model if isinstance(profile.sub_model, str) else (yield from self._fact(profile.sub_model))
            sub_model = told or sub_model
        return Verdict(
            alive=True,
            told=any(not isinstance(answer, Refused | Silence) for answer in self._answers.values()),
            profile=profile,
            serial_number=plausible_serial_number(serial_number),
            mac=plausible_mac(mac),
            firmware_version=firmware or objects.get(2),
            sub_model=sub_model,
            vendor=objects.get(0) or common.manufacturer,
            product=objects.get(1) or common.model,
            models=common.models,
            confidence=self._confidence(),
            sign_of_life=next((question for question, answer in self._answers.items() if not isinstance(answer, Silence)), None),
            evidence=self._evidence(),
            signature=self._signature(profile, serial_number, mac),
        )

    def _profile_from_models(self) -> Profile | None:
        """Return what the device's own SunSpec models make a profile; `None` for a device without any that measures."""
        profile = profile_for(self._sunspec.models.ids) if self._sunspec is not None else None
        self._says_its_models = profile is not None
        return profile

    def _confidence(self) -> Confidence:
        if self._says_its_models:
            return Confidence.CERTAIN
        if self._matched is None:
            return Confidence.POSSIBLE
        says_so = self._matched.identification or self._matched.server_id or self._matched.sunspec
        return Confidence.CERTAIN if says_so else Confidence.LIKELY

    def _fact(
        self, origin: Origin | None, ask: Callable[[Question], Asking] | None = None
    ) -> Generator[Question, Answer, str | None]:
        ask = ask if ask is not None else self._ask
        if origin is None:
            return None
        if isinstance(origin, ObjectOrigin):
            objects = _texts((yield from ask(ReadIdentification())))
            if origin.object not in objects:
                objects = _texts((yield from ask(ReadIdentification(Level.ONE_OBJECT, origin.object))))
            text = objects.get(origin.object)
            return None if text is None else origin.values.get(text, text)
        value = _value(origin, (yield from ask(Read(origin.table, origin.address, origin.words))))
        return None if value is None else str(value)

    def _evidence(self) -> dict[str, str]:
        return {str(question): describe(answer) for question, answer in self._answers.items()}

    def _signature(self, profile: Profile | None, *facts: str | None) -> tuple[str, ...]:
        kinds = (
            f"{question}: {'data' if isinstance(question, Read) and isinstance(answer, bytes) else describe(answer)}"
            for question, answer in self._answers.items()
        )
        return (profile.name if profile else "", *map(str, facts), *kinds)


async def conduct(
    asker: Asker, unit: int, steps: Generator[Question, Answer, Verdict]
) -> AsyncGenerator[Question | Verdict, None]:
    """Carry an interview out; yield each question after its transaction, and at the end the verdict.

    Raises:
        BusUnavailable: the bus was lost meanwhile.
    """
    try:
        question = next(steps)
        while True:
            answer = await _answer(asker, unit, question)
            yield question
            question = steps.send(answer)
    except StopIteration as end:
        yield end.value


async def _answer(asker: Asker, unit: int, question: Question) -> Answer:
    try:
        return await asker.ask(unit, question)
    except Refused as refusal:
        return refusal
    except DeviceUnreachable as silence:
        return Silence(str(silence), certain=isinstance(silence, NoSuchUnit))


def describe(answer: Answer) -> str:
    """Return an answer as a person reads it."""
    match answer:
        case bytes():
            readable = answer.decode("ascii", errors="replace").strip("\0 ")
            shown = f' "{readable}"' if len(readable) > 2 and readable.isprintable() and readable.isascii() else ""
            return answer.hex(" ", 2) + shown
        case Refused():
            return str(answer)
        case Silence():
            return f"silence: {answer.reason}"
        case _:
            return ", ".join(
                f'{OBJECT_NAMES.get(key, f"object {key}")} "{_text(raw) or ""}"' for key, raw in sorted(answer.items())
            )


def plausible_serial_number(serial_number: str | None) -> str | None:
    """Return the serial number, unless it is what a device without one says: nothing, zeros, all bits set."""
    if serial_number is None or not serial_number.strip():
        return None
    empty = re.fullmatch(r"[0\s.-]*|[Ff\s]*|65535|4294967295|-1|[xX?*\ufffd-]+|n/?a", serial_number.strip(), re.IGNORECASE)
    return None if empty else serial_number.strip()


def plausible_mac(mac: str | None) -> str | None:
    """Return the MAC as `00:90:e8:12:34:56`, `None` when it is none."""
    digits = re.sub(r"[\s:.-]", "", mac or "").lower()
    if not re.fullmatch(r"[0-9a-f]{12}", digits) or digits in {"0" * 12, "f" * 12}:
        return None
    return ":".join(digits[at : at + 2] for at in range(0, 12, 2))


def _effort(match: Match, name: str) -> tuple[int, int, str]:
    """Return a sort key: what was asked anyhow first, then registers, SunSpec last; the more a rule asks for, the earlier."""
    kind = 3 if match.sunspec else 2 if match.registers else 1 if match.server_id else 0
    said = [match.identification, match.server_id, *match.registers, match.sunspec]
    strict = sum(item is not None for item in said)
    if match.sunspec is not None:
        strict += (match.sunspec.manufacturer != ".*") + (match.sunspec.model != ".*")
    if match.identification is not None:
        strict += match.identification.product != ".*"
    return kind, -strict, name


def _needs_only_identification(match: Match) -> bool:
    return match.server_id is None and not match.registers and match.sunspec is None


def _whole(pattern: str, text: str | None) -> bool:
    return re.fullmatch(pattern, text or "", re.IGNORECASE) is not None


def _within(pattern: str, answer: Answer) -> bool:
    return isinstance(answer, bytes) and re.search(pattern, answer.decode("latin-1"), re.IGNORECASE) is not None


def _holds(condition: RegisterCondition, answer: Answer) -> bool:
    value = _value(condition, answer)
    if condition.matches is not None:
        return value is not None and _whole(condition.matches, str(value))
    if condition.between is not None:
        low, high = condition.between
        return isinstance(value, int | float) and low <= value <= high
    return value == condition.equals


def _value(origin: RegisterOrigin, answer: Answer) -> Value:
    return decode_one(origin.encoding(), answer) if isinstance(answer, bytes) else None


def _texts(answer: Answer) -> dict[int, str | None]:
    """Return the objects of a device identification as texts; none, when it was answered in any other way."""
    return {key: _text(raw) for key, raw in answer.items()} if isinstance(answer, Mapping) else {}


def _text(raw: bytes) -> str | None:
    words = (len(raw) + 1) // 2
    value = decode_one(Encoding(type=ValueType.STRING, words=words), raw.ljust(2 * words, b"\0")) if raw else None
    return None if value is None else str(value)
