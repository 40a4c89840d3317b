"""Identify the device at a unit id: choose the requests, and conclude profile and identity from the answers. Read-only.

A probe never waits: it yields a request and is sent the response, so it can be tested without a bus; `run_probe` sends the
requests. Cheap and standard ones come first: device identification (43/14), server id (17), then the registers that profiles
match by, then the SunSpec markers. Units answer what they do not know with exceptions 01, 02 or 04, with nonsense or not at all;
each of these is the answer to one request only.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from adapters.modbus.client.pdu import (
    FIRST_REGISTER,
    ExceptionResponse,
    IdentificationLevel,
    NoResponse,
    NoSuchUnit,
    ReadDeviceIdentification,
    ReadRequest,
    ReportServerId,
    Request,
    Response,
)
from adapters.modbus.discovery.conditions import (
    describe,
    evaluation_order,
    identification_holds,
    matches_whole,
    needs_only_identification,
    object_texts,
    plausible_mac,
    plausible_serial_number,
    register_holds,
    register_value,
    server_id_holds,
)
from adapters.modbus.discovery.long_reads import LongReads
from adapters.modbus.discovery.sunspec import SunSpecDevice, find_models
from adapters.modbus.profile.matching import MatchRule, ObjectOrigin, Origin, SunSpecCondition
from adapters.modbus.profile.profile import Profile
from adapters.modbus.profile.sunspec_layout import NO_MODELS, SunSpecLayout
from adapters.modbus.profile.sunspec_models import profile_for, with_other_models
from gateway.adapter import Confidence, DeviceUnreachable

NO_RESPONSE_BOUND = 4
"""A probe ends after this many unanswered requests: each costs the bus a time-out."""

IDENTITY_TRIES = 3
"""How often a request for the serial number or the MAC is sent: a lost answer must not change the device's identity."""

RequestSteps: TypeAlias = Generator[Request, Response, Response]


