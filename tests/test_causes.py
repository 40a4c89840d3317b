"""Check the causes of outages: each has words of its own, and an error of an adapter names one, or has it from the system."""

import errno
import socket
import ssl

import pytest

from gateway.adapter import BusUnavailable, Cause, CommandRejected, DeviceUnreachable
from gateway.causes import Reason
from gateway.field.guard.error_causes import cause_of, reason_of, special_step


@pytest.mark.parametrize("cause", Cause)
def test_each_cause_says_what_it_is_and_what_to_do(cause):
    assert cause.phrase
    assert cause.phrase == cause.phrase.strip(" .")
    assert cause.next_step.endswith(".")
    assert len(cause.next_step) > 15


def test_no_two_causes_have_the_same_words():
    assert len({cause.phrase for cause in Cause}) == len(Cause)


@pytest.mark.parametrize("kind", [BusUnavailable, DeviceUnreachable, CommandRejected])
def test_an_error_of_an_adapter_may_name_its_cause_and_a_next_step(kind):
    error = kind("ttyUSB0 may not be opened", cause=Cause.NO_PERMISSION, next_step="Add group_add: [dialout]")

    assert reason_of(error) == Reason("ttyUSB0 may not be opened", Cause.NO_PERMISSION, "Add group_add: [dialout]")
    assert str(error) == "ttyUSB0 may not be opened"


def test_an_error_without_a_cause_keeps_its_text_as_what_is_the_matter():
    reason = reason_of(DeviceUnreachable("it sulks"))

    assert (reason.cause, reason.phrase) == (Cause.UNKNOWN, "it sulks")
    assert reason.next_step == Cause.UNKNOWN.next_step


@pytest.mark.parametrize(
    ("behind", "cause"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), Cause.HOST_REFUSES),
        (ConnectionResetError(errno.ECONNRESET, "reset"), Cause.HOST_CLOSES),
        (OSError(errno.EHOSTUNREACH, "no route"), Cause.HOST_UNREACHABLE),
        (OSError(errno.ENETUNREACH, "no network"), Cause.HOST_UNREACHABLE),
        (PermissionError(errno.EACCES, "denied"), Cause.NO_PERMISSION),
        (FileNotFoundError(errno.ENOENT, "none"), Cause.NO_PORT),
        (OSError(errno.EBUSY, "busy"), Cause.PORT_IN_USE),
        (socket.gaierror(-2, "unknown"), Cause.NAME_UNKNOWN),
        (ssl.SSLCertVerificationError(1, "expired"), Cause.TLS),
        (TimeoutError(), Cause.UNKNOWN),
        (ValueError("7"), Cause.UNKNOWN),
    ],
)
def test_without_a_cause_the_error_of_the_system_behind_it_decides(behind, cause):
    error = BusUnavailable("it does not open")
    error.__cause__ = behind

    assert cause_of(error) is cause


def test_a_time_out_behind_a_device_that_is_not_reached_is_no_answer():
    error = DeviceUnreachable("nothing came")
    error.__cause__ = TimeoutError()

    assert cause_of(error) is Cause.NO_ANSWER


def test_a_cause_that_is_named_counts_more_than_the_error_behind():
    error = BusUnavailable("it closes at once", cause=Cause.HOST_FULL)
    error.__cause__ = ConnectionResetError(errno.ECONNRESET, "reset")

    assert cause_of(error) is Cause.HOST_FULL


class Odd(DeviceUnreachable):
    """An error of a stranger who knows nothing of causes."""

    def __init__(self):
        pass

    @property
    def cause(self):
        raise SystemExit(3)

    next_step = 12


@pytest.mark.parametrize("odd", [Odd(), DeviceUnreachable("x", cause="no_answer"), DeviceUnreachable("x", cause=None)])
def test_what_a_stranger_puts_in_its_place_is_no_cause(odd):
    assert cause_of(odd) is Cause.UNKNOWN
    assert special_step(odd) is None


def test_a_next_step_is_on_one_line_and_bounded():
    step = special_step(BusUnavailable("x", next_step="line\none\x1b[31m" + "x" * 2000))

    assert step is not None
    assert step.isprintable()
    assert len(step) <= 500


def test_errors_behind_each_other_in_a_ring_do_not_hang_it():
    first, second = BusUnavailable("a"), ValueError("b")
    first.__cause__, second.__cause__ = second, first

    assert cause_of(first) is Cause.UNKNOWN
