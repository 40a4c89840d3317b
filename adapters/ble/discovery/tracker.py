"""Track all devices whose advertisements one radio receives, and find what decodes or reads each of them. Pure."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence

from adapters.ble.advertisements.advertisement import Advertisement
from adapters.ble.advertisements.device_decoder import DecodedAdvertisement, DeviceDecoder
from adapters.ble.advertisements.parser_registry import ParserRegistry
from adapters.ble.discovery.configured_devices import KnownDevice, find_sender
from adapters.ble.discovery.tracked_device import ReceivedAdvertisement, TrackedDevice
from adapters.ble.profile.profile import Profile
from adapters.ble.profile.profile_matching import best_match, best_profile
from adapters.ble.profile.standard_services import profile_for, profile_named
from adapters.ble.settings import BleSettings

log = logging.getLogger(__name__)

MAX_DEVICES = 4096
"""The number of devices that are remembered, those received last: phones generate new addresses all day."""

GENERIC_RANK = -1
"""The highest rank of a parser of a format that devices of any maker send along with their own."""

MAX_SHAPES = 16
"""The number of different frames of a device that are remembered as compared with the profiles."""

DUPLICATE_WAITS_SECONDS = 900.0
"""Of two devices that the same entry of the config fits, the second is accepted once the first was not received for so long."""


class Tracker:
    """The devices around one radio.

    Args:
        settings: the devices that are allowed and configured.
        parsers: the parsers of advertisements.
        on_forget: called with the address of each device that is no longer remembered.

    Raises:
        ValueError: a key of a configured device cannot be used.
    """

    def __init__(self, settings: BleSettings, parsers: ParserRegistry, on_forget: Callable[[str], None]) -> None:
        self._settings = settings
        self._parsers = parsers
        self._on_forget = on_forget
        self._known: Sequence[KnownDevice] = [KnownDevice(device) for device in settings.devices]
        self._ambiguous = [device for device in self._known if device.is_ambiguous]
        self._by_address: dict[str, TrackedDevice] = {}
        self._by_child_address: dict[str, TrackedDevice] = {}
        self._duplicate_reported: set[str] = set()
        """The child addresses for which a warning about two devices was logged."""

    def receive(self, advertisement: Advertisement, now: float) -> TrackedDevice | None:
        """Store an advertisement and return its device; `None` when that device is ignored."""
        device = self._by_address.get(advertisement.address)
        if device is None:
            device, has_new_content = self._add(advertisement), True
        else:
            has_new_content = not advertisement.has_same_content(device.advertisement)
            device.advertisement = advertisement
        if has_new_content or not device.received:
            device.received.append(ReceivedAdvertisement(advertisement, now))
        else:
            last = device.received[-1]
            last.advertisement, last.at, last.times = advertisement, now, last.times + 1
        device.heard_at = now
        if device.heard_since is None:
            device.heard_since = now
        decoder_before = device.decoder
        if has_new_content:
            self._update(device)
        if not device.is_allowed or not self._owns_child_address(device, now):
            return None
        if decoder_before is not None and device.decoder is decoder_before:
            self._decode(device, decoder_before)
        return device

    def get(self, child_address: str) -> TrackedDevice | None:
        """Return the device with this child address; `None` when no such device was received."""
        return self._by_child_address.get(child_address)

    def known_at(self, bluetooth_address: str) -> KnownDevice | None:
        """Return the entry of the config for the device that has this address now; `None` when it has none."""
        device = self._by_address.get(bluetooth_address)
        return None if device is None else device.known

    def __iter__(self) -> Iterator[TrackedDevice]:
        return iter([device for device in self._by_child_address.values() if device.is_allowed])

    def __len__(self) -> int:
        return len(self._by_address)

    def profile_named(self, name: str | None) -> Profile | None:
        """Return the profile of a device that is read over a connection; `None` for any other name."""
        return None if name is None else self._settings.library.get(name) or profile_named(name)

    def _add(self, advertisement: Advertisement) -> TrackedDevice:
        if len(self._by_address) >= MAX_DEVICES:
            self._forget_oldest()
        known = find_sender(advertisement, self._known)
        device = TrackedDevice(advertisement, known, self._settings.dead_bands)
        if known is not None and known.stable_address is not None:
            before = self._by_child_address.get(known.stable_address)
            if before is not None:
                device.copy_from(before)  # the same device with a new address
        self._by_address[advertisement.address] = self._by_child_address[device.child_address] = device
        return device

    def _update(self, device: TrackedDevice) -> None:
        """Evaluate new content: a name may identify a configured device, a payload may be decodable."""
        advertisement = device.advertisement
        if device.known is None and (known := find_sender(advertisement, self._ambiguous)) is not None:
            if self._by_child_address.get(device.child_address) is device:
                del self._by_child_address[device.child_address]
            device.assign(known)
            self._by_child_address[device.child_address] = device
        device.is_allowed = device.known is not None or self._settings.allows(advertisement.address, advertisement.name)
        if device.is_allowed and not device.has_final_source:
            self._find_source(device)

    def _owns_child_address(self, device: TrackedDevice, now: float) -> bool:
        """Return whether this is the configured device, and not another one that the same entry fits.

        A device that changed its address no longer advertises from the old one; two devices alternate.
        """
        owner = self._by_child_address.setdefault(device.child_address, device)
        if owner is device or device.known is None or not device.known.is_ambiguous:
            return True
        if device.is_duplicate and now - owner.heard_at < DUPLICATE_WAITS_SECONDS:
            return False
        if not device.is_duplicate:
            self._report_duplicate(owner, of=device)
        device.is_duplicate, owner.is_duplicate = False, True
        self._by_child_address[device.child_address] = device
        return True

    def _report_duplicate(self, duplicate: TrackedDevice, of: TrackedDevice) -> None:
        if of.child_address not in self._duplicate_reported:
            self._duplicate_reported.add(of.child_address)
            log.warning(
                "%s: this entry of the config fits both %s and %s; %s is ignored. "
                "Distinguish them in `devices`, by their addresses or by a longer name or payload",
                *(of.child_address, of.address, duplicate.address, duplicate.address),
            )

    def _find_source(self, device: TrackedDevice) -> None:
        """Find what tells the values of a device: the profile that the config names, its parser, or a profile that fits.

        A format that devices of any maker send along with their own is the last choice, and replaced when a better one is found.
        """
        known, advertisement = device.known, device.advertisement
        if known is not None and known.device.profile is not None:
            device.profile = self.profile_named(known.device.profile)
            return
        decoder, decoded = self._find_decoder(device)
        if (decoder is None or decoder.rank < 0) and device.profile is None and not _is_compared(device):
            profile = self._best_profile(device)
            if profile is not None:
                device.use_profile(profile, best_match(advertisement, profile))
                return
        if decoder is not None:
            device.use_decoder(decoder, decoded)
        elif device.decoder is None:
            device.offers_standard_services = profile_for(advertisement.service_uuids) is not None

    def _find_decoder(self, device: TrackedDevice) -> tuple[DeviceDecoder | None, DecodedAdvertisement | None]:
        """Find a parser that knows the device and is better than what was found before, and decode the advertisement by it.

        None is better than a profile, if a connection offers values that the advertisements lack.
        """
        known, advertisement = device.known, device.advertisement
        above = device.decoder.rank if device.decoder is not None else None if device.profile is None else GENERIC_RANK
        try:
            decoder = self._parsers.find_decoder(
                advertisement, None if known is None else known.bind_key, above=above, without=device.rejected_sources
            )
        except ValueError as error:
            device.problem = str(error)
            return None, None
        if decoder is None:
            return None, None
        decoded = decoder.decode(advertisement)
        needs, has_values = (decoded.needs, bool(decoded.values)) if decoded is not None else ((), False)
        if needs and (device.profile is not None or self._best_profile(device) is not None):
            device.rejected_sources.add(decoder.parser)
            return None, None
        return (decoder, decoded) if device.profile is None or has_values else (None, None)

    def _decode(self, device: TrackedDevice, decoder: DeviceDecoder) -> None:
        """Decode the advertisement; where it shows that values need something that a connection offers, use the profile."""
        before, decoded = device.last_decoded, decoder.decode(device.advertisement)
        device.set_decoded(decoded)
        is_new = decoded is not None and decoded.needs and (before is None or not before.needs)
        if is_new and (profile := self._best_profile(device)) is not None:
            device.rejected_sources.add(decoder.parser)
            device.use_profile(profile, best_match(device.advertisement, profile))

    def _best_profile(self, device: TrackedDevice) -> Profile | None:
        profiles = self._settings.library.values()
        return best_profile(device.advertisement, (one for one in profiles if one.name not in device.rejected_sources))

    def _forget_oldest(self) -> None:
        by_age = sorted(self._by_address.values(), key=lambda device: device.heard_at)
        for device in by_age[: MAX_DEVICES // 4]:
            del self._by_address[device.address]
            if self._by_child_address.get(device.child_address) is device:
                del self._by_child_address[device.child_address]
            self._on_forget(device.address)


def _is_compared(device: TrackedDevice) -> bool:
    """Note that a device was compared with the profiles, and return whether one that is known as a beacon was before.

    The frames of a beacon have counters in them: only the beginning of their data can distinguish them for a profile.
    """
    sent = device.advertisement
    data = (*sent.manufacturer_data.items(), *sent.service_data.items())
    shape = (sent.name, sent.service_uuids, tuple((source, content[:2]) for source, content in data))
    is_known = device.is_generic and shape in device.compared_shapes
    if len(device.compared_shapes) >= MAX_SHAPES:
        device.compared_shapes.clear()
    device.compared_shapes.add(shape)
    return is_known
