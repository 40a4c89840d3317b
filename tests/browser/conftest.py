"""One browser, and one page of each state of the gateway, for all tests of this folder."""

from __future__ import annotations

import os
from contextlib import AsyncExitStack
from importlib.util import find_spec
from pathlib import Path

import pytest
import pytest_asyncio
import shown_gateways

LOOK_AT_PAGE = Path(__file__).with_name("look_at_page.js").read_text()


@pytest.fixture(scope="session")
def axe():
    """The script of axe-core; without it the test is skipped on a laptop, and fails in CI."""
    found = find_spec("axe_playwright_python")
    if found is None and os.environ.get("CI") != "true":
        pytest.skip("axe-core is not installed here: make .venv/.dev")
    return Path(found.origin).with_name("axe.min.js").read_text()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(chromium_running):
    async with chromium_running() as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server_in():
    """`await server_in("lost bus")` is the server of a gateway in that state; it is shared by the tests of a file."""
    async with AsyncExitStack() as stack:
        servers = {}

        async def found(state):
            if state not in servers:
                view = (shown_gateways.STATES | shown_gateways.SETUP_STATES)[state]()
                servers[state] = await stack.enter_async_context(shown_gateways.served(view))
            return servers[state]

        yield found


@pytest.fixture(scope="session")
def look_at_page():
    return LOOK_AT_PAGE


async def signed_in(context, base):
    """Give a browser context the cookie of an administrator."""
    answer = await context.request.post(
        f"{base}/login", form={"token": shown_gateways.TOKEN}, headers={"Sec-Fetch-Site": "same-origin"}
    )
    assert answer.ok
    return context


@pytest.fixture(scope="session")
def sign_in():
    return signed_in
