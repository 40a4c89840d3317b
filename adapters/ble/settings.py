"""Define the keys of an `[[adapter]]` entry of type `ble`.

    [[adapter]]
    type = "ble"
    name = "radio"
    controllers = ["hci0"]
    scanning = "active"
    deny = ["name:Tile*"]
    devices = [
        { address = "A4:C1:38:12:34:56", name = "Cold store", bind_key_file = "/run/secrets/cold_store_key" },
        { called = "Fridge 3*", name = "Fridge 3" },
        { address = "C0:00:00:00:00:02", pair = true, passkey_file = "/run/secrets/scale_passkey" },
    ]

To add a device model that is read over a connection, add a profile `profiles/<name>.toml` and a case folder; to add a kind of
advertisement, add a file in `advertisers/`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ImportString, SecretStr, model_validator

from adapters.ble.profile.library import PROFILE_FILES
from adapters.ble.profile.profile import Profile
from adapters.ble.profile.standard_services import profile_named
from gateway.adapter import DisplayName, ProfileFiles, ProfileSettings, Seconds, SettingMistake, read_secret_file


def parse_address(written: object) -> object:
    """Return a Bluetooth address in upper case with colons: `a4c138123456` is `A4:C1:38:12:34:56`."""
    digits = re.sub(r"[\s:-]", "", str(written)).upper()
    if not re.fullmatch(r"[0-9A-F]{12}", digits):
        raise ValueError(f'{shown(written)} is not a Bluetooth address: write "A4:C1:38:12:34:56"')
    return ":".join(digits[at : at + 2] for at in range(0, 12, 2))


def shown(written: object) -> str:
    """Return the text of a value, unless it looks like a key in the wrong place."""
    looks_like_a_key = re.fullmatch(r"([0-9A-Fa-f]{2}[\s:-]*){12,}", str(written))
    return "the value, which is as long as a key," if looks_like_a_key else str(written)


def parse_hex(written: object) -> object:
    """Return hexadecimal digits without spaces and colons, in lower case."""
    digits = re.sub(r"[\s:-]", "", str(written)).lower()
    if not re.fullmatch(r"([0-9a-f]{2})+", digits):
        raise ValueError("it is not a whole number of bytes in hexadecimal digits")
    return digits


def parse_filter(written: object) -> object:
    """Return an entry of an allow or deny list: an address, or `name:` and a pattern; `*` matches anything."""
    text = str(written).strip()
    if text.lower().startswith("name:"):
        return f"name:{text[5:].strip()}"
    if not re.fullmatch(r"[0-9A-Fa-f:*?]{1,17}", text):
        raise ValueError(f'{text!r} is neither an address ("A4:C1:38:*") nor a name ("name:Kitchen*")')
    return text.upper()


Address = Annotated[str, BeforeValidator(parse_address)]
Pattern = Annotated[str, BeforeValidator(parse_filter)]


def parse_passkey(written: object) -> object:
    """Return the six digits of a passkey, also of a number: `42` is `000042`."""
    return f"{written:06d}" if isinstance(written, int) and not isinstance(written, bool) else written


KEY_FORMS: Mapping[Literal["passkey", "irk", "bind_key"], tuple[str, str]] = {
    "passkey": ("[0-9]{6}", "6 digits"),
    "irk": ("[0-9a-fA-F]{32}", "32 hexadecimal digits"),
    "bind_key": ("[0-9a-fA-F]{24}|[0-9a-fA-F]{32}", "24 or 32 hexadecimal digits"),
}
"""The pattern of each secret without its separators, and the pattern in words."""


class ConfiguredDevice(BaseModel):
    """A device with information that it does not send itself."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    address: Address | None = Field(default=None, description="its address, for a device that keeps it")
    called: str | None = Field(
        default=None, min_length=1, description="its advertised name, for a device that changes its address; * for anything"
    )
    payload: Annotated[str, BeforeValidator(parse_hex)] | None = Field(
        default=None,
        description="the first bytes of its data, with the company id, in hexadecimal digits; if it changes its address",
    )
    irk: SecretStr | None = Field(
        default=None, description="its identity resolving key, 32 hexadecimal digits: a secret, preferably in irk_file"
    )
    irk_file: Path | None = Field(default=None, description="file that contains only the identity resolving key")
    bind_key: SecretStr | None = Field(
        default=None, description="the key of its encrypted advertisements: a secret, preferably in bind_key_file"
    )
    bind_key_file: Path | None = Field(default=None, description="file that contains only the bind key")
    pair: bool = Field(
        default=False, description="pair it with this machine before it is read, once, and again when it has lost the pairing"
    )
    passkey: Annotated[SecretStr, BeforeValidator(parse_passkey)] | None = Field(
        default=None, description="the six digits that it shows or that are printed on it: a secret, preferably in passkey_file"
    )
    passkey_file: Path | None = Field(default=None, description="file that contains only the passkey")
    profile: str | None = Field(default=None, description="name of the profile by which it is read over a connection")
    name: DisplayName = Field(default="", description="the name of the device in the gateway")

    @model_validator(mode="after")
    def _has_one_identification(self) -> Self:
        ways = [self.address, self.called, self.payload, self.irk or self.irk_file]
        if sum(way is not None for way in ways) != 1:
            raise ValueError("exactly one of address, called, payload or irk_file is needed, to recognize the device")
        if not self.pair and (self.passkey is not None or self.passkey_file is not None):
            raise ValueError("a passkey is used for pairing only: add pair = true")
        for key, file in (("irk", self.irk_file), ("bind_key", self.bind_key_file), ("passkey", self.passkey_file)):
            if file is not None and getattr(self, key) is not None:
                raise ValueError(f"there are both {key} and {key}_file: keep one of them")
        return self

    @property
    def recognized_by(self) -> tuple[str, str | None]:
        """The key of the configuration by which it is recognized, and its value; `None` for a secret."""
        ways = {"address": self.address, "called": self.called, "payload": self.payload}
        return next(((key, value) for key, value in ways.items() if value is not None), ("irk", None))

    @property
    def label(self) -> str:
        """Its name for a person; never a key."""
        return (
            self.name or self.address or self.called or (f"payload {self.payload}" if self.payload else "the device with an irk")
        )

    def read_key(self, what: Literal["irk", "bind_key", "passkey"]) -> SecretStr | None:
        """Return a key of the device, from the config or from its file.

        Raises:
            ValueError: its file cannot be read.
        """
        key: SecretStr | None = getattr(self, what)
        file: Path | None = getattr(self, f"{what}_file")
        return key if file is None else read_secret_file(file, f"{what}_file of {self.label}")


