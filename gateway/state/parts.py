"""Group the parts of the state: everything that survives a restart, on one store."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from gateway.state.adapter_memory import AdapterMemory
from gateway.state.cloud_records import CloudRecords
from gateway.state.command_ledger import CommandLedger
from gateway.state.configurations import Configurations
from gateway.state.events import EventQueue
from gateway.state.firmware_jobs import FirmwareJobs, FirmwareOffers
from gateway.state.flash_ledger import FlashLedger
from gateway.state.history.history_file import HistoryFile
from gateway.state.history.reported import recording_licences, recording_outcomes, recording_reports, recording_starts
from gateway.state.history.runs import Runs
from gateway.state.history.timeline import Timeline
from gateway.state.incidents import Incidents
from gateway.state.licences import LicenceKeeper
from gateway.state.original_settings import OriginalSettings
from gateway.state.outbox import KEEP_FOR, MOST_BYTES, Outbox
from gateway.state.point_maps import PointMaps
from gateway.state.recovery.hardware_question import HardwareMemory
from gateway.state.recovery.identity_mirror import IdentityMirror
from gateway.state.recovery.recoveries import Recoveries
from gateway.state.registry import Registry
from gateway.state.store import Store
from gateway.state.wall_clock import WallClock


@dataclass(frozen=True, slots=True, kw_only=True)
class StateParts:
    """What survives a restart."""

    store: Store
    clock: WallClock
    registry: Registry
    outbox: Outbox
    ledger: CommandLedger
    adapter_memory: AdapterMemory
    original_settings: OriginalSettings
    point_maps: PointMaps
    events: EventQueue
    incidents: Incidents
    configurations: Configurations
    licences: LicenceKeeper
    cloud_records: CloudRecords
    firmware_jobs: FirmwareJobs
    firmware_offers: FirmwareOffers
    recoveries: Recoveries
    mirror: IdentityMirror
    hardware: HardwareMemory
    flash: FlashLedger
    history: HistoryFile
    """Opened by whoever runs the gateway; without that, its parts work in memory."""
    timeline: Timeline
    runs: Runs

    @classmethod
    def on(
        cls,
        store: Store,
        *,
        most_samples: int,
        most_bytes: int = MOST_BYTES,
        keep_for: timedelta = KEEP_FOR,
        min_free_bytes: int = 0,
        has_incidents: bool = True,
        clock: WallClock | None = None,
        history_bytes: int = 0,
    ) -> Self:
        """Return the parts on an open store; `load` reads what is in it. The bounds are those of `Outbox` and `HistoryFile`."""
        registry = Registry(store)
        clock = WallClock() if clock is None else clock
        history = HistoryFile(
            store.path,
            most_bytes=history_bytes,
            tell=lambda text: events.report(None, "history_set_aside", "gateway", text),
        )
        timeline = Timeline(history, find_device=registry.device_of, now=clock.now_or_shown)
        events = EventQueue(store, now=clock.now_or_shown, also=recording_reports(timeline))
        return cls(
            store=store,
            clock=clock,
            registry=registry,
            outbox=Outbox(
                store,
                most_samples=most_samples,
                most_bytes=most_bytes,
                keep_for=keep_for,
                min_free_bytes=min_free_bytes,
                clock=clock,
            ),
            ledger=CommandLedger(store, on_start=recording_starts(timeline), on_end=recording_outcomes(timeline)),
            adapter_memory=AdapterMemory(store),
            original_settings=OriginalSettings(store),
            point_maps=PointMaps(store),
            events=events,
            incidents=Incidents(store, are_wanted=has_incidents),
            configurations=Configurations(store),
            licences=LicenceKeeper(store, on_change=recording_licences(timeline)),
            cloud_records=CloudRecords(store),
            firmware_jobs=FirmwareJobs(store),
            firmware_offers=FirmwareOffers(store),
            recoveries=Recoveries(store),
            mirror=IdentityMirror(store, registry),
            hardware=HardwareMemory(store),
            flash=FlashLedger(store),
            history=history,
            timeline=timeline,
            runs=Runs(history, timeline, clock),
        )

    async def load(self) -> None:
        """Read what an earlier run left."""
        await self.registry.load()
        await self.recoveries.load()
        await self.hardware.load()
        await self.flash.load()
        await self.outbox.load()
        await self.adapter_memory.load()
        await self.licences.load()
        await self.cloud_records.load()
        await self.configurations.load()
        await self.original_settings.load()
        await self.point_maps.load()
