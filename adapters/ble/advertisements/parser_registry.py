"""Find the parser that knows the sender of an advertisement, and import its library when it is needed first. Pure."""

from __future__ import annotations

import importlib
import logging
import re
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from importlib import metadata
from typing import TypeAlias

from pydantic import SecretStr

from adapters.ble.advertisements.advertisement import Advertisement
from adapters.ble.advertisements.advertiser_files import AdvertisementMatch, Advertiser, load
from adapters.ble.advertisements.device_decoder import Clock, DeviceDecoder
from adapters.ble.advertisements.layouts import LayoutParser
from adapters.ble.advertisements.library_parser import LibraryParser
from adapters.ble.advertisements.metrics import printable
from adapters.ble.advertisements.parser import Parser

TRIES = 5
"""The number of advertisements of an unknown device that are tried at first: some lack its identity. Later, few are tried."""

MAX_UNKNOWN_DEVICES = 4096
"""The number of unknown devices that are remembered; phones generate new addresses all day."""

_ParserFactory: TypeAlias = Callable[[bytes | None], Parser]
"""Creates a parser with this bind key."""


class ParserRegistry:
    """All parsers, and the search for the one that knows a device.

    Args:
        advertisers: the result of `advertiser.load`.
        clock: the time at which advertisements are received.
    """

    def __init__(self, advertisers: Iterable[Advertiser], clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._advertisers = {advertiser.name: advertiser for advertiser in advertisers}
        self._index = _AdvertiserIndex(self._advertisers.values())
        self._factories: dict[str, _ParserFactory | None] = {}
        self._versions: dict[str, str] = {}
        self._unknown_devices: dict[object, int] = {}
        self.missing: dict[str, str] = {}
        """The advertisers whose parser cannot be imported although such a device was received, and why, for a person."""

    @classmethod
    def built_in(cls, clock: Clock = time.monotonic) -> ParserRegistry:
        """Return the parsers that come with the gateway."""
        return cls(load(), clock)

    @property
    def advertisers(self) -> Mapping[str, Advertiser]:
        """All advertisers by name."""
        return self._advertisers

    def find_decoder(
        self,
        advertisement: Advertisement,
        bind_key: SecretStr | None = None,
        *,
        above: int | None = None,
        without: Collection[str] = (),
    ) -> DeviceDecoder | None:
        """Return a decoder for the sender of an advertisement; `None` when no parser knows it.

        The parser whose conditions fit best is tried first, and the first that knows the device is taken. For an unknown device
        whose advertisements keep their shape, parsers are soon tried only at the 8th, 16th, 32nd advertisement.

        Args:
            advertisement: what was received.
            bind_key: the key of the device, for encrypted advertisements.
            above: only parsers with a higher rank are tried.
            without: the names of advertisers that are not tried.

        Raises:
            ValueError: a device of this kind cannot have this bind key; the text does not contain it.
        """
        candidates = [
            one
            for one in self._index.candidates(advertisement)
            if (above is None or one.rank > above) and one.name not in without
        ]
        if not candidates:
            return None
        if self._is_skipped(shape := (above, _shape(advertisement))):
            return None
        for advertiser in candidates:
            if (decoder := self._new_decoder(advertiser, advertisement, bind_key)) is not None:
                self._unknown_devices.pop(shape, None)
                return decoder
        return None

    def preload(self, name: str) -> str | None:
        """Import this advertiser's parser before such a device is received; return why that fails, `None` when it succeeds.

        An import takes a tenth of a second and more, once.
        """
        return None if self._factory(self._advertisers[name]) is not None else self.missing[name]

    def _new_decoder(
        self, advertiser: Advertiser, advertisement: Advertisement, bind_key: SecretStr | None
    ) -> DeviceDecoder | None:
        """Return a decoder if this parser knows the device; the decoder gets a second one, which misses nothing."""
        factory = self._factory(advertiser)
        if factory is None or DeviceDecoder(advertiser, factory(None), {}, self._clock).decode(advertisement) is None:
            return None
        key = None if bind_key is None else bind_key_bytes(bind_key, advertiser)
        return DeviceDecoder(advertiser, factory(key), _evidence(advertisement, self._versions[advertiser.name]), self._clock)

    def _factory(self, advertiser: Advertiser) -> _ParserFactory | None:
        if advertiser.name not in self._factories:
            try:
                self._factories[advertiser.name] = _import_parser(advertiser)
                self._versions[advertiser.name] = _version(advertiser)
            except Exception as error:  # noqa: BLE001 - an import runs a third-party module
                self._factories[advertiser.name] = None
                package = (
                    f"install {advertiser.package}, or xyte-gateway[ble-parsers]"
                    if advertiser.package
                    else "a bug of the gateway"
                )
                self.missing[advertiser.name] = printable(f"{advertiser.title} cannot be decoded: {error} ({package})")
        return self._factories[advertiser.name]

    def _is_skipped(self, shape: object) -> bool:
        """Count the advertisements of this shape, and return whether to try the parsers again would be a waste."""
        count = self._unknown_devices.pop(shape, 0) + 1
        self._unknown_devices[shape] = count
        if len(self._unknown_devices) > MAX_UNKNOWN_DEVICES:
            del self._unknown_devices[next(iter(self._unknown_devices))]
        return count > TRIES and count.bit_count() > 1


def bind_key_bytes(key: SecretStr, advertiser: Advertiser) -> bytes | None:
    """Return the bytes of a bind key for a device of this kind; `None` when such a device has none.

    Raises:
        ValueError: the key is malformed; the text does not contain it.
    """
    lengths = advertiser.bind_key_bytes
    if not lengths:
        return None
    digits = re.sub("[ :-]", "", key.get_secret_value())
    if not re.fullmatch("[0-9a-fA-F]*", digits) or len(digits) % 2 or len(digits) // 2 not in lengths:
        expected = " or ".join(str(2 * length) for length in sorted(lengths))
        raise ValueError(f"the bind key of a {advertiser.title} has to have {expected} hexadecimal digits")
    return bytes.fromhex(digits)


class _AdvertiserIndex:
    """Finds the advertisers that may know a device by the content of its advertisement."""

    def __init__(self, advertisers: Iterable[Advertiser]) -> None:
        self._by_key: dict[object, list[tuple[AdvertisementMatch, Advertiser]]] = defaultdict(list)
        for advertiser in advertisers:
            for match in advertiser.match:
                for key in _index_keys(match):
                    self._by_key[key].append((match, advertiser))
        self._name_lengths = sorted({len(key[1]) for key in self._by_key if isinstance(key, tuple) and key[0] == "name"})

    def candidates(self, advertisement: Advertisement) -> list[Advertiser]:
        """Return the advertisers that may know the device, the most likely one first."""
        found: dict[str, tuple[int, int, Advertiser]] = {}
        for key in self._keys(advertisement):
            for match, advertiser in self._by_key.get(key, ()):
                if match.fits(advertisement):
                    known = found.get(advertiser.name)
                    if known is None or known[1] < match.weight:
                        found[advertiser.name] = (advertiser.rank, match.weight, advertiser)
        ranked = sorted(found.values(), key=lambda candidate: candidate[:2], reverse=True) if len(found) > 1 else found.values()
        return [advertiser for _, _, advertiser in ranked]

    def _keys(self, advertisement: Advertisement) -> list[object]:
        keys: list[object] = [("company", company) for company in advertisement.manufacturer_data]
        keys += [("length", len(data)) for data in advertisement.manufacturer_data.values()]
        keys += [("service data", uuid) for uuid in advertisement.service_data]
        keys += [("service", uuid) for uuid in advertisement.service_uuids]
        if advertisement.name:
            name = advertisement.name.lower()
            keys += [("name", name[:length]) for length in self._name_lengths]
        return keys


def _index_keys(match: AdvertisementMatch) -> list[tuple[str, object]]:
    """Return the keys of a match in the index: those of the condition that the fewest devices meet."""
    if match.company:
        return [("company", company) for company in match.company]
    if match.service_data is not None:
        return [("service data", match.service_data)]
    if match.name:
        return [("name", match.name.lower())]
    return [("service", match.service)] if match.service is not None else [("length", match.length)]


def _import_parser(advertiser: Advertiser) -> _ParserFactory:
    if advertiser.module is None or advertiser.parser is None:
        return lambda key: LayoutParser(advertiser.layouts, key)
    parser_class = getattr(importlib.import_module(advertiser.module), advertiser.parser)
    if advertiser.package is None:
        return lambda _: parser_class()
    _silence_logger(advertiser.module)
    return lambda key: LibraryParser(advertiser, parser_class, key)


def _version(advertiser: Advertiser) -> str:
    """Return the package that contains the parser, and its version."""
    package = advertiser.package
    return "the gateway itself" if package is None else f"{package} {metadata.version(package)}"


def _silence_logger(module: str) -> None:
    """Keep a library from logging each damaged advertisement, unless somebody has set the level of its logger."""
    logger = logging.getLogger(module)
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.CRITICAL)


def _shape(advertisement: Advertisement) -> object:
    """Return what is equal in all advertisements of a device that always sends the same kinds of data."""
    sizes = frozenset(
        (key, len(data)) for key, data in (*advertisement.manufacturer_data.items(), *advertisement.service_data.items())
    )
    return advertisement.address, advertisement.name, sizes


def _evidence(advertisement: Advertisement, parsed_by: str) -> dict[str, str]:
    """Return what was examined -> what was found."""
    found = {"advertised name": printable(advertisement.name)} if advertisement.name else {}
    found |= {f"manufacturer data 0x{company:04X}": data.hex(" ") for company, data in advertisement.manufacturer_data.items()}
    found |= {f"service data {uuid}": data.hex(" ") for uuid, data in advertisement.service_data.items()}
    return {**found, "decoded by": parsed_by}
