"""Simulated time for conversations, except for those on a real port."""

import asyncio

from gateway.testing.clock import SimulatedLoop


def pytest_asyncio_loop_factories(config, item):
    """A conversation on a port in memory runs in simulated time: a busy machine makes none of its waits too short or too long."""
    return {"real": asyncio.SelectorEventLoop} if item.path.stem.endswith("on_a_port") else {"simulated": SimulatedLoop}
