"""A gateway that is only shown: whatever a test or the preview puts into it."""

from __future__ import annotations

import importlib.util
from datetime import UTC, datetime, timedelta
from math import sin
from pathlib import Path
from random import Random

from gateway.causes import Cause, Reason
from gateway.models import Confidence, Finding, Metric, Reach, Reading
from gateway.state.child_states import ChildState
from gateway.state.records import Decision
from gateway.status.cloud_activity import (
    CloudActivity,
    CommandState,
    CommandSummary,
    ConfigurationSummary,
    IncidentSummary,
    LicenceSummary,
    ModelFileSummary,
    SettingSummary,
)
from gateway.status.history import History
from gateway.status.model import encode_id
from gateway.status.retry_view import TryOutcome
from gateway.status.snapshot import (
    BusSummary,
    ChildDetails,
    ChildStatus,
    ChildSummary,
    DeviceLoad,
    DiscoveryProgress,
    DrainSummary,
    GatewaySummary,
    HubContact,
    LossSummary,
    OutboxSummary,
    RefusalSummary,
    Snapshot,
    WaitingDevice,
    child_status,
    count_by_status,
)
from gateway.status.update_intervals import UNKNOWN_INTERVALS

_notifications_spec = importlib.util.spec_from_file_location(
    "fake_notifications", Path(__file__).with_name("fake_notifications.py")
)
fake_notifications = importlib.util.module_from_spec(_notifications_spec)
_notifications_spec.loader.exec_module(fake_notifications)
_maintenance_spec = importlib.util.spec_from_file_location("fake_maintenance", Path(__file__).with_name("fake_maintenance.py"))
fake_maintenance = importlib.util.module_from_spec(_maintenance_spec)
_maintenance_spec.loader.exec_module(fake_maintenance)
_configuration_spec = importlib.util.spec_from_file_location(
    "fake_configuration", Path(__file__).with_name("fake_configuration.py")
)
fake_configuration = importlib.util.module_from_spec(_configuration_spec)
_configuration_spec.loader.exec_module(fake_configuration)
_logs_spec = importlib.util.spec_from_file_location("fake_logs", Path(__file__).with_name("fake_logs.py"))
fake_logs = importlib.util.module_from_spec(_logs_spec)
_logs_spec.loader.exec_module(fake_logs)
_buses_spec = importlib.util.spec_from_file_location("fake_buses", Path(__file__).with_name("fake_buses.py"))
fake_buses = importlib.util.module_from_spec(_buses_spec)
_buses_spec.loader.exec_module(fake_buses)
_spec = importlib.util.spec_from_file_location("fake_device_actions", Path(__file__).with_name("fake_device_actions.py"))
fake_device_actions = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(fake_device_actions)

NO_ANSWER = "no answer within 1.0 s"


def now():
    return datetime.now(UTC)


class FakeKeyChange:
    def refusal(self):
        return "It is registered."

    async def change(self, entered):
        return self.refusal()


