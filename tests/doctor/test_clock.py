from datetime import UTC, datetime, timedelta

import pytest

from gateway.doctor.clock import ServerTime, clock_finding

NOW = datetime(2026, 12, 1, 12, 0, tzinfo=UTC)


def server_times(**off):
    return [ServerTime("entry.xyte.io", NOW - timedelta(**off), NOW)]


@pytest.mark.parametrize(("now", "times", "state", "words"), [
    (NOW, server_times(seconds=2), "fine", "as entry.xyte.io does"),
    (NOW, server_times(seconds=-90), "warning", "90 s behind entry.xyte.io"),
    (NOW, server_times(hours=3), "fault", "3 h ahead of entry.xyte.io"),
    (NOW, server_times(days=-400), "fault", "400 days behind"),
    (NOW, [], "not looked at", "2026-12-01 12:00:00"),
    (datetime(1970, 1, 1, 0, 3, tzinfo=UTC), [], "fault", "before this version was released"),
])  # fmt: skip
def test_a_clock_is_judged_by_what_servers_say(now, times, state, words):
    found = clock_finding(now, times)
    assert found.state == state
    assert words in found.meaning
    assert (found.fix or "").startswith("sudo timedatectl set-ntp true" if state in ("warning", "fault") else "")
