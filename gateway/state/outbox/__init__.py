"""Keep the samples that the cloud has not accepted yet.

Import names from here; the files beside this one hold them by subject.
"""

from gateway.state.outbox.accounts import Account, read_accounts
from gateway.state.outbox.bounds import KEEP_FOR, MOST_BYTES
from gateway.state.outbox.losses import Loss, LossReason, read_losses
from gateway.state.outbox.outbox import Outbox
from gateway.state.outbox.samples import PART_BYTES, QueuedSample

__all__ = [
    "KEEP_FOR",
    "MOST_BYTES",
    "PART_BYTES",
    "Account",
    "Loss",
    "LossReason",
    "Outbox",
    "QueuedSample",
    "read_accounts",
    "read_losses",
]
