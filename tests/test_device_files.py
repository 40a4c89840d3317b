import os
import re

import pytest

from gateway.device_files import ProcessUser, better_name, examine_port, is_allowed, why_denied

GATEWAY = ProcessUser(user_id=1000, name="xyte", groups=frozenset({1000}))
DIALOUT = ProcessUser(user_id=1000, name="xyte", groups=frozenset({1000, 20}))
CONTAINER = ProcessUser(user_id=10001, name="10001", groups=frozenset({10001}), is_in_container=True)
LATELY = ProcessUser(user_id=1000, name="xyte", groups=frozenset({1000}), listed_in=frozenset({20}))
ROOT = ProcessUser(user_id=0, name="root", groups=frozenset({0}))


@pytest.mark.parametrize(("mode", "owner", "group", "who", "allowed"), [
    (0o660, 0, 20, DIALOUT, True),
    (0o660, 0, 20, GATEWAY, False),
    (0o640, 0, 20, DIALOUT, False),
    (0o606, 0, 20, DIALOUT, False),  # the group's own bits count, not everybody's
    (0o606, 0, 20, GATEWAY, True),
    (0o600, 1000, 20, GATEWAY, True),
    (0o060, 1000, 1000, GATEWAY, False),  # and the owner's own
    (0o000, 1000, 20, ROOT, True),
])  # fmt: skip
def test_a_mode_is_read_as_the_kernel_reads_it(mode, owner, group, who, allowed):
    assert is_allowed(mode, owner, group, who) is allowed


@pytest.mark.parametrize(("mode", "group", "who", "meaning", "fix"), [
    (0o660, 20, GATEWAY, "group dialout, which the user xyte is not in$", "sudo usermod -aG dialout xyte, then log in again"),
    (0o660, 20, LATELY, "was added after this program started", "restart it: systemctl restart xyte-gateway"),
    (0o660, 20, CONTAINER, "container.s user 10001 is not in", r'docker run --group-add 20, or in compose: group_add: \["20"\]'),
    (0o660, 54321, CONTAINER, "group 54321", 'group_add: ."54321"'),
    (0o600, 0, GATEWAY, r"belongs to 0:root with mode 0600", "sudo chgrp dialout /dev/x && sudo chmod 660 /dev/x"),
    (0o660, 0, GATEWAY, r"mode 0660", "sudo chgrp dialout"),
    (0o660, 20, DIALOUT, "a rule of the system forbids it", "DeviceAllow=/dev/x rw"),
    (0o666, 20, CONTAINER, "this container may not use it", "docker run --device=/dev/x"),
])  # fmt: skip
def test_why_a_port_may_not_be_used_is_reported_with_a_fix(mode, group, who, meaning, fix):
    said = why_denied("/dev/x", mode, 0, group, who)
    assert re.search(meaning, said[0])
    assert re.search(fix, said[1])


def test_only_a_name_by_plugging_order_has_a_better_one(tmp_path):
    (tmp_path / "usb-Acme").symlink_to("/dev/ttyUSB3")
    assert better_name("/dev/ttyUSB3", tmp_path) == str(tmp_path / "usb-Acme")
    assert better_name("/dev/ttyUSB4", tmp_path) is None
    assert better_name("/dev/ttyS0", tmp_path) is None
    assert better_name("/dev/ttyUSB3", tmp_path / "missing") is None


def test_a_port_that_the_gateway_itself_uses_is_fine(tmp_path):
    near, far = os.openpty()
    port = os.ttyname(far)
    try:
        (mine,) = examine_port(port)
        assert (mine.state, mine.meaning) == ("fine", "is in use by this gateway, as expected")
        processes = tmp_path / "proc"
        (processes / "4711" / "fd").mkdir(parents=True)
        (processes / "4711" / "fd" / "5").symlink_to(port)
        (processes / "4711" / "comm").write_text("xyte-gateway\n")
        (processes / "4711" / "cmdline").write_bytes(b"/usr/bin/python3\0/usr/local/bin/xyte-gateway\0run\0")
        (other,) = examine_port(port, processes=processes)
        assert (other.state, other.meaning) == ("fine", "is in use by xyte-gateway (process 4711), as expected")
        (processes / "4711" / "cmdline").write_bytes(b"minicom\0-D\0")
        (processes / "4711" / "comm").write_text("minicom\n")
        (stranger,) = examine_port(port, processes=processes)
        assert stranger.state == "fault"
        assert "minicom (process 4711)" in stranger.meaning
        assert stranger.fix.startswith("end that program: kill 4711")
    finally:
        os.close(near)
        os.close(far)


@pytest.mark.parametrize(("make", "meaning"), [
    (lambda path: None, "there is no such port"),
    (lambda path: path.symlink_to("/dev/gone"), "points to /dev/gone, which does not exist"),
    (lambda path: path.mkdir(), "is no serial port but a folder"),
    (lambda path: path.touch(), "is no serial port but a file"),
])  # fmt: skip
def test_a_name_that_is_no_port_is_reported_with_the_ports_that_exist(tmp_path, make, meaning):
    make(tmp_path / "port")
    (tmp_path / "by-id").mkdir()
    (tmp_path / "by-id" / "usb-Acme").touch()
    (found,) = examine_port(str(tmp_path / "port"), by_id=tmp_path / "by-id")
    assert (found.state, found.meaning) == ("fault", meaning)
    assert found.fix == f'plug in its adapter, or name a port that exists: port = "{tmp_path}/by-id/usb-Acme"'
