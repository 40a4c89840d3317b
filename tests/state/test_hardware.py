"""A store that wakes up on another machine is recognised, and one in a recreated container is not taken for it."""

import pytest

from gateway.state.database.columns import Unusable
from gateway.state.recovery.hardware import Hardware, difference

PI = {"board": "10000000abcdef01", "cards": {"eth0": "b8:27:eb:12:34:56", "wlan0": "b8:27:eb:65:43:21"}}
ON_HOST_NETWORK = {"cards": {"eth0": "b8:27:eb:12:34:56"}, "is_in_container": True}
VETH = "02:42:ac:11:00:02"
OTHER_PI = {"board": "10000000abcdef02", "cards": {"eth0": "b8:27:eb:99:99:99"}}


@pytest.fixture
def machine(tmp_path):
    """Return what is seen of a machine with these files."""
    made = []

    def make(*, board=None, dmi=None, cards=(), machine_id="aaaa", given=None, is_in_container=False, kinds=(), virtual=()):
        root = tmp_path / f"{len(made)}"
        made.append(root)
        for name, text in {
            "proc/device-tree/serial-number": None if board is None else f"{board}\0",
            "sys/class/dmi/id/product_uuid": dmi,
            "etc/machine-id": machine_id,
        }.items():
            if text is not None:
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text(f"{text}\n")
        for name, mac in dict(cards).items():
            card = root / "sys/class/net" / name
            card.mkdir(parents=True)
            (card / "address").write_text(f"{mac}\n")
            (card / "addr_assign_type").write_text(f"{dict(kinds).get(name, 0)}\n")
            if name not in virtual:
                (card / "device").mkdir()
        return Hardware.of_machine(given, is_in_container=is_in_container, root=root)

    return make


def container(mac, hostname="x", **rest):
    return {"cards": {"eth0": mac}, "virtual": ("eth0",), "is_in_container": True, "machine_id": hostname, **rest}


SAME = {
    "the same machine": (PI, PI),
    "a new image with another machine id": (PI, PI | {"machine_id": "bbbb"}),
    "another network card, the same board": (PI, PI | {"cards": {"eth0": "b8:27:eb:00:00:01"}}),
    "one of two network cards is gone": ({"cards": PI["cards"]}, {"cards": {"wlan0": "b8:27:eb:65:43:21"}, "machine_id": "bbbb"}),
    "a container that was recreated": (container("02:42:ac:11:00:02"), container("02:42:ac:11:00:07", "y")),
    "a machine, then a container on it": (PI, container("02:42:ac:11:00:02")),
    "a container on the network of its host, recreated": (
        ON_HOST_NETWORK, ON_HOST_NETWORK | {"machine_id": "z"},
    ),
    "a card whose address is made by chance at each start": (
        {"cards": {"wlan0": "aa:00:00:00:00:01"}, "kinds": {"wlan0": 1}},
        {"cards": {"wlan0": "aa:00:00:00:00:02"}, "kinds": {"wlan0": 1}},
    ),
    "a board on which the maker wrote no serial number": (
        {"dmi": "To Be Filled By O.E.M.", "cards": PI["cards"]},
        {"dmi": "03000200-0400-0500-0006-000700080009", "cards": PI["cards"]},
    ),
    "hardware_id alone counts": (PI | {"given": "rack 7"}, OTHER_PI | {"given": "rack 7"}),
    "nothing is known of both": ({"machine_id": None}, {"machine_id": "bbbb"}),
}  # fmt: skip
OTHER = {
    "a cloned card in another board": (PI, OTHER_PI, "serial number"),
    "a cloned card in a board without a serial number": ({"cards": PI["cards"]}, {"cards": OTHER_PI["cards"]}, "network cards"),
    "a cloned virtual machine": ({"dmi": "1234abcd-9999-1111"}, {"dmi": "9934abcd-9999-1111"}, "uuid"),
    "nothing but the machine id": ({}, {"machine_id": "bbbb"}, "machine id"),
    "a container that was told so": (container(VETH, given="pi-1"), container(VETH, given="pi-2"), "hardware_id"),
    "a container on the network of another host": (
        ON_HOST_NETWORK, ON_HOST_NETWORK | {"cards": {"eth0": "b8:27:eb:99:99:99"}}, "network cards",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", SAME)
def test_this_is_the_same_machine(machine, case):
    known, now = (machine(**facts) for facts in SAME[case])
    assert difference(known, now) is None


@pytest.mark.parametrize("case", OTHER)
def test_this_is_another_machine(machine, case):
    known, now, why = (*(machine(**facts) for facts in OTHER[case][:2]), OTHER[case][2])
    assert why in difference(known, now)


def test_a_card_that_is_not_plugged_in_for_a_while_stays_known(machine):
    known = machine(cards=PI["cards"]).seen_again(machine())
    assert difference(known, machine(cards=OTHER_PI["cards"])) is not None
    assert difference(known, machine(cards=PI["cards"])) is None


def test_what_is_stored_is_what_was_seen_without_the_machine_id(machine):
    seen = machine(**PI, machine_id="my-secret-machine-id", given="rack")
    assert Hardware.from_json(seen.to_json()) == seen
    assert "my-secret" not in seen.to_json()


@pytest.mark.parametrize("written", [None, "", "{}", "[]", '{"boards": [], "macs": {}}', b"\xff"])
def test_damaged_hardware_is_unusable(written):
    with pytest.raises(Unusable):
        Hardware.from_json(written)
