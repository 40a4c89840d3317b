"""Load the services that the Bluetooth SIG has standardized, and make profiles of them for devices without a profile file. Pure.

Such a profile is named after the services of the device (`gatt-180d-180f`), so that a child can be read after a restart although
its profile is in no file.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from adapters.ble.advertisements.advertisement import full_uuid
from adapters.ble.advertisements.toml_types import FrozenTable, Name, Uuid
from adapters.ble.profile.grammar import InformationSource, Point
from adapters.ble.profile.profile import Profile
from adapters.ble.profile.requests import RequestRule, place_by_requests
from gateway.adapter import Source

FOLDER = Path(__file__).parents[1] / "services"
"""The folder of the services: one file each, named by the service's four digits."""

NAME = re.compile(r"gatt((?:-[0-9a-f]{4})+)")


class StandardService(FrozenTable):
    """A service that is the same in every device that has it."""

    uuid: Uuid
    title: str = Field(min_length=1)
    family: Name | None = Field(default=None, description="the family of a device that has no service with a lower rank")
    rank: int = Field(default=100, ge=0, description="the service with the lowest rank determines the family")
    mode: Literal["visit", "stay"] = "visit"
    source: Source
    identity: dict[str, InformationSource] = Field(
        default_factory=dict, description="the fields of the device information that it contains"
    )
    points: tuple[Point, ...] = ()
    requests: tuple[RequestRule, ...] = ()

    @property
    def digits(self) -> str:
        """The four digits of its uuid."""
        return self.uuid[4:8]


def standard_services() -> Mapping[str, StandardService]:
    """Return all standard services by their full uuid."""
    return _services(FOLDER)


def standard_information_sources() -> Mapping[str, InformationSource]:
    """Return the characteristic of each field of the device information, unless a profile specifies another."""
    return {name: origin for service in standard_services().values() for name, origin in service.identity.items()}


def points_of(service: str) -> list[dict[str, Any]]:
    """Return the points of this standard service, as a profile file contains them.

    Raises:
        KeyError: there is no such standard service, or it has no points.
    """
    points = standard_services()[service].points
    if not points:
        raise KeyError(service)
    return [point.model_dump(exclude_unset=True) for point in points]


def requests_of(service: str) -> list[dict[str, Any]]:
    """Return the requests of this standard service, as a profile file contains them.

    Raises:
        KeyError: there is no such standard service.
    """
    return [request.model_dump(exclude_unset=True) for request in standard_services()[service].requests]


def includable_services() -> list[str]:
    """Return the four digits of the services that a profile can include."""
    return sorted(service.digits for service in standard_services().values() if service.points)


def profile_for(services: Iterable[str]) -> Profile | None:
    """Return the profile of a device with these services (full uuids); `None` when none of them has points."""
    known = standard_services()
    digits = sorted(known[service].digits for service in set(services) & known.keys() if known[service].points)
    return _merged_profile(tuple(digits)) if digits else None


def profile_named(name: str) -> Profile | None:
    """Return the profile that `profile_for` named like this; `None` for any other name."""
    matched = NAME.fullmatch(name)
    profile = profile_for(full_uuid(digits) for digits in matched[1].split("-")[1:]) if matched else None
    return profile if profile is not None and profile.name == name else None


@lru_cache(maxsize=64)
def _merged_profile(digits: tuple[str, ...]) -> Profile:
    services = sorted((standard_services()[full_uuid(one)] for one in digits), key=lambda service: service.rank)
    titles = ", ".join(service.title for service in services)
    return Profile.model_validate(
        {
            "name": "-".join(["gatt", *digits]),
            "title": f"Bluetooth device: {titles}",
            "family": services[0].family,
            "sub_model": standard_information_sources()["model"],
            "source": {
                "document": "; ".join(service.source.document for service in services),
                "edition": "; ".join(service.source.edition for service in services),
                "section": "; ".join(service.source.section for service in services),
            },
            "connection": {"mode": "stay" if any(service.mode == "stay" for service in services) else "visit"},
            "requests": [request for service in services for request in service.requests],
            "points": list(_each_metric_once(services)),
        }
    )


def _each_metric_once(services: Iterable[StandardService]) -> Iterator[Point]:
    """Yield the points of services; of two with the same metric, such as the time of a measurement, the first.

    The headlines are those of the first service that has some: a list has no room for those of all.
    """
    metrics: set[str] = set()
    has_headlines = False
    for service in services:
        new = [point for point in service.points if point.metric not in metrics]
        metrics.update(point.metric for point in new)
        yield from map(_without_headline, new) if has_headlines else new
        has_headlines |= any(point.headline for point in new)


def _without_headline(point: Point) -> Point:
    return Point.model_validate(point.model_dump(exclude_unset=True) | {"headline": False}) if point.headline else point


@cache
def _services(folder: Path) -> Mapping[str, StandardService]:
    services = (_load_service(file) for file in sorted(folder.glob("*.toml")))
    return {service.uuid: service for service in services}


def _load_service(file: Path) -> StandardService:
    """Return the service of this file. A device may lack its points, since most of them are optional in the standard."""
    written = tomllib.loads(file.read_text(encoding="utf-8"))
    service = {"service": written["uuid"]}
    written["identity"] = {
        name: {**service, "characteristic": characteristic} for name, characteristic in written.pop("identity", {}).items()
    }
    written["requests"] = [{**service, **request} for request in written.pop("requests", [])]
    written["points"] = [{**service, "optional": True, **point} for point in written.pop("points", [])]
    place_by_requests(((("points", index), point) for index, point in enumerate(written["points"])), written["requests"])
    try:
        return StandardService.model_validate(written)
    except ValidationError as error:
        raise ValueError(f"{file}: {error}") from error
