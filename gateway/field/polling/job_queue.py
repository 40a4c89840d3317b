"""Queue jobs for one bus: each is done in turn or fails in time, and has exactly one outcome."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from gateway.command_secrets import without_secrets
from gateway.errors import BusLost, BusUnavailable, CommandRejected, DeviceUnreachable, OutcomeUnknown, StoreError
from gateway.models import ChildDevice
from gateway.plain_text import MOST_ERROR_CHARACTERS, plain_text, raw_text_of_error

log = logging.getLogger(__name__)

T = TypeVar("T")

TOO_LATE = "the bus was not free in time; nothing was sent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job(Generic[T]):
    """What a bus does for one child: a command, a read that proves one, or one step of a long command."""

    child: str
    """The child's local key."""
    name: str
    """What it is called in the log."""
    work: Callable[[ChildDevice], Awaitable[T]]
    before_start: Callable[[], Awaitable[None]] | None = None
    """Awaited right before the work; if it raises, the work is not done."""
    secrets: frozenset[str] = frozenset()
    """Texts that no error and no log line shows."""
    device: ChildDevice | None = None
    """The device that it is for, where that need be no child of the bus, and where the work itself finds out who answers."""


@dataclass(frozen=True, slots=True, eq=False)
class QueuedJob(Generic[T]):
    """A job that waits for its bus, and the future that gets its outcome."""

    job: Job[T]
    wanted_at: float
    start_before: float
    """The loop time after which it must not start any more: a command that takes effect late is worse than one that fails."""
    outcome: asyncio.Future[T]

    async def prepare(self) -> bool:
        """Await `before_start`; return whether the work may be done. Otherwise the outcome is set."""
        if self.job.before_start is not None:
            try:
                await self.job.before_start()
            except (CommandRejected, StoreError) as error:
                self.fail(CommandRejected(f"it was not executed: {error}"))
            except asyncio.CancelledError:
                self.fail(CommandRejected("the bus was lost before it started; nothing was sent"))
                raise
            except Exception as error:  # a bug of the caller costs this job, and not the bus
                log.exception("%s: a bug before executing %.100r", self.job.child, self.job.name)
                self.fail(CommandRejected(f"it was not executed: {type(error).__name__}"))
        return not self.outcome.done()

    async def settle(self, work: Awaitable[T]) -> None:
        """Await the work of the adapter and set the outcome, whatever it is.

        Raises:
            BusUnavailable: the bus was lost meanwhile; the outcome says that the effect on the device is unknown.
        """
        try:
            result = await work
        except (CommandRejected, DeviceUnreachable, OutcomeUnknown) as error:
            self.fail(self._without_secrets(error))
        except (BusUnavailable, asyncio.CancelledError):
            self.fail(BusLost("the bus was lost while it was carried out"))
            raise
        except Exception as error:  # noqa: BLE001 - code of a third-party adapter: its bug costs this job, nothing else
            self._log_bug(error)
            told = plain_text(
                without_secrets(f"{type(error).__name__}: {raw_text_of_error(error)}", self.job.secrets), MOST_ERROR_CHARACTERS
            )
            self.fail(OutcomeUnknown(f"its adapter failed, and whether the device carried it out is unknown: {told}"))
        else:
            if not self.outcome.done():
                self.outcome.set_result(result)

    def fail(self, error: Exception) -> None:
        """Set the outcome to an error, if it is still awaited."""
        if not self.outcome.done():
            self.outcome.set_exception(error)

    def _without_secrets(
        self, error: CommandRejected | DeviceUnreachable | OutcomeUnknown
    ) -> CommandRejected | DeviceUnreachable | OutcomeUnknown:
        text = raw_text_of_error(error)
        hidden = plain_text(without_secrets(text, self.job.secrets), MOST_ERROR_CHARACTERS) or "its adapter gives no reason"
        if error.args and error.args[0] is hidden:
            return error
        kind = next(kind for kind in (CommandRejected, DeviceUnreachable, OutcomeUnknown) if isinstance(error, kind))
        return kind(hidden, cause=error.cause)  # its next step may quote a secret as well

    def _log_bug(self, error: Exception) -> None:
        """Log where a bug is; without the text of the error where that may quote a secret."""
        child, name, secrets = self.job.child, self.job.name, self.job.secrets
        if not secrets:
            log.error("%s: a bug in its adapter while executing %.100r", child, name, exc_info=error)
            return
        frame = error.__traceback__
        while frame is not None and frame.tb_next is not None:
            frame = frame.tb_next
        place = "an unknown place" if frame is None else f"{frame.tb_frame.f_code.co_filename}, line {frame.tb_lineno}"
        log.error("%s: a bug in its adapter while executing %.100r: %s in %s", child, name, type(error).__name__, place)


class JobQueue:
    """The jobs of one bus in the order in which they arrived."""

    def __init__(self) -> None:
        self._waiting: deque[QueuedJob[Any]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, job: Job[T], *, now: float, start_before: float) -> QueuedJob[T]:
        """Append a job."""
        outcome: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        queued = QueuedJob(job, now, start_before, outcome)
        self._waiting.append(queued)
        return queued

    def first(self, now: float) -> QueuedJob[Any] | None:
        """Return the next job that is still awaited; those that are too late fail."""
        while self._waiting:
            queued = self._waiting[0]
            if queued.outcome.done():
                self._waiting.popleft()
                continue
            if queued.start_before > now:
                return queued
            self._waiting.popleft()
            queued.fail(CommandRejected(TOO_LATE))
        return None

    def take(self, now: float) -> QueuedJob[Any] | None:
        """Remove and return the next job that is still awaited; those that are too late fail."""
        queued = self.first(now)
        if queued is not None:
            self._waiting.popleft()
        return queued

    def fail_all(self, error: Exception) -> None:
        """Fail every job that waits."""
        while self._waiting:
            self._waiting.popleft().fail(error)

    def expire(self, now: float) -> None:
        """Fail the jobs that are too late now, also while the bus is not open and nothing takes them."""
        waiting, self._waiting = self._waiting, deque()
        for queued in waiting:
            if queued.start_before > now:
                self._waiting.append(queued)
            else:
                queued.fail(CommandRejected(TOO_LATE))
