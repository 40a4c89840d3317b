"""Run a case folder: find, read and command the Bluetooth device in memory, and compare it with what the case expects.

No radio takes part: the case has what the radio would receive.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime

from adapters.ble.advertisements.advertisement import short_uuid
from adapters.ble.advertisements.special_formats import NotInPayload
from adapters.ble.profile.answer_frames import AnswerAssembler
from adapters.ble.profile.commands import ResultCheck, prepare_command
from adapters.ble.profile.device_information import information_paths, information_requests, parse_information
from adapters.ble.profile.profile import Profile
from adapters.ble.profile.profile_matching import alternatives, best_profile
from adapters.ble.profile.read_plan import NOTIFYING, AnswerReader, CharacteristicReader, plan_reads
from adapters.ble.profile.requests import RequestRule
from adapters.ble.tools.case_files import Case, CaseCommand
from gateway.adapter import (
    NOTHING,
    CaseDifference,
    CaseResult,
    Command,
    CommandRejected,
    ProfileProblems,
    Value,
    case_differences,
    unknown_name,
)

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
CHILD = "mac:a4c138010203"

NOTIFICATION_BYTES = 20
"""The bytes in a notification of a device that negotiates no longer ones; an answer with a length comes in so many at a time."""

WRITABLE = frozenset({"write", "write-without-response"})


def run_case(case: Case, library: Mapping[str, Profile]) -> CaseResult:
    """Return what differs from what the case expects.

    Args:
        case: the device, and what is expected of it.
        library: all profiles among which the device has to be recognized.

    Raises:
        ProfileProblems: there is no profile for the case, or no scan finds its device.
    """
    if case.profile not in library:
        raise ProfileProblems(unknown_name("profile", case.profile, library))
    profile = library[case.profile]
    if case.advertisement is not None and not profile.is_found_by_scan:
        raise ProfileProblems(
            f"{case.profile}: no scan finds its devices, since it has no `match`: write `configured = true` in device.toml"
        )
    return _Run(case, profile, library).result()


@dataclass(slots=True)
class _Run:
    """One run of a case."""

    case: Case
    profile: Profile
    library: Mapping[str, Profile]
    compared: int = 0
    differences: list[CaseDifference] = field(default_factory=list)

    def result(self) -> CaseResult:
        """Compare everything."""
        answers = dict(self._answers())
        self._compare_all("found", {"profile": self.profile.name}, self._found())
        if self.case.advertisement is not None and self.profile.confirm is not None:
            confirmed = " and ".join(self._confirmed(self.profile.confirm.request, answers))
            self._compare_all("confirmed", {"profile": self.profile.name}, {"profile": confirmed} if confirmed else {})
        self._compare_all("fact", self.case.facts, self._facts(answers))
        self._compare_reads(answers)
        for command in self.case.commands:
            self.compared += 1
            self.differences += _command_differences(self.case, self.profile, command)
        return CaseResult(compared=self.compared, differences=self.differences)

    def _compare_all(self, what: str, expected: Mapping[str, object], got: Mapping[str, object]) -> None:
        self.compared += len(expected.keys() | got.keys())
        self.differences += case_differences(what, expected, got)

    def _found(self) -> dict[str, str]:
        """Return the profile that the advertisement fits; of several that only an answer tells apart, that of the case."""
        if self.case.advertisement is None:
            return {"profile": self.profile.name}
        best = best_profile(self.case.advertisement, self.library.values())
        if best is None:
            return {}
        alike = [one.name for one in alternatives(best, self.library.values())]
        return {"profile": self.profile.name if self.profile.name in alike else best.name}

    def _answers(self) -> Iterator[tuple[str, bytes]]:
        """Yield the name of each request that the device answers, and its answer."""
        requests = {request.name: request for request in self.profile.requests}
        for name, sent in self.case.answers.items():
            what = f"answer {name}"
            if name not in requests:
                told = unknown_name("request", name, requests)
                self.differences.append(CaseDifference(what=what, expected="a request of the profile", got=told))
                continue
            content, problem = _answer_in(requests[name], sent)
            if problem is not None:
                self.differences.append(CaseDifference(what=what, expected="an answer", got=problem))
            else:
                yield name, content

    def _confirmed(self, request: str, answers: Mapping[str, bytes]) -> Iterator[str]:
        """Yield the profiles with the same advertisement which the answer of the device confirms."""
        if request not in answers:
            return
        for one in alternatives(self.profile, self.library.values()):
            if one.confirm is None:
                continue
            asked = one.request_named(one.confirm.request)
            if asked.write in self.case.services.get(asked.service, {}) and one.confirm.is_met_by(answers[request]):
                yield one.name

    def _facts(self, answers: Mapping[str, bytes]) -> dict[str, str]:
        paths = information_paths(self.profile, self.case.services)
        payloads = {path: self.case.payloads[path] for path in paths if path in self.case.payloads}
        told = {name: answers[name] for name in information_requests(self.profile) if name in answers}
        information = asdict(parse_information(self.profile, payloads, told))
        return {fact: text for fact, text in information.items() if text is not None and fact != "evidence"}

    def _compare_reads(self, answers: Mapping[str, bytes]) -> None:
        """Compare the readings, and what has to be written and subscribed to for them."""
        plan = plan_reads(self.profile, self.profile.intervals, self.case.services)
        got: dict[str, Value] = {}
        for reader in (*plan.subscriptions, *plan.reads, *plan.answers):
            if isinstance(reader, AnswerReader):
                payload = answers.get(reader.request.name)
            else:
                payload = self.case.payloads.get(reader.path)
            if payload is not None:
                got |= self._readings(reader, payload)
        self._compare_all("reading", self.case.readings, got)
        self.differences += [CaseDifference(what="remark", expected=NOTHING, got=remark) for remark in plan.remarks]
        written = [f"{short_uuid(one.characteristic)}: {one.payload.hex()}" for one in plan.initial_writes]
        subscribed = [short_uuid(reader.path.characteristic) for reader in plan.subscriptions]
        for what, wanted, done in (("writes", self.case.writes, written), ("subscribed", self.case.subscribed, subscribed)):
            self.compared += 1
            if list(wanted) != done:
                told = ", ".join(wanted) or NOTHING
                self.differences.append(CaseDifference(what=what, expected=told, got=", ".join(done) or NOTHING))

    def _readings(self, reader: CharacteristicReader, payload: bytes) -> dict[str, Value]:
        try:
            return {reading.metric.name: reading.value for reading in reader.decode(payload, CHILD, AT)}
        except NotInPayload as error:
            self.differences.append(CaseDifference(what=f"characteristic {reader.path}", expected="its points", got=str(error)))
            return {}


def _answer_in(request: RequestRule, sent: bytes) -> tuple[bytes, str | None]:
    """Return the answer in what a device sends after a request, and what is wrong with it; `None` for nothing."""
    assembler = AnswerAssembler(request.answer)
    size = NOTIFICATION_BYTES if request.answer.length is not None else max(len(sent), 1)
    for at in range(0, len(sent), size):
        answer = assembler.feed(sent[at : at + size])
        if answer is not None:
            refusal = None if answer.refusal is None else f"the device refuses: {answer.refusal}"
            return answer.content, refusal
    return b"", f"none with the right checksum: {assembler.damaged} damaged" if assembler.damaged else "none that is complete"


def _command_differences(case: Case, profile: Profile, wanted: CaseCommand) -> Iterator[CaseDifference]:
    """Yield what differs in the bytes of a command, and in what is made of the result that the device shows."""
    what = f"command {wanted.name}"
    try:
        prepared = prepare_command(profile, Command(1, CHILD, wanted.name, wanted.parameters))
    except CommandRejected as error:
        yield CaseDifference(what=what, expected="it is executed", got=str(error))
        return
    yield from case_differences(what, {"writes": bytes.fromhex(wanted.writes).hex()}, {"writes": prepared.payload.hex()})
    yield from _use_differences(case, what, prepared.service, prepared.characteristic, WRITABLE)
    check = prepared.check
    if check is not None:
        uses = NOTIFYING if check.by_notification else frozenset({"read"})
        yield from _use_differences(case, what, prepared.check_service, check.characteristic, uses)
    yield from _result_differences(what, wanted, check)


def _use_differences(case: Case, what: str, service: str, characteristic: str, uses: frozenset[str]) -> Iterator[CaseDifference]:
    allowed = case.services.get(service, {}).get(characteristic, frozenset())
    if not allowed & uses:
        told = ", ".join(sorted(allowed)) or NOTHING
        path = f"{short_uuid(service)}/{short_uuid(characteristic)}"
        yield CaseDifference(what=f"{what}: uses of {path}", expected=" or ".join(sorted(uses)), got=told)


def _result_differences(what: str, wanted: CaseCommand, check: ResultCheck | None) -> Iterator[CaseDifference]:
    for name, shown, is_fine in (("obeyed", wanted.obeyed, True), ("refused", wanted.refused, False)):
        if check is None or shown is None:
            if check is not None:
                yield CaseDifference(what=f"{what}: {name}", expected="the bytes that the device shows then", got=NOTHING)
            elif shown is not None:
                yield CaseDifference(what=f"{what}: {name}", expected=shown, got="the profile checks no result")
            continue
        problem = check.problem_in(bytes.fromhex(shown))
        if is_fine and problem is not None:
            yield CaseDifference(what=f"{what}: {name}", expected="the result is accepted", got=problem)
        elif not is_fine and problem is None:
            yield CaseDifference(what=f"{what}: {name}", expected="the result is a failure", got=f"{shown} is accepted")