class FakeView:
    def __init__(self):
        self.history = History()
        self.logs = fake_logs.FakeLogs()
        self.notifications = fake_notifications.FakeNotifications()
        self.maintenance = fake_maintenance.FakeMaintenance()
        self.restores = fake_maintenance.FakeRestores()
        self.configuration = fake_configuration.FakeConfiguration()
        self.device_actions = fake_device_actions.fake_device_actions(self)
        self.key_change = FakeKeyChange()
        self.gateway = GatewaySummary(
            name="Plant room north",
            version="0.4.0",
            started_at=now() - timedelta(hours=5),
            serial_number="GW-4711",
            is_registered=True,
            is_claimed=True,
            device_id="0b6f2c1e-90aa-4a51-9c40-5c2f6f0f1b77",
            hub=HubContact(is_reachable=True, since=now() - timedelta(hours=5)),
        )
        self.outbox = OutboxSummary(depth=12, capacity=200_000, oldest_at=now() - timedelta(seconds=9))
        self.cloud = CloudActivity()
        self.buses = {}
        self.children = {}
        self.waiting = {}
        self.intervals = {}
        self.cannot_store = None
        self.timeline = []
        self.done = []
        self.outcomes = []
        self.asked = 0
        self.examined = 0
        self.findings = [
            Finding.fine("disk", "12.4 GB (41 %) free at /var/lib/xyte-gateway"),
            Finding.fault(
                "line: port /dev/ttyUSB0",
                "belongs to the group dialout, which the user xyte is not in",
                "sudo usermod -aG dialout xyte, then log in again",
            ),
            Finding.warning("config file", "every user may read it (mode 0644)", "chmod 600 gateway.toml"),
            Finding.not_looked_at("hub", "the entry server names it when the gateway registers"),
        ]

    # what it is made of ---------------------------------------------------------------------------------------------

    def add_bus(self, bus, entry="modbus", **shown):
        shown = {
            "plan": 0.31,
            "limit": 0.7,
            "load": {"reading": 0.27, "silent": 0.04, "discovery": 0.02, "commands": 0.0},
        } | shown
        self.buses[bus] = BusSummary(id=encode_id(entry, bus), entry=entry, bus=bus, **shown)
        return self.buses[bus]

    def add_child(
        self, name, bus, *, key=None, address="1", reach=Reach.REACHABLE, state=ChildState.REGISTERED, why=None, **shown
    ):
        key = key if key is not None else f"sn:acme/{name}"
        standing = child_status(state, reach)
        line = ChildSummary(
            id=encode_id(key),
            key=key,
            name=name,
            found_as=shown.pop("found_as", None),
            entry=self.buses[bus].entry,
            bus=bus,
            bus_id=self.buses[bus].id,
            address=address,
            kind=shown.pop("kind", "Acme EM340"),
            family=shown.get("family", "power-meter"),
            serial_number=shown.get("serial_number", "4711"),
            standing=standing,
            since=now() - timedelta(minutes=44),
            why=why,
            cause=_cause(why) if standing is ChildStatus.SILENT else None,
            next_try_at=now() + timedelta(seconds=42) if standing is ChildStatus.SILENT else None,
        )
        shown = {
            "identity_kind": "serial number",
            "evidence": {"device identification": "Acme EM340 2.11"},
            "manufacturer": "Acme",
            "model": "EM340",
            "serial_number": "4711",
            "firmware_version": "2.11",
            "profile": "acme-em340",
            "family": "power-meter",
            "model_id": "c2d1e0ff-0a0b-4c0d-8e0f-112233445566",
            "sub_model": "3-phase",
            "device_id": "5d0c1f0e-2222-4444-8888-aaaabbbbcccc",
            "registration": state,
            "registered_since": now() - timedelta(days=12),
            "reach": reach,
            "load": 0.021,
        } | shown
        self.children[key] = ChildDetails(line=line, **shown)
        return self.children[key]

    def add_waiting(self, name, bus, *, key=None, **shown):
        key = key if key is not None else f"mac:{name}"
        entry = self.buses[bus].entry
        shown = {
            "address": "c4:7c:8d:6a:11:02",
            "found_at": now() - timedelta(minutes=3),
            "why": "waits for a person",
            "profile": None,
            "confidence": Confidence.LIKELY,
        } | shown
        self.waiting[key] = WaitingDevice(id=encode_id(key), key=key, name=name, entry=entry, bus=bus, **shown)
        return self.waiting[key]

    def silence(self, key, why=NO_ANSWER):
        self._reach(key, Reach.SILENT, why)

    def revive(self, key):
        self._reach(key, Reach.REACHABLE, None)

    def _reach(self, key, reach, why):
        child = self.children[key]
        line = child.line.model_copy(
            update={
                "standing": child_status(child.registration, reach),
                "since": now(),
                "why": why,
                "cause": _cause(why),
                "next_try_at": now() + timedelta(seconds=30) if why else None,
            }
        )
        self.children[key] = child.model_copy(update={"reach": reach, "line": line})
        self.history.changed(key, reach, now(), why)

    # what the page asks ---------------------------------------------------------------------------------------------

    async def snapshot(self):
        self.asked += 1
        lines = tuple(child.line for child in self.children.values())
        of_bus = {}
        for line in lines:
            of_bus.setdefault(line.bus_id, []).append(line)
        buses = [bus.model_copy(update={"standings": count_by_status(of_bus.get(bus.id, ()))}) for bus in self.buses.values()]
        return Snapshot(
            at=now(),
            gateway=self.gateway,
            outbox=self.outbox,
            buses=tuple(buses),
            children=lines,
            waiting=tuple(self.waiting.values()),
            cloud=self.cloud,
        )

    def child(self, key):
        return self.children.get(key)

    def device_loads(self, entry, bus):
        return {key: one.load for key, one in self.children.items() if (one.line.entry, one.line.bus) == (entry, bus)}

    def update_intervals(self, key):
        return self.intervals.get(key, UNKNOWN_INTERVALS)

    def bus_details(self, entry, bus):
        return fake_buses.details(self, entry, bus)

    async def examine(self):
        self.examined += 1
        return self.findings

    async def events(self, wanted, *, most):
        found = [one for one in self.timeline if wanted.holds_for(one)]
        is_forward = wanted.after is not None and wanted.before is None
        return sorted(found, key=lambda one: one.seq, reverse=not is_forward)[:most]

    async def store_problem(self):
        return self.cannot_store

    async def admit(self, key):
        if (device := self.waiting.get(key)) is None:
            return "there is no such device (any more)"
        if device.model_id is None:
            return (
                f'{device.name} is not admitted: no Xyte model for it; add to [models]: "*" = <model id from the Partner Portal>'
            )
        del self.waiting[key]
        self.add_child(device.name, device.bus, key=key, address=device.address)
        self.done.append(("admit", key))
        return None

    async def ignore(self, key):
        if key not in self.waiting:
            return "there is no such device (any more)"
        self.waiting[key] = self.waiting[key].model_copy(update={"decision": Decision.IGNORE})
        self.done.append(("ignore", key))
        return None

    async def rename(self, key, name):
        if (device := self.waiting.get(key)) is not None:
            self.waiting[key] = device.model_copy(update=_called(device, name))
        elif (child := self.children.get(key)) is not None:
            self.children[key] = child.model_copy(update={"line": child.line.model_copy(update=_called(child.line, name))})
        else:
            return "there is no such device (any more)"
        self.done.append(("rename", key, name))
        return None

    async def decide_identity(self, decision):
        self.done.append(("identity", decision))
        return

    async def try_cloud(self):
        return self._tried("cloud")

    async def try_bus(self, entry, bus):
        return self._tried("bus", entry, bus)

    async def try_child(self, key):
        return self._tried("child", key)

    def _tried(self, *what):
        self.done.append(("try", *what))
        return self.outcomes.pop(0) if self.outcomes else TryOutcome(works=False, text="it still refuses the connection")

    async def rescan(self, entry, bus):
        self.done.append(("rescan", entry, bus))
        return None if self.buses[bus].problem is None else f"{bus} is not open: {self.buses[bus].problem}"


