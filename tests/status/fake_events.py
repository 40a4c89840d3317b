"""A timeline with something of everything."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from gateway.state.history.timeline import EventKind, TimelineEvent

HAPPENED = (
    (EventKind.STOPPED, "version 0.4.0: it was stopped", None),
    (EventKind.STARTED, "version 0.4.0, 9 children known, 0 samples waiting", None),
    (EventKind.FOUND, "was found at hci0, address AA:BB:CC:DD:EE:01. It is no child: its family has no model", "other"),
    (EventKind.ADMITTED, "is a child of this gateway now, at 10.20.30.40:502, address 7", "child"),
    (EventKind.SIGNED_IN, "administrator signed in from 192.168.1.7", None),
    (EventKind.RENAMED, "was called Meter 1 before", "child"),
    (EventKind.COMMAND, "command set power given on the page was carried out", "child"),
    (EventKind.WENT, "does not answer: no answer within 1.0 s", "child"),
    (EventKind.INCIDENT_OPENED, "Meter 1 has been silent for 15 min", "child"),
    (EventKind.CAME, "answers again", "child"),
    (EventKind.BUS_LOST, "refuses the connection: 125 children", "bus"),
    (EventKind.BUS_BACK, "is in service again after 4 min: 125 children", "bus"),
    (EventKind.TIME_SET, "the clock was set ahead by 3 h: it shows 2026-11-29 08:11:17 UTC", None),
    (
        EventKind.KILLED,
        "the gateway had ended without a stop: it was killed, or failed. It last saved at 2026-11-29 08:11:17 UTC",
        None,
    ),
    (EventKind.WRONG_TOKEN, "a wrong token came from 192.168.1.99", None),
)


def show_timeline(child, *, rounds=1):
    """Return the events of a plant, the earliest first."""
    begin = datetime.now(UTC) - timedelta(minutes=2 * rounds * len(HAPPENED))
    made = []
    for number in range(rounds * len(HAPPENED)):
        kind, text, about = HAPPENED[number % len(HAPPENED)]
        place = {"entry": child.entry, "bus": child.bus} if about in ("child", "bus") else {}
        device = {"child": child.key, "device": child.name} if about == "child" else {}
        device |= {"child": "mac:1", "device": "Sensor \u202e<b>é</b> " + "x" * 80} if about == "other" else {}
        times = 38 if kind is EventKind.WRONG_TOKEN else 1
        at = begin + timedelta(minutes=2 * number)
        made.append(TimelineEvent(seq=number + 1, at=at, kind=kind, text=text, times=times, **place, **device))
    return made
