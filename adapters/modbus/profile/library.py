"""Name the profile files of the Modbus adapter."""

from __future__ import annotations

from pathlib import Path

from adapters.modbus.profile.profile import Profile
from gateway.adapter import ProfileFiles, apply_defaults

PROFILE_FILES = ProfileFiles(Profile, apply_defaults, folder=Path(__file__).parents[1] / "profiles")
"""Keys of `[defaults]` apply to each point that does not set them itself."""
