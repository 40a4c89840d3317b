"""Restart the gateway: end the process in order, so that what started it starts it again."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from gateway.status.listening.endpoint import FormerAddress

EXIT_RESTART = 75
"""The exit code of a process that wants to be started again: neither success nor 2, after which systemd does not restart it."""

CONTAINER_FILES = (Path("/.dockerenv"), Path("/run/.containerenv"))
"""Docker and Podman put one of these into each container."""

NOT_STARTED_AGAIN = (
    "nothing would start the gateway again: it runs neither as a service of systemd nor as the main process of a container."
    " Restart it on its machine"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedState:
    """What worked before the configuration was changed, and is expected to work after it."""

    buses: frozenset[tuple[str, str]]
    """By entry and label."""
    has_hub: bool
    what: str
    """What was changed."""
    by: str
    at: datetime


class Restart:
    """A request to restart the process, which the gateway follows once everything is stored.

    Args:
        started_by: what starts the process again when it ends, for the operator; `None` when nothing does.
    """

    def __init__(self, started_by: str | None = None) -> None:
        self.started_by = started_by
        self.requested = asyncio.Event()
        self.begins_anew = asyncio.Event()
        """A request to build the gateway anew in this process, with what has changed around it."""
        self.why_anew = ""
        """What has changed, in words."""
        self.expected: ExpectedState | None = None
        """What worked before the configuration was changed, for the gateway that is built anew."""
        self.former_page: FormerAddress | None = None
        """Where the page was before its address was changed, for the gateway that is built anew."""
        self.why = ""
        """Who asked for it, in words."""

    def request(self, why: str) -> None:
        """Request the restart."""
        self.why = why
        self.requested.set()

    def begin_anew(self, why: str) -> None:
        """Request to build the gateway anew in this process."""
        self.why_anew = why
        self.begins_anew.set()

    async def end_process(self) -> str:
        """Request the restart and wait for the end of the process, which the caller does not survive.

        What it is doing stays begun in the ledger, and the next process finds out how it ended.
        """
        self.request("the cloud asked for a restart")
        end: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        return await end


def starter_of_process(
    environment: Mapping[str, str] = os.environ, *, container_files: tuple[Path, ...] = CONTAINER_FILES
) -> str | None:
    """Return what starts this process again when it ends; `None` when a person would have to.

    systemd sets NOTIFY_SOCKET for a service that notifies it, and SYSTEMD_EXEC_PID for the process that it starts itself; neither
    reaches a shell. In a container only the main process counts, alone or below an init such as tini, and without a terminal.
    An init also adopts what a person has left running in the background; that belongs to the session of a shell.
    """
    if environment.get("NOTIFY_SOCKET") or environment.get("SYSTEMD_EXEC_PID") == str(os.getpid()):
        return "systemd"
    is_in_container = any(file.exists() for file in container_files) or "KUBERNETES_SERVICE_HOST" in environment
    is_main_process = os.getpid() == 1 or (os.getppid() == 1 and os.getsid(0) in (os.getsid(1), os.getpid()))
    is_at_terminal = sys.stdin is not None and sys.stdin.isatty()
    return "the container engine" if is_in_container and is_main_process and not is_at_terminal else None
