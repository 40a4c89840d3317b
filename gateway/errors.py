"""The error tree. A name says what happens next; nothing here waits.

GatewayError
├── SettingsError           refuse to start; say which line and what would be right
├── StoreError              refuse to start; say what is wrong with the file
├── HubError
│   ├── HubUnreachable      keep everything, try later
│   │   └── HubBusy         as above, and stop all calls of this device for a while
│   ├── HubRejected         never send that again
│   │   └── HubUnauthorised the key is not accepted: confirm, then register anew
│   └── EnrolmentRevoked    stop sending, register anew
└── AdapterError
    ├── BusUnavailable      close the bus, reopen later
    ├── DeviceUnreachable   mark this child silent, serve the others
    └── CommandRejected     tell the hub why

No text in here ever holds a secret: `access_key` and `hardware_key` are not passed to an error.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


class GatewayError(Exception):
    """Anything that the gateway itself raises."""


@dataclass(frozen=True, slots=True)
class SettingsProblem:
    """One thing that is wrong with the configuration."""

    where: str
    """The key, as written in the file: `adapter[1].poll_every`."""
    wrong: str
    right: str
    """What would be right."""
    line: int | None = None
    """1-based line in the file; `None` when it is not in the file (an environment variable, the command line)."""


class SettingsError(GatewayError):
    """The configuration cannot be used. Holds every problem, not only the first."""

    def __init__(self, file: Path | None, problems: list[SettingsProblem]) -> None:
        self.file = file
        self.problems = problems
        super().__init__("\n".join(self._sentence(problem) for problem in problems))

    def _sentence(self, problem: SettingsProblem) -> str:
        place = "" if self.file is None else f"{self.file}{f':{problem.line}' if problem.line else ''}: "
        return f"{place}{problem.where}: {problem.wrong}. {problem.right}"


class StoreError(GatewayError):
    """The store cannot be opened or is from a newer gateway."""


class HubError(GatewayError):
    """A call to the cloud did not do what it was asked for."""


class HubUnreachable(HubError):
    """No usable answer: no connection, a timeout, a 5xx, or something that is not the hub's language."""

    def __init__(self, text: str, *, maybe_done: bool, status: int | None = None) -> None:
        super().__init__(text)
        self.maybe_done = maybe_done
        """The request may have reached the hub and been carried out: its outcome is unknown."""
        self.status = status
        """The HTTP status, when there was an answer at all."""


class HubBusy(HubUnreachable):
    """429: the hub did not do it and wants fewer calls."""

    def __init__(self, text: str, *, retry_after_seconds: float | None) -> None:
        super().__init__(text, maybe_done=False, status=429)
        self.retry_after_seconds = retry_after_seconds


class HubRejected(HubError):
    """The hub understood the call and refused it; the same call will be refused again."""

    def __init__(self, text: str, *, status: int, error: str) -> None:
        super().__init__(text)
        self.status = status
        self.error = error
        """The hub's own words."""


class HubUnauthorised(HubRejected):
    """401: this id with this key is not accepted (any more)."""


class EnrolmentRevoked(HubError):
    """The gateway's own credentials were refused twice: it was deleted in the cloud."""


class AdapterError(GatewayError):
    """What an adapter may raise. Anything else is a bug of the adapter and restarts that adapter only."""


class BusUnavailable(AdapterError):
    """The bus cannot be opened or was lost: a cable, a port, a host."""


class DeviceUnreachable(AdapterError):
    """This device did not answer, or not in a way that can be trusted. The others go on."""


class CommandRejected(AdapterError):
    """The command is not carried out; the text tells the operator in the cloud why."""
