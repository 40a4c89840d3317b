"""The status page of a plant that is only shown, for looking at it: `python tests/status/preview.py [port] [children]`."""

from __future__ import annotations

import asyncio
import sys
from random import Random

import fake_view
from fake_events import show_timeline

from gateway.models import Reading
from gateway.status.auth.access_control import TokenAuth
from gateway.status.auth.tokens import Role, Token, digest_of
from gateway.status.listening.endpoint import Endpoint
from gateway.status.server import StatusServer

TOKEN = "preview"


async def show(port: int, children: int) -> None:
    view = fake_view.show_plant(children=children)
    view.timeline = show_timeline(next(iter(view.children.values())).line, rounds=12)
    server = StatusServer(
        view,
        view.history,
        TokenAuth(lambda: (Token(name="administrator", role=Role.ADMINISTER, digest=digest_of(TOKEN)),), host="127.0.0.1"),
        endpoint=Endpoint(port=port),
    )
    async with asyncio.TaskGroup() as group:
        group.create_task(server.run())
        await server.listens.wait()
        print(f"{server.address} - sign in with the token: {TOKEN}")  # noqa: T201 - it is a script
        group.create_task(_live(view))


async def _live(view) -> None:
    random, silent = Random(1), False
    while True:
        await asyncio.sleep(5)
        for key in view.children:
            view.history.take([Reading(key, fake_view.METRICS[0], random.uniform(800, 1200), fake_view.now())])
        silent = not silent
        (view.silence if silent else view.revive)("sn:acme/Meter 4")


if __name__ == "__main__":
    asyncio.run(show(int([*sys.argv, "8480"][1]), int(sys.argv[2]) if len(sys.argv) > 2 else 9))
