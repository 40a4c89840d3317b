"""Keep the samples that the cloud has not accepted yet.

Import names from here; the files beside this one hold them by subject.
"""

from gateway.state.outbox.losses import REJECTED, THINNED, Loss
from gateway.state.outbox.outbox import Outbox
from gateway.state.outbox.samples import PART_BYTES, QueuedSample

__all__ = ["PART_BYTES", "REJECTED", "THINNED", "Loss", "Outbox", "QueuedSample"]
