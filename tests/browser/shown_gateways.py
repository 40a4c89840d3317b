"""Gateways that are only shown, each in a state that an operator meets: fine, unclaimed, with a lost bus, with odd names."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from gateway.causes import Cause
from gateway.models import Finding
from gateway.status.auth.access_control import TokenAuth
from gateway.status.auth.tokens import Role, Token, digest_of
from gateway.status.configuration_view import ConfigurationForm, ConfigurationSection, FormField, FormPart, FormRow
from gateway.status.device_actions import LookKind
from gateway.status.listening.endpoint import Endpoint
from gateway.status.model import encode_id
from gateway.status.notifications_view import ChannelState, SendOutcome
from gateway.status.server import StatusServer
from gateway.status.setup_server import SetupServer
from gateway.status.setup_view import (
    FamilyChoice,
    FileLine,
    FileToCorrect,
    KeyVerdict,
    SetupAnnouncement,
    SetupBus,
    SetupDevice,
    SetupFamily,
    SetupFamilyDevice,
    SetupForm,
    SetupNetworkHost,
    SetupNetworkProblem,
    SetupProblem,
    SetupReview,
    SetupSearch,
    SetupState,
)
from gateway.status.snapshot import HubContact

STATUS_TESTS = Path(__file__).parents[1] / "status"
TOKEN = "a-token-that-only-tests-know"
METER = "sn:acme/Meter 1"
XIAOMI = "mac:LYWSD03MMC 6A11"
MODEL = "9a8b7c6d-0000-4000-8000-abcdefabcdef"
ODD_NAMES = ("Zähler <b>Keller</b> & Söhne", "מונה חשמל בקומת המרתף", "\u202eright to left", "W" * 120, "Pumpe " * 50)


def _beside_the_page(name):
    """Return a module of the tests of the page: they are no package."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, STATUS_TESTS / f"{name}.py")
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


fake_view = _beside_the_page("fake_view")
fake_topology = _beside_the_page("fake_topology")
fake_events = _beside_the_page("fake_events")


class Configuration(fake_view.fake_configuration.FakeConfiguration):
    """A configuration with a form of one section and one host; what is done with it is noted."""

    def __init__(self):
        super().__init__()
        self.done = []

    async def sections(self, *, draft=None):
        plant = ConfigurationSection(name="plant <b>", at=("adapter", 0), description="a modbus entry", facts="1 host")
        new = ConfigurationSection(name="modbus", at=("adapter", 1), description="", facts="", kind="modbus")
        return plant, new

    async def form(self, at, *, draft=None, kind=""):
        fields = (
            FormField(
                key="telemetry_every", kind="number", description="interval", value="60", is_set=True, default="30", unit="s"
            ),
            FormField(key="hardware_key", kind="secret", description="the secret", value="", is_set=True),
            FormField(key="may", kind="choice", description="rights", value="", is_set=False, choices=("observe", "command")),
            FormField(key="incidents", kind="boolean", description="whether", value="", is_set=False, default="true"),
            FormField(key="hosts", kind="lines", description="hosts", value="a\nb", is_set=True),
            FormField(key="url", kind="text", description="", value="https://x", is_set=True, from_elsewhere="the environment"),
        )
        rows = (FormRow(name="192.168.1.20 <i>", at=("adapter", 0, "hosts", 0)),)
        part = FormPart(key="hosts", description="TCP hosts", rows=rows, new_at=("adapter", 0, "hosts", 1))
        return ConfigurationForm(
            at=tuple(at), title="plant <b>", fields=fields, parts=(part,), etag="tag-1", draft=draft, is_new=False
        )

    async def fill_in(self, at, answers, *, draft, etag, kind=""):
        if answers["telemetry_every"] == "x":
            return {"telemetry_every": "has to be a number"}
        self.done.append(("filled in", answers["telemetry_every"]))
        return await self.edit(self.text)

    async def remove(self, at, *, draft, etag):
        self.done.append(("removed", tuple(at)))
        return await self.edit(self.text)

    async def try_draft(self, draft):
        self.done.append(("tried", draft))

    async def discard(self, draft):
        self.done.append(("discarded", draft))