class Backend(BaseModel):
    """Classes for bleak that replace the system's, as `module:Class`: another radio, or a simulated one."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    scanner: ImportString[type[Any]] = Field(description="a subclass of bleak's BaseBleakScanner")
    client: ImportString[type[Any]] = Field(description="a subclass of bleak's BaseBleakClient")


class BleSettings(ProfileSettings[Profile]):
    """One `[[adapter]]` entry: Bluetooth controllers with the same settings."""

    profile_files: ClassVar[ProfileFiles[Profile]] = PROFILE_FILES

    discover_every: Seconds = Field(
        default=timedelta(seconds=60),
        ge=timedelta(seconds=1),
        description="how often to look for new devices that need a connection, in seconds",
    )
    controllers: tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")], ...] = Field(
        default=(), description='Bluetooth controllers by name, ["hci0"]; the first that is powered, when left out'
    )
    scanning: Literal["active", "passive"] = Field(
        default="active",
        description="active requests scan responses, too; passive saves batteries, needs bluetoothd --experimental, and receives "
        "no names that a device sends on request only",
    )
    scan_time: Seconds = Field(
        default=timedelta(seconds=10),
        ge=timedelta(seconds=0.1),
        le=timedelta(seconds=50),
        description="how long a search waits for advertisements, in seconds",
    )
    connections: int = Field(
        default=3,
        ge=1,
        le=20,
        description="maximum number of connections; most controllers support 5 to 7, and other programs need some, too",
    )
    allow: tuple[Pattern, ...] = Field(
        default=(),
        description='only these devices are used: addresses or names, ["A4:C1:38:*", "name:Kitchen*"]; all, when left out',
    )
    deny: tuple[Pattern, ...] = Field(default=(), description="these devices are ignored, even if allowed")
    devices: tuple[ConfiguredDevice, ...] = Field(
        default=(),
        description="devices with own settings: { address | called | payload | irk_file, bind_key_file, pair, passkey_file, "
        "profile, name }",
    )
    dead_bands: dict[str, Annotated[float, Field(gt=0)]] = Field(
        default_factory=dict, description="metric = change that is reported at once, in its unit: { temperature = 0.5 }"
    )
    backend: Backend | None = Field(
        default=None, description='{ scanner = "module:Class", client = "module:Class" } for bleak, instead of the system\'s'
    )

    def claims(self) -> Iterable[str]:
        """Return the controllers that this entry uses exclusively."""
        if self.backend is None:
            yield from (f"Bluetooth controller {name}" for name in self.controllers or ("that is powered first",))

    def find_profile(self, name: str) -> Profile | None:
        """Return the profile of this name, also one that consists of standard services."""
        return self.library.get(name) or profile_named(name)

    def allows(self, address: str, name: str | None) -> bool:
        """Return whether the `allow` and `deny` lists permit a device with this address and name."""
        if any(_fits(pattern, address, name) for pattern in self.deny):
            return False
        return not self.allow or any(_fits(pattern, address, name) for pattern in self.allow)

    def mistakes(self) -> Iterator[SettingMistake]:
        """Yield devices that are there twice, and profiles and keys that cannot be used."""
        yield from super().mistakes()
        seen: set[str] = set()
        for index, device in enumerate(self.devices):
            location = ("devices", index)
            if device.profile is not None:
                yield from self.profile_mistakes((device.profile, (*location, "profile")))
            way, known = device.recognized_by
            if known is not None and known in seen:
                yield SettingMistake((*location, way), f"two devices are recognized by {known}", "Each can be configured once")
            seen.add(known or "")
            yield from (SettingMistake((*location, key), wrong, right) for key, wrong, right in _unusable_keys(device))


def _unusable_keys(device: ConfiguredDevice) -> Iterator[tuple[str, str, str]]:
    """Yield the key of the configuration of each secret that cannot be used, what is wrong with it, and what would be right."""
    for what, (pattern, expected) in KEY_FORMS.items():
        written = f"{what}_file" if getattr(device, f"{what}_file") is not None else what
        try:
            key = device.read_key(what)
        except ValueError as error:
            yield written, str(error), "Mount the file there, so that the gateway may read it"
            continue
        if key is not None and not re.fullmatch(pattern, re.sub(r"[\s:-]", "", key.get_secret_value())):
            yield written, f"the {what} of {device.label} has to have {expected}", ""


def _fits(pattern: str, address: str, name: str | None) -> bool:
    if pattern.startswith("name:"):
        return name is not None and fnmatchcase(name.lower(), pattern[5:].lower())
    return fnmatchcase(address, pattern)
