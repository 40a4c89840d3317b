"""Settings of an `[[adapter]]` entry of type `serial`.

    [[adapter]]
    type = "serial"
    name = "rack"
    ports = [
        "/dev/serial/by-id/usb-FTDI*",                                              # each port of this name, as it appears
        "usb:0403:6001:A10K3X9Q",                                                   # or by its USB adapter
        { port = "tcp://192.168.1.40:4352", name = "projector", profiles = ["pjlink"] },
        "socket://192.168.1.41:4001",                                               # behind a device server
        { port = "tcp://192.168.1.42", name = "screen", profiles = ["sony-bravia"] },  # at the usual port of such devices
        { port = "/dev/ttyS0", line = "9600 8N1", probe = false },                  # only listened to
    ]
    exclude = ["usb:10c4:ea60"]
    devices = [{ port = "lobby", profile = "samsung-mdc", address = "1", name = "Lobby display" }]

To add a device model, add one profile `profiles/<name>.toml` and one case folder `tests/adapters/serial/cases/<name>/<case>/`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, ClassVar, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

from adapters.serial.codec import DecryptionKeys
from adapters.serial.port.line_settings import LineSettingsInput
from adapters.serial.port.selection import PortSelector, tcp_port_of, url_scheme
from adapters.serial.profile.library import PROFILE_FILES
from adapters.serial.profile.profile import Profile
from gateway.adapter import (
    DisplayName,
    ProfileFiles,
    ProfileSettings,
    SettingMistake,
    canonical_host,
    read_secret_file,
    unusual_speed,
)

LONGEST_SHOWN_PORT = 80
"""Maximum characters of a port in advice: what a device needs is one sentence of at most 300 characters."""


def _checked_port(written: str) -> str:
    PortSelector.parse(written)
    return written.strip()


WrittenPort: TypeAlias = Annotated[str, AfterValidator(_checked_port)]
"""A port as the config writes it: a path or pattern, `usb:vid:pid[:serial]`, a URL, or `*` for every listed port."""


class PortRule(BaseModel):
    """Rule for one port, or for all ports that match a pattern."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    port: WrittenPort = Field(
        description='path or pattern, "usb:0403:6001:A10K3X9Q", "tcp://host:port" (or "tcp://host", where the profile of '
        'the device has a usual TCP port), "socket://host:port", '
        '"rfc2217://host:port", or "*"'
    )
    name: DisplayName = Field(
        default="", description="name of the port in logs and on the page; only for a rule that selects one port"
    )
    line: LineSettingsInput | None = Field(default=None, description='line settings, "9600 8N1"; left out: they are detected')
    profiles: tuple[str, ...] = Field(default=(), description="profiles that are tried on it; left out: all with a match rule")
    probe: bool = Field(
        default=True, description="true: its device may be queried to identify it; false: the port is only listened to"
    )


