import asyncio

import pytest

from adapters.ble.session.connection_pool import ConnectionPool
from gateway.adapter import DeviceUnreachable


class FakeConnection:
    def __init__(self, connector, address):
        self.address, self.is_open, self._connector = address, True, connector
        connector.open.append(address)
        connector.most = max(connector.most, len(connector.open))

    async def close(self):
        if self.is_open:
            self.is_open = False
            self._connector.open.remove(self.address)


class FakeConnector:
    """A radio that counts its pool."""

    def __init__(self):
        self.open, self.made, self.most, self.refuses = [], [], 0, False

    async def connect(self, address):
        await asyncio.sleep(0)
        if self.refuses:
            raise DeviceUnreachable("not now")
        self.made.append(address)
        return FakeConnection(self, address)


@pytest.fixture
def connector():
    return FakeConnector()


async def test_a_connection_is_closed_after_its_use(connector):
    pool = ConnectionPool(connector, 2)
    async with pool.acquire("a") as connection:
        assert connection.address == "a"
        assert pool.used_slots == 1
    assert (connector.open, pool.used_slots) == ([], 0)


async def test_a_kept_connection_is_used_again(connector):
    pool = ConnectionPool(connector, 2)
    for _ in range(3):
        async with pool.acquire("a", keep=True):
            pass
    assert connector.made == ["a"]
    assert pool.is_kept("a")
    await pool.close()
    assert connector.open == []


async def test_there_are_never_more_connections_than_slots(connector):
    pool = ConnectionPool(connector, 3)

    async def use(number):
        async with pool.acquire(f"{number % 7}", keep=number % 2 == 0):
            await asyncio.sleep(0)

    await asyncio.gather(*(use(number) for number in range(60)))
    assert connector.most == 3
    await pool.close()
    assert connector.open == []


async def test_the_least_recently_used_connection_is_closed_first(connector):
    pool = ConnectionPool(connector, 2)
    for address in ("a", "b", "a", "c"):
        async with pool.acquire(address, keep=True):
            pass
    assert connector.open == ["a", "c"]


async def test_a_device_has_one_user_at_a_time(connector):
    pool, inside = ConnectionPool(connector, 5), []

    async def use():
        async with pool.acquire("a"):
            inside.append(1)
            assert len(inside) == 1
            await asyncio.sleep(0)
            inside.pop()

    await asyncio.gather(*(use() for _ in range(5)))


async def test_a_connection_is_not_kept_after_a_failure(connector):
    pool = ConnectionPool(connector, 2)
    with pytest.raises(DeviceUnreachable):
        async with pool.acquire("a", keep=True):
            raise DeviceUnreachable("it fell silent")
    assert (connector.open, pool.used_slots) == ([], 0)


async def test_a_kept_connection_that_was_lost_is_replaced(connector):
    pool = ConnectionPool(connector, 1)
    async with pool.acquire("a", keep=True) as connection:
        pass
    await connection.close()
    assert not pool.is_kept("a")
    async with pool.acquire("a", keep=True):
        assert connector.made == ["a", "a"]


async def test_a_failed_connection_occupies_no_slot(connector):
    pool, connector.refuses = ConnectionPool(connector, 1), True
    for _ in range(3):
        with pytest.raises(DeviceUnreachable):
            async with pool.acquire("a"):
                pass
    connector.refuses = False
    async with pool.acquire("b"):
        assert pool.used_slots == 1


async def test_a_cancelled_use_leaves_no_connection_open(connector):
    pool, is_connected = ConnectionPool(connector, 1), asyncio.Event()

    async def use():
        async with pool.acquire("a", keep=True):
            is_connected.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(use())
    await is_connected.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert (connector.open, pool.used_slots) == ([], 0)


async def test_a_connection_that_was_lost_during_its_use_is_not_kept(connector):
    pool = ConnectionPool(connector, 1)
    async with pool.acquire("a", keep=True) as connection:
        await connection.close()
    assert pool.used_slots == 0
