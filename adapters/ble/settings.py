"""What an `[[adapter]]` entry of type `ble` may say.

    [[adapter]]
    type = "ble"
    name = "radio"
    controllers = ["hci0"]
    scanning = "active"
    deny = ["name:Tile*"]
    devices = [
        { address = "A4:C1:38:12:34:56", name = "Cold store", bind_key_file = "/run/secrets/cold_store_key" },
        { called = "Fridge 3*", name = "Fridge 3" },
    ]

How to add a device model that is connected to: one profile `profiles/<name>.toml` and one case folder; a kind of advertisement:
one file in `advertisers/`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ImportString, SecretStr, model_validator

from adapters.ble.profile.library import PROFILE_FILES
from adapters.ble.profile.profile import Profile
from adapters.ble.profile.standard_services import profile_named
from gateway.adapter import ProfileFiles, ProfileSettings, Seconds, first_duplicate, read_secret_file

ADDRESS = re.compile(r"[0-9A-F]{2}(:[0-9A-F]{2}){5}")


def parse_address(written: object) -> object:
    """Return a Bluetooth address in upper case with colons: `a4c138123456` is `A4:C1:38:12:34:56`."""
    digits = re.sub(r"[\s:-]", "", str(written)).upper()
    if not re.fullmatch(r"[0-9A-F]{12}", digits):
        raise ValueError(f'{shown(written)} is no Bluetooth address: write "A4:C1:38:12:34:56"')
    return ":".join(digits[at : at + 2] for at in range(0, 12, 2))


def shown(written: object) -> str:
    """Return what was written, unless it looks like a key that has got into the wrong place."""
    looks_like_a_key = re.fullmatch(r"([0-9A-Fa-f]{2}[\s:-]*){12,}", str(written))
    return "what is given, as long as a key," if looks_like_a_key else str(written)


def parse_hex(written: object) -> object:
    """Return hexadecimal digits without spaces and colons, in lower case."""
    digits = re.sub(r"[\s:-]", "", str(written)).lower()
    if not re.fullmatch(r"([0-9a-f]{2})+", digits):
        raise ValueError("it is no whole number of bytes in hexadecimal digits")
    return digits


def parse_filter(written: object) -> object:
    """Return an entry of an allow or deny list: an address, or `name:` and a pattern; `*` stands for anything."""
    text = str(written).strip()
    if text.lower().startswith("name:"):
        return f"name:{text[5:].strip()}"
    if not re.fullmatch(r"[0-9A-Fa-f:*?]{1,17}", text):
        raise ValueError(f'{text!r} is neither an address ("A4:C1:38:*") nor a name ("name:Kitchen*")')
    return text.upper()


Address = Annotated[str, BeforeValidator(parse_address)]
Pattern = Annotated[str, BeforeValidator(parse_filter)]


class ConfiguredDevice(BaseModel):
    """A device of which something is said that it does not say itself."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    address: Address | None = Field(default=None, description="its address, for one that keeps it")
    called: str | None = Field(
        default=None, min_length=1, description="the name that it advertises, for one that changes its address; * for anything"
    )
    payload: Annotated[str, BeforeValidator(parse_hex)] | None = Field(
        default=None,
        description="how what it advertises begins, company id and all, in hexadecimal digits; for one that changes its address",
    )
    irk: SecretStr | None = Field(
        default=None, description="its identity resolving key, 32 hexadecimal digits: a secret, best given as irk_file"
    )
    irk_file: Path | None = Field(default=None, description="file that holds nothing but the identity resolving key")
    bind_key: SecretStr | None = Field(
        default=None, description="the key that its advertisements are encrypted with: a secret, best given as bind_key_file"
    )
    bind_key_file: Path | None = Field(default=None, description="file that holds nothing but the bind key")
    profile: str | None = Field(default=None, description="name of the profile by which it is connected to and read")
    name: str = Field(default="", description="what the device is called here")

    @model_validator(mode="after")
    def _is_known_by_something(self) -> Self:
        ways = [self.address, self.called, self.payload, self.irk or self.irk_file]
        if sum(way is not None for way in ways) != 1:
            raise ValueError("say by what it is known: one of address, called, payload or irk_file")
        for key, file in (("irk", self.irk_file), ("bind_key", self.bind_key_file)):
            if file is not None and getattr(self, key) is not None:
                raise ValueError(f"there is a {key} as well as a {key}_file: keep one of the two")
        return self

    @property
    def label(self) -> str:
        """What a person knows it by; never a key."""
        return (
            self.name or self.address or self.called or (f"payload {self.payload}" if self.payload else "the device with an irk")
        )


