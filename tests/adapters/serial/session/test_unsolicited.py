"""Readings of messages are kept until they are read, within bounds."""

import asyncio
from datetime import UTC, datetime

from adapters.serial.session.unsolicited import MAX_READINGS, UnsolicitedReadings
from gateway.adapter import Metric, Reading

TEMPERATURE = Metric("temperature", "°C")


def reading(value):
    return Reading("child", TEMPERATURE, value, datetime(2026, 3, 1, tzinfo=UTC))


async def test_the_readings_of_the_next_message_are_returned_and_older_ones_are_not():
    readings = UnsolicitedReadings()
    readings.add("sensor", [reading(1)])
    asyncio.get_running_loop().call_later(0.5, readings.add, "sensor", [reading(2), reading(3)])
    assert [one.value for one in await readings.next_for("sensor", 2)] == [2, 3]
    assert asyncio.get_running_loop().time() == 0.5


async def test_messages_of_another_profile_do_not_end_the_wait():
    readings = UnsolicitedReadings()
    asyncio.get_running_loop().call_later(0.5, readings.add, "other", [reading(1)])
    asyncio.get_running_loop().call_later(1, readings.add, "sensor", [reading(2)])
    assert [one.value for one in await readings.next_for("sensor", 2)] == [2]


async def test_without_a_message_nothing_is_returned_after_the_time_limit():
    assert list(await UnsolicitedReadings().next_for("sensor", 2)) == []
    assert asyncio.get_running_loop().time() == 2


async def test_the_latest_readings_are_kept_and_their_number_is_limited():
    readings = UnsolicitedReadings()
    waiting = asyncio.create_task(readings.next_for("sensor", 2))
    await asyncio.sleep(0)
    readings.add("sensor", map(reading, range(2 * MAX_READINGS)))
    kept = [one.value for one in await waiting]
    assert (len(kept), kept[-1]) == (MAX_READINGS, 2 * MAX_READINGS - 1)
