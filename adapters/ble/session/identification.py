"""Find out over an open connection what a device is: the profile that its answers confirm, and its description of itself."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from adapters.ble.discovery.tracked_device import TrackedDevice
from adapters.ble.profile.device_information import (
    DeviceInformation,
    information_paths,
    information_requests,
    parse_information,
)
from adapters.ble.profile.profile import Profile
from adapters.ble.profile.profile_matching import alternatives
from adapters.ble.profile.read_plan import CharacteristicPath
from adapters.ble.radio.connection import AttributeRefused, GattConnection, PairingNeeded
from adapters.ble.session.answered_unpaired import AnsweredUnpaired
from adapters.ble.session.requests import RequestUnanswered, ask
from gateway.adapter import Cause, DeviceUnreachable


@dataclass(frozen=True, slots=True)
class ReadInformation:
    """What a device has told about itself."""

    information: DeviceInformation
    needs: str | None
    """What a person has to do to read the rest of it."""
    answered: Collection[CharacteristicPath]
    """The characteristics that it answered."""


async def confirm_profile(connection: GattConnection, device: TrackedDevice, library: Iterable[Profile]) -> str | None:
    """Give a device that profile of those with its advertisement which its answer confirms.

    A profile that the config names is not asked about. Where none is confirmed, the device loses its profile.

    Returns:
        What a person has to do then, as a sentence; `None` where a profile is confirmed or needs no confirmation.

    Raises:
        DeviceUnreachable: it answers nothing, so that it can be asked again.
    """
    profile = device.profile
    is_named = device.known is not None and device.known.device.profile is not None
    if profile is None or profile.confirm is None or is_named:
        return None
    told: dict[str, None] = {}
    answered = False
    candidates = alternatives(profile, library)
    for candidate in candidates:
        if candidate.confirm is None:
            continue
        try:
            content = await ask(connection, candidate.request_named(candidate.confirm.request))
        except (RequestUnanswered, AttributeRefused) as error:
            told[str(error)] = None
            answered |= isinstance(error, RequestUnanswered) and error.is_refusal
            continue
        answered = True
        if candidate.confirm.is_met_by(content):
            device.profile = candidate
            return None
        told[f"it answers {candidate.confirm.request} with {candidate.confirm.told_by(content) or 'nothing'}"] = None
    if not answered:
        raise DeviceUnreachable(f"it does not say what it is: {'; '.join(told)}", cause=Cause.NO_ANSWER)
    device.profile = device.match = None
    device.rejected_sources.update(candidate.name for candidate in candidates)
    names = ", ".join(candidate.name for candidate in candidates)
    return f"it looks like {names}, and confirms none of them: {'; '.join(told)}. If one fits, name it as its profile in devices"


async def read_information(connection: GattConnection, device: TrackedDevice, unpaired: AnsweredUnpaired) -> ReadInformation:
    """Return what a device tells about itself in its characteristics, and in answers to the requests of its profile.

    Raises:
        DeviceUnreachable: what was answered before without a pairing is not answered now.
    """
    payloads: dict[CharacteristicPath, bytes] = {}
    needs: str | None = None
    for path in information_paths(device.profile, connection.services):
        try:
            payloads[path] = await connection.read(*path)
        except PairingNeeded as error:
            unpaired.check(device.key, path, error)
            needs = f"{path}: {error}"
            if connection.is_blocked:
                break
        except AttributeRefused:
            continue  # the device information may be incomplete
    answers = {} if connection.is_blocked else await _answers(connection, device.profile)
    return ReadInformation(parse_information(device.profile, payloads, answers), needs, tuple(payloads))


async def _answers(connection: GattConnection, profile: Profile | None) -> dict[str, bytes]:
    """Return the answers to the requests that tell what a device is, by their names."""
    answers: dict[str, bytes] = {}
    for name in information_requests(profile):
        if profile is None:
            break
        try:
            answers[name] = await ask(connection, profile.request_named(name))
        except (RequestUnanswered, AttributeRefused):
            continue  # the device information may be incomplete
    return answers
