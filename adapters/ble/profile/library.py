"""Name the profile files of the Bluetooth adapter, and add the points of standard services to them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from adapters.ble.advertisements.advertisement import full_uuid
from adapters.ble.profile.profile import Profile
from adapters.ble.profile.standard_services import measuring, points_of
from gateway.adapter import Mistake, ProfileFiles, apply_defaults


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


PROFILE_FILES = ProfileFiles(Profile, _complete, folder=Path(__file__).parents[1] / "profiles")
"""Keys of `[defaults]` apply to each point that does not set them itself. The points of standard services that a profile names
follow its own points; a metric that the profile defines itself is not added again."""
