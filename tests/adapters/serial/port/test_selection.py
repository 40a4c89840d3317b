"""Selecting and identifying ports, from ports that real machines have listed."""

import pytest

from adapters.serial.port.selection import (
    BY_ID,
    ListedPort,
    PortIdentity,
    PortSelector,
    device_server_port,
    identify_ports,
    select_ports,
)

FTDI = ListedPort(
    path="/dev/ttyUSB0",
    links=(BY_ID + "usb-FTDI_FT232R_USB_UART_A10K3X9Q-if00-port0",),
    vid=0x0403,
    pid=0x6001,
    serial_number="A10K3X9Q",
    location="1-1.2",
)
CH340 = ListedPort(
    path="/dev/ttyUSB1", links=(BY_ID + "usb-1a86_USB2.0-Serial-if00-port0",), vid=0x1A86, pid=0x7523, location="1-1.3"
)
SECOND_CH340 = ListedPort(path="/dev/ttyUSB2", vid=0x1A86, pid=0x7523, location="1-1.4")
CLONE = ListedPort(path="/dev/ttyUSB3", vid=0x10C4, pid=0xEA60, serial_number="0001", location="1-1.5")
SOLDERED = ListedPort(path="/dev/ttyS0")
QUAD = [
    ListedPort(path=f"/dev/ttyUSB{4 + number}", vid=0x0403, pid=0x6011, serial_number="FT5X", location=f"1-2:1.{number}")
    for number in range(2)
]


def who(port, *others):
    return identify_ports([port, *others])[port.path]


def selectors(*written):
    return [PortSelector.parse(one) for one in written]


# who a port is --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("port", "others", "identity"),
    [
        (FTDI, [SOLDERED], PortIdentity("usb:0403:6001:A10K3X9Q", is_stable=True)),
        (QUAD[1], [QUAD[0]], PortIdentity("usb:0403:6011:FT5X:1.1", is_stable=True)),
        (CH340, [], PortIdentity(BY_ID + "usb-1a86_USB2.0-Serial-if00-port0", is_stable=True)),
        (CH340, [SECOND_CH340], PortIdentity("usb:1a86:7523@1-1.3", is_stable=False)),
        (SECOND_CH340, [CH340], PortIdentity("usb:1a86:7523@1-1.4", is_stable=False)),
        (CLONE, [], PortIdentity("/dev/ttyUSB3", is_stable=False)),
        (SOLDERED, [], PortIdentity("/dev/ttyS0", is_stable=True)),
        (ListedPort(path="/dev/pts/7"), [], PortIdentity("/dev/pts/7", is_stable=False)),
        (ListedPort(path="/dev/pts/7", links=("/dev/scale",)), [], PortIdentity("/dev/scale", is_stable=True)),
        (ListedPort(path="/dev/rfcomm0"), [], PortIdentity("/dev/rfcomm0", is_stable=False)),
    ],
)
def test_a_port_is_identified_by_the_best_property_of_its_adapter(port, others, identity):
    assert who(port, *others) == identity


def test_two_ports_with_one_serial_number_are_identified_by_their_usb_location():
    twin = ListedPort(path="/dev/ttyUSB9", vid=0x0403, pid=0x6001, serial_number="A10K3X9Q", location="1-4")
    assert who(FTDI, twin) == PortIdentity("usb:0403:6001@1-1.2", is_stable=False)
    assert who(twin, FTDI) == PortIdentity("usb:0403:6001@1-4", is_stable=False)


def test_a_port_of_a_device_server_is_identified_by_its_url():
    assert device_server_port("socket://10.0.0.5:4001").identity == PortIdentity("socket://10.0.0.5:4001", is_stable=True)


# which are meant ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "met"),
    [
        ("/dev/ttyUSB0", [FTDI]),
        ("/dev/ttyUSB*", [FTDI, CH340]),
        (BY_ID + "usb-FTDI*", [FTDI]),
        ("usb:0403", [FTDI]),
        ("usb:0403:6001", [FTDI]),
        ("usb:0403:6001:A10K*", [FTDI]),
        ("usb:0403:6001:B*", []),
        ("USB:1A86:7523", [CH340]),
        ("*", [FTDI, CH340, SOLDERED]),
        ("/dev/ttyACM*", []),
    ],
)
def test_a_selector_matches_the_ports_that_it_names(written, met):
    assert [port for port in (FTDI, CH340, SOLDERED) if PortSelector.parse(written).matches(port)] == met


@pytest.mark.parametrize(
    "written", ["ttyUSB0", "usb:123", "usb:0403:60", "loop://", "socket://host", "tcp://host:", "rfc2217://:99", "", "COM3"]
)
def test_an_invalid_selector_is_an_error_that_says_how_to_write_one(written):
    with pytest.raises(ValueError, match="write"):
        PortSelector.parse(written)


@pytest.mark.parametrize(
    ("written", "definite"),
    [
        ("/dev/ttyUSB0", True),
        ("/dev/ttyUSB?", False),
        ("socket://h:1", True),
        ("tcp://h:1", True),
        ("usb:0403:6001:A", False),
        ("*", False),
    ],
)
def test_a_selector_is_definite_if_it_names_one_port(written, definite):
    assert PortSelector.parse(written).is_definite is definite


def test_a_port_is_selected_once_even_if_named_several_times():
    ports = select_ports([FTDI, CH340], selectors(FTDI.links[0], "usb:0403:6001", "/dev/ttyUSB0", "*"))
    assert [port.address for port in ports] == ["/dev/ttyUSB0", "/dev/ttyUSB1"]
    assert ports[0].label == FTDI.links[0]


def test_an_excluded_port_is_not_selected_by_any_of_its_names():
    for excluded_selectors in ("/dev/ttyUSB0", FTDI.links[0], "usb:0403", BY_ID + "*FTDI*"):
        assert [port.address for port in select_ports([FTDI, CH340], selectors("*"), selectors(excluded_selectors))] == [
            "/dev/ttyUSB1"
        ]
    url = "socket://10.0.0.5:4001"
    assert select_ports([], selectors(url), selectors(url)) == ()


def test_a_pseudo_terminal_is_selected_only_by_its_name():
    terminal = ListedPort(path="/dev/pts/3", is_enumerated=False)
    assert select_ports([terminal], selectors("*")) == ()
    assert [port.address for port in select_ports([terminal], selectors("/dev/pts/3"))] == ["/dev/pts/3"]


# what became of them --------------------------------------------------------------------------------------------------


def test_a_port_that_came_back_under_another_name_is_the_same_port():
    before = select_ports([FTDI, CH340], selectors("*"))
    moved = ListedPort(path="/dev/ttyUSB7", links=FTDI.links, vid=FTDI.vid, pid=FTDI.pid, serial_number=FTDI.serial_number)
    after = select_ports([moved, SOLDERED], selectors("*"))
    assert [port.address for port in before] == ["/dev/ttyUSB0", "/dev/ttyUSB1"]
    assert [port.address for port in after] == ["/dev/ttyUSB7", "/dev/ttyS0"]
    assert before[0].identity == after[0].identity
    assert after[1].identity not in [port.identity for port in before]
