"""Serve the page of a plant that is only shown, as a process that tests stop, kill and hang: PORT [EDITION]."""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta

import fake_view

from gateway.status.auth.access_control import TokenAuth
from gateway.status.listening.endpoint import Endpoint
from gateway.status.server import StatusServer


async def serve(port: int, edition: str | None) -> None:
    view = fake_view.show_plant()
    auth = TokenAuth(lambda: None, host="127.0.0.1")
    server = StatusServer(view, view.history, auth, endpoint=Endpoint(port=port), update_every=timedelta(seconds=1))
    if edition is not None:
        server._templates._edition = edition
    await server.run()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None))
