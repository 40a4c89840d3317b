"""Find the profile that fits an advertisement. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from adapters.ble.advertisements.advertisement import Advertisement
from adapters.ble.profile.match_rules import MatchRule
from adapters.ble.profile.profile import Profile


def best_profile(advertisement: Advertisement, profiles: Iterable[Profile]) -> Profile | None:
    """Return the profile that fits the advertisement; of several, the one with the most conditions. `None`: none fits."""
    fits = [(match.weight, profile) for profile in profiles if (match := best_match(advertisement, profile)) is not None]
    return max(fits, key=lambda fit: fit[0])[1] if fits else None


def alternatives(profile: Profile, library: Iterable[Profile]) -> list[Profile]:
    """Return a profile, and behind it those with the same advertisement, of which the answer of a device confirms one."""
    same = (one for one in library if one.confirm is not None and one.match == profile.match and one.name != profile.name)
    return [profile, *sorted(same, key=lambda one: one.name)]


def best_match(advertisement: Advertisement, profile: Profile) -> MatchRule | None:
    """Return the match rule of a profile that fits the advertisement; of several, the one with the most conditions."""
    fits = (match for match in profile.match if match.fits(advertisement))
    return max(fits, key=lambda match: match.weight, default=None)
