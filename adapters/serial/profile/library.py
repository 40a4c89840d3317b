"""Name the profile files of the serial adapter."""

from __future__ import annotations

from pathlib import Path

from adapters.serial.profile.profile import Profile
from gateway.adapter import ProfileFiles

PROFILE_FILES = ProfileFiles(Profile, folder=Path(__file__).parents[1] / "profiles")
