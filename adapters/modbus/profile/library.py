"""Profile files to profiles: ours, and those of an integrator."""

from __future__ import annotations

from pathlib import Path

from adapters.modbus.profile.profile import Profile
from gateway.adapter import ProfileError, ProfileFiles, apply_defaults

__all__ = ["OURS", "ProfileError", "load", "parse", "read"]

OURS = Path(__file__).parents[1] / "profiles"
"""The folder of the profiles that come with the gateway."""

_FILES = ProfileFiles(Profile, apply_defaults)

parse = _FILES.parse
"""Return the profile in a text; keys of `[defaults]` count for each point that does not say them itself."""

read = _FILES.read
"""Return the profile in a file."""

load = _FILES.load
"""Return all profiles of these folders by name; one of a later folder replaces its namesake."""
