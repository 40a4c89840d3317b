"""Notifications that are only shown."""

from __future__ import annotations


class FakeNotifications:
    def __init__(self):
        self.channels = ()
        self.outcomes = ()
        self.tests = 0

    async def test(self):
        self.tests += 1
        return self.outcomes
