"""The actions that a person can take, each with what is pressed and entered for it, and how one knows that it was done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from page_table import BUS, LOST, PLANT_FORM
from shown_gateways import METER, MODEL, XIAOMI, child_path, command_path

from gateway.status.model import encode_id

UNIT_44 = "mac:unit 44"
KEY = "0f0e0d0c-1111-4222-8333-444455556666"
ANSWERS = {"hardware_key": KEY, "name": "Cellar", "model-inverter": MODEL, "choice-inverter": "admit"}
CHILD_NAME = f"#name-{encode_id(METER)}"


@dataclass(frozen=True)
class Press:
    """A button, a link, a summary or a box."""

    selector: str


@dataclass(frozen=True)
class Enter:
    """A text in a field; in a choice, the option that begins with it."""

    selector: str
    text: str


@dataclass(frozen=True)
class Offer:
    """A file for a field of a form."""

    selector: str
    content: bytes


@dataclass(frozen=True)
class Action:
    """Something that is done on the page."""

    name: str
    path: str
    steps: tuple[Press | Enter | Offer, ...]
    then: str
    """A selector that is there when it is done."""
    done: Callable[[object], bool]
    """Whether the gateway has been told, by its view."""
    state: str = "plant"
    is_signed_in: bool = True
    saves: bytes = b""
    """What the file begins with that the browser saves in the end."""


def noted(*what):
    """Return whether the view has noted this as the last thing that was done, or the beginning of it."""
    return lambda view: bool(view.done) and view.done[-1][: len(what)] == what


ACTIONS = (
    Action("sign in", "/login", (Enter("#token", "a-token-that-only-tests-know"), Press(".login button")), "text=Sign out",
           lambda view: True, is_signed_in=False),
    Action("sign out", "/", (Press("text=Sign out"),), "header >> text=Sign in", lambda view: True),
    Action("choose a language", "/login", (Enter("select[name=language]", "Deu"), Press("form.language button")),
           "html[lang=de]", lambda view: True, is_signed_in=False),
    Action("admit", "/waiting", (Press("button[aria-label='Admit LYWSD03MMC 6A11']"),), "text=1 device", noted("admit", XIAOMI)),
    Action("admit under a model", "/waiting",
           (Press("summary:has-text('It has no Xyte model')"), Enter(f"#model-{encode_id(UNIT_44)}", MODEL),
            Press("text=Admit under this model")), "text=1 device", noted("admit", UNIT_44)),
    Action("ignore", "/waiting", (Press("button[aria-label='Ignore unit 44']"),), "text=Ignored (2)", noted("ignore", UNIT_44)),
    Action("rename a found device", "/waiting",
           (Press("summary[aria-label='Rename unit 44']"), Enter(f"#name-{encode_id(UNIT_44)}", "Boiler"),
            Press(f"#w-{encode_id(UNIT_44)} >> text=Save")), "text=Boiler", noted("rename", UNIT_44, "Boiler")),
    Action("rename a child", child_path(), (Press("summary:has-text('Rename')"), Enter(CHILD_NAME, "Boiler"), Press("text=Save")),
           "h1:has-text('Boiler')", noted("rename", METER, "Boiler")),
    Action("search a bus", BUS, (Press("text=Search for new devices now"),), "h1:has-text('hci0')",
           noted("rescan", "ble", "hci0")),
    Action("try a bus now", LOST, (Press("text=Try now"),), "text=it still refuses", noted("try", "bus")),
    Action("try a device now", child_path("sn:acme/Chiller 2"), (Press("text=Try now"),), "text=it still refuses",
           noted("try", "child", "sn:acme/Chiller 2")),
    Action("try the cloud now", "/", (Press("text=Try now"),), "text=it still refuses", noted("try", "cloud"), "cut off"),
    Action("read all values", f"/devices/{encode_id(METER)}/look", (Press("text=Read all values"),), "#look >> text=230.1",
           noted("look", METER, "read")),
    Action("check the identity", f"/devices/{encode_id(METER)}/look", (Press("text=Check the identity"),),
           "#look >> text=the same", noted("look", METER, "identify")),
    Action("send a command", command_path("identify"), (Press("form.command button"),), "#runs >> text=it is done",
           noted("command", METER, "identify")),
    Action("set a point", child_path(), (Press("a[aria-label^='Set Active power']"), Enter("#field-1", "20,5"),
           Press("form.command button")), "#runs >> text=it is done",
           lambda view: view.done[-1][2:4] == ("set_limit", {"limit": 20.5, "mode": "eco", "beeps": True})),
    Action("confirm a dangerous command", command_path("open_contactor"),
           (Enter("#field-1", "20"), Press("form.command button"), Press("button:text-is('Send')")), "#runs >> text=it is done",
           noted("command", METER, "open_contactor")),
    Action("retire", f"{child_path()}/retire", (Press("button:text-is('Retire')"),), "text=It is retired",
           noted("retire", METER, True)),
    Action("replace", f"{child_path()}/replace", (Press("input[name=successor] >> nth=0"), Press("button:text-is('Replace')")),
           "h1:has-text('Meter 1')", noted("replace", METER)),
    Action("ignore several", "/several/waiting",
           (Press("input[name=chosen] >> nth=0"), Press("input[name=chosen] >> nth=1"), Press("button:text-is('Ignore')")),
           "text=2 of 2 done", lambda view: [one[0] for one in view.done] == ["ignore", "ignore"]),
    Action("retire several", "/several/children",
           (Press("input[name=chosen] >> nth=0"), Press("text=Retire and keep"), Press("text=Retire 1 device")),
           "text=0 of 1 done", noted("retire")),
    Action("rename several", "/several/children",
           (Press("input[name=chosen] >> nth=0"), Press("button:text-is('Rename')"), Enter("#pattern", "Unit {n}"),
            Press("text=Show the new names"), Press("button[name=confirmed]")), "text=1 of 1 done",
           lambda view: view.done[-1][0] == "rename" and view.done[-1][2] == "Unit 1"),
    Action("send a command to several", "/several/children",
           (Press("input[name=chosen] >> nth=0"), Press("button:text-is('Send a command')"), Press("button[value=identify]"),
            Press("form.command button:text-is('Send')")), "text=1 of 1 done", noted("command")),
    Action("decide about the identity", "/", (Press("text=This machine replaces"),), "h1, h2", noted("identity", "keep"),
           "cut off"),
    Action("enter another key", "/cloud/key", (Enter("#key", KEY), Press("main button")),
           "#children-title", lambda view: view.key_change.entered == [KEY],
           "unregistered"),
    Action("set the level of the log", "/logs", (Enter("select[name=level] >> nth=-1", "warn"), Press("text=Set the level")),
           "h1:has-text('Logs')", lambda view: view.logs.was_set == [("warning", 15)]),
    Action("collect diagnostics", "/maintenance", (Press("text=Collect and show"),), "text=configuration.json",
           lambda view: view.maintenance.bundles == 1),
    Action("test the notifications", "/maintenance/notifications", (Press("text=Send a test"),), "text=the server answered",
           lambda view: view.notifications.tests == 1),
    Action("make a backup", "/maintenance",
           (Enter("input[name=passphrase] >> nth=0", "a good passphrase"), Enter("input[name=again]", "a good passphrase"),
            Press("text=Download a backup")), "h1", lambda view: view.maintenance.passphrases == ["a good passphrase"],
           saves=b"encrypted"),
    Action("restore", "/maintenance",
           (Enter("input[name=passphrase] >> nth=1", "a good passphrase"), Offer("input[name=file]", b"backup of a store"),
            Press("text=Check the file"), Press("text=Restore it now")), "text=comes back by itself",
           lambda view: view.restores.restored == ["plan-1"]),
    Action("do not restore", "/maintenance",
           (Enter("input[name=passphrase] >> nth=1", "a good passphrase"), Offer("input[name=file]", b"backup of a store"),
            Press("text=Check the file"), Press("text=Do not restore it")), "text=Check the file",
           lambda view: view.restores.cancelled == 1),
    Action("fill in a form of the configuration", PLANT_FORM,
           (Enter("input[name='f.telemetry_every']", "45"), Press("text=See what changes")), "h1:has-text('What changes')",
           lambda view: view.configuration.done == [("filled in", "45")]),
    Action("remove a host", PLANT_FORM, (Press("button[aria-label^='Remove 192']"),), "text=not saved",
           lambda view: view.configuration.done == [("removed", ("adapter", 0, "hosts", 0))]),
    Action("change the text of the configuration and save it", "/configuration/text",
           (Enter("#text", "[cloud]"), Press("text=Check, and see"), Press("main .choices button.main")), "text=Latest change",
           lambda view: [text.strip() for text, _ in view.configuration.saved] == ["[cloud]"]),
    Action("try a configuration", "/configuration/text", (Press("text=Check, and see"), Press("text=Try now")), "#try",
           lambda view: view.configuration.done == [("tried", "draft-1")]),
    Action("discard a configuration", "/configuration/text", (Press("text=Check, and see"), Press("text=Discard")),
           "h1:text-is('Configuration')", lambda view: view.configuration.done == [("discarded", "draft-1")]),
    Action("go one step back", "/configuration", (Press("text=Compare, and go"), Press("text=Go one step back now")),
           "h1:text-is('Configuration')", lambda view: len(view.configuration.undone) == 1),
    Action("restart with the configuration", "/configuration/text",
           (Press("text=Check, and see"), Press("main .choices button.main"), Press("text=Restart now")),
           "text=comes back by itself", lambda view: len(view.configuration.begun) == 1),
    Action("restart", "/maintenance", (Press("text=Restart …"), Press("text=Restart now")), "text=comes back by itself",
           lambda view: view.maintenance.restarts == 1),
    Action("answer the set-up", "/",
           (Enter("#hardware_key", KEY), Enter("#name", "Cellar"), Enter("#model-inverter", MODEL),
            Press("text=Check and continue")),
           "h1:has-text('Check and start')", lambda view: ANSWERS.items() <= view.done[-1][1].items(), "set-up"),
    Action("write the configuration", "/setup/review", (Press("text=Write it and start"),), "h1",
           noted("save", {"revision": "abc123"}), "set-up"),
    Action("write the key alone", "/setup/review", (Press("text=Write the key there now"),), "h1:has-text('Check and start')",
           noted("save key"), "set-up by hand"),
    Action("search again", "/", (Enter("input[name=hosts]", "192.168.1.0/24"), Press("button:text-is('Search again')")), "#seen",
           noted("search", {"hosts": "192.168.1.0/24"}), "set-up"),
    Action("add a bus", "/", (Press("summary:has-text('Add a host')"), Enter("input[name=host]", "192.168.1.9"),
           Press("text=Add and search >> nth=0")), "#seen",
           lambda view: view.done[-1][1] == {"what": "modbus-host", "host": "192.168.1.9", "units": ""}, "set-up"),
    Action("remove a bus", "/", (Press("text=Remove 192.168.1.20:502"),), "#seen", noted("remove bus", {"number": 1}), "set-up"),
    Action("go one step back before the start", "/", (Press("text=Go one step back"),), "h1", noted("undo"),
           "file with mistakes"),
    Action("correct the file", "/", (Enter("#text", "[gateway]"), Press("text=Check and save")), "h1",
           lambda view: view.done[-1][1]["text"].strip() == "[gateway]", "file with mistakes"),
)  # fmt: skip