class Backend(BaseModel):
    """Classes handed to bleak in place of the system's, as `module:Class`: another radio, or a simulated one."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    scanner: ImportString[type[Any]] = Field(description="a subclass of bleak's BaseBleakScanner")
    client: ImportString[type[Any]] = Field(description="a subclass of bleak's BaseBleakClient")


class BleSettings(ProfileSettings[Profile]):
    """One `[[adapter]]` entry: Bluetooth controllers that all listen in the same way."""

    profile_files: ClassVar[ProfileFiles[Profile]] = PROFILE_FILES

    discover_every: Seconds = Field(
        default=timedelta(seconds=60),
        ge=timedelta(seconds=1),
        description="how often devices that are to be connected to are looked for among those heard, in seconds",
    )
    controllers: tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")], ...] = Field(
        default=(), description='Bluetooth controllers by name, ["hci0"]; the first that is powered, when left out'
    )
    scanning: Literal["active", "passive"] = Field(
        default="active",
        description="active also asks for names; passive only listens, which saves batteries and needs bluetoothd --experimental",
    )
    scan_time: Seconds = Field(
        default=timedelta(seconds=10),
        ge=timedelta(seconds=0.1),
        le=timedelta(seconds=50),
        description="how long a search waits for devices to speak, in seconds",
    )
    connections: int = Field(
        default=3,
        ge=1,
        le=20,
        description="devices connected at once; most controllers bear 5 to 7, other programs need some too",
    )
    allow: tuple[Pattern, ...] = Field(
        default=(), description='only these are heard: addresses or names, ["A4:C1:38:*", "name:Kitchen*"]; all, when left out'
    )
    deny: tuple[Pattern, ...] = Field(default=(), description="these are not heard, even if allowed")
    devices: tuple[ConfiguredDevice, ...] = Field(
        default=(),
        description="devices that need it: { address | called | payload | irk_file, bind_key_file, profile, name }",
    )
    dead_bands: dict[str, Annotated[float, Field(gt=0)]] = Field(
        default_factory=dict, description="metric = change that is told at once, in its unit: { temperature = 0.5 }"
    )
    backend: Backend | None = Field(
        default=None, description='{ scanner = "module:Class", client = "module:Class" } handed to bleak instead of the system\'s'
    )

    def claims(self) -> Iterable[str]:
        """Return every controller that this entry alone may use."""
        if self.backend is None:
            yield from (f"Bluetooth controller {name}" for name in self.controllers or ("that is powered first",))

    def find_profile(self, name: str) -> Profile | None:
        """Return the profile of this name, also one that is made of standard services."""
        return self.library.get(name) or profile_named(name)

    def hears(self, address: str, name: str | None) -> bool:
        """Whether a device with this address and name is listened to at all."""
        if any(_fits(pattern, address, name) for pattern in self.deny):
            return False
        return not self.allow or any(_fits(pattern, address, name) for pattern in self.allow)

    @model_validator(mode="after")
    def _knows_its_devices(self) -> Self:
        for device in self.devices:
            if device.profile is not None:
                self.check_profile_name(device.profile)
        known = (device.address or device.called or device.payload for device in self.devices)
        if twice := first_duplicate(one for one in known if one is not None):
            raise ValueError(f"two devices are known by {twice}")
        return self

    @model_validator(mode="after")
    def _reads_its_keys(self) -> Self:
        for device in self.devices:
            for what, length in (("irk", (16,)), ("bind_key", (12, 16))):
                if (key := key_of(device, what)) is not None:
                    digits = re.sub(r"[\s:-]", "", key.get_secret_value())
                    if not re.fullmatch(r"[0-9a-fA-F]+", digits) or len(digits) // 2 not in length or len(digits) % 2:
                        right = " or ".join(str(2 * count) for count in length)
                        raise ValueError(f"the {what} of {device.label} is not {right} hexadecimal digits")
        return self


def key_of(device: ConfiguredDevice, what: str) -> SecretStr | None:
    """Return the `irk` or `bind_key` of a device, from wherever it is given.

    Raises:
        ValueError: its file cannot be read.
    """
    key: SecretStr | None = getattr(device, what)
    file: Path | None = getattr(device, f"{what}_file")
    if file is None:
        return key
    return read_secret_file(file, f"{what}_file of {device.label}")


def _fits(pattern: str, address: str, name: str | None) -> bool:
    if pattern.startswith("name:"):
        return name is not None and fnmatchcase(name.lower(), pattern[5:].lower())
    return fnmatchcase(address, pattern)
