"""Define the operations of a gateway that waits for its configuration, and their bodies. Pure.

A running gateway does not have them: the document of the one that waits lists them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from pydantic import Field, SecretStr

from gateway.status.doctor_cache import DoctorReport
from gateway.status.model import StatusModel, Text
from gateway.status.operations.operation import BASE, ActionDone, ApiOperation, ErrorResponse
from gateway.status.rights import Rights
from gateway.status.setup_view import FamilyChoice, KeyVerdict, SetupDevice, SetupProblem, SetupState

ADDRESS: Final = f"{BASE}/setup"


class QuestionDevice(StatusModel):
    """A found device about which the set-up asks."""

    id: str
    device: SetupDevice
    bus: Text
    is_left_out: bool


class QuestionFamily(StatusModel):
    """The found devices of one family, and what is to become of them."""

    id: str
    name: Text
    count: int
    profiles: Text
    choice: FamilyChoice
    model_id: Text
    devices: tuple[QuestionDevice, ...] = Field(description="the first of them")
    problem: Text | None = None


class SetupQuestions(StatusModel):
    """The questions of the set-up with the answers so far; the hardware key is never among them."""

    name: Text
    entry_url: Text
    allow_plain_http: bool
    has_key: bool
    key_from: Text | None = Field(description="what gives the hardware key already; null where it has to be entered")
    families: tuple[QuestionFamily, ...]
    admits_later: bool = Field(description="devices that are found later become children by themselves")
    problems: dict[str, Text] = Field(description="what is wrong with an answer, by its field")


class FamilyAnswer(StatusModel):
    """What becomes of the devices of a family."""

    id: str = Field(description="`id` of the family among the questions")
    choice: FamilyChoice = Field(default=FamilyChoice.ADMIT, strict=False)
    model_id: str = Field(default="", description="the id of its model in the Partner Portal; needed to admit them")


class AnswersRequest(StatusModel):
    """The answers. What is left out stays as it was answered before."""

    name: str | None = Field(default=None, description="how the gateway is called")
    hardware_key: SecretStr | None = Field(default=None, description="from the gateway's model in the Partner Portal")
    entry_url: str | None = Field(default=None, description="address of the cloud")
    allow_plain_http: bool = Field(default=False, description="for a cloud on this network without TLS")
    admits_later: bool = Field(default=True, description="devices that are found later become children by themselves")
    families: tuple[FamilyAnswer, ...] = Field(default=(), strict=False, description="one for each family of found devices")
    left_out: tuple[str, ...] = Field(default=(), strict=False, description="`id` of each single device that is left out")


class SetupPlan(StatusModel):
    """What is written when the set-up is saved. No secret is in it."""

    revision: str = Field(description="names it when it is saved: what has changed since is not saved unseen")
    file: Text
    text: str = Field(description="the configuration")
    key_file: Text | None = Field(description="file that the hardware key is written to; null if it is given already")
    verdict: KeyVerdict = Field(description="what the cloud says about the key")
    verdict_text: Text
    admitted: int
    waiting: int
    left_out: int
    buses: int
    unwritable: Text | None = Field(description="why the file cannot be written; null if it can")
    problems: tuple[SetupProblem, ...] = Field(description="nothing is written until it is without any")


class SaveRequest(StatusModel):
    """What is to be written."""

    revision: str = Field(description="`revision` of the plan that was looked at")


class SearchRequest(StatusModel):
    """A search of everything around this machine."""

    hosts: str = Field(default="", description="hosts and networks to search as well: 192.168.1.20, 192.168.1.0/24")


class BusRequest(StatusModel):
    """A bus that a person names."""

    what: Literal["modbus-host", "modbus-line", "serial-port", "bluetooth"]
    host: str = Field(default="", description="of a Modbus host: its name or address")
    port: str = Field(default="", description="of a line or a serial port: /dev/serial/by-id/...")
    line: str = Field(default="", description="of a line or a serial port: 9600 8N1")
    units: str = Field(default="", description="of Modbus: the unit ids to ask, 1-20")
    controller: str = Field(default="", description="of Bluetooth: hci0")


class FileRequest(StatusModel):
    """A corrected configuration file."""

    text: str
    stamp: str = Field(description="`stamp` of the file that was corrected")


class FileState(StatusModel):
    """A configuration file with mistakes; its secrets are masked."""

    text: str
    stamp: str = Field(description="names the state of the file that was shown")
    is_unsaved: bool = Field(description="the text was sent and not saved, because of its mistakes")
    mistakes: tuple[SetupProblem, ...] = Field(description="those of a text that was not saved")
    unwritable: Text | None = Field(description="why the file cannot be written; null if it can")


SETUP_OPERATIONS: Final[Sequence[ApiOperation]] = (
    ApiOperation(*("setup", "GET", ADDRESS, "What it waits for, and what it has found", SetupState), needs=Rights.LOOK),
    ApiOperation(
        *("doctor", "GET", f"{BASE}/doctor", "The checks of this machine", DoctorReport),
        needs=Rights.LOOK,
    ),
    ApiOperation(
        *("questions", "GET", f"{ADDRESS}/questions", "The questions of the set-up, with the answers so far", SetupQuestions),
        needs=Rights.ADMINISTER,
    ),
    ApiOperation(
        *("answer", "POST", f"{ADDRESS}/answers", "Answer the questions; what is wrong is in the response", SetupQuestions),
        needs=Rights.ADMINISTER,
        body=AnswersRequest,
    ),
    ApiOperation(
        *("plan", "GET", f"{ADDRESS}/plan", "What would be written; 404 while answers are missing", SetupPlan),
        needs=Rights.ADMINISTER,
        errors={"404": ("answers are missing, or there is a configuration", ErrorResponse)},
    ),
    ApiOperation(
        *("save", "POST", f"{ADDRESS}/save", "Write the configuration that was looked at, and start", ActionDone),
        needs=Rights.ADMINISTER,
        body=SaveRequest,
    ),
    ApiOperation(
        *("search", "POST", f"{ADDRESS}/search", "Search everything again", ActionDone),
        needs=Rights.ADMINISTER,
        body=SearchRequest,
    ),
    ApiOperation(
        *("add_bus", "POST", f"{ADDRESS}/buses", "Add a bus, and search it", ActionDone), needs=Rights.ADMINISTER, body=BusRequest
    ),
    ApiOperation(
        *("remove_bus", "POST", f"{ADDRESS}/buses/{{number}}/remove", "Take a bus back that was added", ActionDone),
        needs=Rights.ADMINISTER,
    ),
    ApiOperation(
        *("file_to_correct", "GET", f"{ADDRESS}/file", "The configuration file with its mistakes; 404 without one", FileState),
        needs=Rights.ADMINISTER,
        errors={"404": ("there is no file to correct", ErrorResponse)},
    ),
    ApiOperation(
        *("correct_file", "POST", f"{ADDRESS}/file", "Save a corrected file; one with mistakes is not saved", ActionDone),
        needs=Rights.ADMINISTER,
        body=FileRequest,
    ),
    ApiOperation(
        *("undo_file", "POST", f"{ADDRESS}/file/undo", "Put the former configuration file back", ActionDone),
        needs=Rights.ADMINISTER,
    ),
)
