"""Write an advertisement as the bytes and the words that a person compares with a data sheet. Pure.

The system delivers the parts of an advertisement and not its bytes; they are put together again as advertising data structures
(Core Specification Supplement, Part A). Their order on the air is not known.
"""

from __future__ import annotations

from collections.abc import Iterator

from adapters.ble.advertisements.advertisement import Advertisement, short_uuid

COMPLETE_NAME, TX_POWER, MANUFACTURER_DATA = 0x09, 0x0A, 0xFF
SERVICES_16, SERVICES_128 = 0x03, 0x07
SERVICE_DATA_16, SERVICE_DATA_128 = 0x16, 0x21


def structures_of(advertisement: Advertisement) -> bytes:
    """Return the parts of an advertisement, each with its length and its type."""
    return b"".join(bytes([len(content) + 1 & 0xFF, kind]) + content for kind, content in _parts(advertisement))


def words_of(advertisement: Advertisement) -> str:
    """Return what an advertisement has: signal strength, name, and how many bytes of which company and service."""
    words = [] if advertisement.rssi is None else [f"{advertisement.rssi} dBm"]
    words += [f"name “{advertisement.name}”"] if advertisement.name else []
    words += [f"{len(data)} bytes of the company {company:04X}" for company, data in advertisement.manufacturer_data.items()]
    words += [f"{len(data)} bytes of the service {short_uuid(uuid)}" for uuid, data in advertisement.service_data.items()]
    offered = [short_uuid(uuid) for uuid in advertisement.service_uuids if uuid not in advertisement.service_data]
    words += [f"offers {', '.join(offered)}"] if offered else []
    return f"advertisement: {', '.join(words) or 'without content'}"


def _parts(advertisement: Advertisement) -> Iterator[tuple[int, bytes]]:
    if advertisement.tx_power is not None and -127 <= advertisement.tx_power <= 127:
        yield TX_POWER, advertisement.tx_power.to_bytes(1, signed=True)
    for uuid in advertisement.service_uuids:
        content = _uuid_bytes(uuid)
        yield (SERVICES_16 if len(content) == 2 else SERVICES_128), content
    for company, data in advertisement.manufacturer_data.items():
        yield MANUFACTURER_DATA, (company & 0xFFFF).to_bytes(2, "little") + data
    for uuid, data in advertisement.service_data.items():
        content = _uuid_bytes(uuid)
        yield (SERVICE_DATA_16 if len(content) == 2 else SERVICE_DATA_128), content + data
    if advertisement.name:
        yield COMPLETE_NAME, advertisement.name.encode()


def _uuid_bytes(uuid: str) -> bytes:
    """Return a uuid as it is sent: the last byte first, in 16 bits where it has so few."""
    short = short_uuid(uuid)
    return bytes.fromhex(short.replace("-", ""))[::-1]