def plant(*, children=9):
    """Return a plant with something of everything, in which much has happened."""
    view = fake_view.show_plant(children=children)
    view.timeline = fake_events.show_timeline(next(iter(view.children.values())).line, rounds=2)
    view.notifications.channels = (
        ChannelState("webhook at alerts.example.com", "HTTP 503", 2, None),
        ChannelState("e-mail to operations@example.com", None, 0, fake_view.now()),
    )
    view.notifications.outcomes = (
        SendOutcome("webhook at alerts.example.com", is_sent=False, text="HTTP 503"),
        SendOutcome("e-mail to operations@example.com", is_sent=True, text="250 OK"),
    )
    view.configuration = Configuration()
    view.device_actions.looks.start(METER, LookKind.READ)
    view.done.clear()
    return view


def unclaimed():
    """Return a gateway in its first minutes: registered, not claimed, nothing found."""
    view = fake_view.FakeView()
    view.gateway = view.gateway.model_copy(update={"is_claimed": False, "claim_text": "GW-4711", "name": "Gateway"})
    view.add_bus("10.20.30.40:502", "meters")
    return view


class KeyChange:
    """Takes any key, and notes it."""

    def __init__(self):
        self.entered = []

    def refusal(self):
        return None

    async def change(self, entered):
        self.entered.append(entered)


def unregistered():
    """Return a gateway whose key the cloud refuses, and that finds no bus."""
    view = fake_view.FakeView()
    view.key_change = KeyChange()
    view.gateway = view.gateway.model_copy(
        update={
            "is_registered": False,
            "is_claimed": None,
            "is_key_refused": True,
            "cause": Cause.KEY_REFUSED,
            "device_id": None,
            "problem": "The cloud refuses the hardware key: HTTP 401",
            "hub": HubContact(is_reachable=None),
        }
    )
    return view


def lost_bus(*, buses, devices):
    """Return a site that has lost one of its buses with all devices of it, as one cause."""
    return fake_topology.fill(fake_view.FakeView(), fake_view, buses=buses, devices=devices)


def cut_off():
    """Return a plant whose cloud does not answer, whose store fails, and that has to decide whether it is a copy."""
    view = plant()
    hub = HubContact(
        is_reachable=False,
        since=fake_view.now() - timedelta(minutes=51),
        problem="Connection refused",
        tried_at=fake_view.now() - timedelta(seconds=40),
        tries=12,
        next_try_at=fake_view.now() + timedelta(minutes=12),
    )
    view.gateway = view.gateway.model_copy(
        update={
            "hub": hub,
            "store_problem": "database or disk is full",
            "identity_question": "The store comes from another machine (serial number GW-0815). Is this machine its successor?",
            "notice": "The clock was set ahead by 3 h.",
            "rows_set_aside": 2,
        }
    )
    return view


def odd_names():
    """Return a plant whose devices have the names that people and radios give."""
    view = plant(children=3)
    bus = next(iter(view.buses))
    for number, name in enumerate(ODD_NAMES):
        child = view.add_child(name, bus, key=f"odd-{number}", address=str(40 + number))
        fake_view.fill_hour(view.history, child.line.key, fake_view.Random(number), every=300)
        view.add_waiting(name, "hci0", key=f"found-{number}", why="waits for a person")
    view.silence("odd-3", f"a very long reason {'x' * 200}")
    view.gateway = view.gateway.model_copy(update={"name": "Schaltschrank Nord, Halle 12, Wasserwerk Niederösterreich-Süd"})
    return view


STATES = {
    "plant": plant,
    "unclaimed": unclaimed,
    "unregistered": unregistered,
    "lost bus": lambda: lost_bus(buses=3, devices=8),
    "cut off": cut_off,
    "odd names": odd_names,
}


# before there is a configuration ------------------------------------------------------------------------------------------


def _device(name, address, **facts):
    return SetupDevice(name=name, address=address, **facts)


