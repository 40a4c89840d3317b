"""Choose the patterns of a passive scan by the devices that are wanted. Pure.

The patterns of configured devices come first, then the usual flags, which nearly every device sends, then the company ids,
service data and services of every kind of device that the gateway knows: beacons and sensors that cannot be connected to often
send no flags, unless their file says that they do. There is room for `MOST_PATTERNS`. Where the ids are more, those with the same
high byte become one pattern.

A name alone makes a pattern only for a configured device: it is mostly in the scan response, which a passive scan does not
request.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from uuid import UUID

from adapters.ble.advertisements.advertiser_files import AdvertisementMatch, Advertiser
from adapters.ble.profile.match_rules import DataCondition, MatchRule
from adapters.ble.profile.profile import Profile
from adapters.ble.radio.monitor_patterns import (
    ALL_SERVICES_16,
    ALL_SERVICES_128,
    COMPLETE_NAME,
    MANUFACTURER_DATA,
    MOST_PATTERNS,
    SERVICE_DATA_16,
    SERVICE_DATA_128,
    SOME_SERVICES_16,
    SOME_SERVICES_128,
    USUAL_FLAGS,
    Pattern,
)
from adapters.ble.settings import BleSettings, ConfiguredDevice

LONGEST_CONTENT = 29
"""The number of bytes of a structure in a legacy advertisement, after its length and its type."""

DATA_KINDS = (MANUFACTURER_DATA, SERVICE_DATA_16, SERVICE_DATA_128)

_ID_BYTES = 2
_WILDCARDS = "*?["


def choose_patterns(settings: BleSettings, advertisers: Iterable[Advertiser]) -> list[Pattern]:
    """Return the patterns for the devices of an entry of the config, the most important first: `MOST_PATTERNS` at most.

    Args:
        settings: the entry.
        advertisers: the kinds of device whose advertisements can be decoded.
    """
    configured = [pattern for device in settings.devices for pattern in _patterns_of_device(device, settings)]
    first = _distinct([*configured[: MOST_PATTERNS - len(USUAL_FLAGS)], *USUAL_FLAGS])
    known = [pattern for advertiser in advertisers for match in advertiser.match for pattern in _patterns_of_match(match)]
    known += [pattern for profile in settings.library.values() for pattern in _patterns_of_profile(profile)]
    data = _fitted([one for one in known if one.kind in DATA_KINDS], MOST_PATTERNS - len(first))
    services = [one for one in known if one.kind not in DATA_KINDS]
    return _distinct([*first, *data, *services])[:MOST_PATTERNS]


def _patterns_of_device(device: ConfiguredDevice, settings: BleSettings) -> Iterator[Pattern]:
    if device.payload is not None:  # with a company id or, as service data, after the uuid
        payload = bytes.fromhex(device.payload)
        yield Pattern(0, MANUFACTURER_DATA, payload[:LONGEST_CONTENT])
        yield Pattern(_ID_BYTES, SERVICE_DATA_16, payload[: LONGEST_CONTENT - _ID_BYTES])
    if device.called is not None and (beginning := _literal_beginning(device.called)):
        yield Pattern(0, COMPLETE_NAME, beginning.encode()[:LONGEST_CONTENT])
    profile = None if device.profile is None else settings.find_profile(device.profile)
    if profile is not None:
        yield from _patterns_of_profile(profile)


def _patterns_of_profile(profile: Profile) -> Iterator[Pattern]:
    for rule in profile.match:
        yield from _patterns_of_rule(rule)


def _patterns_of_rule(rule: MatchRule) -> Iterator[Pattern]:
    """Yield the patterns of one of the conditions, since all of them are met."""
    if rule.data:
        yield _pattern_of_data(rule.data[0])
    elif rule.services:
        yield from _patterns_of_service(rule.services[0])


def _pattern_of_data(condition: DataCondition) -> Pattern:
    follows = condition.starts_with if condition.at == 0 else b""
    if condition.company is not None:
        return _pattern(MANUFACTURER_DATA, condition.company.to_bytes(2, "little") + follows)
    return _pattern_of_service_data(condition.service or "", follows)


def _patterns_of_match(match: AdvertisementMatch) -> Iterator[Pattern]:
    if match.sends_flags:
        return
    if match.service is not None:
        yield from _patterns_of_service(match.service)
    elif match.service_data is not None:
        yield _pattern_of_service_data(match.service_data)
    else:
        yield from (_pattern(MANUFACTURER_DATA, company.to_bytes(2, "little") + match.starts_with) for company in match.company)


def _pattern_of_service_data(uuid: str, follows: bytes = b"") -> Pattern:
    encoded = _encoded(uuid)
    return _pattern(SERVICE_DATA_16 if len(encoded) == _ID_BYTES else SERVICE_DATA_128, encoded + follows)


def _patterns_of_service(uuid: str) -> Iterator[Pattern]:
    encoded = _encoded(uuid)
    kinds = (ALL_SERVICES_16, SOME_SERVICES_16) if len(encoded) == _ID_BYTES else (ALL_SERVICES_128, SOME_SERVICES_128)
    yield from (_pattern(kind, encoded) for kind in kinds)


def _pattern(kind: int, content: bytes) -> Pattern:
    return Pattern(0, kind, content[:LONGEST_CONTENT])


def _encoded(uuid: str) -> bytes:
    """Return a uuid as it is transmitted, with 16 bits where that is possible."""
    encoded = UUID(uuid).bytes[::-1]
    is_short = uuid.startswith("0000") and uuid.endswith("-0000-1000-8000-00805f9b34fb")
    return encoded[12:14] if is_short else encoded


def _literal_beginning(pattern: str) -> str:
    return pattern[: min((at for at, character in enumerate(pattern) if character in _WILDCARDS), default=len(pattern))]


def _distinct(patterns: Iterable[Pattern]) -> list[Pattern]:
    """Return the patterns without those that another includes."""
    wanted = list(dict.fromkeys(patterns))
    return [one for one in wanted if not any(other.includes(one) for other in wanted if other != one)]


def _fitted(patterns: Iterable[Pattern], room: int) -> list[Pattern]:
    """Return at most so many patterns that include all of these, as far as that is possible."""
    wanted = _distinct(patterns)
    while len(wanted) > room:
        groups = Counter(group for one in wanted if (group := _group(one)) is not None)
        widest = max(groups, key=groups.__getitem__, default=None)
        if widest is None or groups[widest] == 1:
            break
        wanted = [widest, *(one for one in wanted if _group(one) != widest)]
    return wanted[:room]


def _group(pattern: Pattern) -> Pattern | None:
    """Return the pattern of every identifier with the same high byte; `None` for one that is no identifier of 16 bits."""
    if pattern.position != 0 or pattern.kind not in (MANUFACTURER_DATA, SERVICE_DATA_16):
        return None
    return Pattern(1, pattern.kind, pattern.content[1:2])
