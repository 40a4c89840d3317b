import asyncio
from contextlib import AsyncExitStack

from adapters.ble.radio.bluez import watch_controller
from gateway.testing.bluetooth.private_bus import PrivateBus, dbus_daemon_or_skip


async def test_a_system_bus_that_ends_is_noticed(monkeypatch):
    dbus_daemon_or_skip()
    async with AsyncExitStack() as stack:
        async with PrivateBus() as bus:
            monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bus.address)
            watch = await stack.enter_async_context(watch_controller(None))
        assert await asyncio.wait_for(watch.wait_until_lost(), 60) == "the D-Bus daemon stopped"


async def test_a_finished_watch_leaves_no_task(monkeypatch):
    dbus_daemon_or_skip()
    async with PrivateBus() as bus:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bus.address)
        before = asyncio.all_tasks()
        for _ in range(3):
            async with watch_controller(None):
                pass
        assert asyncio.all_tasks() == before
