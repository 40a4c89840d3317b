"""Addresses beyond the usual ones are searched as far as devices answer."""

import pytest

from adapters.serial.discovery.address_sweep import MOST_AHEAD, AddressSweep
from adapters.serial.profile.library import PROFILE_FILES
from gateway.testing.serial import Console, Display, LgDisplay

PROFILES = PROFILE_FILES.load()
SAMSUNG, LG, NEC, PJLINK = (PROFILES[name] for name in ("samsung-mdc", "lg-display", "nec-display", "pjlink"))


def swept(sweep, *devices, late=False):
    """The addresses found, and the requests that were sent; `late`: each answer comes in the step after its own."""
    run, sent, held = sweep.run(), [], b""
    try:
        step = next(run)
        while True:
            sent.append(step.request)
            answer = b"".join(one for device in devices for one in device.receive(step.request))
            held, answer = (answer, held) if late else (b"", answer)
            step = run.send(answer)
    except StopIteration as end:
        return end.value, sent


@pytest.mark.parametrize("late", [False, True])
def test_displays_of_a_chain_are_found_and_the_search_goes_some_ids_beyond_the_last(late):
    displays = [Display(number) for number in (2, 5, 17, 30)]
    found, sent = swept(AddressSweep(SAMSUNG, SAMSUNG.line, [1]), *displays, late=late)
    assert found == [2, 5, 17, 30]
    assert {request[2] for request in sent} == {*range(30 + MOST_AHEAD + 1)} - {1}
    assert {request[1] for request in sent} == {0x11}, "it only asks for the power"


def test_a_line_where_nobody_answers_costs_few_steps_and_a_configured_one_all_of_them():
    assert len(swept(AddressSweep(SAMSUNG, SAMSUNG.line))[1]) == MOST_AHEAD
    assert len(swept(AddressSweep(SAMSUNG, SAMSUNG.line, is_complete=True))[1]) == 254
    found, sent = swept(AddressSweep(LG, LG.line, is_complete=True), LgDisplay(99))
    assert found == [99]
    assert len(sent) == 99 + MOST_AHEAD, "all ids up to the one that answers, and some behind it"


def test_letters_are_addresses_and_a_protocol_without_addresses_is_not_searched():
    assert [request[2:3] for request in swept(AddressSweep(NEC, NEC.line, ["A"]))[1]][:2] == [b"B", b"C"]
    assert swept(AddressSweep(PJLINK, PJLINK.line)) == ([], [])


def test_an_answer_of_a_known_address_is_no_new_device():
    assert swept(AddressSweep(LG, LG.line, [3]), LgDisplay(3), LgDisplay(4))[0] == [4]


def test_only_the_first_ids_and_those_near_a_known_one_are_tried():
    _, sent = swept(AddressSweep(SAMSUNG, SAMSUNG.line, [99]))
    assert {request[2] for request in sent} == ({*range(MOST_AHEAD)} | {*range(99 - MOST_AHEAD, 100 + MOST_AHEAD)}) - {99}


def test_a_console_ends_the_search():
    console, sweep = Console(b"=> "), AddressSweep(LG, LG.line)
    assert swept(sweep, console) == ([], [b"ka 01 FF\r"])
    assert sweep.console.kind == "the prompt of a boot loader"
