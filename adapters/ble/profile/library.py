"""Load the profile files of the Bluetooth adapter, and add the points of standard services to them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from adapters.ble.advertisements.advertisement import full_uuid
from adapters.ble.profile.profile import Profile
from adapters.ble.profile.standard_services import includable_services, points_of
from gateway.adapter import Mistake, ProfileFiles, apply_defaults


def _complete(content: dict[str, object]) -> None:
    """Apply `[defaults]` to each point, and add the points of the standard services after the profile's own."""
    apply_defaults(content)
    own = content["points"]
    if isinstance(own, list):
        content["points"] = [*own, *_included_points(content.get("services"), own)]


def _included_points(services: object, own: list[object]) -> Iterator[object]:
    """Yield the points of the standard services that the profile does not define itself; other types are validated later."""
    metrics = [point.get("metric") for point in own if isinstance(point, dict)]
    defined = {metric for metric in metrics if isinstance(metric, str)}
    for index, service in enumerate(services if isinstance(services, list) else []):
        try:
            points = points_of(full_uuid(str(service)))
        except (KeyError, ValueError):
            known = ", ".join(includable_services())
            message = f"{service!r} is not a standard service with points; there are {known}"
            raise Mistake(("services", index), message) from None
        yield from (point for point in points if point["metric"] not in defined)
        defined.update(point["metric"] for point in points)


PROFILE_FILES = ProfileFiles(Profile, _complete, folder=Path(__file__).parents[1] / "profiles")
"""Keys of `[defaults]` apply to each point that does not set them itself. The points of standard services that a profile names
follow its own points; a metric that the profile defines itself is not added again."""
