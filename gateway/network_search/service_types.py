"""Name the DNS-SD service types that are looked for beside those of the adapters, as evidence of what a host is. Pure.

Each stands in two public sources: `_http` and `_https` at IANA and in RFC 6763; `_shelly` in Shelly's own API documentation
(Gen2, General, mDNS) and in OpenEMS/openems (ShellyDiscovery); `_enphase-envoy`, `_hwenergy` and `_lutron` in home-assistant/core
(generated/zeroconf.py), and besides in openhab/openhab-addons (Enphase, Lutron) and HomeWizard's API documentation as others
name it. A Fronius inverter announces a type that is longer than RFC 6763 allows, of which no text of its maker was found.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

SERVICE_TITLES: Final[Mapping[str, str]] = {
    "_http._tcp": "web page",
    "_https._tcp": "web page",
    "_modbus._tcp": "Modbus TCP",
    "_mbap._tcp": "Modbus TCP",
    "_pjlink._tcp": "PJLink",
    "_videohub._tcp": "Blackmagic Videohub",
    "_shelly._tcp": "Shelly",
    "_enphase-envoy._tcp": "Enphase Envoy",
    "_hwenergy._tcp": "HomeWizard",
    "_lutron._tcp": "Lutron",
}
"""Service type -> what it is called for a person."""

EVIDENCE: Final = ("_http._tcp", "_https._tcp", "_shelly._tcp", "_enphase-envoy._tcp", "_hwenergy._tcp", "_lutron._tcp")

MOST_TYPES: Final = 64

_TYPE: Final = re.compile(r"_[A-Za-z0-9](?:[A-Za-z0-9-]{0,13}[A-Za-z0-9])?\._(?:tcp|udp)")
"""RFC 6335, section 5.1: at most 15 letters, digits and hyphens."""


def service_types(named_by_adapters: Iterable[object]) -> list[str]:
    """Return the types to look for: those of the adapters, as far as they are types, and those of `EVIDENCE`."""
    own = [one for one in named_by_adapters if isinstance(one, str) and _TYPE.fullmatch(one)]
    return list(dict.fromkeys([*EVIDENCE, *own]))[:MOST_TYPES]


def service_title(service: str) -> str:
    """Return what a service type is called for a person; the type itself where nobody has named it."""
    return SERVICE_TITLES.get(service, service)