INVERTERS = tuple(
    _device(f"Fronius Symo {number}", f"unit {number}", profile="sunspec", family="inverter", manufacturer="Fronius")
    for number in (1, 2)
)
NEIGHBOUR = _device("Neighbour's <b>watch</b>", "c4:7c:8d:6a:11:02")
SEEN = (
    SetupBus(entry="modbus", bus="192.168.1.20:502", devices=INVERTERS, found=2, is_done=True, asked=247, to_ask=247, by_hand=1),
    SetupBus(entry="ble", bus="hci0", devices=(NEIGHBOUR,), found=1, asked=3),
    SetupBus(entry="serial", bus="/dev/ttyUSB0", problem="no permission to open it", is_done=True),
)
MISTAKE = SetupProblem(
    place="/etc/xyte-gateway/gateway.toml, line 4",
    where="adapter.line.baudrate",
    wrong="9601 is no speed of a serial line",
    right="write one of 9600, 19200, 38400",
)


@dataclass
class ShownSetup:
    """A gateway that waits for its configuration; each action is noted and refused with a sentence, or done."""

    state: SetupState
    shown: SetupForm
    reviewed: SetupReview | None = None
    file: FileToCorrect | None = None

    def __post_init__(self):
        self.done = []

    @property
    def actions(self):
        return self

    def setup(self):
        return self.state

    async def examine(self):
        return [
            Finding.fine("disk", "12.4 GB (41 %) free"),
            Finding.fault("line: port /dev/ttyUSB0", "belongs to the group dialout", "sudo usermod -aG dialout xyte"),
        ]

    def form(self):
        return self.shown

    def _note(self, what, given=None):
        self.done.append((what, dict(given or {})))

    async def answer(self, fields):
        self._note("answer", fields)
        return not self.shown.problems

    async def review(self):
        return self.reviewed

    async def save(self, revision):
        self._note("save", {"revision": revision})

    async def save_key(self):
        self._note("save key")

    async def search_again(self, hosts):
        self._note("search", {"hosts": hosts})

    async def add_bus(self, fields):
        self._note("add bus", fields)

    async def remove_bus(self, number):
        self._note("remove bus", {"number": number})

    def file_to_correct(self):
        return self.file

    async def undo_file(self):
        self._note("undo")

    async def correct(self, text, stamp):
        self._note("correct", {"text": text, "stamp": stamp})


def set_up(*, problems=None, has_key=False):
    """Return a gateway on its first start, which has found something."""
    devices = tuple(
        SetupFamilyDevice(id=f"leave-{number}", device=one, bus="192.168.1.20:502", is_left_out=number == 1)
        for number, one in enumerate(INVERTERS)
    )
    family = SetupFamily(
        id="inverter", name="inverter", devices=devices, count=2, profiles="sunspec", choice=FamilyChoice.ADMIT, model_id=""
    )
    meter = replace(family, id="meter", name="power-meter", choice=FamilyChoice.LATER)
    form = SetupForm(
        name="Gateway",
        entry_url="https://entry.xyte.io",
        allow_plain_http=False,
        has_key=has_key,
        key_from=None,
        families=(family, meter),
        unmatched=(SetupFamilyDevice(id="other-0", device=NEIGHBOUR, bus="hci0", is_left_out=False),),
        unmatched_count=1,
        admits_later=True,
        problems=problems or {},
    )
    state = SetupState(
        file="/etc/xyte-gateway/gateway.toml",
        is_first_start=True,
        is_set_up_here=True,
        is_looking=True,
        search=SetupSearch(buses=3, asked=250, found=3, hosts=1, answering_hosts=1, seconds=12),
        seen=SEEN,
        network=(
            SetupNetworkHost(host="192.168.1.20", found_as="Modbus TCP"),
            SetupNetworkHost(
                host="192.168.1.40",
                found_as="PJLink class 2",
                announces=(SetupAnnouncement(service="web page", name="Hall <b>1</b>", port=80),),
            ),
            SetupNetworkHost(host="192.168.1.41", announces=(SetupAnnouncement(service="Shelly", name="shellypro3em", port=80),)),
        ),
        network_problems=(SetupNetworkProblem(what="meter.local", problem="nobody knows an address of this name"),),
    )
    review = SetupReview(
        revision="abc123",
        file="/etc/xyte-gateway/gateway.toml",
        text='[gateway]\nname = "Gateway"\n\n[cloud]\nhardware_key_file = "/etc/xyte-gateway/hardware_key"\n\n'
        f'[models]\ninverter = "{MODEL}"\n\n[[adapter]]\ntype = "modbus"\nhosts = ["192.168.1.20"]\n',
        key_file="/etc/xyte-gateway/hardware_key",
        verdict=KeyVerdict.NOT_REFUSED,
        verdict_text="The cloud was asked and does not refuse it.",
        admitted=2,
        waiting=1,
        left_out=1,
        buses=2,
        unwritable=None,
        unwritable_fix=None,
        kept_as=None,
        problems=(),
    )
    return ShownSetup(state, form, review)