class ConfiguredDevice(BaseModel):
    """A device whose profile is configured instead of detected."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    port: str = Field(
        default="", description="its port, by the port's name or as written in `ports`; not needed if there is only one"
    )
    profile: str = Field(description="name of its profile")
    address: str = Field(default="", description="its address on the line, if the protocol has addresses")
    name: DisplayName = Field(default="", description="name of the device")
    user: str = Field(default="", description="user of the log-in; left out: the one that such devices come with")
    password: SecretStr | None = Field(
        default=None, description="password of the log-in: a secret, better given as password_file"
    )
    password_file: Path | None = Field(default=None, description="file that contains only the password")
    decryption_key: SecretStr | None = Field(
        default=None,
        description="key of a meter that encrypts, 32 hexadecimal digits: a secret, better given as decryption_key_file",
    )
    decryption_key_file: Path | None = Field(default=None, description="file that contains only the decryption key")
    authentication_key: SecretStr | None = Field(
        default=None, description="its authentication key, 32 hexadecimal digits; left out: the one that is published"
    )


def parse_port(written: object) -> object:
    """Return a port that is written as a text in the form of a table."""
    if not isinstance(written, str | Mapping | PortRule):
        raise ValueError("has to be a text or a table")  # noqa: TRY004 - pydantic takes a ValueError as a mistake of the settings
    return {"port": written} if isinstance(written, str) else written


class SerialSettings(ProfileSettings[Profile]):
    """One `[[adapter]]` entry: ports and devices on them."""

    profile_files: ClassVar[ProfileFiles[Profile]] = PROFILE_FILES

    ports: tuple[Annotated[PortRule, BeforeValidator(parse_port)], ...] = Field(
        min_length=1,
        description='ports: a text, or { port, name, line, profiles, probe }; ["*"] for every port of the machine',
    )
    exclude: tuple[WrittenPort, ...] = Field(default=(), description="ports that are never opened, whatever `ports` selects")
    devices: tuple[ConfiguredDevice, ...] = Field(
        default=(),
        description="devices with a known profile: { port, profile, address, name, password_file, decryption_key_file, "
        "authentication_key }",
    )

    def model_post_init(self, context: object, /) -> None:
        """Complete each `tcp://host` with the TCP port of the profile that its device is said to have."""
        super().model_post_init(context)
        whole = {rule.port: f"{rule.port}:{tcp_port}" for rule in self.ports if (tcp_port := self._missing_tcp_port(rule))}
        ports = tuple(rule.model_copy(update={"port": whole.get(rule.port, rule.port)}) for rule in self.ports)
        devices = tuple(one.model_copy(update={"port": whole.get(one.port, one.port)}) for one in self.devices)
        self.__dict__.update(ports=ports, devices=devices)  # the settings are frozen for all others

    def _missing_tcp_port(self, rule: PortRule) -> int | None:
        """Return the TCP port that a rule leaves out, if all profiles that it may mean have the same one."""
        if not PortSelector(rule.port).lacks_tcp_port:
            return None
        known = {profile.tcp_port for name in self._names_of_profiles(rule) if (profile := self.find_profile(name)) is not None}
        return known.pop() if len(known) == 1 else None

    def _names_of_profiles(self, rule: PortRule) -> list[str]:
        """Return the profiles that the devices of a rule are said to have: those of `devices`, else those of the rule."""
        return sorted({device.profile for device in self.devices_on(rule.name, rule.port)} or set(rule.profiles))

    def claims(self) -> Mapping[str, tuple[str, int]]:
        """Return every port that this entry names individually; conflicts of patterns are detected when a port is opened."""
        definite = ((index, rule) for index, rule in enumerate(self.ports) if PortSelector(rule.port).is_definite)
        return {_claim(rule.port): ("ports", index) for index, rule in definite}

    @property
    def selectors(self) -> tuple[PortSelector, ...]:
        """The selectors of the ports."""
        return tuple(PortSelector(rule.port) for rule in self.ports)

    @property
    def excluded(self) -> tuple[PortSelector, ...]:
        """The selectors of excluded ports."""
        return tuple(PortSelector(written) for written in self.exclude)

    def devices_on(self, *names: str) -> tuple[ConfiguredDevice, ...]:
        """Return the configured devices of a port, by any of its names."""
        return tuple(device for device in self.devices if not device.port or device.port in names)

    def mistakes(self) -> Iterator[SettingMistake]:
        """Yield ports that are there twice, devices of no port or no profile, and keys and passwords that cannot be used."""
        yield from super().mistakes()
        yield from self._missing_tcp_ports()
        yield from self._mistaken_ports()
        for index, device in enumerate(self.devices):
            location = ("devices", index)
            profile = list(self.profile_mistakes((device.profile, (*location, "profile"))))
            yield from profile
            yield from self._mistaken_place(device, location)
            if not profile:
                yield from self._unusable_secrets(device, location)

    def warnings(self) -> Iterator[SettingMistake]:
        """Yield the speeds that no device is likely to have."""
        for index, rule in enumerate(self.ports):
            if rule.line is not None:
                yield from unusual_speed(rule.line.baudrate, ("ports", index, "line"))
            yield from self._unusual_tcp_port(rule, ("ports", index, "port"))

    def _unusual_tcp_port(self, rule: PortRule, location: tuple[str, int, str]) -> Iterator[SettingMistake]:
        """Yield a warning if no device of the profiles that a rule names listens at its TCP port."""
        profiles = [profile for name in self._names_of_profiles(rule) if (profile := self.find_profile(name)) is not None]
        usual = {profile.tcp_port for profile in profiles}
        tcp_port = tcp_port_of(rule.port) if url_scheme(rule.port) == "tcp" else None
        if tcp_port is None or not usual or usual & {None, tcp_port}:
            return
        titles = " or a ".join(profile.title for profile in profiles)
        wrong = f"TCP port {tcp_port} is unusual for a {titles}"
        yield SettingMistake(location, wrong, f"Usual: {', '.join(map(str, sorted(filter(None, usual))))}")

    def _missing_tcp_ports(self) -> Iterator[SettingMistake]:
        for index, rule in enumerate(self.ports):
            if PortSelector(rule.port).lacks_tcp_port:
                wrong = f"{rule.port} does not say at which TCP port its device listens"
                right = f"Write {rule.port}:PORT, or name a profile that has a usual TCP port in `devices` or in `profiles`"
                yield SettingMistake(("ports", index, "port"), wrong, right)
        for index, port in enumerate(self.exclude):
            if PortSelector(port).lacks_tcp_port:
                yield SettingMistake(("exclude", index), f"{port} excludes nothing without a TCP port", f"Write {port}:PORT")

    def _mistaken_ports(self) -> Iterator[SettingMistake]:
        names: set[str] = set()
        written: set[str] = set()
        for index, rule in enumerate(self.ports):
            location = ("ports", index)
            claimed = _claim(rule.port) if PortSelector(rule.port).is_definite else rule.port
            if rule.name and rule.name in names:
                yield SettingMistake((*location, "name"), f"two ports have the name {rule.name!r}", "Give one another `name`")
            elif {rule.port, claimed} & written:
                yield SettingMistake((*location, "port"), f"port {rule.port} is there already", "Name each port once")
            if rule.name and not PortSelector(rule.port).is_definite and not rule.port.lower().startswith("usb:"):
                wrong = f"{rule.port!r} may select several ports, which cannot share the name {rule.name!r}"
                yield SettingMistake((*location, "name"), wrong)
            if rule.line is not None and url_scheme(rule.port) == "tcp":
                wrong = "a device by tcp:// has no line settings: leave `line` out"
                yield SettingMistake((*location, "line"), wrong)
            yield from self.profile_mistakes(*((name, (*location, "profiles", n)) for n, name in enumerate(rule.profiles)))
            names.add(rule.name)
            written |= {rule.port, claimed}

    def _mistaken_place(self, device: ConfiguredDevice, location: tuple[str, int]) -> Iterator[SettingMistake]:
        known = {name for rule in self.ports for name in (rule.name, rule.port) if name}
        there_are = f"There are {', '.join(sorted(known))}"
        if not device.port and len(self.ports) > 1:
            wrong = f"device with profile {device.profile}: there are several ports, so add `port`"
            yield SettingMistake(location, wrong, there_are)
        elif device.port and device.port not in known:
            yield SettingMistake((*location, "port"), f"there is no port {device.port!r}", there_are)
        for rule in self.ports:
            others = [one for one in self.devices_on(rule.name, rule.port) if one is not device]
            if device.port not in ("", rule.name, rule.port) or not others:
                continue
            earlier = [one for one in self.devices[: location[1]] if one in others]
            name = rule.name or rule.port
            if any(one.profile != device.profile for one in earlier):
                profiles = ", ".join(sorted({device.profile, *(one.profile for one in earlier)}))
                wrong = f"a port can have one profile only, but the devices on {name} have {profiles}"
                yield SettingMistake((*location, "profile"), wrong)
            elif not device.address:
                wrong = f"there are several devices on {name}, so add the `address` of each"
                yield SettingMistake(location, wrong)
            elif any(one.address == device.address for one in earlier):
                wrong = f"two devices on {name} have the address {device.address}"
                yield SettingMistake((*location, "address"), wrong)

    def _unusable_secrets(self, device: ConfiguredDevice, location: tuple[str, int]) -> Iterator[SettingMistake]:
        twice = [key for key in ("decryption_key", "password") if getattr(device, key) and getattr(device, f"{key}_file")]
        yield from (
            SettingMistake((*location, key), f"there are both a {key} and a {key}_file: keep one of the two") for key in twice
        )
        if twice:
            return
        where = "decryption_key_file" if device.decryption_key_file is not None else "decryption_key"
        try:
            keys = keys_of(device)
        except ValueError as error:
            yield SettingMistake((*location, where), str(error))
        else:
            codec = self.find_profile(device.profile)
            decrypts = codec is not None and codec.codec_instance is not None and codec.codec_instance.decrypts
            if keys is None and device.authentication_key is not None:
                wrong = "there is an authentication_key without a decryption_key: add that"
                yield SettingMistake((*location, "authentication_key"), wrong)
            elif keys is not None and not decrypts:
                wrong = f"devices with the profile {device.profile} do not encrypt: leave the decryption_key out"
                yield SettingMistake((*location, where), wrong)
        try:
            password_of(device)
        except ValueError as error:
            yield SettingMistake(
                (*location, "password_file"), str(error), "Mount the file there, so that the gateway may read it"
            )


def _claim(port: str) -> str:
    """Return what only one entry may use: the port of a device server as for Modbus, or the port of this machine."""
    if not PortSelector(port).is_url:
        return f"port {os.path.realpath(port)}"
    parts = urlsplit(port)
    return f"host {canonical_host(parts.hostname or '')} port {parts.port}"


def keys_of(device: ConfiguredDevice) -> DecryptionKeys | None:
    """Return the keys of a device that encrypts, from the config or from their file; `None` if it has none.

    Raises:
        ValueError: the file cannot be read, or a key is not 32 hexadecimal digits.
    """
    key = device.decryption_key
    if device.decryption_key_file is not None:
        key = read_secret_file(device.decryption_key_file, "decryption_key_file")
    return None if key is None else DecryptionKeys.parse(key, device.authentication_key)


def key_advice(rule: PortRule, profile: str) -> str:
    """Return what to write in the config so that the telegrams of the device on this port can be decrypted."""
    return f"write it into a file, and name that in this entry: {_devices_with(rule, profile, 'decryption_key_file')}"


def password_of(device: ConfiguredDevice) -> SecretStr | None:
    """Return the password of a device, from the config or from its file.

    Raises:
        ValueError: its file cannot be read.
    """
    if device.password_file is None:
        return device.password
    return read_secret_file(device.password_file, "password_file")


def password_advice(rule: PortRule, profile: str) -> str:
    """Return what to write in the config so that the device on this port gets a password."""
    devices = _devices_with(rule, profile, "password_file")
    return f"write it into a file that only the gateway may read, and name the file in this entry: {devices}"


def rejected_password(device: ConfiguredDevice) -> str:
    """Return where the password of this device is that it rejects, and what to do; never the password."""
    place = f"in {device.password_file}" if device.password_file is not None else "that `devices` of this entry gives it"
    return f"the password {place}: correct it there"


def _devices_with(rule: PortRule, profile: str, key: str) -> str:
    """Return the `devices` of an entry with this key; a long name of the port is left out, so that the sentence is not cut."""
    port = rule.name or rule.port
    shown = f'port = "{port}", ' if len(port) <= LONGEST_SHOWN_PORT else ""
    return f'devices = [{{ {shown}profile = "{profile}", {key} = "/run/secrets/{profile}" }}]'
