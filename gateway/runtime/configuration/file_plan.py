"""Say what a new text of the configuration file would change: each value, when it counts, and what it means for devices."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import BaseModel

from gateway import strict_json
from gateway.adapter_settings import AdapterSettings
from gateway.command_secrets import mask_by_name
from gateway.config.cloud_overlay import as_json
from gateway.config.mistakes import dotted
from gateway.config.settings import Configuration, StatusSection
from gateway.runtime.configuration.live_part import changed_settings, is_live
from gateway.status.configuration_view import Effect, PlannedPart

SHOWN_LENGTH: Final = 120
SHOWN_NAMES: Final = 5
MOST_PARTS: Final = 500

_PAGE_KEYS: Final = frozenset({"enabled", "host", "port", "certificate", "key"})


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldNow:
    """What runs right now."""

    buses: Mapping[tuple[str, str], Sequence[str]] = field(default_factory=dict)
    """The names of the devices of each bus, by entry and label."""


def planned_parts(
    old: Configuration, new: Configuration, now: FieldNow, labels: Mapping[str, Collection[str]]
) -> list[PlannedPart]:
    """Return each value that differs.

    Args:
        old: the configuration in effect, without that of the cloud.
        new: the one that would be.
        now: what runs.
        labels: the labels of the buses that each changed entry would have, by its name; those of others are not asked for.
    """
    parts = [
        PlannedPart(
            key=dotted(place),
            before=_shown(place[-1], before),
            after=_shown(place[-1], after),
            effect=Effect.AT_ONCE if is_live(place) else Effect.RESTART,
            note=_note(place),
        )
        for place, before, after in changed_settings(old, new)
    ]
    return [*parts, *_entry_parts(old.entries, new.entries, now, labels)][:MOST_PARTS]


def changed_entries(old: Configuration, new: Configuration) -> list[AdapterSettings]:
    """Return the entries that are new or differ."""
    before = {entry.entry: entry for entry in old.entries}
    return [entry for entry in new.entries if before.get(entry.entry) != entry]


def plan_warnings(old: Configuration, new: Configuration, address: str) -> Iterator[str]:
    """Yield what a person should know before the new configuration is saved.

    Args:
        old: the configuration in effect.
        new: the one that would be.
        address: the address of the page as it is served now; empty where it is not.
    """
    before, after = old.settings.status, new.settings.status
    if before.enabled and not after.enabled:
        yield (
            "This page is closed when the gateway restarts: `enabled` in [status] is false. Then only the file itself opens it"
            " again."
        )
    elif any(getattr(before, key) != getattr(after, key) for key in _PAGE_KEYS):
        yield f"This page moves when the gateway restarts: from {address or address_of(before)} to {address_of(after)}."
    if old.settings.store.path != new.settings.store.path:
        yield (
            "The store is another file: its devices, its registration and what waits for the cloud are not in the new one. The"
            " tokens of this page are beside it, too: where there are none, a new one is made and shown in the log."
        )
    if old.entries and not new.entries:
        yield "No bus is left: the gateway reads no device any more."


def moves_to(old: Configuration, new: Configuration) -> str:
    """Return the address to which the page moves with a restart; empty where it stays, is closed or takes any free port."""
    before, after = old.settings.status, new.settings.status
    if not after.enabled or not after.port or url_of(before) == url_of(after):
        return ""
    return url_of(after)


def url_of(status: StatusSection) -> str:
    """Return where the page listens under these settings, as an URL."""
    host = f"[{status.host}]" if ":" in status.host else status.host
    return f"{'http' if status.certificate is None else 'https'}://{host}:{status.port}"


def address_of(status: StatusSection) -> str:
    """Return the address of the page under these settings, in words."""
    place = f"port {status.port} of every address of this machine" if status.host in ("0.0.0.0", "::") else ""  # noqa: S104 - a name
    return place or url_of(status)


def _note(place: tuple[str, ...]) -> str:
    if place[0] == "models":
        return "Children keep the model with which they were registered."
    return ""


def _entry_parts(
    old: Sequence[AdapterSettings], new: Sequence[AdapterSettings], now: FieldNow, labels: Mapping[str, Collection[str]]
) -> Iterator[PlannedPart]:
    before, after = ({entry.entry: entry for entry in entries} for entries in (old, new))
    for name in dict.fromkeys([*before, *after]):
        live = {bus: devices for (entry, bus), devices in now.buses.items() if entry == name}
        if name not in after:
            yield PlannedPart(
                key=f"adapter.{name}",
                before=before[name].type,
                after="",
                effect=Effect.REOPENS,
                note=_gone(live) or "It has no bus.",
            )
        elif name not in before:
            buses = _listed(labels.get(name, ()))
            note = f"Opened and searched for devices: {buses}." if buses else "None of its buses is there right now."
            yield PlannedPart(key=f"adapter.{name}", before="", after=after[name].type, effect=Effect.REOPENS, note=note)
        elif before[name] != after[name]:
            note = _changed(live, labels.get(name, ()))
            for key, was, becomes in _field_changes(before[name], after[name]):
                yield PlannedPart(key=f"adapter.{name}.{key}", before=was, after=becomes, effect=Effect.REOPENS, note=note)
                note = ""  # it is the same for the whole entry


def _changed(live: Mapping[str, Sequence[str]], labels: Collection[str]) -> str:
    kept = [bus for bus in live if bus in labels]
    fresh = [bus for bus in labels if bus not in live]
    devices = sum(len(live[bus]) for bus in kept)
    notes = [
        f"Reopened: {_listed(kept)}, and {_count(devices)} {'is' if devices == 1 else 'are'} read again after some seconds."
        if kept
        else "",
        f"Opened and searched for devices: {_listed(fresh)}." if fresh else "",
        _gone({bus: devices for bus, devices in live.items() if bus not in labels}),
    ]
    return " ".join(note for note in notes if note)


def _gone(live: Mapping[str, Sequence[str]]) -> str:
    if not live:
        return ""
    names = [name for devices in live.values() for name in devices]
    if not names:
        return f"Not served any more: {_listed(live)}; there is no device on it."
    return (
        f"Not served any more: {_listed(live)}. {_count(len(names))} on it ({_listed(names)})"
        f" {'is' if len(names) == 1 else 'are'} offline from then on and stay registered, until somebody retires them."
    )


def _field_changes(old: AdapterSettings, new: AdapterSettings) -> Iterator[tuple[str, str, str]]:
    """Yield the keys of an entry that differ, with their values before and after."""
    if type(old) is not type(new):
        yield "type", old.type, new.type
        return
    for key in type(new).model_fields:
        before, after = getattr(old, key), getattr(new, key)
        if before == after:
            continue
        if isinstance(before, tuple) and isinstance(after, tuple):
            yield key, _shown_items(key, before, after), _shown_items(key, after, before)
        else:
            yield key, _shown(key, before), _shown(key, after)


def _shown_items(key: str, items: Sequence[object], others: Sequence[object]) -> str:
    """Return a list as a whole; of a long one, first the items that the other one has not, and as many more as there is room."""
    whole = ", ".join(_written(key, items))
    if len(whole) <= SHOWN_LENGTH:
        return whole
    own = _written(key, [item for item in items if item not in others])
    same = _written(key, [item for item in items if item in others])
    text = ", ".join([*own, *same])
    return f"{text[: SHOWN_LENGTH - 1]}…"


def _written(key: str, items: Sequence[object]) -> list[str]:
    """Return the items of a list as a person reads them; numbers that follow each other as `1-8`."""
    found: list[str] = []
    for first, last in _runs(items):
        found += [_shown(key, _short(first))] if last is first else [f"{first}-{last}"]
    return found


def _runs(items: Sequence[object]) -> list[tuple[object, object]]:
    """Return the first and the last of each run of whole numbers; each other item is a run of its own."""
    runs: list[tuple[object, object]] = []
    for item in items:
        if type(item) is int and runs and runs[-1][1] == item - 1:
            runs[-1] = runs[-1][0], item
        else:
            runs.append((item, item))
    return runs


def _short(item: object) -> object:
    """Return an item of a list without the keys that it leaves out."""
    return {name: getattr(item, name) for name in item.model_fields_set} if isinstance(item, BaseModel) else item


def _shown(key: str, value: object) -> str:
    """Return a value as a person reads it, without secrets."""
    if value is None:
        return ""
    plain: Any = mask_by_name({key: as_json(value)})[key]
    text = plain if isinstance(plain, str) else strict_json.dumps(plain, ensure_ascii=False, default=str)
    return text if len(text) <= SHOWN_LENGTH else f"{text[: SHOWN_LENGTH - 1]}…"


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
    return ", ".join(names[:SHOWN_NAMES]) + more


def _count(devices: int) -> str:
    return f"{devices} device{'' if devices == 1 else 's'}"