class RequestSender(Protocol):
    """Sends a request to a unit: a `Link`, or a test's memory."""

    async def ask(self, unit: int, request: Request) -> bytes | Mapping[int, bytes]:
        """Return the answer, or raise `ExceptionResponse`, `DeviceUnreachable` or `BusUnavailable`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult:
    """The result of the probe of one unit."""

    alive: bool
    """The unit answered something, if only an exception of its own."""
    has_data: bool = False
    """It answered something other than an exception."""
    profile: Profile | None = None
    serial_number: str | None = None
    mac: str | None = None
    firmware_version: str | None = None
    sub_model: str | None = None
    vendor: str | None = None
    product: str | None = None
    models: SunSpecLayout = NO_MODELS
    """The SunSpec models that it has."""
    problem: str | None = None
    """What is wrong with its answers, for a person; `None` where they are as they should be."""
    confidence: Confidence = Confidence.POSSIBLE
    """How sure it is that the profile fits."""
    answered_request: Request | None = None
    """A request that it answered."""
    evidence: Mapping[str, str] = field(default_factory=dict)
    """Request -> answer, for a person."""
    signature: tuple[str, ...] = ()
    """Equal for two units that nothing in their answers tells apart; measured values are not compared."""


ProbeSteps: TypeAlias = Generator[Request, Response, ProbeResult]


class UnitProbe:
    """The probe of one unit: sends each request once, in parts where it has to, and remembers the answers.

    Args:
        profiles: those that may fit.
        configured: the profile that the config names.
        first_requests: sent in turn until one is answered; the unit is taken for absent if none is. Default: the identification,
            then a register.
    """

    def __init__(
        self, profiles: Iterable[Profile], configured: Profile | None = None, first_requests: Sequence[Request] | None = None
    ) -> None:
        rules = ((rule, profile) for profile in profiles for rule in profile.match)
        self._rules = sorted(rules, key=lambda pair: evaluation_order(pair[0], pair[1].name))
        self._configured = configured
        default = (ReadDeviceIdentification(), self._first_register())
        self._first_requests = first_requests if first_requests is not None else default
        self._matched: MatchRule | None = None
        self._answers: dict[Request, Response] = {}
        self._long_reads = LongReads()
        self._sunspec: SunSpecDevice | None = None
        self._has_searched_models = False
        self._is_made_from_models = False

    def run(self) -> ProbeSteps:
        """Yield requests, receive the responses, return the result."""
        if not (yield from self._is_alive()):
            return ProbeResult(alive=False, evidence=self._evidence())
        profile = self._configured or (yield from self._fitting_profile()) or self._profile_from_models()
        if profile is not None and profile.is_sunspec:
            found = yield from self._find_models()
            profile = profile if found is None else with_other_models(profile, found.models.ids)
        return (yield from self._result(profile))

    def _ask(self, request: Request) -> RequestSteps:
        if request not in self._answers:
            unanswered = sum(isinstance(answer, NoResponse) for answer in self._answers.values())
            if unanswered >= NO_RESPONSE_BOUND:
                return NoResponse("not sent: too many requests were not answered")
            self._answers[request] = yield from self._long_reads.read(request)
        return self._answers[request]

    def _ask_repeatedly(self, request: Request) -> RequestSteps:
        """Send a request again that was not answered, regardless of how many others were not answered."""
        for _ in range(IDENTITY_TRIES):
            answer = self._answers.get(request)
            if answer is not None and not (isinstance(answer, NoResponse) and not answer.is_absent):
                return answer
            self._answers[request] = yield from self._long_reads.read(request, is_repeated=True)
        return self._answers[request]

    def _is_alive(self) -> Generator[Request, Response, bool]:
        for request in self._first_requests:
            answer = yield from self._ask(request)
            if not isinstance(answer, NoResponse):
                return True
            if answer.is_absent:
                break
        return False

    def _first_register(self) -> ReadRequest:
        """Return a register that this device surely has, where its profile is known; else the very first one."""
        if self._configured is None:
            return FIRST_REGISTER
        placed = next((placed for point in self._configured.points for placed in point.placed()), None)
        return FIRST_REGISTER if placed is None else ReadRequest(placed.table, placed.start, 1)

    def _fitting_profile(self) -> Generator[Request, Response, Profile | None]:
        for rule, profile in self._rules:
            if not needs_only_identification(rule):
                yield from self._ask(ReportServerId())
            if (yield from self._fits(rule)):
                self._matched = rule
                return profile
        yield from self._ask(ReportServerId())
        return None

    def _fits(self, rule: MatchRule) -> Generator[Request, Response, bool]:
        """Return whether all conditions of a rule are met; the first that is not ends the requests."""
        if rule.identification is not None and not identification_holds(rule.identification, (yield from self._identification())):
            return False
        if rule.server_id is not None and not server_id_holds(rule.server_id, (yield from self._ask(ReportServerId()))):
            return False
        for condition in rule.registers:
            answer = yield from self._ask(ReadRequest(condition.table, condition.address, condition.words))
            if not register_holds(condition, answer):
                return False
        return rule.sunspec is None or (yield from self._sunspec_fits(rule.sunspec))

    def _sunspec_fits(self, condition: SunSpecCondition) -> Generator[Request, Response, bool]:
        found = yield from self._find_models()
        return found is not None and bool(
            matches_whole(condition.manufacturer, found.manufacturer)
            and matches_whole(condition.model, found.model)
            and condition.any_model & found.models.ids
        )

    def _identification(self) -> Generator[Request, Response, dict[int, str | None]]:
        return object_texts((yield from self._ask(ReadDeviceIdentification())))

    def _find_models(self) -> Generator[Request, Response, SunSpecDevice | None]:
        """Return the SunSpec models of the device, which are searched once."""
        if not self._has_searched_models:
            self._has_searched_models = True
            search = find_models()
            try:
                request = next(search)
                while True:
                    request = search.send((yield from self._ask(request)))
            except StopIteration as end:
                self._sunspec = end.value
        return self._sunspec

    def _result(self, profile: Profile | None) -> ProbeSteps:
        objects = yield from self._identification()
        common = self._sunspec or SunSpecDevice()
        serial_number, mac, firmware, sub_model = common.serial_number, None, common.version, common.model
        if profile is not None:
            identity = profile.identity
            serial_number = (yield from self._value(identity.serial_number, self._ask_repeatedly)) or serial_number
            mac = yield from self._value(identity.mac, self._ask_repeatedly)
            firmware = (yield from self._value(identity.firmware_version)) or firmware
            own = profile.sub_model if isinstance(profile.sub_model, str) else (yield from self._value(profile.sub_model))
            sub_model = own or sub_model
        answers = self._answers.items()
        return ProbeResult(
            alive=True,
            has_data=any(not isinstance(answer, ExceptionResponse | NoResponse) for _, answer in answers),
            profile=profile,
            serial_number=plausible_serial_number(serial_number),
            mac=plausible_mac(mac),
            firmware_version=firmware or objects.get(2),
            sub_model=sub_model,
            vendor=objects.get(0) or common.manufacturer,
            product=objects.get(1) or common.model,
            models=common.models,
            problem=self._problem(),
            confidence=self._confidence(),
            answered_request=next((request for request, answer in answers if not isinstance(answer, NoResponse)), None),
            evidence=self._evidence(),
            signature=self._signature(profile, serial_number, mac),
        )

    def _profile_from_models(self) -> Profile | None:
        """Return a profile made from the device's own SunSpec models; `None` for a device without any that measures."""
        profile = profile_for(self._sunspec.models.ids) if self._sunspec is not None else None
        self._is_made_from_models = profile is not None
        return profile

    def _confidence(self) -> Confidence:
        if self._is_made_from_models:
            return Confidence.CERTAIN
        if self._matched is None:
            return Confidence.POSSIBLE
        has_name = self._matched.identification or self._matched.server_id or self._matched.sunspec
        return Confidence.CERTAIN if has_name else Confidence.LIKELY

    def _value(
        self, origin: Origin | None, ask: Callable[[Request], RequestSteps] | None = None
    ) -> Generator[Request, Response, str | None]:
        """Return the identity value at this origin as a text."""
        ask = ask if ask is not None else self._ask
        if origin is None:
            return None
        if isinstance(origin, ObjectOrigin):
            objects = object_texts((yield from ask(ReadDeviceIdentification())))
            if origin.object not in objects:
                request = ReadDeviceIdentification(IdentificationLevel.ONE_OBJECT, origin.object)
                objects = object_texts((yield from ask(request)))
            text = objects.get(origin.object)
            return None if text is None else origin.values.get(text, text)
        value = register_value(origin, (yield from ask(ReadRequest(origin.table, origin.address, origin.words))))
        return None if value is None else str(value)

    def _problem(self) -> str | None:
        if self._sunspec is None or self._sunspec.problem is None:
            return None
        return f"its SunSpec models are not as specified: {self._sunspec.problem}"

    def _evidence(self) -> dict[str, str]:
        answers = {str(request): describe(answer) for request, answer in self._answers.items()}
        return answers if (problem := self._problem()) is None else {**answers, "problem": problem}

    def _signature(self, profile: Profile | None, *identity: str | None) -> tuple[str, ...]:
        answers = (
            f"{request}: {'data' if isinstance(request, ReadRequest) and isinstance(answer, bytes) else describe(answer)}"
            for request, answer in self._answers.items()
        )
        return (profile.name if profile else "", *map(str, identity), *answers)


async def run_probe(sender: RequestSender, unit: int, steps: ProbeSteps) -> AsyncGenerator[Request | ProbeResult, None]:
    """Send the requests of a probe; yield each request after its transaction, and the result at the end.

    Raises:
        BusUnavailable: the bus was lost meanwhile.
    """
    try:
        request = next(steps)
        while True:
            answer = await _answer(sender, unit, request)
            yield request
            request = steps.send(answer)
    except StopIteration as end:
        yield end.value


async def _answer(sender: RequestSender, unit: int, request: Request) -> Response:
    try:
        return await sender.ask(unit, request)
    except ExceptionResponse as exception:
        return exception
    except DeviceUnreachable as error:
        return NoResponse(str(error), is_absent=isinstance(error, NoSuchUnit))
