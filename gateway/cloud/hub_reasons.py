"""Say why a call to the cloud failed, and what to do about it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from gateway.causes import Cause, Reason
from gateway.errors import HubError

_STEPS: Final[Mapping[Cause, str]] = MappingProxyType(
    {
        Cause.NAME_UNKNOWN: (
            "Check the internet connection and the name servers of this machine; `xyte-gateway doctor` asks each of them."
        ),
        Cause.TLS: (
            "Check the clock of this machine. Where the network inspects TLS, name the certificate of its authority in"
            " `ca_file` of [cloud]."
        ),
        Cause.CLOCK_WRONG: (
            "The certificate of the cloud begins after the time that this machine shows. Set the clock:"
            " `timedatectl set-ntp true`; a machine without a battery for its clock needs a time server."
        ),
    }
)
"""What to do where the general step of a cause does not fit the cloud."""


def reason_of(error: HubError) -> Reason:
    """Return why a call failed."""
    return Reason(str(error), error.cause, _STEPS.get(error.cause))
