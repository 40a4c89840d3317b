"""Define the errors of the gateway; each name says what the caller does next. Pure.

GatewayError
├── SettingsError           refuse to start; report the line and what would be right
├── StoreError              refuse to start; report what is wrong with the file
│   ├── StoreDamaged        copy what can be read into a new file, and recover the identities from their mirror
│   └── StoreNewer          go back to the snapshot from before the update
├── BeginAnew               build the gateway anew from its store, in the same process
├── HubError
│   ├── HubUnreachable      keep everything, retry later
│   │   └── HubBusy         the same, and make no calls for this device for a while
│   │       └── UpdateLimitReached  only Update Device of this device has to wait; no call was made
│   ├── HubRejected         do not send the same again
│   │   └── HubUnauthorised the key is not accepted: confirm that, then register again
│   └── EnrolmentRevoked    stop sending, register again
├── FileRefused             do not use the file, tell why
└── AdapterError
    ├── BusUnavailable      close the bus, reopen later
    ├── DeviceUnreachable   mark this child silent, serve the others
    ├── CommandRejected     report the reason to the cloud
    │   └── CommandStopped  the same: it was cancelled between two steps
    ├── ConfigurationRejected  keep the former configuration, report each problem to the cloud
    └── OutcomeUnknown      report that the command may have taken effect, never repeat it
        └── BusLost         read back when the bus is there again; else the same

No error text contains a secret: `access_key` and `hardware_key` are never passed to an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.causes import Cause
from gateway.url_secrets import without_url_user


class GatewayError(Exception):
    """The base of all errors that the gateway raises."""


@dataclass(frozen=True, slots=True)
class SettingsProblem:
    """One thing that is wrong with the configuration, in the file or from the cloud."""

    where: str
    """The key, as written in the file: `adapter[1].poll_every`."""
    wrong: str
    right: str
    """What would be right."""
    line: int | None = None
    """1-based line in the file; `None` when it is not in the file (an environment variable, the command line)."""

    def __post_init__(self) -> None:
        """Mask what opens a URL: the texts often quote what is written in the file."""
        for name in ("wrong", "right"):
            object.__setattr__(self, name, without_url_user(getattr(self, name)))


@dataclass(frozen=True, slots=True)
class SettingMistake:
    """One thing that is wrong, or doubtful, inside of an entry."""

    location: tuple[int | str, ...]
    """The keys and indexes that lead to it, from the entry on: `("devices", 2, "profile")`."""
    wrong: str
    """What is wrong, as a sentence without a full stop."""
    right: str = ""
    """What would be right; what the key is for, when left out."""


class SettingsMistakes(ValueError):
    """The mistakes that settings have found in themselves; a validator of settings may raise it."""

    def __init__(self, mistakes: Sequence[SettingMistake]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(f"{one.wrong}{'. ' if one.right else ''}{one.right}" for one in mistakes))


class SettingsError(GatewayError):
    """The configuration cannot be used. Contains every problem, not only the first."""

    def __init__(self, file: Path | None, problems: list[SettingsProblem], warnings: Sequence[SettingsProblem] = ()) -> None:
        self.file = file
        self.problems = problems
        self.warnings = warnings
        """The settings that are probably not meant, told beside the problems."""
        super().__init__("\n".join(self._sentence(problem) for problem in problems))

    def _sentence(self, problem: SettingsProblem) -> str:
        place = "" if self.file is None else f"{self.file}{f':{problem.line}' if problem.line else ''}: "
        return f"{place}{problem.where}: {problem.wrong}. {problem.right}"


class StoreError(GatewayError):
    """The store cannot be opened or is from a newer gateway."""


class StoreDamaged(StoreError):
    """The file is no store (any more): its content is damaged."""


class StoreNewer(StoreError):
    """The store was written by a newer gateway."""


class BeginAnew(GatewayError):
    """The gateway has to be built anew, for the reason in the text."""


class HubError(GatewayError):
    """A call to the cloud failed."""

    cause: Cause = Cause.HUB_UNREACHABLE
    """What kind of outage it is."""


class HubUnreachable(HubError):
    """No usable response: no connection, a timeout, a 5xx, or a response that is no valid one of the hub."""

    def __init__(self, text: str, *, maybe_done: bool, status: int | None = None, cause: Cause = Cause.HUB_UNREACHABLE) -> None:
        super().__init__(text)
        self.cause = cause
        self.maybe_done = maybe_done
        """The hub may have received and carried out the request: its outcome is unknown."""
        self.status = status
        """The HTTP status, if there was a response."""


class HubBusy(HubUnreachable):
    """429: the hub did not carry out the call and asks for fewer calls."""

    def __init__(self, text: str, *, retry_after_seconds: float | None) -> None:
        super().__init__(text, maybe_done=False, status=429, cause=Cause.HUB_BUSY)
        self.retry_after_seconds = retry_after_seconds


class UpdateLimitReached(HubBusy):
    """Update Device was not called, since the hub would refuse more calls for this device within the hour."""


class StoreFails(HubUnreachable):
    """The hub was not called, or its response not processed, since the store of the gateway fails."""


class HubRejected(HubError):
    """The hub understood the call and refused it; the same call will be refused again."""

    cause = Cause.REFUSED_BY_CLOUD

    def __init__(self, text: str, *, status: int, error: str) -> None:
        super().__init__(text)
        self.status = status
        self.error = error
        """The error text of the hub."""


class HubUnauthorised(HubRejected):
    """401: this id with this key is not, or no longer, accepted."""

    cause = Cause.KEY_REFUSED


class EnrolmentRevoked(HubError):
    """The gateway's own credentials were refused twice: it was deleted in the cloud."""

    cause = Cause.DELETED_IN_CLOUD


class FileRefused(GatewayError):
    """A file may not be fetched, or was received and cannot be used; the text says why and quotes no more than the host."""


class AdapterError(GatewayError):
    """The errors that an adapter may raise. Any other one is a bug of the adapter and restarts that adapter only.

    Args:
        *texts: what was seen, in words.
        cause: what kind of outage it is; by default it is taken from an error of the operating system behind this one.
        next_step: what to do in this very case, where that is more than the general step of the cause.
    """

    cause: Cause = Cause.UNKNOWN
    next_step: str | None = None

    def __init__(self, *texts: object, cause: Cause = Cause.UNKNOWN, next_step: str | None = None) -> None:
        super().__init__(*texts)
        self.cause = cause
        self.next_step = next_step


class BusUnavailable(AdapterError):
    """The bus cannot be opened or was lost: a cable, a port, a host."""


class DeviceUnreachable(AdapterError):
    """This device did not answer, or gave an answer that cannot be trusted. The other devices are not affected."""


class CommandRejected(AdapterError):
    """The command is not carried out; the text gives the operator in the cloud the reason."""


class ConfigurationRejected(AdapterError):
    """The configuration from the cloud is not applied. Contains every problem, not only the first, and never a secret."""

    def __init__(self, problems: Sequence[SettingsProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(f"{problem.where}: {problem.wrong}. {problem.right}" for problem in problems))


class CommandStopped(CommandRejected):
    """A long command was cancelled, and stopped between two of its steps; the text says how far it came."""


class OutcomeUnknown(AdapterError):
    """The command was sent, and whether the device carried it out is unknown; the text says what was seen."""


class BusLost(OutcomeUnknown):
    """The bus was lost while the command was carried out."""
