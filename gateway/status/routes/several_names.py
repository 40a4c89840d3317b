"""Name the devices that something is done with together. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from gateway.status.languages.texts import gettext_noop
from gateway.status.model import decode_id
from gateway.status.snapshot import ChildSummary, Snapshot, WaitingDevice

GONE: Final = gettext_noop("there is no such device (any more)")


def names_in(snapshot: Snapshot, kind: str | None = None) -> dict[str, str]:
    """Return the name of each device by its key: of the `children`, of those that are `waiting`, or of both."""
    devices: Sequence[ChildSummary | WaitingDevice] = (
        *(snapshot.children if kind != "waiting" else ()),
        *(snapshot.waiting if kind != "children" else ()),
    )
    return {one.key: one.name.strip() or one.key for one in devices}


def keys_of(ids: Sequence[str], names: Mapping[str, str]) -> dict[str, str | None]:
    """Return the key of each id, each id once and in this order; `None` where there is no such device (any more)."""
    keys = {word: next(iter(decode_id(word)), "") for word in ids}
    return {word: key if key in names else None for word, key in keys.items()}
