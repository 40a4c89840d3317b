"""Everybody who is heard around one radio. Nothing here waits."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence

from adapters.ble.advertisements.advertisement import Advertisement
from adapters.ble.advertisements.parser_registry import Parsers
from adapters.ble.discovery.configured_devices import KnownDevice, sender_of
from adapters.ble.discovery.tracked_device import Neighbour
from adapters.ble.profile.profile import Profile
from adapters.ble.profile.read_plan import match_of, profile_fitting
from adapters.ble.profile.standard_services import profile_for, profile_named
from adapters.ble.settings import BleSettings

log = logging.getLogger(__name__)

MOST_NEIGHBOURS = 4096
"""So many devices are remembered, those heard last: phones make new addresses all day."""

TWIN_WAITS_SECONDS = 900.0
"""Of two devices that the same words of the config fit, the second is listened to after the first was not heard for so long."""


class Surroundings:
    """The neighbours of one radio.

    Args:
        settings: who is listened to, and what is said of whom.
        parsers: what understands advertisements.
        forgotten: is told the address of each device that is remembered no more.

    Raises:
        ValueError: a key of a configured device cannot be used.
    """

    def __init__(self, settings: BleSettings, parsers: Parsers, forgotten: Callable[[str], None]) -> None:
        self._settings = settings
        self._parsers = parsers
        self._forgotten = forgotten
        self._known: Sequence[KnownDevice] = [KnownDevice(device) for device in settings.devices]
        self._known_by_words = [device for device in self._known if device.goes_by_words]
        self._by_address: dict[str, Neighbour] = {}
        self._by_place: dict[str, Neighbour] = {}
        self._with_twins: set[str] = set()
        """The places at which two were heard side by side."""

    def take(self, heard: Advertisement, now: float) -> Neighbour | None:
        """Take in an advertisement, and return whose it is; `None` when that device is not listened to."""
        neighbour = self._by_address.get(heard.address)
        if neighbour is None:
            neighbour, says_something_new = self._meet(heard), True
        else:
            says_something_new = not heard.says_the_same_as(neighbour.heard)
            neighbour.heard = heard
        neighbour.heard_at = now
        understood_before = neighbour.decoder
        if says_something_new:
            self._look_at(neighbour)
        if not neighbour.is_welcome or not self._holds_its_place(neighbour, now):
            return None
        if understood_before is not None and neighbour.decoder is understood_before:
            neighbour.hear(understood_before.take(heard))
        return neighbour

    def at(self, place: str) -> Neighbour | None:
        """Return who is addressed like this; `None` when nobody was heard there."""
        return self._by_place.get(place)

    def __iter__(self) -> Iterator[Neighbour]:
        return iter([neighbour for neighbour in self._by_place.values() if neighbour.is_welcome])

    def __len__(self) -> int:
        return len(self._by_address)

    def profile_named(self, name: str | None) -> Profile | None:
        """Return the profile by which a device is connected to; `None` for any other name."""
        return None if name is None else self._settings.library.get(name) or profile_named(name)

    def _meet(self, heard: Advertisement) -> Neighbour:
        if len(self._by_address) >= MOST_NEIGHBOURS:
            self._forget_the_oldest()
        known = sender_of(heard, self._known)
        neighbour = Neighbour(heard, known, self._settings.dead_bands)
        if known is not None and known.place is not None and (before := self._by_place.get(known.place)) is not None:
            neighbour.takes_over_from(before)  # it made itself another address
        self._by_address[heard.address] = self._by_place[neighbour.place] = neighbour
        return neighbour

    def _look_at(self, neighbour: Neighbour) -> None:
        """Look at a device that says something new: a name may tell who it is, a payload what."""
        heard = neighbour.heard
        if neighbour.known is None and (known := sender_of(heard, self._known_by_words)) is not None:
            if self._by_place.get(neighbour.place) is neighbour:
                del self._by_place[neighbour.place]
            neighbour.becomes(known)
            self._by_place[neighbour.place] = neighbour
        neighbour.is_welcome = neighbour.known is not None or self._settings.hears(heard.address, heard.name)
        if neighbour.is_welcome and neighbour.decoder is None and neighbour.profile is None:
            self._understand(neighbour)

    def _holds_its_place(self, neighbour: Neighbour, now: float) -> bool:
        """Whether it is the one that what the config says is about: a device that moved does not speak from its old address."""
        holder = self._by_place.setdefault(neighbour.place, neighbour)
        if holder is neighbour or neighbour.known is None or not neighbour.known.goes_by_words:
            return True
        if neighbour.is_twin and now - holder.heard_at < TWIN_WAITS_SECONDS:
            return False
        if not neighbour.is_twin:
            self._note_twin(holder, of=neighbour)
        neighbour.is_twin, holder.is_twin = False, True
        self._by_place[neighbour.place] = neighbour
        return True

    def _note_twin(self, twin: Neighbour, of: Neighbour) -> None:
        if of.place not in self._with_twins:
            self._with_twins.add(of.place)
            log.warning(
                "%s: %s and %s are heard side by side, and what the config says of this device fits both; %s is left out. "
                "Tell them apart in `devices`, by their addresses or by more of what they say",
                *(of.place, of.address, twin.address, twin.address),
            )

    def _understand(self, neighbour: Neighbour) -> None:
        """Find what understands a device: the profile that a person names, a parser, or a profile that fits."""
        known, heard = neighbour.known, neighbour.heard
        if known is not None and known.device.profile is not None:
            neighbour.profile = self.profile_named(known.device.profile)
            return
        self._try_parsers(neighbour)
        if neighbour.decoder is None:
            neighbour.profile = self._fitting(heard)
            neighbour.match = None if neighbour.profile is None else match_of(heard, neighbour.profile)
            neighbour.offers_standard_services = profile_for(heard.service_uuids) is not None

    def _try_parsers(self, neighbour: Neighbour) -> None:
        """Take the parser that understands its advertisements, unless connecting to it tells more than they do."""
        known, heard = neighbour.known, neighbour.heard
        try:
            decoder = self._parsers.decoder_for(heard, None if known is None else known.bind_key)
        except ValueError as error:
            neighbour.trouble = str(error)
            return
        said = None if decoder is None else decoder.take(heard)
        if said is None or not said.needs or self._fitting(heard) is None:
            neighbour.decoder = decoder
            neighbour.hear(said)

    def _fitting(self, heard: Advertisement) -> Profile | None:
        return profile_fitting(heard, self._settings.library.values())

    def _forget_the_oldest(self) -> None:
        by_age = sorted(self._by_address.values(), key=lambda neighbour: neighbour.heard_at)
        for neighbour in by_age[: MOST_NEIGHBOURS // 4]:
            del self._by_address[neighbour.address]
            if self._by_place.get(neighbour.place) is neighbour:
                del self._by_place[neighbour.place]
            self._forgotten(neighbour.address)
