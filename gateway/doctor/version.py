"""Say whether the cloud offers a newer version of the gateway than the one that is installed, as its store has it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from gateway import __version__
from gateway.device_files import is_in_container
from gateway.doctor.check_runner import in_daemon_thread
from gateway.doctor.disk import store_path, stored_gateway
from gateway.doctor.known_config import KnownConfig
from gateway.errors import StoreError
from gateway.models import Finding
from gateway.state.firmware_jobs import read_offer
from gateway.state.store import read_store
from gateway.status.snapshot import THE_CLOUD, UPDATE_STEPS, UpdateWay

Version = tuple[int, int, int]

_RELEASE: Final = re.compile(r"v?(\d{1,6})\.(\d{1,6})(?:\.(\d{1,6}))?")


def release_of(text: object) -> Version | None:
    """Return the version in a text such as `v1.2.3`; `None` for a preliminary one, and for anything else."""
    match = _RELEASE.fullmatch(text.strip()) if isinstance(text, str) else None
    return None if match is None else (int(match[1]), int(match[2]), int(match[3] or 0))


def update_way(*, has_hook: bool, is_of_cloud: bool) -> UpdateWay:
    """Return how a newer version is installed on this machine."""
    if has_hook and is_of_cloud:
        return UpdateWay.COMMAND
    return UpdateWay.CONTAINER if is_in_container() else UpdateWay.BY_HAND


async def version_findings(known: KnownConfig) -> AsyncIterator[Finding]:
    """Yield that the cloud offers a newer version, if it does; nobody is asked for it."""
    path = store_path(known)
    offered = None if path is None else await in_daemon_thread(lambda: _offered(path))
    newer, own = release_of(offered), release_of(__version__)
    if newer is not None and own is not None and newer > own:
        has_hook = known.settings is not None and known.settings.gateway.firmware_hook is not None
        steps = UPDATE_STEPS[update_way(has_hook=has_hook, is_of_cloud=True)]
        yield Finding.warning("version", f"{__version__} is installed, and {THE_CLOUD} offers {offered}", steps)


def _offered(path: Path) -> str | None:
    """Return the version that the cloud offered the gateway last; `None` for none, or where the store cannot be read."""
    record = stored_gateway(path)
    if record is None or record.credentials is None:
        return None
    device_id = record.credentials.device_id
    try:
        offer = read_store(path, lambda db: read_offer(db, device_id))
    except (StoreError, OSError):  # the finding on the store reports this
        return None
    return None if offer is None else offer.version