def _cause(why):
    if why is None:
        return None
    return Cause.NO_ANSWER if why.startswith("no answer") else Cause.OUT_OF_RANGE if "not heard" in why else Cause.UNKNOWN


def _called(shown, name):
    found_as = shown.found_as or shown.name
    return {"name": found_as, "found_as": None} if name is None else {"name": name, "found_as": found_as}


def show_cloud_activity():
    """A command of each outcome, an incident of the gateway and one of a child, and a licence."""
    meter = {"child_id": encode_id("sn:acme/Meter 1"), "device": "Meter 1"}
    own = {"child_id": None, "device": "the gateway"}
    ended = {"received_at": now() - timedelta(minutes=4), "ended_at": now() - timedelta(minutes=3), "is_reported": True}
    return CloudActivity(
        claimed_by="Example Ltd",
        space="Room 12, Vienna",
        is_in_maintenance=True,
        commands=(
            CommandSummary(
                **meter,
                name="set_limit",
                parameters={"limit": "20", "pin": "********"},
                state=CommandState.RUNNING,
                received_at=now(),
                is_reported=False,
            ),
            CommandSummary(**own, name="rescan", state=CommandState.WAITING, received_at=now(), is_reported=False),
            CommandSummary(
                **meter,
                name="set_limit",
                parameters={"limit": "18"},
                state=CommandState.DONE,
                message="limit is 18.0 A",
                before={"limit": 16.0},
                after={"limit": 18.0},
                **ended,
            ),
            CommandSummary(
                **meter, name="reset_energy", state=CommandState.UNKNOWN, message="acted, outcome unknown: no answer", **ended
            ),
            CommandSummary(
                **own,
                name="reboot",
                state=CommandState.FAILED,
                message="nothing would start it again",
                **{**ended, "is_reported": False},
            ),
        ),
        incidents=(
            IncidentSummary(**own, title="bus lost", what_to_do="Look at the cable of 10.20.30.41:502.", priority=2),
            IncidentSummary(**meter, title="silent", what_to_do="Look at its power supply.", priority=3),
        ),
        licences=(
            LicenceSummary(**meter, licence="L-1", state="in use", expires_at=now() + timedelta(days=30), is_reported=True),
            LicenceSummary(**meter, licence="L-2", state="error", problem="the signature is wrong", is_reported=False),
        ),
        configurations=(
            ConfigurationSummary(
                **own, version=3, is_confirmed=True, tried_version=4, changes=("adapter.line.timeout: 0.5 becomes 0.2",)
            ),
            ConfigurationSummary(
                **meter,
                version=1,
                is_confirmed=False,
                problem="version 2: since it was applied, Meter 1 does not answer",
            ),
        ),
        settings=(
            SettingSummary(key="cloud.telemetry_every", value="30", origin="default"),
            SettingSummary(key="adapter.line.timeout", value="0.5", origin="cloud"),
        ),
        files=(ModelFileSummary(name="gw firmware", file_type="firmware", version="2.5.0", notes="fixes"),),
    )


