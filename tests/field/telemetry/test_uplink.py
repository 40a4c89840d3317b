"""A flood of devices by radio fills a queue of bounded length; what is dropped of it is counted and told once."""

from gateway.field.adapter_data.checked_adapter import CheckedAdapter
from gateway.field.telemetry.uplink import MOST_QUEUED, UplinkQueue
from gateway.testing.devices import SyntheticAdapter, SyntheticBus, SyntheticDevice, SyntheticSettings, found_of


async def test_what_is_dropped_of_a_flood_is_counted_and_told_once(caplog):
    class Flooded(SyntheticAdapter):
        async def listen(self, uplink):
            for number in range(MOST_QUEUED + 100):
                uplink.found(found_of(SyntheticDevice(f"{number}", "a1")))

    queue = UplinkQueue(lambda readings: None)
    adapter = CheckedAdapter(Flooded(SyntheticSettings(type="synthetic", name="radio"), SyntheticBus()), "radio")
    await adapter.listen(queue)
    assert adapter.refused == {"more than could be taken in": 100}
    assert (await queue.next()).serial_number == "100", "the oldest were dropped"
    (told,) = caplog.messages
    assert told.startswith("bus: the adapter radio reports more than can be taken in; the oldest are dropped")
