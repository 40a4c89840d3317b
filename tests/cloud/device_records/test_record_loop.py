"""What the cloud has on record about a device comes down when a flag says that it changed, and not more often."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from gateway.cloud.device_records.record_loop import DeviceRecordLoop
from gateway.cloud.devices import CloudDevices
from gateway.errors import HubRejected, HubUnreachable, StoreError
from gateway.hub_records import ModelFile, Space
from gateway.models import ChildDevice
from gateway.state.child_states import ChildState
from gateway.state.cloud_records import CloudRecords
from gateway.testing.clock import simulated

AWAY = HubUnreachable("no route", maybe_done=False)


def child(number):
    return ChildDevice(
        key=f"c{number}", adapter="a", bus="b", address=str(number), profile=None, family=None, model_id="m", sub_model=None,
        firmware_version=None, name=f"child {number}",
    )  # fmt: skip


class Running:
    children_follow = False

    def __init__(self, made):
        self.made, self.hub, self.registry, self.checked = made, made.hub, made.registry, []

    async def start(self):
        self.parent = await self.made.enrolment.credentials()
        for number in (1, 2):
            await self.registry.admit(child(number))
        while any(record.state is not ChildState.REGISTERED for record in self.registry.children.values()):
            await self.made.registrar.step(self.parent)
        await self.restart()

    async def restart(self):
        self.records = CloudRecords(self.made.state.store)
        await self.records.load()
        self.loop = DeviceRecordLoop(
            self.hub, CloudDevices(self.registry, self.checked.append), self.records, self.registry, calls=self.made.calls,
            children_follow=self.children_follow,
        )  # fmt: skip
        self.task = asyncio.create_task(self.loop.run(self.parent))

    def slow(self, method, seconds):
        """Let the hub take its time for a call, after it has made up its answer."""
        answer = getattr(self.hub, method)

        async def slowly(*arguments):
            answered = await answer(*arguments)
            await asyncio.sleep(seconds)
            return answered

        setattr(self.hub, method, slowly)

    async def kill(self):
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    def device(self, number=None):
        device_id = self.parent.device_id if number is None else self.registry.children[f"c{number}"].device_id
        return self.hub.devices[device_id]

    def id(self, number=None):
        return self.device(number).credentials.device_id

    def rename_in_cloud(self, number, name, version):
        self.device(number).updates.append({"name": name})
        self.loop.info_changed(self.id(number), version)


def run(parts, test):
    async def main():
        async with parts() as made:
            running = Running(made)
            await running.start()
            await asyncio.sleep(100)  # the registration is not new any more
            try:
                await test(running)
            finally:
                await running.kill()

    simulated(main())


def test_a_child_that_is_renamed_in_the_portal_has_that_name_here_also_after_a_restart(parts):
    async def test(running):
        running.rename_in_cloud(1, "Boiler", 1)
        await asyncio.sleep(5)
        assert running.registry.children["c1"].child.name == "Boiler"
        await running.registry.load()
        await running.registry.admit(child(1))  # a search finds it again under its own name
        record = running.registry.children["c1"]
        assert record.child.name == "Boiler"
        assert not record.needs_update, "the cloud is not told its own name"

    run(parts, test)


def test_a_name_that_a_person_gave_here_stays(parts):
    async def test(running):
        await running.registry.rename("c1", "Mine")
        running.rename_in_cloud(1, "Theirs", 1)
        await asyncio.sleep(5)
        assert running.registry.children["c1"].child.name == "Mine"

    run(parts, test)


def test_a_person_can_rename_here_what_the_portal_has_named_and_then_that_name_stays(parts):
    async def test(running):
        running.rename_in_cloud(1, "Theirs", 1)
        await asyncio.sleep(5)
        await running.registry.rename("c1", "Mine")
        await running.registry.save_child(replace(running.registry.children["c1"], needs_update=False))
        running.rename_in_cloud(1, "Theirs again", 2)
        await asyncio.sleep(5)
        assert running.registry.children["c1"].child.name == "Mine"

    run(parts, test)


def test_the_same_version_is_not_fetched_again_even_after_a_restart(parts):
    async def test(running):
        running.rename_in_cloud(1, "Boiler", 3)
        await asyncio.sleep(5)
        await running.kill()
        await running.restart()
        running.loop.info_changed(running.id(1), 3)
        await asyncio.sleep(5)
        assert running.hub.calls["get_device_info"] == 1

    run(parts, test)


def test_the_space_is_fetched_kept_and_confirmed_once(parts):
    async def test(running):
        running.device(1).space = Space(name="Room 12", location_name="Vienna", utc_offset_minutes=60, maintenance=True)
        for _ in range(3):
            running.loop.space_changed(running.id(1), 2)
            await asyncio.sleep(5)
        await running.kill()
        await running.restart()
        running.loop.space_changed(running.id(1), 2)
        await asyncio.sleep(5)
        space = running.records.of(running.id(1)).space
        assert (space.name, space.location, space.utc_offset_minutes, space.maintenance) == ("Room 12", "Vienna", 60, True)
        assert [update for update in running.device(1).updates if "space_version" in update] == [{"space_version": 2}]
        assert running.hub.calls["get_space_info"] == 1

    run(parts, test)


def test_a_confirmation_that_got_no_response_is_repeated(parts):
    async def test(running):
        running.device(1).space = Space(name="Room 12")
        running.hub.fail("update_device", AWAY, AWAY)
        running.loop.space_changed(running.id(1), 2)
        await asyncio.sleep(60)
        assert {"space_version": 2} in running.device(1).updates
        assert running.hub.calls["get_space_info"] == 1

    run(parts, test)


def test_an_unclaimed_device_has_no_space_and_no_customer(parts):
    async def test(running):
        running.device().space = Space(name="Room 12")
        running.loop.space_changed(running.id(), 2)
        await asyncio.sleep(5)
        running.loop.space_changed(running.id(), 0)
        await asyncio.sleep(5)
        record = running.records.of(running.id())
        assert (record.space_version, record.space, record.claimed_by) == (0, None, None)

    run(parts, test)


def test_a_device_that_was_unclaimed_meanwhile_is_recorded_without_space(parts):
    """Section 8.5: 422 `Device not in space`."""

    async def test(running):
        running.loop.space_changed(running.id(1), 2)
        await asyncio.sleep(5)
        assert running.records.of(running.id(1)).space is None
        assert running.records.of(running.id(1)).space_version == 2

    run(parts, test)


@pytest.mark.parametrize("status", [400, 403, 404])
def test_a_refusal_is_not_repeated_in_a_loop(parts, status):
    async def test(running):
        running.hub.fail("get_device_info", *[HubRejected("no", status=status, error="no")] * 100)
        running.rename_in_cloud(1, "Boiler", 1)
        await asyncio.sleep(600)
        assert running.hub.calls["get_device_info"] == 1
        assert running.registry.children["c1"].child.name == "child 1"

    run(parts, test)


def test_a_device_whose_calls_always_fail_keeps_no_other_one_waiting(parts):
    async def test(running):
        answer = running.hub.get_device_info
        broken = running.id(1)

        async def fails(device):
            if device.device_id == broken:
                raise HubUnreachable("500", maybe_done=False, status=500)
            return await answer(device)

        running.hub.get_device_info = fails
        running.rename_in_cloud(1, "A", 1)
        running.rename_in_cloud(2, "B", 1)
        await asyncio.sleep(120)
        assert running.registry.children["c2"].child.name == "B"

    run(parts, test)


def test_a_deleted_child_is_checked(parts):
    async def test(running):
        device_id = running.id(1)
        del running.hub.devices[device_id]
        running.loop.info_changed(device_id, 1)
        await asyncio.sleep(5)
        assert running.checked == ["c1"]

    run(parts, test)


def test_the_files_of_the_model_are_listed_once_a_day(parts):
    async def test(running):
        running.hub.files.append(ModelFile(id="f", name="gw\x1b[31m firmware", version="2.5.0", public_notes="fixes\nmore"))
        await running.kill()
        await running.restart()
        before = running.hub.calls["get_files"]
        await asyncio.sleep(60)
        (file,) = running.records.of(running.id()).files
        assert (file.id, file.version) == ("f", "2.5.0")
        assert (file.name + file.notes).isprintable()
        await asyncio.sleep(timedelta(days=2).total_seconds())
        assert running.hub.calls["get_files"] - before == 3

    run(parts, test)


def test_records_of_devices_that_are_gone_are_forgotten_and_a_damaged_one_is_fetched_again(parts):
    async def test(running):
        running.rename_in_cloud(1, "Boiler", 1)
        await asyncio.sleep(5)
        await running.records.save(replace(running.records.of(running.id(1)), device_id="gone"))
        store = running.made.state.store
        await store.transact(lambda db: db.execute("INSERT INTO cloud_records VALUES ('x', '{')"))
        await running.kill()
        await running.restart()
        await asyncio.sleep(1)
        assert running.records.of("gone").name is None
        assert running.records.of(running.id(1)).name == "Boiler"

    run(parts, test)


@pytest.mark.parametrize("is_set", [True, False])
def test_a_child_in_another_space_follows_the_gateway_once_if_that_is_set(parts, is_set):
    """Section 8.6."""

    async def test(running):
        await running.kill()
        running.children_follow = is_set
        await running.restart()
        running.device(1).space = Space(name="Attic")
        running.device(2).space = Space(name="Room 12")
        running.device().space = Space(name="Room 12")
        for number in (1, 2, None):
            running.loop.space_changed(running.id(number), 2)
        await asyncio.sleep(30)
        assert running.hub.calls["space_move"] == is_set
        for version in (3, 4):  # somebody moves it away again, on purpose
            running.device(1).space = Space(name="Attic")
            running.loop.space_changed(running.id(1), version)
            await asyncio.sleep(30)
        assert running.hub.calls["space_move"] == is_set

    run(parts, test)


def test_what_changes_again_while_it_is_fetched_is_fetched_again(parts):
    async def test(running):
        running.slow("get_device_info", 5)
        running.slow("get_space_info", 5)
        running.device(1).space = Space(name="Room 1")
        running.rename_in_cloud(1, "First", 1)
        running.loop.space_changed(running.id(1), 2)
        await asyncio.sleep(1)
        running.device(1).space = Space(name="Room 2")
        running.loop.space_changed(running.id(1), 3)
        await asyncio.sleep(6)
        running.rename_in_cloud(1, "Second", 2)
        await asyncio.sleep(60)
        record = running.records.of(running.id(1))
        assert running.registry.children["c1"].child.name == record.name == "Second"
        assert (record.space.name, record.confirmed_space_version) == ("Room 2", 3)

    run(parts, test)


def test_a_name_that_could_not_be_stored_is_fetched_again(parts):
    async def test(running):
        store_name, failures = running.registry.name_from_cloud, [StoreError("full")]

        async def fails_once(key, name):
            if failures:
                raise failures.pop()
            return await store_name(key, name)

        running.registry.name_from_cloud = fails_once
        running.rename_in_cloud(1, "Boiler", 1)
        await asyncio.sleep(60)
        assert running.registry.children["c1"].child.name == "Boiler"

    run(parts, test)


@pytest.mark.parametrize("status", [400, 403, 404])
def test_a_refused_space_costs_a_device_neither_its_name_nor_a_wrong_confirmation(parts, status):
    async def test(running):
        running.hub.fail("get_space_info", *[HubRejected("no", status=status, error="no")] * 100)
        running.rename_in_cloud(1, "Boiler", 1)
        running.loop.space_changed(running.id(1), 2)
        await asyncio.sleep(60)
        assert running.registry.children["c1"].child.name == "Boiler"
        assert not any("space_version" in update for update in running.device(1).updates)

    run(parts, test)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("", "child 1"), ("   ", "child 1"), ("\u202e\x00\x1b", "child 1"), (" Boiler \t 2\n", "Boiler 2"),
        ("x" * 10_000, "x" * 97 + "..."), ("a\x1b[31mb", "a [31mb"),
    ],
)  # fmt: skip
def test_a_name_of_the_cloud_is_a_readable_line_or_none(parts, name, shown):
    async def test(running):
        running.rename_in_cloud(1, name, 1)
        await asyncio.sleep(5)
        assert running.registry.children["c1"].child.name == shown

    run(parts, test)


def test_the_customer_is_fetched_after_a_kill_between_space_and_customer(parts):
    async def test(running):
        running.device().space = Space(name="Room 12")
        running.hub.fail("get_device_info", *[AWAY] * 3)
        running.loop.space_changed(running.id(), 2)
        await asyncio.sleep(1)
        await running.kill()
        await running.restart()
        before = running.hub.calls["get_device_info"]
        running.loop.space_changed(running.id(), 2)
        await asyncio.sleep(120)
        assert running.hub.calls["get_device_info"] > before
        assert running.records.of(running.id()).confirmed_space_version == 2

    run(parts, test)


def test_the_files_are_listed_soon_after_an_outage(parts):
    async def test(running):
        await running.kill()
        running.hub.fail("get_files", AWAY)
        await running.restart()
        running.hub.files.append(ModelFile(id="f", name="firmware"))
        await asyncio.sleep(900)
        assert [file.id for file in running.records.of(running.id()).files] == ["f"]

    run(parts, test)


def test_records_of_devices_that_are_gone_do_not_pile_up_while_the_gateway_runs(parts):
    async def test(running):
        for number in range(10):
            await running.records.save(replace(running.records.of(running.id(1)), device_id=f"gone-{number}", name="old"))
        await asyncio.sleep(timedelta(days=1).total_seconds() + 10)
        assert all(running.records.of(f"gone-{number}").name is None for number in range(10))

    run(parts, test)


def test_a_space_is_confirmed_once_although_the_store_cannot_take_that_for_long(parts):
    """The hub takes ten of these calls an hour for each device."""

    async def test(running):
        save, is_full = running.records.save, True

        async def save_unless_full(record):
            if is_full and record.confirmed_space_version == 2:
                raise StoreError("disk full")
            await save(record)

        running.records.save = save_unless_full
        running.device(1).space = Space(name="Room 2")
        running.loop.space_changed(running.id(1), 2)
        await asyncio.sleep(3600)
        told = running.hub.calls["update_device"]
        is_full = False
        await asyncio.sleep(600)
        assert running.hub.calls["update_device"] == told == 1
        assert running.records.of(running.id(1)).confirmed_space_version == 2

    run(parts, test)
