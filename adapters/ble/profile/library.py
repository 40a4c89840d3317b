"""Load the profile files of the Bluetooth adapter, and add the points of standard services to them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from adapters.ble.advertisements.advertisement import full_uuid
from adapters.ble.profile.profile import Profile
from adapters.ble.profile.requests import place_by_requests
from adapters.ble.profile.standard_services import includable_services, points_of, requests_of
from gateway.adapter import Mistake, ProfileFiles, apply_defaults


def _complete(content: dict[str, object]) -> None:
    """Apply `[defaults]` to each point, and add the points of the standard services after the profile's own."""
    apply_defaults(content)
    own = content["points"]
    if isinstance(own, list):
        own.extend([again for point in own for again in _repetitions(point)])
        place_by_requests(_tables_with_requests(content), content.get("requests"))
        content["points"] = [*own, *_included_points(content.get("services"), own)]
        _include_requests(content)


def _repetitions(point: object) -> Iterator[dict[str, object]]:
    """Name a point that repeats `x_1`, and yield `x_2` and so on, each with its own place and its own flag."""
    repeats = point.pop("repeats", None) if isinstance(point, dict) else None
    if not isinstance(point, dict) or repeats is None:
        return
    if not (isinstance(repeats, list) and len(repeats) == 2 and all(isinstance(one, int) and 1 <= one <= 64 for one in repeats)):
        point["repeats"] = repeats  # refused by the check of the point, at its place
        return
    metric, at, flags = point.get("metric"), point.get("at", 0), point.get("flags")
    point["metric"] = f"{metric}_1"
    for number in range(1, repeats[0]):
        again = point | {"metric": f"{metric}_{number + 1}"}
        again |= {"at": at + number * repeats[1]} if isinstance(at, int) else {}
        again |= {"title": f"{point['title']} {number + 1}"} if isinstance(point.get("title"), str) else {}
        if isinstance(flags, dict):
            again["flags"] = flags | {
                key: flags[key] + number for key in ("present", "at_least") if isinstance(flags.get(key), int)
            }
        yield again
    if isinstance(point.get("title"), str):
        point["title"] = f"{point['title']} 1"


def _tables_with_requests(content: dict[str, object]) -> Iterator[tuple[tuple[str | int, ...], dict[str, object]]]:
    """Yield the points and the sources of the identity, each with the keys that lead there."""
    points, identity = content.get("points"), content.get("identity")
    for index, point in enumerate(points if isinstance(points, list) else []):
        if isinstance(point, dict):
            yield ("points", index), point
    for name, source in (identity if isinstance(identity, dict) else {}).items():
        if isinstance(source, dict):
            yield ("identity", name), source


def _include_requests(content: dict[str, object]) -> None:
    """Add the requests of the standard services behind those of the profile."""
    own, services = content.get("requests", []), content.get("services")
    if isinstance(own, list) and isinstance(services, list):
        content["requests"] = [*own, *(request for service in services for request in requests_of(full_uuid(str(service))))]


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
