"""Serve the operations of the API on notifications."""

from __future__ import annotations

import asyncio

from aiohttp import web

from gateway.status.declared_routes import DeclaredRoute
from gateway.status.notifications_view import NotificationsView
from gateway.status.operations.notifications import (
    OPERATIONS,
    NotificationChannel,
    NotificationChannels,
    NotificationTest,
    NotificationTests,
)
from gateway.status.routes.api_operations import api_response, operation_routes


class NotificationsApi:
    """Handlers of `gateway.status.operations.notifications`.

    Args:
        view: tells incidents to a person.
        testing: held while a test is sent, one at a time: nobody is to be flooded.
    """

    def __init__(self, view: NotificationsView, testing: asyncio.Lock) -> None:
        self._view = view
        self._testing = testing

    def routes(self) -> list[DeclaredRoute]:
        """Return a route for each operation."""
        return operation_routes(OPERATIONS, self)

    async def notifications(self, request: web.Request) -> web.Response:
        """Respond with the ways to a person."""
        del request
        channels = (
            NotificationChannel(name=one.name, problem=one.problem, waiting=one.waiting, sent_at=one.sent_at)
            for one in self._view.channels
        )
        return api_response(NotificationChannels(channels=tuple(channels)))

    async def test_notifications(self, request: web.Request) -> web.Response:
        """Send a test, and respond with what the servers answered."""
        del request
        async with self._testing:
            outcomes = await self._view.test()
        tests = (NotificationTest(channel=one.channel, is_sent=one.is_sent, text=one.text) for one in outcomes)
        return api_response(NotificationTests(outcomes=tuple(tests)))
