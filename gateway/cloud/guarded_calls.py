"""Run the hub calls of the session's loops under rate control, so that no failure of hub or store ends a loop."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from gateway.cloud.rate_control import CallKind, RateControl
from gateway.cloud.revocation import GatewayRevocation, as_unreachable
from gateway.errors import HubError, HubRejected, HubUnauthorised, HubUnreachable, StoreError, StoreFails
from gateway.hub import Credentials
from gateway.state.writes import run_to_completion

log = logging.getLogger(__name__)

T = TypeVar("T")

FINISH_SECONDS = 1.5
"""How long a call that has begun may go on when its loop is cancelled: a response that is not processed has its call repeated."""


class GuardedCalls:
    """Waits for the rate control before each call, and records in it how the call ended."""

    def __init__(self, rate_control: RateControl, revocation: GatewayRevocation) -> None:
        self.rate_control = rate_control
        self.revocation = revocation
        self._known_faults: set[tuple[str, str, int | None]] = set()

    async def run(self, parent: Credentials, kind: CallKind, work: Callable[[], Coroutine[Any, Any, T]], *, otherwise: T) -> T:
        """Do the work when calls of its kind are allowed, and return its result, or `otherwise` when it failed.

        Work that has begun is finished although the caller is cancelled, so nothing is sent twice at a stop. Work that returns
        `False` called nothing, so it does not count as a response of the hub.

        Raises:
            EnrolmentRevoked: the gateway's own key was refused twice.
        """
        await self.rate_control.wait(kind)
        try:
            result = await run_to_completion(work(), within_seconds=FINISH_SECONDS)
        except HubUnreachable as error:
            failure = error
        except HubUnauthorised as error:
            self.rate_control.refused(kind, error)
            failure = await self.revocation.confirm(parent, kind, error)
        except HubRejected as error:
            failure = as_unreachable(error)
        except StoreError as error:
            failure = StoreFails(str(error), maybe_done=True)
        except HubError:
            raise
        except Exception as error:  # noqa: BLE001 - an answer that nobody has thought of must not end all loops
            failure = self._fault(kind, error)
        else:
            if result is not False:
                self.rate_control.answered(kind)
            return result
        self.rate_control.failed(kind, failure)
        return otherwise

    def _fault(self, kind: CallKind, error: Exception) -> HubUnreachable:
        """Log a fault of the gateway itself, with its place and once for each place, and return it as a failure to retry."""
        place = traceback.extract_tb(error.__traceback__)[-1]
        if (fault := (type(error).__name__, place.filename, place.lineno)) not in self._known_faults:
            self._known_faults.add(fault)
            log.error("a fault of the gateway itself in its calls for %s; it goes on, and tries again", kind, exc_info=error)
        return HubUnreachable(f"a fault of the gateway itself ({fault[0]})", maybe_done=True)

    async def succeeds(self, parent: Credentials, kind: CallKind, work: Callable[[], Awaitable[None]]) -> bool:
        """Do the work when calls of its kind are allowed, and return whether it succeeded.

        Raises:
            EnrolmentRevoked: the gateway's own key was refused twice.
        """

        async def do() -> bool:
            await work()
            return True

        return await self.run(parent, kind, do, otherwise=False)