def show_plant(*, children=9):
    """A plant with something of everything, and an hour of history."""
    view, random = FakeView(), Random(4711)
    fake_logs.fill_log(view.logs)
    view.cloud = show_cloud_activity()
    view.add_bus(
        "/dev/serial/by-id/usb-FTDI_RS485-if00",
        "line",
        stretch=1.3,
        refused={"implausible time": 3, "unusable value": 12},
        plan=0.91,
        load={"reading": 0.66, "silent": 0.05, "discovery": 0.0, "commands": 0.01},
        heaviest=(DeviceLoad(name="Chiller 2", load=0.4), DeviceLoad(name="Meter 1", load=0.06)),
        discovery=DiscoveryProgress(done=31, total=247, note="unit 31"),
    )
    view.add_bus("10.20.30.40:502", "meters")
    view.add_bus("hci0", "ble", plan=0.0, load={"reading": 0.02, "silent": 0.0, "discovery": 0.0, "commands": 0.0})
    view.add_bus(
        "10.20.30.41:502",
        "meters",
        problem="connection refused: nothing listens on port 502 there",
        cause=Cause.HOST_REFUSES,
        since=now() - timedelta(minutes=25),
        tried_at=now() - timedelta(seconds=20),
        tries=31,
        next_try_at=now() + timedelta(seconds=35),
        load={},
        plan=0.2,
    )
    names = [*view.buses][:3]
    for number in range(1, children + 1):
        view.add_child(f"Meter {number}", names[number % 3], address=str(number))
    view.add_child(
        "Chiller 2",
        names[0],
        reach=Reach.SILENT,
        why=NO_ANSWER,
        address="17",
        kind="York YVAA",
        remarks=("Input registers 40 to 59 are refused by this firmware; they are left out.",),
        is_slow=True,
    )
    view.add_child(
        "Roof sensor",
        "hci0",
        reach=Reach.SILENT,
        why="not heard for 95 s; it usually speaks every 9 s",
        address="c4:7c:8d:6a:11:01",
        kind="Ruuvi RuuviTag",
    )
    view.add_child(
        "Pump 3", names[1], state=ChildState.REFUSED, why="the cloud refused it: model not found", address="3", kind=None
    )
    view.add_waiting(
        "LYWSD03MMC 6A11",
        "hci0",
        profile="xiaomi-lywsd03mmc",
        family="thermometer",
        model_id="9a8b7c6d-0000-4000-8000-abcdefabcdef",
        says={"temperature": "21.5 °C"},
        evidence={"service data 181a": "a4c138"},
    )
    view.add_waiting(
        "unit 44",
        "10.20.30.40:502",
        why="no profile fits; write one, name one in the adapter's settings, or set [admission] policy to all",
        confidence=Confidence.POSSIBLE,
    )
    view.add_waiting("Neighbour's watch", "hci0", decision=Decision.IGNORE, why="ignored by an operator")
    for key in view.children:
        fill_hour(view.history, key, random)
    view.history.changed("sn:acme/Chiller 2", Reach.REACHABLE, now() - timedelta(minutes=90), None)
    view.history.changed("sn:acme/Chiller 2", Reach.SILENT, now() - timedelta(minutes=44), NO_ANSWER)
    view.history.missed("sn:acme/Chiller 2", Reason(NO_ANSWER, Cause.NO_ANSWER))
    view.outbox = OutboxSummary(
        depth=18_204,
        capacity=200_000,
        oldest_at=now() - timedelta(minutes=51),
        lost=40,
        size_bytes=3_000_000,
        capacity_bytes=64_000_000,
        bytes_a_day=6_652_174,
        holds_seconds=792_000,
        drain=DrainSummary(since=now() - timedelta(minutes=4), sent=96_000, left=18_204, seconds_left=1500),
        refused=RefusalSummary(samples=3, children=2, why="HTTP 503 <from> upstream"),
        losses=(LossSummary(why="the outbox was full: thinned", samples=40, children=3, first_at=now(), last_at=now()),),
    )
    return view


METRICS = (
    Metric("active_power", "W"),
    Metric("voltage_l1", "V"),
    Metric("energy_total", "kWh"),
    Metric("relay"),
    Metric("state"),
)


def fill_hour(history, key, random, *, every=10):
    start = now() - timedelta(hours=1)
    for step in range(0, 3600, every):
        at = start + timedelta(seconds=step)
        values = (
            900 + 400 * sin(step / 400) + random.uniform(-60, 60),
            230 + random.uniform(-1, 1),
            184_223.4 + step / 3600,
            step % 900 < 450,
            "running",
        )
        history.take([Reading(key, metric, value, at) for metric, value in zip(METRICS, values, strict=True)])
