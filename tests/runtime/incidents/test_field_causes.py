"""One cause in the field is one incident."""

from datetime import timedelta

import pytest

from gateway.causes import Cause, Reason
from gateway.models import ChildDevice
from gateway.runtime.incidents.field_causes import FieldCauses, WatchedChild
from gateway.state.incidents import Priority

BUS = ("rtu", "/dev/ttyUSB0")


def child(number, *, silent=False, bus=BUS, **known):
    return WatchedChild(
        ChildDevice(
            key=f"c{number}", adapter=bus[0], bus=bus[1], address=str(number), profile=None, family=None, model_id="m",
            sub_model=None, firmware_version=None, name=f"lamp {number}",
        ),
        silent,
        "no answer" if silent else None,
        **known,
    )  # fmt: skip


@pytest.fixture
def causes():
    return FieldCauses(silent_after=timedelta(minutes=15), bus_lost_after=timedelta(seconds=30))


def named(incidents):
    return sorted(incident.cause for incident in incidents)


def test_a_pulled_cable_is_one_incident_and_not_thirty(causes):
    children = [child(number, silent=True) for number in range(30)]
    problems = {BUS: Reason("the port does not exist: plug it in")}
    assert named(causes.current(0, problems, children)) == []
    (incident,) = causes.current(3600, problems, children)
    assert (incident.cause, incident.child, incident.priority) == ("bus_lost:rtu//dev/ttyUSB0", None, Priority.HIGH)
    assert "the port does not exist: plug it in" in incident.what_to_do
    assert "30 devices on it cannot be read: lamp 0, lamp 1, lamp 2, lamp 3, lamp 4 and 25 more" in incident.what_to_do


def test_a_bus_that_is_reopened_in_a_moment_has_no_incident(causes):
    problems = {BUS: Reason("gone")}
    assert named(causes.current(0, problems, [])) == []
    assert named(causes.current(29, problems, [])) == []
    assert named(causes.current(30, {}, [])) == []
    assert named(causes.current(40, problems, [])) == []


def test_a_silent_device_has_an_incident_of_its_own_after_the_set_time(causes):
    children = [child(1, silent=True), child(2), child(3)]
    assert named(causes.current(0, {}, children)) == []
    assert named(causes.current(899, {}, children)) == []
    (incident,) = causes.current(900, {}, children)
    assert (incident.cause, incident.child, incident.title) == ("child_silent:c1", "c1", "lamp 1 does not answer")
    assert "15 min" in incident.what_to_do
    assert "no answer" in incident.what_to_do
    assert named(causes.current(901, {}, [child(1), child(2), child(3)])) == []


def test_a_bus_that_is_lost_closes_the_incidents_of_its_silent_devices_in_favour_of_its_own(causes):
    children = [child(1, silent=True), child(2), child(3)]
    list(causes.current(0, {}, children))
    assert named(causes.current(900, {}, children)) == ["child_silent:c1"]
    assert named(causes.current(901, {BUS: Reason("gone")}, children)) == []
    assert named(causes.current(931, {BUS: Reason("gone")}, children)) == ["bus_lost:rtu//dev/ttyUSB0"]


def test_the_silence_of_a_device_counts_from_the_return_of_its_bus(causes):
    children = [child(1, silent=True), child(2), child(3)]
    list(causes.current(0, {BUS: Reason("gone")}, children))
    assert named(causes.current(1000, {}, children)) == []
    assert named(causes.current(1899, {}, children)) == []
    assert named(causes.current(1900, {}, children)) == ["child_silent:c1"]


def test_all_devices_silent_on_an_open_bus_are_one_incident(causes):
    list(causes.current(0, {}, [child(1, silent=True), child(2), child(3)]))
    (incident,) = causes.current(900, {}, [child(number, silent=True) for number in (1, 2, 3)])
    assert incident.cause == "bus_silent:rtu//dev/ttyUSB0"
    assert incident.title == "No device on the bus /dev/ttyUSB0 answers"


def test_a_silent_bus_stays_one_incident_over_a_restart_while_its_devices_are_asked_one_after_the_other(causes):
    unasked = [child(number, was_silent=True) for number in range(1, 1000)]
    assert named(causes.current(0, {}, [child(0, was_silent=True), *unasked])) == []
    first = child(0, silent=True, silent_seconds=3600.0)
    assert named(causes.current(1, {}, [first, *unasked])) == ["bus_silent:rtu//dev/ttyUSB0"]
    answering = [child(number) for number in range(1, 1000)]
    assert named(causes.current(9, {}, [first, *answering])) == ["child_silent:c0"]


def test_half_of_many_devices_silent_are_one_incident_and_a_few_are_not(causes):
    half = [child(number, silent=number < 5) for number in range(10)]
    list(causes.current(0, {}, half))
    (incident,) = causes.current(900, {}, half)
    assert incident.title == "5 of 10 devices on the bus /dev/ttyUSB0 do not answer"
    assert named(causes.current(901, {}, [child(number, silent=number < 3) for number in range(10)])) == [
        "child_silent:c0", "child_silent:c1", "child_silent:c2",
    ]  # fmt: skip


def test_a_lost_bus_leaves_the_devices_of_another_one_alone(causes):
    other = ("rtu", "/dev/ttyUSB1")
    children = [child(1), child(2, silent=True, bus=other), child(3, bus=other)]
    list(causes.current(0, {BUS: Reason("gone")}, children))
    assert named(causes.current(900, {BUS: Reason("gone")}, children)) == ["bus_lost:rtu//dev/ttyUSB0", "child_silent:c2"]


def test_with_0_a_silent_device_is_no_incident_and_a_lost_bus_still_is():
    causes = FieldCauses(silent_after=timedelta(0), bus_lost_after=timedelta(seconds=30))
    children = [child(1, silent=True), child(2, silent=True)]
    list(causes.current(0, {}, children))
    assert named(causes.current(9000, {}, children)) == []
    list(causes.current(9000, {BUS: Reason("gone")}, children))
    assert named(causes.current(9030, {BUS: Reason("gone")}, children)) == ["bus_lost:rtu//dev/ttyUSB0"]


def test_a_cause_that_is_known_gives_its_own_advice(causes):
    problems = {BUS: Reason("192.168.1.3:502: Connection refused", Cause.HOST_REFUSES)}
    list(causes.current(0, problems, []))
    (incident,) = causes.current(30, problems, [child(1, silent=True)])
    assert incident.title == "The bus /dev/ttyUSB0 does not work: refuses the connection"
    assert "Check the port" in incident.what_to_do


def test_a_cause_above_several_buses_is_one_incident(causes):
    problems = {("ble", f"hci{number}"): Reason("bluetoothd does not run", Cause.BLUETOOTH_DOWN) for number in range(2)}
    children = [child(number, silent=True, bus=("ble", f"hci{number}")) for number in range(2)]
    list(causes.current(0, problems, children))
    (incident,) = causes.current(30, problems, children)
    assert incident.cause == "buses_lost:bluetooth_down"
    assert incident.title == "2 buses (hci0, hci1): the Bluetooth service does not run"
    assert "2 devices on them cannot be read: lamp 0, lamp 1." in incident.what_to_do
