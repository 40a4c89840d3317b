"""A page whose address changes leads the browser there once the gateway has restarted."""

from __future__ import annotations

import asyncio

import pytest
from shown_gateways import plant, served

pytestmark = [pytest.mark.enable_socket, pytest.mark.asyncio(loop_scope="module")]

STEPS = ("text=Check, and see", "main .choices button.main", "text=Restart now")


@pytest.mark.parametrize("has_script", [True, False], ids=["script", "no script"])
async def test_the_browser_goes_to_the_new_address_when_the_former_one_is_gone(browser, sign_in, has_script):
    async with served(plant(children=1)) as moved:
        view = plant(children=1)
        view.configuration.moves_to = moved.address
        async with served(view) as server:
            context = await browser.new_context(base_url=server.address, locale="en-GB", java_script_enabled=has_script)
            await sign_in(context, server.address)
            tab = await context.new_page()
            tab.set_default_timeout(60_000)
            if has_script:
                await tab.clock.install()
            await tab.goto("/configuration/text")
            for step in STEPS:
                await tab.click(step)
            link = tab.locator(f"#restarting a[href='{moved.address}/configuration']")
            await link.wait_for()
            if has_script:
                await looks(tab, 20)
                assert tab.url.startswith(server.address), "it stays while the former address answers"
        if has_script:
            async with asyncio.timeout(60):
                while not tab.url.startswith(moved.address):
                    await looks(tab, 1)
        else:
            await link.click()
        await tab.wait_for_selector("h1")
        assert tab.url.startswith(moved.address)
        await context.close()


async def looks(tab, times):
    """Let the script look for the gateway so many times; each look waits for the answer to the one before."""
    for _ in range(times):
        await tab.clock.run_for(1000)
        await asyncio.sleep(0.02)