def set_up_unwritable():
    """Return a set-up whose file has to be written by hand, with a key that the cloud refuses."""
    shown = set_up()
    shown.reviewed = replace(
        shown.reviewed,
        verdict=KeyVerdict.REFUSED,
        verdict_text="The cloud refuses it: HTTP 401.",
        unwritable="/etc/xyte-gateway is read-only",
        unwritable_fix="mount it with write permission, or save the text below there yourself",
        kept_as="/etc/xyte-gateway/gateway.toml.before",
        problems=(MISTAKE,),
    )
    return shown


def set_up_empty():
    """Return a first start that has found nothing."""
    shown = set_up()
    shown.state = shown.state.model_copy(
        update={
            "seen": (SEEN[2],),
            "is_looking": False,
            "search": SetupSearch(buses=1, asked=0, found=0, hosts=2, answering_hosts=0, seconds=31),
        }
    )
    shown.shown = replace(shown.shown, families=(), unmatched=(), unmatched_count=0)
    return shown


def file_with_mistakes():
    """Return a gateway whose configuration file has mistakes."""
    shown = set_up()
    shown.state = shown.state.model_copy(
        update={"is_first_start": False, "is_set_up_here": False, "mistakes": (MISTAKE,), "is_looking": False}
    )
    lines = tuple(
        FileLine(number=number, text=text, mistakes=(MISTAKE,) if number == 4 else ())
        for number, text in enumerate(["[[adapter]]", 'name = "line"', 'type = "serial"', "baudrate = 9601"], 1)
    )
    shown.file = FileToCorrect(
        text='[[adapter]]\nname = "line"\ntype = "serial"\nbaudrate = 9601\n',
        stamp="s1",
        lines=lines,
        has_secrets=True,
        has_usable_former=True,
    )
    return shown


SETUP_STATES = {
    "set-up": set_up,
    "set-up with problems": lambda: set_up(
        problems={"hardware_key": "Enter the hardware key.", "model-inverter": "It is no model id: 36 characters are needed."}
    ),
    "set-up by hand": set_up_unwritable,
    "set-up empty": set_up_empty,
    "file with mistakes": file_with_mistakes,
}


# served -------------------------------------------------------------------------------------------------------------------


def access(token=TOKEN):
    """Return an access control that knows one token, which may do everything."""
    return TokenAuth(lambda: (Token(name="administrator", role=Role.ADMINISTER, digest=digest_of(token)),), host="127.0.0.1")


def server_of(view, *, port=0, update_every=timedelta(hours=1)):
    """Return a server of the page of this gateway, or of its set-up, that does not listen yet. An open page stays as it is."""
    endpoint = Endpoint(port=port)
    if isinstance(view, ShownSetup):
        return SetupServer(view, access(), endpoint)
    return StatusServer(view, view.history, access(), endpoint=endpoint, update_every=update_every)


@asynccontextmanager
async def served(view, **settings):
    """Serve the page of a gateway, and yield its server."""
    server = server_of(view, **settings)
    task = asyncio.create_task(server.run())
    try:
        async with asyncio.timeout(10):
            await server.listens.wait()
        yield server
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def child_path(key=METER):
    return f"/children/{encode_id(key)}"


def command_path(name, key=METER):
    return f"{child_path(key)}/commands/{encode_id(name)}"
