"""Define what a gateway that cannot start yet shows on its page, and what can be done there."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol

from pydantic import Field

from gateway.models import Finding
from gateway.status.model import StatusModel, Text

SHOWN_DEVICES: Final = 100
"""So many devices of one bus or family are listed; of the others only the number is shown."""


class SetupProblem(StatusModel):
    """Something that keeps the gateway from starting."""

    place: Text = Field(description="where to find it: file and line, or the environment")
    where: Text = Field(description="the key")
    wrong: Text
    right: Text = Field(description="how to fix it")


class SetupDevice(StatusModel):
    """A device that was found before there was a configuration."""

    name: Text
    address: Text
    profile: Text | None = None
    family: Text | None = None
    manufacturer: Text | None = None
    model: Text | None = None
    sub_model: Text | None = None


class SetupBus(StatusModel):
    """A bus that was searched before there was a configuration."""

    entry: Text
    bus: Text
    problem: Text | None = Field(default=None, description="why it could not be searched")
    devices: tuple[SetupDevice, ...] = Field(default=(), description=f"at most {SHOWN_DEVICES} of them")
    found: int = Field(default=0, description="how many devices were found on it")
    is_done: bool = Field(default=False, description="whether its search has ended")
    asked: int = Field(default=0, description="how many addresses were asked so far")
    to_ask: int | None = Field(default=None, description="how many there are to ask; null where nobody knows")
    by_hand: int | None = Field(default=None, description="its number among the buses that a person has named; null for others")


class SetupAnnouncement(StatusModel):
    """A service that a host in the named networks announces by DNS-SD."""

    service: Text = Field(description="what it is for a person")
    name: Text
    port: int


class SetupNetworkHost(StatusModel):
    """A host that was found in the networks that a person has named."""

    host: Text
    found_as: Text | None = Field(default=None, description="what an adapter found it as; null for one that only announces")
    announces: tuple[SetupAnnouncement, ...] = ()


class SetupNetworkProblem(StatusModel):
    """Something that could not be searched in the networks that a person has named."""

    what: Text = Field(description="an adapter, a name, or DNS-SD")
    problem: Text


class SetupSearch(StatusModel):
    """One search of everything around this machine."""

    buses: int = Field(description="how many buses were searched")
    asked: int = Field(description="how many addresses were asked on them")
    found: int = Field(description="how many devices were found")
    hosts: int = Field(description="how many hosts a person has named")
    answering_hosts: int = Field(description="how many of them answer")
    seconds: int | None = Field(default=None, description="how long it took; null while it runs")


class SetupState(StatusModel):
    """What a gateway that cannot start yet waits for, and what it has found."""

    file: Text = Field(description="the configuration file that it waits for")
    is_first_start: bool = Field(description="whether there was no configuration at all")
    is_set_up_here: bool = Field(
        default=False, description="whether the page can make the configuration: there is none, or only a proposed one"
    )
    mistakes: tuple[SetupProblem, ...] = ()
    is_looking: bool = Field(default=False, description="whether it still searches for devices")
    search: SetupSearch | None = None
    seen: tuple[SetupBus, ...] = ()
    network: tuple[SetupNetworkHost, ...] = Field(
        default=(), description=f"what was found in the networks that a person has named, at most {SHOWN_DEVICES} hosts"
    )
    network_problems: tuple[SetupNetworkProblem, ...] = Field(default=(), description="what could not be searched there")
    proposal: str | None = Field(default=None, description="a configuration to start with")
    proposal_file: Text | None = Field(default=None, description="the file it was written to; null if that failed")

    @property
    def version(self) -> str:
        """A hash of the content."""
        return hashlib.blake2s(self.model_dump_json().encode(), digest_size=9).hexdigest()

    @property
    def headline(self) -> str:
        """The state in one sentence."""
        count = len(self.mistakes)
        if self.is_set_up_here:
            return "There is no configuration yet."
        if count == 1:
            return "One problem keeps the gateway from starting."
        if count:
            return f"{count} problems keep the gateway from starting."
        return "The gateway is starting."


class KeyVerdict(StrEnum):
    """What the cloud says about a hardware key before anything is registered."""

    NOT_REFUSED = "not refused"
    """It asked for the other data of the device, and did not refuse the key."""
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    """It could not be asked."""
    UNTRIED = "untried"
    """The key comes from the environment or a mounted file, and is tried at the registration."""


class FamilyChoice(StrEnum):
    """What becomes of the devices of a family."""

    ADMIT = "admit"
    LATER = "later"
    IGNORE = "ignore"


@dataclass(frozen=True, slots=True)
class SetupFamilyDevice:
    """A device as the form lists it."""

    id: str
    """The name of its field."""
    device: SetupDevice
    bus: str
    is_left_out: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupFamily:
    """The found devices of one family, and what is to become of them."""

    id: str
    """The word that its fields are named by."""
    name: str
    devices: tuple[SetupFamilyDevice, ...]
    """The first of them, at most `SHOWN_DEVICES`."""
    count: int
    profiles: str
    choice: FamilyChoice
    model_id: str
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupForm:
    """The questions of the set-up, with the answers so far. The hardware key is never among them."""

    name: str
    entry_url: str
    allow_plain_http: bool
    has_key: bool
    key_from: str | None
    """The environment variable or mounted file that gives the hardware key already; `None` where it has to be entered."""
    families: tuple[SetupFamily, ...]
    unmatched: tuple[SetupFamilyDevice, ...]
    """Found devices without a family: the first of them."""
    unmatched_count: int
    admits_later: bool
    """Whether devices that are found later become children by themselves."""
    problems: Mapping[str, str] = field(default_factory=dict)
    """What is wrong with an answer, by the name of its field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupReview:
    """What is written when the set-up is saved."""

    revision: str
    """Names what is shown: what has changed since is not saved unseen."""
    file: str
    text: str
    key_file: str | None
    """The file that the hardware key is written to; `None` if it is given already."""
    verdict: KeyVerdict
    verdict_text: str
    admitted: int
    waiting: int
    left_out: int
    buses: int
    unwritable: str | None
    """Why the file cannot be written; `None` if it can."""
    unwritable_fix: str | None
    kept_as: str | None
    """The copy that is kept of the file that is there; `None` if none is kept."""
    problems: tuple[SetupProblem, ...]
    """What is wrong with the text: nothing is written until it is right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileLine:
    """A line of the file near a mistake."""

    number: int
    text: str
    mistakes: tuple[SetupProblem, ...] = ()
    is_after_gap: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FileToCorrect:
    """A configuration file with mistakes, to be corrected on the page. Its secrets are masked."""

    text: str
    stamp: str
    """Names the state of the file that was shown."""
    lines: tuple[FileLine, ...]
    """The lines around the mistakes."""
    is_unsaved: bool = False
    """Whether the text was entered on the page and was not saved, because of its mistakes."""
    mistakes: tuple[SetupProblem, ...] = ()
    """Those of the unsaved text."""
    has_secrets: bool = False
    unwritable: str | None = None
    unwritable_fix: str | None = None
    has_usable_former: bool = False
    """Whether there is a text from before the latest change, with which the gateway could start."""


class SetupView(Protocol):
    """A gateway that waits for its configuration, as its page needs it."""

    def setup(self) -> SetupState:
        """Return the current state."""

    async def examine(self) -> Sequence[Finding]:
        """Run the checks of `doctor` on this machine, for at most ten seconds."""

    @property
    def actions(self) -> SetupActions:
        """What a person can do on the page."""


class SetupActions(Protocol):
    """What a person can do on the page of a gateway that waits. Methods that return a sentence return why they failed."""

    def form(self) -> SetupForm:
        """Return the questions with the answers so far."""

    async def answer(self, fields: Mapping[str, str]) -> bool:
        """Take the answers of the form; whether they are complete and right. What is wrong is in `form()`."""

    async def review(self) -> SetupReview | None:
        """Return what would be written; `None` while answers are missing."""

    async def save(self, revision: str) -> str | None:
        """Write the configuration that was shown under this revision."""

    async def save_key(self) -> str | None:
        """Write the hardware key alone, where the configuration has to be saved by hand."""

    async def search_again(self, hosts: str) -> str | None:
        """Search everything anew, and these hosts and networks as well."""

    async def add_bus(self, fields: Mapping[str, str]) -> str | None:
        """Add a bus that a person names, and search it."""

    async def remove_bus(self, number: int) -> str | None:
        """Take back a bus that a person has named."""

    def file_to_correct(self) -> FileToCorrect | None:
        """Return the file with its mistakes; `None` while there is none."""

    async def correct(self, text: str, stamp: str) -> str | None:
        """Save a corrected file; one that still has mistakes is kept on the page and not saved."""

    async def undo_file(self) -> str | None:
        """Go one step back: put the text before the latest change in the place of the file."""
