"""Run a case folder: interview, read and command the device in memory, and compare it with what the case expects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import inf

from adapters.serial.discovery.probing import ProbeResult, ProtocolProbe
from adapters.serial.framing.framer import framer_for
from adapters.serial.profile.commands import PreparedCommand, ReadBackCheck, prepare_command
from adapters.serial.profile.profile import Profile
from adapters.serial.profile.protocol import DeviceProtocol, QueryAnswer, Request
from adapters.serial.tools.case_files import Case, CaseCommand
from gateway.adapter import (
    NOTHING,
    CaseDifference,
    CaseResult,
    Command,
    CommandRejected,
    ProfileProblems,
    Reading,
    case_differences,
)

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
CHILD = "child"

GARBLED = b"\xf8\x80"
"""What comes from a device at line settings that are not its own."""


def run_case(case: Case, library: Mapping[str, Profile]) -> CaseResult:
    """Return what differs from what the case expects.

    Args:
        case: the device, and what is expected of it.
        library: all profiles among which the device has to be recognized.

    Raises:
        ProfileProblems: no interview finds the device of the case.
    """
    profile = case.profile
    if not case.configured and not profile.is_found_by_scan:
        raise ProfileProblems(
            f"{profile.name}: no scan finds its devices, since it has no `match`: write `configured = true` in device.toml"
        )
    configured, address = (profile, case.address) if case.configured else (None, None)
    verdict, _ = interview(case, ProtocolProbe(library.values(), configured, address=address, budget_seconds=inf))
    wanted = {"profile": profile.name, "confidence": str(case.confidence), **case.facts}
    run = _Run(case, DeviceProtocol(profile))
    run.compare("found", wanted if case.address is None else {**wanted, "address": case.address}, _facts(verdict))
    if verdict.profile is not None and verdict.profile.name == profile.name:
        run.compare_readings()
        run.compare_refusals()
        for command in case.commands:
            run.compare_command(command)
    return CaseResult(compared=run.compared, differences=run.differences)


def interview(case: Case, probe: ProtocolProbe) -> tuple[ProbeResult, list[bytes]]:
    """Carry an interview out on the device of a case; returns its verdict and all that was sent."""
    steps, sent = probe.run(), list[bytes]()
    try:
        step = next(steps)
        while True:
            answer = case.answers.get(step.request, b"") if step.request else case.talks
            if step.request:
                sent.append(step.request)
            step = steps.send(answer if step.line in case.profile.lines else GARBLED * bool(answer))
    except StopIteration as end:
        verdict: ProbeResult = end.value
        return verdict, sent


def _facts(verdict: ProbeResult) -> dict[str, object]:
    if verdict.profile is None:
        return {"profile": "none that fits" if verdict.is_alive else NOTHING}
    facts: dict[str, object] = {"profile": verdict.profile.name, "confidence": str(verdict.confidence), **verdict.facts}
    return facts if verdict.address is None else {**facts, "address": verdict.address}


@dataclass(slots=True)
class _Run:
    """One run of a case."""

    case: Case
    protocol: DeviceProtocol
    compared: int = 0
    differences: list[CaseDifference] = field(default_factory=list)

    def compare(self, what: str, expected: Mapping[str, object], got: Mapping[str, object]) -> None:
        self.compared += len(expected.keys() | got.keys())
        self.differences += case_differences(what, expected, got)

    def compare_readings(self) -> None:
        """Compare the values of all answers and messages, and the units that the case names."""
        readings = list(self._readings())
        self.compare("reading", self.case.readings, {reading.metric.name: reading.value for reading in readings})
        units = {reading.metric.name: reading.metric.unit for reading in readings if reading.metric.name in self.case.units}
        self.compare("unit", self.case.units, units)

    def compare_refusals(self) -> None:
        """Compare the reasons that a person reads where the device refuses a query."""
        for query, words in self.case.refused.items():
            self.compared += 1
            self._compare_reason(f"refused {query}", words, self._answer(self._query(query)))

    def compare_command(self, wanted: CaseCommand[str]) -> None:
        """Compare what a command sends, and what is made of each answer that the case has."""
        self.compared += 1
        what = f"command {wanted.name}"
        try:
            prepared = prepare_command(
                self.case.profile, Command(1, CHILD, wanted.name, wanted.parameters), self.case.address, self.protocol
            )
        except CommandRejected as error:
            self._differs(what, "it is executed", str(error))
            return
        if prepared.request.raw != self.case.as_bytes(wanted.sends):
            self._differs(f"{what}: sends", wanted.sends, self.case.written(prepared.request.raw))
        self._compare_answers(what, wanted, prepared)
        self._compare_effect(what, wanted, prepared.check)

    def _compare_answers(self, what: str, wanted: CaseCommand[str], prepared: PreparedCommand) -> None:
        if prepared.request.expects_answer != (wanted.obeyed is not None):
            self._differs(f"{what}: obeyed", *_with_or_without("an answer", is_expected=wanted.obeyed is not None))
        elif wanted.obeyed is not None:
            answer = self._told(f"{what}: obeyed", prepared.request, wanted.obeyed)
            if answer is not None and answer.refusal is not None:
                self._differs(f"{what}: obeyed", "no refusal", answer.refusal)
        if wanted.refused is not None and wanted.reason is not None:
            self._compare_reason(
                f"{what}: refused", wanted.reason, self._told(f"{what}: refused", prepared.request, wanted.refused)
            )

    def _compare_effect(self, what: str, wanted: CaseCommand[str], check: ReadBackCheck | None) -> None:
        if (check is not None) != (wanted.shown is not None):
            self._differs(f"{what}: shown", *_with_or_without("an effect to read back", is_expected=wanted.shown is not None))
            return
        for name, written, is_effective in (("shown", wanted.shown, True), ("not_shown", wanted.not_shown, False)):
            if check is None or written is None:
                continue
            answer = self._told(f"{what}: {name}", check.request, written)
            if answer is None:
                continue
            mismatch = check.mismatch_in(answer.values)
            if (mismatch is None) is not is_effective:
                expected = "it proves the effect" if is_effective else "it shows no effect"
                self._differs(f"{what}: {name}", expected, mismatch or "it proves the effect")

    def _compare_reason(self, what: str, words: str, answer: QueryAnswer | None) -> None:
        got = "no answer" if answer is None else answer.refusal or "it is not refused"
        if answer is None or answer.refusal is None or words not in answer.refusal:
            self._differs(what, words, got)

    def _readings(self) -> Iterator[Reading]:
        for query in self.case.profile.queries:
            answer = self._answer(self._query(query.name))
            if answer is not None and answer.refusal is None:
                yield from self.protocol.readings_of(query.name, answer, CHILD, AT)
        for payload in self._payloads("talks", self.case.talks):
            heard = self.protocol.read_message(payload)
            if heard is not None:
                yield from self.protocol.readings_of(heard.name, heard, CHILD, AT)

    def _query(self, name: str) -> Request:
        return self.protocol.query_request(name, self.case.address)

    def _answer(self, request: Request) -> QueryAnswer | None:
        """Return what the device answers to a query; `None` where nothing of it is an answer."""
        sent = self.case.answers.get(request.raw, b"")
        answers = map(request.read, self._payloads(f"answer to {request.name}", sent))
        return next((answer for answer in answers if answer is not None), None)

    def _told(self, what: str, request: Request, written: str) -> QueryAnswer | None:
        """Return what an answer of the case says; where it is none, that differs."""
        payloads = self._payloads(what, self.case.as_bytes(written))
        answer = request.read(payloads[0]) if len(payloads) == 1 else None
        if answer is None:
            got = "it is no answer to the request" if len(payloads) == 1 else f"{len(payloads)} frames"
            self._differs(what, "one frame with an answer", got)
        return answer

    def _payloads(self, what: str, raw: bytes) -> list[bytes]:
        """Return the payloads of all frames; bytes outside of frames differ."""
        framer = framer_for(self.case.profile.framing)
        frames = [*framer.feed(raw), *framer.expire(inf)]
        for reason, count in framer.discards.by_reason.items():
            self._differs(what, "whole frames", f"{self.case.written(count.last)}: {reason}")
        return [frame.payload for frame in frames]

    def _differs(self, what: str, expected: str, got: str) -> None:
        difference = CaseDifference(what=what, expected=expected, got=got)
        if difference not in self.differences:
            self.differences.append(difference)


def _with_or_without(thing: str, *, is_expected: bool) -> tuple[str, str]:
    return (thing, NOTHING) if is_expected else (NOTHING, thing)
