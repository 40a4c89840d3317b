"""How much processor time clients of the page get, and in which order."""

import asyncio
import contextlib
import functools

import pytest

from gateway.status.listening import work_budget
from gateway.status.listening.work_budget import (
    AT_ONCE_SECONDS,
    CLIENT_SHARE,
    EXPECTED_SECONDS,
    PATIENCE_SECONDS,
    REQUEST_SECONDS,
    SHARE,
    Client,
    TooMuchWork,
    WorkBudget,
)
from gateway.testing.clock import simulated

OPERATOR, STRANGER = Client("192.0.2.1"), Client("192.0.2.2")


def in_simulated_time(test):
    @functools.wraps(test)
    def run(*arguments, **fixtures):
        return simulated(test(*arguments, **fixtures))

    return run


class Page:
    """Requests that take a known processor time."""

    def __init__(self):
        self.processor = 0.0
        self.budget = WorkBudget(clock=lambda: self.processor)
        self.answered = []

    async def ask(self, client, *, takes=0.1):
        async with self.budget.turn(client) as turn:
            await turn.measured(self._work(takes))
        self.answered.append(client)

    async def _work(self, takes):
        self.processor += takes
        await asyncio.sleep(0)

    async def flood(self, client, *, takes=0.1):
        """Ask without an end."""
        while True:
            with contextlib.suppress(TooMuchWork):
                await self.ask(client, takes=takes)

    @contextlib.asynccontextmanager
    async def flooded_by(self, *clients, takes=0.1):
        floods = [asyncio.create_task(self.flood(client, takes=takes)) for client in clients]
        try:
            yield
        finally:
            for one in floods:
                one.cancel()
            await asyncio.gather(*floods, return_exceptions=True)


@in_simulated_time
async def test_one_client_gets_no_more_than_its_share_of_the_processor():
    page = Page()
    async with page.flooded_by(*[STRANGER] * 20):
        await asyncio.sleep(100)
    assert 0.9 * 100 * CLIENT_SHARE < page.processor < AT_ONCE_SECONDS + 100 * CLIENT_SHARE + 0.1


@in_simulated_time
async def test_all_clients_together_get_no_more_than_their_share():
    page = Page()
    async with page.flooded_by(*(Client(f"192.0.2.{number}") for number in range(100))):
        await asyncio.sleep(100)
    assert 0.9 * 100 * SHARE < page.processor < AT_ONCE_SECONDS + 100 * SHARE + 0.1


@in_simulated_time
async def test_requests_that_cost_nothing_themselves_are_bounded_as_well():
    page = Page()
    async with page.flooded_by(*[STRANGER] * 20, takes=0.0):
        await asyncio.sleep(100)
    assert len(page.answered) * REQUEST_SECONDS < AT_ONCE_SECONDS + 100 * CLIENT_SHARE + 0.1


@in_simulated_time
async def test_who_has_used_less_goes_before_a_flood():
    page, loop = Page(), asyncio.get_running_loop()
    async with page.flooded_by(*(Client(f"192.0.2.{number}") for number in range(10, 30))):
        await asyncio.sleep(60)
        for _ in range(10):
            begun = loop.time()
            await page.ask(OPERATOR)
            assert loop.time() - begun < 1.0
            await asyncio.sleep(30)
    assert page.answered.count(OPERATOR) == 10


@in_simulated_time
async def test_who_has_the_token_goes_before_strangers_at_the_same_address():
    page, loop = Page(), asyncio.get_running_loop()
    async with page.flooded_by(*[STRANGER] * 50):
        await asyncio.sleep(60)
        begun = loop.time()
        await page.ask(Client(STRANGER.address, has_token=True))
        assert loop.time() - begun < 1.0


@in_simulated_time
async def test_an_operator_with_six_tabs_and_a_scraper_never_wait():
    page, loop = Page(), asyncio.get_running_loop()

    async def ask_at_once():
        begun = loop.time()
        await page.ask(OPERATOR)
        assert loop.time() == begun

    for _ in range(20):
        await asyncio.gather(*(ask_at_once() for _ in range(6)))
        for _ in range(4):
            await asyncio.sleep(5)
            await ask_at_once()


