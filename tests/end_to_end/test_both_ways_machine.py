"""Disturb a gateway, its devices and the emulated cloud in any order: each command has one effect at most and one end, and in
the end everything agrees.

A state machine draws the steps. What has to hold after each of them is in `both_ways_claims.check`, what has to hold when all is
repaired in `both_ways_claims.open_points`. The usual run is short. A longer one, of other examples for each seed, prints figures:

    XYTE_MACHINE_SEED=1 XYTE_MACHINE_EXAMPLES=200 XYTE_MACHINE_STEPS=60 \
        pytest --timeout 0 tests/end_to_end/test_both_ways_machine.py
"""

import importlib.util
import logging
import os
import shutil
import tempfile
from collections import Counter
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path

import hypothesis
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from gateway.state.records import ChildRequest, Decision, Request

pytestmark = pytest.mark.enable_socket


def beside(name):
    """Return a module in the folder of this test."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


sites, claims = beside("both_ways_site"), beside("both_ways_claims")

EXAMPLES = int(os.environ.get("XYTE_MACHINE_EXAMPLES", "10"))
STEPS = int(os.environ.get("XYTE_MACHINE_STEPS", "40"))
SEED = os.environ.get("XYTE_MACHINE_SEED")
SECONDS = st.sampled_from([0.05, 1.0, 4.0, 15.0, 60.0, 400.0, 1000.0])
"""From within one call to longer than the gateway waits for anything but refused updates."""
CALLS = st.sampled_from([
    None, "Send Telemetry", "Send Child Telemetries", "Get Command", "Get Commands with Children", "Update Command", "Get Config",
    "Update Device", "Get License", "Update License", "Register Child Device", "Get Child Devices", "Open Incident",
])  # fmt: skip
NUMBER = st.integers(0, 99)
figures = Counter()


class BothWays(RuleBasedStateMachine):
    """A site and what can happen to it."""

    def __init__(self):
        super().__init__()
        figures["examples"] += 1
        self.folder = Path(tempfile.mkdtemp(prefix="both-ways-"))
        self.site = sites.Site(self.folder)
        self.numbers = iter(range(1000, 10**9))
        root = logging.getLogger()
        self.level = root.level
        root.addHandler(self.site.log)
        root.setLevel(logging.INFO)

    def teardown(self):
        site = self.site
        try:
            site.do(self._heal_and_check())
            figures["simulated seconds"] += int(site.loop.time())
            figures["commands"] += len(site.commands)
            figures["calls"] += sum(site.called.values())
            figures.update({f"command {command.status}": 1 for _, command in site.commands})
        finally:
            try:
                site.do(site.close())
            finally:
                logging.getLogger().removeHandler(site.log)
                logging.getLogger().setLevel(self.level)
                site.loop.close()
                shutil.rmtree(self.folder)
        claims.check(site)

    async def _heal_and_check(self):
        left = await claims.heal(self.site)
        claims.check(self.site)
        assert not left, self.site.described(left)

    @invariant()
    def nothing_is_wrong(self):
        figures["steps"] += 1
        claims.check(self.site)

    @initialize(devices=st.integers(1, 3))
    def two_buses(self, devices):
        site = self.site
        for number in range(devices):
            site.put(site.new_device(), site.buses[number % 2], sites.ADDRESSES[number // 2])
        site.do(site.open_hub())
        site.do(site.start())
        site.let_pass(30)

    # time, gateway, hub -----------------------------------------------------------------------------------------------

    @rule(seconds=SECONDS)
    def time_passes(self, seconds):
        self.site.let_pass(seconds)

    @precondition(lambda self: self.site.gateway is not None)
    @rule(in_order=st.booleans(), starts_again=st.booleans())
    def gateway_ends(self, in_order, starts_again):
        self.site.do(self.site.end(in_order=in_order))
        if starts_again:
            self.site.do(self.site.start())

    @precondition(lambda self: self.site.gateway is None)
    @rule()
    def gateway_starts(self):
        self.site.do(self.site.start())

    @precondition(lambda self: self.site.is_hub_up)
    @rule(seconds=SECONDS)
    def hub_is_away(self, seconds):
        self.site.do(self.site.close_hub())
        self.site.let_pass(seconds)
        self.site.do(self.site.open_hub())

    @precondition(lambda self: self.site.is_hub_up)
    @rule()
    def hub_goes(self):
        self.site.do(self.site.close_hub())

    @precondition(lambda self: not self.site.is_hub_up)
    @rule()
    def hub_returns(self):
        self.site.do(self.site.open_hub())

    @rule(
        kind=st.sampled_from(["drop", "drop-after", "drop-late", "late", "slow", "429", "500-html", "401", "garbage"]),
        call=CALLS, times=st.integers(1, 3), seconds=st.sampled_from([2.0, 8.0, 45.0]),
        retry_after=st.sampled_from([None, 0, 20]),
    )  # fmt: skip
    def calls_fail(self, kind, call, times, seconds, retry_after):
        self.site.emulator.faults.add(
            kind, call=call, times=times, seconds=seconds, retry_after=retry_after if kind == "429" else None
        )

    # devices ----------------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.site.free_places())
    @rule(place=NUMBER)
    def device_appears(self, place):
        places = self.site.free_places()
        self.site.put(self.site.new_device(), *places[place % len(places)])

    @precondition(lambda self: self.site.present())
    @rule(which=NUMBER, is_silent=st.booleans())
    def device_falls_silent_or_answers(self, which, is_silent):
        self._present(which)[1].silent = is_silent

    @precondition(lambda self: self.site.present())
    @rule(which=NUMBER, seconds=st.sampled_from([0.0, 0.0, 0.5, 3.0, 30.0]))
    def device_takes_its_time(self, which, seconds):
        self._present(which)[1].command_seconds = seconds

    @precondition(lambda self: self.site.present() and self.site.free_places())
    @rule(which=NUMBER, place=NUMBER, after=SECONDS)
    def device_moves(self, which, place, after):
        bus, device = self._present(which)
        del bus.devices[device.address]
        self.site.let_pass(after)
        places = self.site.free_places()
        self.site.put(device, *places[place % len(places)])

    @precondition(lambda self: self.site.present())
    @rule(which=NUMBER)
    def device_is_exchanged(self, which):
        bus, old = self._present(which)
        del bus.devices[old.address]
        self.site.let_pass(60)  # long enough that the gateway sees that it is gone
        self.site.put(self.site.new_device(), bus, old.address)

    @rule(which=st.integers(0, 1), unplugged=st.booleans())
    def bus_is_unplugged_or_plugged_in(self, which, unplugged):
        self.site.buses[which].unplugged = unplugged

    # a person at the gateway ------------------------------------------------------------------------------------------

    @precondition(lambda self: self._asked_about())
    @rule(which=NUMBER, replaces=st.booleans())
    def person_decides_about_exchanged_device(self, which, replaces):
        asked = self._asked_about()
        record = asked[which % len(asked)]
        registry, now = self.site.state.registry, datetime.now(UTC)
        if replaces:
            request = ChildRequest(key=record.replaces, request=Request.REPLACE, new_key=record.child.key, at=now)
            self.site.do(registry.request(request))
        else:
            self.site.do(registry.decide(record.child.key, Decision.ADMIT))

    @precondition(lambda self: self.site.gateway is not None and self.site.state.registry.children)
    @rule(which=NUMBER)
    def person_retires_child(self, which):
        keys = list(self.site.state.registry.children)
        request = ChildRequest(key=keys[which % len(keys)], request=Request.RETIRE, at=datetime.now(UTC))
        self.site.do(self.site.state.registry.request(request))

    # the portal -------------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.site.parent() is not None)
    @rule(claimed=st.booleans())
    def gateway_is_claimed_or_released(self, claimed):
        parent = self.site.parent()
        if claimed and parent.claimed is None:
            self.site.cloud.claim(parent.id)
        elif not claimed and parent.claimed is not None:
            self.site.cloud.unclaim(parent.id)

    @precondition(lambda self: self.site.children())
    @rule(which=NUMBER)
    def child_is_deleted(self, which):
        self.site.cloud.delete(self._child(which).id)

    @precondition(lambda self: self.site.parent() is not None)
    @rule(orphans=st.booleans())
    def gateway_is_deleted(self, orphans):
        deletion = "orphans-children" if orphans else "deletes-children"
        self.site.cloud.quirks = self.site.cloud.quirks.changed({"parent_deletion": deletion})
        self.site.cloud.delete(self.site.parent().id)

    @precondition(lambda self: self.site.children())
    @rule(
        which=NUMBER, times=st.integers(1, 3), timeout=st.sampled_from([None, None, 5, 90]),
        kind=st.sampled_from(["set", "set", "set", "identify", "explode", "wrong", "huge", "null"]),
    )  # fmt: skip
    def child_is_commanded(self, which, times, timeout, kind):
        for _ in range(times):
            power = float(next(self.numbers))
            name, parameters = {
                "set": ("set", {"power": power}), "identify": ("identify", {}), "explode": ("explode", {}), "null": ("set", None),
                "wrong": ("set", {"power": [power]}), "huge": ("set", {"power": "x" * 100_000}),
            }[kind]  # fmt: skip
            self._queue(self._child(which).id, name, parameters, timeout)

    @precondition(lambda self: self.site.children())
    @rule(seconds=st.sampled_from([0.05, 0.5, 3.0, 15.0]))
    def every_child_is_commanded(self, seconds):
        for child in self.site.children():
            self._queue(child.id, "set", {"power": float(next(self.numbers))}, None)
        self.site.let_pass(seconds)

    @precondition(lambda self: self.site.parent() is not None)
    @rule(kind=st.sampled_from(["rescan", "explode", "wrong", "reboot", "nobody"]))
    def gateway_is_commanded(self, kind):
        name, parameters = {
            "rescan": ("rescan", {}), "explode": ("explode", {}), "wrong": ("set_log_level", {"level": 5}),
            "reboot": ("reboot", {}), "nobody": ("admit", {"key": "sn:nobody"}),
        }[kind]  # fmt: skip
        self._queue(self.site.parent().id, name, parameters, None)

    @precondition(lambda self: self._open_commands())
    @rule(which=NUMBER)
    def command_is_cancelled(self, which):
        waiting = self._open_commands()
        device_id, command = waiting[which % len(waiting)]
        self.site.cloud.cancel_command(device_id, str(command.id))

    @precondition(lambda self: self.site.children())
    @rule(
        which=NUMBER, times=st.integers(1, 3),
        kind=st.sampled_from(["settings", "settings", "interval", "name", "left out", "wrong value", "unknown", "empty"]),
    )  # fmt: skip
    def child_is_configured(self, which, times, kind):
        for _ in range(times):
            number = float(next(self.numbers) % 100)
            content = {
                "settings": {"settings": {"low": number, "high": number}}, "interval": {"poll_every": {"all": 2 + number}},
                "name": {"name": f"named {number:.0f}"}, "left out": {"metrics_left_out": ["power"]}, "empty": {},
                "wrong value": {"settings": {"low": 1000.0 + number}}, "unknown": {"sttings": number},
            }[kind]  # fmt: skip
            self.site.cloud.set_config(self._child(which).id, content)

    @precondition(lambda self: self.site.parent() is not None)
    @rule(
        times=st.integers(1, 3),
        kind=st.sampled_from(["gain", "gain", "other bus", "harm", "interval", "secret", "unknown", "empty"]),
    )  # fmt: skip
    def gateway_is_configured(self, times, kind):
        for _ in range(times):
            number = next(self.numbers)
            content = {
                "gain": {"adapter": {"first": {"gain": number, "offset": number}}}, "empty": {},
                "other bus": {"adapter": {"second": {"gain": number, "offset": number}}},
                "harm": {"adapter": {"first": {"speed": 300 + number}}},
                "interval": {"cloud": {"telemetry_every": number % 60 + 5}},
                "secret": {"cloud": {"hardware_key": "abc"}}, "unknown": {"adapter": {"first": {"gian": number}}},
            }[kind]  # fmt: skip
            self.site.cloud.set_config(self.site.parent().id, content)

    @precondition(lambda self: self.site.cloud.devices)
    @rule(which=NUMBER, action=st.sampled_from(["add", "update", "remove"]))
    def licence_is_changed(self, which, action):
        devices = list(self.site.cloud.devices.values())
        device = devices[which % len(devices)]
        known = device.licences[-1].id if device.licences and action != "add" else None
        self.site.cloud.offer_licence(device.id, f"feature={next(self.numbers)}", action, licence_id=known)

    # helpers ----------------------------------------------------------------------------------------------------------

    def _present(self, which):
        present = self.site.present()
        return present[which % len(present)]

    def _asked_about(self):
        children = {} if self.site.gateway is None else self.site.state.registry.children
        return [one for one in children.values() if one.awaits_decision and one.replaces in children]

    def _child(self, which):
        children = self.site.children()
        return children[which % len(children)]

    def _queue(self, device_id, name, parameters, timeout):
        within = None if timeout is None else timedelta(seconds=timeout)
        self.site.commands.append((device_id, self.site.cloud.queue_command(device_id, name, parameters, timeout=within)))

    def _open_commands(self):
        now = self.site.cloud.clock()
        known = [one for one in self.site.commands if one[0] in self.site.cloud.devices]
        for _, command in known:
            command.settle(now)
        return [one for one in known if one[1].is_open]


def test_gateway_and_cloud_agree_in_the_end_whatever_happens_in_between(capsys):
    chosen = hypothesis.settings(
        max_examples=EXAMPLES, stateful_step_count=STEPS, derandomize=SEED is None, database=None, deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck), print_blob=True,
    )  # fmt: skip
    figures.clear()
    try:
        run_state_machine_as_test(BothWays if SEED is None else hypothesis.seed(int(SEED))(BothWays), settings=chosen)
    finally:
        with capsys.disabled() if SEED is not None else nullcontext():
            print("\n", ", ".join(f"{number} {name}" for name, number in sorted(figures.items())))  # noqa: T201 - for a long run
