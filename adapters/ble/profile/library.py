"""Profile files to profiles: ours, and those of an integrator."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from adapters.ble.advertisements.advertisement import full_uuid
from adapters.ble.profile.profile import Profile
from adapters.ble.profile.standard_services import measuring, points_of
from gateway.adapter import Mistake, ProfileError, ProfileFiles, apply_defaults

__all__ = ["OURS", "ProfileError", "load", "parse", "read"]

OURS = Path(__file__).parents[1] / "profiles"
"""The folder of the profiles that come with the gateway."""


def _complete(content: dict[str, object]) -> None:
    """Let `[defaults]` count for each point, and add the points of the standard services after the profile's own."""
    apply_defaults(content)
    own = content["points"]
    if isinstance(own, list):
        content["points"] = [*own, *_included(content.get("services"), own)]


def _included(services: object, own: list[object]) -> Iterator[object]:
    """Yield the points of the standard services that the profile does not have itself; what is no list is told by the grammar."""
    said = {point.get("metric") for point in own if isinstance(point, dict)}
    for service in services if isinstance(services, list) else []:
        try:
            points = points_of(full_uuid(str(service)))
        except (KeyError, ValueError):
            known = ", ".join(measuring())
            told = f"services: {service!r} is no standard service that we know; there are {known}"
            raise Mistake(("services",), told) from None
        yield from (point for point in points if point["metric"] not in said)


_FILES = ProfileFiles(Profile, _complete)

parse = _FILES.parse
"""Return the profile in a text. Keys of `[defaults]` count for each point that does not say them itself; the points of the
standard services that it names come after its own, and one of the same name is left to the profile."""

read = _FILES.read
"""Return the profile in a file."""

load = _FILES.load
"""Return all profiles of these folders by name; one of a later folder replaces its namesake."""
