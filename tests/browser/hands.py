"""How a person takes the steps of an action: with the keyboard alone, or with a mouse where there are no scripts."""

from __future__ import annotations

import asyncio

from action_table import Enter, Offer, Press
from playwright.async_api import Error


async def take(hand, steps):
    for step in steps:
        match step:
            case Press():
                await hand.press(step.selector)
            case Enter():
                await hand.enter(step.selector, step.text)
            case Offer():
                await hand.offer(step.selector, step.content)


class Mouse:
    """A person at a browser without scripts."""

    def __init__(self, tab):
        self._tab = tab

    async def press(self, selector):
        await self._tab.click(selector)

    async def enter(self, selector, text):
        field = self._tab.locator(selector)
        options = [one for one in await field.locator("option").all_inner_texts() if one.startswith(text)]
        await (field.select_option(label=options[0]) if options else field.fill(text))

    async def offer(self, selector, content):
        await self._tab.set_input_files(selector, {"name": "a.backup", "mimeType": "application/octet-stream", "buffer": content})


class Keyboard:
    """A person who has no mouse: everything is reached by Tab, and pressed by Enter or the space bar."""

    def __init__(self, tab, look_at_page):
        self._tab = tab
        self._look_at_page = look_at_page
        self._choosers = asyncio.Queue()
        tab.on("filechooser", self._choosers.put_nowait)  # long before one opens: the browser takes a moment to hear of it

    async def _reach(self, selector):
        """Press Tab as often as it takes to come to the element; begin anew where the page changes meanwhile."""
        for _ in range(3):
            await self._tab.wait_for_load_state()
            wanted = await self._tab.locator(selector).element_handle()
            try:
                if await self._tab_to(wanted):
                    return wanted
            except Error as error:  # the answer to the step before came while the old page was looked at
                if "navigation" not in str(error):
                    raise
        focused = await self._tab.evaluate("document.activeElement.outerHTML.slice(0, 200)")
        raise AssertionError(f"Tab does not reach {selector}; it comes to {focused}")

    async def _tab_to(self, wanted):
        """Press Tab as often as the page has elements up to this one, and a little more; say whether it has the focus then."""
        await self._tab.evaluate(self._look_at_page)
        steps = await self._tab.evaluate("(one) => lookAtPage.stepsTo(one)", wanted)
        backwards, count = "Shift+Tab" if steps < 0 else "Tab", abs(steps)
        for _ in range(count):
            await self._tab.keyboard.press(backwards)
        for _ in range(20):  # one of several radio buttons takes the focus for all
            if await wanted.evaluate("(one) => one === document.activeElement"):
                return True
            await self._tab.keyboard.press("Tab")
        return False

    async def press(self, selector):
        wanted = await self._reach(selector)
        is_box = await wanted.evaluate("(one) => ['checkbox', 'radio'].includes(one.type)")
        await self._tab.keyboard.press("Space" if is_box else "Enter")

    async def enter(self, selector, text):
        wanted = await self._reach(selector)
        if await wanted.evaluate("(one) => one.tagName !== 'SELECT'"):
            await self._tab.keyboard.press("Control+A")
        await self._tab.keyboard.type(text)

    async def offer(self, selector, content):
        await self._reach(selector)
        await self._tab.keyboard.press("Enter")
        chooser = await asyncio.wait_for(self._choosers.get(), 60)
        await chooser.set_files({"name": "a.backup", "mimeType": "application/octet-stream", "buffer": content})