@in_simulated_time
async def test_a_request_that_waits_too_long_is_refused_counted_and_logged_once(caplog):
    page, loop = Page(), asyncio.get_running_loop()
    await page.ask(STRANGER, takes=60.0)
    for _ in range(3):
        begun = loop.time()
        with pytest.raises(TooMuchWork):
            await page.ask(STRANGER)
        assert loop.time() - begun == PATIENCE_SECONDS
    assert page.budget.refused == 3
    assert [record.getMessage() for record in caplog.records if STRANGER.address in record.getMessage()] == [
        "the status page gets more requests than it has time for; they wait, and some are refused. The latest is from 192.0.2.2"
    ]
    await asyncio.sleep(60 / CLIENT_SHARE)
    await page.ask(STRANGER)


@in_simulated_time
async def test_of_many_requests_at_once_one_begins_in_each_turn_of_the_event_loop():
    page, begun_in, turn = Page(), [], 0

    async def ask(number):
        async with page.budget.turn(Client(f"192.0.2.{number}")):
            begun_in.append(turn)

    asking = [asyncio.create_task(ask(number)) for number in range(30)]
    while not all(one.done() for one in asking):
        turn += 1
        await asyncio.sleep(0)
    assert len(set(begun_in)) == len(begun_in) == 30


@in_simulated_time
async def test_a_client_that_leaves_while_it_waits_leaves_nothing_behind():
    page = Page()
    await page.ask(STRANGER, takes=10.0)
    asking = [asyncio.create_task(page.ask(STRANGER)) for _ in range(10)]
    await asyncio.sleep(1)
    for one in asking:
        one.cancel()
    await asyncio.gather(*asking, return_exceptions=True)
    assert page.budget._waiting == {}
    await asyncio.sleep(10 / CLIENT_SHARE)
    await page.ask(STRANGER)


@in_simulated_time
async def test_what_is_known_of_clients_is_bounded(monkeypatch):
    monkeypatch.setattr(work_budget, "MANY_ACCOUNTS", 10)
    page = Page()
    for number in range(1000):
        await page.ask(Client(f"192.0.2.{number}"), takes=0.01)
        await asyncio.sleep(0.1)
    assert len(page.budget._accounts) <= 11


@in_simulated_time
async def test_work_that_waits_or_fails_counts_what_it_took_and_keeps_its_result():
    page = Page()

    async def works():
        page.processor += 0.2
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                await asyncio.sleep(60)
        page.processor += 0.3
        return "done"

    async def fails():
        page.processor += 0.1
        await asyncio.sleep(0)
        raise ValueError("a bug")

    async with page.budget.turn(OPERATOR) as turn:
        assert await turn.measured(works()) == "done"
    used = page.budget._account_of(OPERATOR).used
    assert used == pytest.approx(0.2 - CLIENT_SHARE + 0.3 + REQUEST_SECONDS, abs=EXPECTED_SECONDS)
    async with page.budget.turn(OPERATOR) as turn:
        with pytest.raises(ValueError, match="a bug"):
            await turn.measured(fails())
    assert page.budget._account_of(OPERATOR).used == pytest.approx(used + 0.1 + REQUEST_SECONDS)


@pytest.mark.enable_socket
async def test_a_client_that_asks_for_too_much_is_told_when_to_come_again_and_who_has_the_token_is_answered(page, monkeypatch):
    monkeypatch.setattr(work_budget, "PATIENCE_SECONDS", 0.05)
    async with page.http.get("/healthz") as answer:
        assert answer.status == 200
    page.server._work._account_of(Client("127.0.0.1")).charge(1e6)
    for path in ("/", "/api/v1/status", "/healthz", "/nothing"):
        async with page.http.get(path) as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (429, "10")
    async with page.http.get("/metrics", headers=page.bearer) as answer:
        assert answer.status == 200
        assert "xyte_gateway_page_requests_refused_total 4.0" in await answer.text()
