"""The pages that a person can open, each with the state of the gateway in which it is looked at."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from shown_gateways import METER, XIAOMI, child_path, command_path

from gateway.status.model import encode_id
from gateway.status.render.configuration import written_place

BUS = f"/buses/{encode_id('ble', 'hci0')}"
PLANT_FORM = f"/configuration/form?{urlencode({'at': written_place(('adapter', 0))})}"
LOST = f"/buses/{encode_id('meters', '10.20.30.41:502')}"


@dataclass(frozen=True)
class Visit:
    """A page as somebody meets it."""

    name: str
    path: str
    state: str = "plant"
    is_signed_in: bool = True
    steps: tuple[str | tuple[str, str | bytes], ...] = ()
    """What is pressed there, or filled with a text or a file; the last one leads to the page that is looked at."""
    answers: int = 200
    """The status with which the last request is answered."""


VISITS = (
    Visit("overview", "/"),
    Visit("overview of a visitor", "/", is_signed_in=False),
    Visit("overview searched and grouped", "/?search=meter&group=bus&sort=name"),
    Visit("overview without a match", "/?search=nobody"),
    Visit("overview unclaimed", "/", "unclaimed"),
    Visit("overview unregistered", "/", "unregistered"),
    Visit("overview with a lost bus", "/", "lost bus"),
    Visit("overview cut off", "/", "cut off"),
    Visit("overview with odd names", "/", "odd names"),
    Visit("topology", "/topology"),
    Visit("topology with a lost bus", "/topology", "lost bus"),
    Visit("topology with odd names", "/topology", "odd names"),
    Visit("topology unclaimed", "/topology", "unclaimed"),
    Visit("found devices", "/waiting"),
    Visit("found devices of a visitor", "/waiting", is_signed_in=False),
    Visit("found devices with odd names", "/waiting", "odd names"),
    Visit("no found devices", "/waiting", "unclaimed"),
    Visit("events", "/events"),
    Visit("events of a kind", "/events?kind=went"),
    Visit("no events", "/events", "unclaimed"),
    Visit("cloud", "/cloud"),
    Visit("cloud unregistered", "/cloud", "unregistered"),
    Visit("cloud cut off", "/cloud", "cut off"),
    Visit("hardware key", "/cloud/key", "unregistered"),
    Visit("doctor", "/doctor"),
    Visit("logs", "/logs"),
    Visit("logs of a level", "/logs?level=warning"),
    Visit("bus", BUS),
    Visit("bus that is lost", LOST),
    Visit("device", child_path()),
    Visit("device of a visitor", child_path(), is_signed_in=False),
    Visit("device that is silent", child_path("sn:acme/Chiller 2")),
    Visit("device of a lost bus", child_path("sn:acme/Meter 3-1"), "lost bus"),
    Visit("device with an odd name", child_path("odd-1"), "odd names"),
    Visit("device with a long name", child_path("odd-3"), "odd names"),
    Visit("values", f"{child_path()}/values?metric=active_power&compare=relay"),
    Visit("values of a week", f"{child_path()}/values?metric=voltage_l1&range=week"),
    Visit("values of a wrong metric", f"{child_path()}/values?metric=none", answers=400),
    Visit("command", command_path("set_limit")),
    Visit("command without parameters", command_path("identify")),
    Visit("dangerous command", command_path("open_contactor")),
    Visit(
        "command with a wrong value", command_path("set_limit"), steps=(("#field-1", "40"), "form.command button"), answers=422
    ),
    Visit("command to be confirmed", command_path("open_contactor"), steps=(("#field-1", "20"), "form.command button")),
    Visit("look", f"/devices/{encode_id(METER)}/look"),
    Visit("look at a found device", f"/devices/{encode_id(XIAOMI)}/look"),
    Visit("frames", f"/devices/{encode_id(METER)}/frames"),
    Visit("retire", f"{child_path()}/retire"),
    Visit("replace", f"{child_path()}/replace"),
    Visit("several children", "/several/children"),
    Visit("several found devices", "/several/waiting"),
    Visit("several to be retired", "/several/children", steps=("input[name=chosen] >> nth=0", "text=Retire and delete")),
    Visit("several to be renamed", "/several/children", steps=("input[name=chosen] >> nth=0", "button:text-is('Rename')")),
    Visit("command for several", "/several/children", steps=("input[name=chosen] >> nth=0", "button:text-is('Send a command')")),
    Visit("several results", "/several/children", steps=("input[name=chosen] >> nth=0", "text=Read all values")),
    Visit("several results that are gone", "/several/result/none", answers=404),
    Visit("maintenance", "/maintenance"),
    Visit("maintenance with diagnostics", "/maintenance", steps=("button:has-text('Collect')",)),
    Visit(
        "restore to be confirmed",
        "/maintenance",
        steps=(
            ("input[name=passphrase] >> nth=1", "a good passphrase"),
            ("input[name=file]", b"backup of a store"),
            "form[action='/maintenance/restore'] button",
        ),
    ),
    Visit("configuration", "/configuration"),
    Visit("configuration as a form", PLANT_FORM),
    Visit(
        "configuration with a wrong answer",
        PLANT_FORM,
        steps=(("input[name='f.telemetry_every']", "x"), "button.main"),
        answers=422,
    ),
    Visit("configuration as text", "/configuration/text"),
    Visit("configuration with mistakes", "/configuration/text", steps=(("#text", "wrong = 1"), "#edit button"), answers=422),
    Visit("configuration to be saved", "/configuration/text", steps=("#edit button",)),
    Visit("configuration draft that is gone", "/configuration/draft?id=none", answers=409),
    Visit("configuration one step back", "/configuration", steps=("text=Compare, and go",)),
    Visit("restart", "/maintenance", steps=("text=Restart …",)),
    Visit("notifications", "/maintenance/notifications"),
    Visit("notifications tested", "/maintenance/notifications", steps=("text=Send a test",)),
    Visit("no notifications", "/maintenance/notifications", "unclaimed"),
    Visit("restarting", "/maintenance", steps=("text=Restart …", "text=Restart now")),
    Visit("sign in refused", "/login", is_signed_in=False, steps=(("#token", "wrong"), ".login button"), answers=403),
    Visit("sign in", "/login", is_signed_in=False),
    Visit("nothing there", "/nothing", answers=404),
    Visit("not allowed", f"/devices/{encode_id(METER)}/frames", is_signed_in=False, answers=403),
    Visit("set-up", "/", "set-up"),
    Visit("set-up of a visitor", "/", "set-up", is_signed_in=False),
    Visit("set-up with problems", "/", "set-up with problems"),
    Visit("set-up empty", "/", "set-up empty"),
    Visit("set-up review", "/setup/review", "set-up"),
    Visit("set-up by hand", "/setup/review", "set-up by hand"),
    Visit("file with mistakes", "/", "file with mistakes"),
    Visit("doctor before the set-up", "/doctor", "set-up"),
    Visit("sign in before the set-up", "/login", "set-up", is_signed_in=False),
)

IN_GERMAN = (
    *("overview cut off", "topology", "found devices", "events", "cloud", "hardware key", "doctor", "logs", "bus", "device"),
    *("values", "dangerous command", "look", "frames", "retire", "replace", "several children", "several found devices"),
    *("several results that are gone", "maintenance", "restore to be confirmed", "configuration", "configuration as a form"),
    *("configuration with mistakes", "configuration draft that is gone", "notifications", "sign in", "nothing there"),
    *("set-up", "set-up by hand", "file with mistakes", "doctor before the set-up", "sign in before the set-up"),
)
"""Each registered page once, where it shows the most; their steps press nothing that is found by its English text."""
