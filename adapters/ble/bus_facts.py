"""Say which Bluetooth controller is used and how, each fact with where it comes from. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from adapters.ble.settings import BleSettings
from gateway.adapter import BusFact, FactSource, seconds_text


def facts_of(controller: str | None, settings: BleSettings, *, used_slots: int, must_scan_actively: bool) -> Sequence[BusFact]:
    """Return the facts about a radio.

    Args:
        controller: its name, `None` for the first that is powered.
        settings: those of its entry.
        used_slots: the number of connections that are open.
        must_scan_actively: it was to scan passively, and that does not work.
    """
    given = settings.model_fields_set
    scanning = BusFact("scanning", settings.scanning, _source(is_set="scanning" in given))
    return [
        BusFact("controller", controller or "the first that is powered", _source(is_set=controller is not None)),
        BusFact("scanning", "active", FactSource.FOUND) if must_scan_actively else scanning,
        BusFact("scan_time", seconds_text(settings.scan_time.total_seconds()), _source(is_set="scan_time" in given)),
        BusFact("connections", f"{used_slots} of {settings.connections} in use", _source(is_set="connections" in given)),
    ]


def _source(*, is_set: bool) -> FactSource:
    return FactSource.CONFIGURED if is_set else FactSource.USUAL
