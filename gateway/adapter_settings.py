"""Define what every `[[adapter]]` entry of the configuration may contain. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

from gateway.command_secrets import KEY_LIKE, mask_by_name
from gateway.errors import SettingMistake, SettingsMistakes
from gateway.models.children import parse_name
from gateway.models.permissions import Permission


def _seconds(written: object) -> object:
    """Return text, as from an environment variable, as a number of seconds; anything else unchanged."""
    try:
        return float(written) if isinstance(written, str) else written
    except ValueError:
        return written


Seconds: TypeAlias = Annotated[timedelta, BeforeValidator(_seconds)]
"""A length of time in settings, written as a number of seconds."""


def _display_name(written: str) -> str:
    return parse_name(written) if written else written


DisplayName: TypeAlias = Annotated[str, AfterValidator(_display_name)]
"""A name that is shown to people: at most as long as that of a device, without control characters; it may be left out."""


USUAL_SPEEDS = frozenset(
    {
        50,
        75,
        110,
        134,
        150,
        200,
        300,
        600,
        1200,
        1800,
        2400,
        4800,
        7200,
        9600,
        14400,
        19200,
        28800,
        31250,
        38400,
        56000,
        57600,
        76800,
    }
    | {115200, 128000, 187500, 230400, 250000, 256000, 460800, 500000, 576000, 921600, 1000000, 1152000, 1500000, 2000000}
    | {2500000, 3000000, 3500000, 4000000}
)
"""The speeds of serial lines that devices have, in bits per second."""


def unusual_speed(baudrate: int, location: tuple[int | str, ...]) -> Iterator[SettingMistake]:
    """Yield a warning if no device is likely to have this speed."""
    if baudrate not in USUAL_SPEEDS:
        near = min(USUAL_SPEEDS, key=lambda usual: abs(usual - baudrate))
        yield SettingMistake(location, f"{baudrate} is an unusual speed", f"Usual ones near it: {near}")


class AdapterSettings(BaseModel):
    """The keys that every `[[adapter]]` entry of the configuration accepts; an adapter adds its own keys by inheriting.

    Unknown keys are errors. Describe in each field what it is for and its unit: `check` quotes the description.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)  # a value may be a secret

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """Yield what a log or an error shows of the settings: what is secret by its name is masked, also without its type."""
        for name, value in super().__repr_args__():
            yield name, value if name is None else mask_by_name({name: value})[name]

    type: str = Field(description="which adapter this is: one of `xyte-gateway adapters`")
    name: DisplayName = Field(
        default="", description="what this entry is called in logs and on the page; the type, when left out"
    )
    discover_every: Seconds = Field(
        default=timedelta(hours=1), ge=timedelta(seconds=1), description="how often to look for new devices, in seconds"
    )
    discover_share: float = Field(
        default=0.2, gt=0, le=1, description="share of a polled bus that the search for new devices may use: 0.2 is 20 %"
    )
    silent_share: float = Field(
        default=0.05, gt=0, le=0.5, description="share of a bus that all its silent and slow devices together may use"
    )
    load_limit: float = Field(
        default=0.7, gt=0, le=1, description="share of a bus that planned reads may use; the rest is for commands and retries"
    )
    overload: Literal["stretch", "refuse"] = Field(
        default="stretch",
        description="when planned reads need more: stretch all intervals of the bus evenly, or refuse to poll it",
    )
    may: Permission | None = Field(
        default=None,
        description="what the cloud may do with the devices of this entry, at most what [cloud] allows: observe, configure,"
        " command or firmware; that of [cloud], when left out",
    )

    most_children: int | None = Field(
        default=None, ge=1, description="how many devices of this entry can become children; as [admission] allows, when left out"
    )
    most_found_devices: int | None = Field(
        default=None,
        ge=1,
        description="how many devices of this entry are kept that are no children; as [admission] allows, when left out",
    )

    @property
    def entry(self) -> str:
        """The name of this entry: `name`, or `type` where no name is configured."""
        return self.name or self.type

    def claims(self) -> Iterable[str]:
        """Return the ports and hosts that only this entry may use. Two entries that claim the same one are a mistake.

        A mapping leads from each to the location where the entry names it: `{"port /dev/ttyS0": ("ports", 0)}`.
        """
        return ()

    def mistakes(self) -> Iterator[SettingMistake]:
        """Yield all that is wrong with keys that are right by themselves: an unknown name, a device that is there twice.

        All are shown at once, each at its own line. What a key may be at all is better a type or a limit of its field.
        """
        yield from ()

    def warnings(self) -> Iterator[SettingMistake]:
        """Yield what works and is probably not meant: `check` shows it, and the gateway logs it when it starts."""
        yield from ()

    @model_validator(mode="after")
    def _has_no_mistakes(self) -> Self:
        if mistakes := tuple(self.mistakes()):
            raise SettingsMistakes(mistakes)
        return self


def read_secret_file(file: Path, key: str) -> SecretStr:
    """Return the secret that a file holds, without surrounding white space.

    Args:
        file: the file that the configuration names.
        key: the configuration key that names it, for the error: `password_file`.

    Raises:
        ValueError: the file cannot be read or is not text; the text names the key and the reason, never the content, and no file
            name that looks like a secret itself.
    """
    try:
        return SecretStr(file.read_text(encoding="utf-8").strip())
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        name = "given, as long as a key," if KEY_LIKE.fullmatch(str(file)) else str(file)
        raise ValueError(f"the {key} cannot be read: {name}: {why}") from None
