"""Each child waits for its own time, and nobody's key is put at risk while a response is missing."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from pydantic import SecretStr

from gateway.cloud.registration_queue import MAX_WAIT, RegistrationQueue
from gateway.hub import Credentials
from gateway.models import ChildDevice
from gateway.state.child_states import ChildState
from gateway.testing.clock import simulated

SETTLE = timedelta(seconds=30)
NOTHING = (None, MAX_WAIT)


def child(number, model_id="m"):
    return ChildDevice(
        key=f"c{number}", adapter="a", bus="b", address=str(number), profile=None, family=None, model_id=model_id, sub_model=None,
        firmware_version=None, name=f"child {number}",
    )  # fmt: skip


def parent(device_id="p"):
    return Credentials(device_id=device_id, access_key=SecretStr("k"), hub_url="https://hub.example")


class Queued:
    """A queue that follows a registry."""

    def __init__(self, registry, deleted_children="register_again"):
        self.registry = registry
        self.queue = RegistrationQueue(registry, deleted_children=deleted_children, settle=SETTLE)
        self.parent = parent()

    async def admit(self, *numbers):
        for number in numbers:
            await self.registry.admit(child(number))

    async def save(self, number, **changes):
        await self.registry.save_child(replace(self.registry.children[f"c{number}"], **changes))

    def next(self):
        """Return the key of the next child, or `None` and the wait in seconds."""
        self.queue.follow_registry(self.parent)
        record, wait = self.queue.next_due()
        return record.child.key if record is not None else wait.total_seconds()


def run(parts, test, **options):
    async def main():
        async with parts() as made:
            await test(Queued(made.registry, **options))

    simulated(main())


def test_children_come_in_the_order_in_which_they_were_found(parts):
    async def test(queued):
        assert queued.next() == 60
        await queued.admit(2, 1, 3)
        assert queued.next() == "c2"
        queued.queue.postpone("c2", timedelta(seconds=10))
        assert queued.next() == "c1"
        await queued.save(1, state=ChildState.REGISTERED, parent_id="p")
        assert queued.next() == "c3"
        queued.queue.postpone_until("c3", 5.0)
        assert queued.next() == 5
        await asyncio.sleep(5)
        assert queued.next() == "c3"

    run(parts, test)


@pytest.mark.parametrize(
    ("changes", "is_open"),
    [
        ({"state": ChildState.REGISTERED, "parent_id": "p", "access_key": SecretStr("k")}, False),
        ({"state": ChildState.REGISTERED, "parent_id": "another", "access_key": SecretStr("k")}, True),
        ({"state": ChildState.REGISTERED, "parent_id": "p", "access_key": SecretStr("k"), "needs_update": True}, True),
        ({"state": ChildState.REGISTERED, "parent_id": "p", "access_key": None, "needs_update": True}, False),
        ({"state": ChildState.REFUSED}, True),
        ({"state": ChildState.DELETED}, True),
    ],
)
def test_a_child_is_in_the_queue_as_long_as_there_is_something_to_do(parts, changes, is_open):
    async def test(queued):
        await queued.admit(1)
        await queued.save(1, **changes)
        assert queued.next() == ("c1" if is_open else 60)

    run(parts, test)


def test_a_deleted_child_that_is_left_so_is_not_in_the_queue(parts):
    async def test(queued):
        await queued.admit(1)
        await queued.save(1, state=ChildState.DELETED)
        assert queued.next() == 60

    run(parts, test, deleted_children="leave")


def test_while_a_response_is_missing_only_registered_children_go_on(parts):
    async def test(queued):
        await queued.admit(1, 2, 3)
        await queued.save(1, state=ChildState.REGISTERING)
        await queued.save(3, state=ChildState.REGISTERED, parent_id="another", access_key=SecretStr("k"))
        queued.queue.follow_registry(queued.parent)
        queued.queue.response_lost("c1")
        assert queued.next() == "c3"
        await queued.save(3, parent_id="p")
        assert queued.next() == 30
        await asyncio.sleep(30)
        assert [record.child.key for record in queued.queue.unresolved()] == ["c1"]
        assert queued.next() == "c1"
        await queued.save(1, state=ChildState.ADMITTED)
        queued.queue.resolved("c1")
        queued.queue.postpone("c1", timedelta(seconds=10))
        assert queued.next() == "c2", "the others go on as soon as the outcome is known"

    run(parts, test)


def test_an_outcome_that_an_earlier_run_left_unknown_settles_from_the_start_of_this_one(parts):
    async def test(queued):
        await queued.admit(1, 2)
        await queued.save(1, state=ChildState.REGISTERING)
        assert queued.next() == "c2", "nobody of this run waits for a response"
        assert queued.queue.unresolved() == []
        await asyncio.sleep(29)
        assert queued.queue.unresolved() == []
        await asyncio.sleep(1)
        assert [record.child.key for record in queued.queue.unresolved()] == ["c1"]

    run(parts, test)


def test_a_refused_child_waits_unless_its_model_changes_or_all_are_retried(parts):
    async def test(queued):
        await queued.admit(1)
        await queued.save(1, state=ChildState.REFUSED)
        assert queued.next() == "c1", "it is retried at each start"
        queued.queue.postpone_refused(child(1), timedelta(hours=1))
        assert queued.next() == 60
        queued.queue.retry_refused()
        assert queued.next() == "c1"
        queued.queue.postpone_refused(child(1), timedelta(hours=1))
        assert queued.next() == 60
        await queued.registry.admit(child(1, model_id="corrected"))
        assert queued.next() == "c1"

    run(parts, test)


def test_another_parent_ends_every_wait(parts):
    async def test(queued):
        await queued.admit(1)
        queued.queue.follow_registry(queued.parent)
        queued.queue.postpone("c1", timedelta(hours=1))
        assert queued.next() == 60
        queued.parent = parent("another")
        assert queued.next() == "c1"

    run(parts, test)


def test_retrying_the_refused_ends_no_other_wait(parts):
    async def test(queued):
        await queued.admit(1)
        queued.queue.follow_registry(queued.parent)
        queued.queue.postpone("c1", timedelta(seconds=10))
        queued.queue.retry_refused()
        assert queued.next() == 10

    run(parts, test)


def test_a_child_that_is_next_is_unresolved_also_within_the_last_microsecond_of_its_wait(parts):
    async def test(queued):
        await queued.admit(1)
        await queued.save(1, state=ChildState.REGISTERING)
        assert queued.next() == SETTLE.total_seconds()
        queued.queue.postpone_until("c1", asyncio.get_running_loop().time() + 3e-7)
        assert queued.next() == "c1"
        assert [record.child.key for record in queued.queue.unresolved()] == ["c1"]

    run(parts, test)
