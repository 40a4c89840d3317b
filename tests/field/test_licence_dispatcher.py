"""A licence change reaches its device as a checked command, or says why not; its content is shown nowhere."""

import asyncio
import logging
from dataclasses import replace
from datetime import timedelta

import pytest
from pydantic import BaseModel, Field, SecretStr

from gateway.errors import CommandRejected, DeviceUnreachable, OutcomeUnknown
from gateway.field.child_buses import ChildBuses
from gateway.field.fleet import Fleet
from gateway.field.licence_dispatcher import LicenceDispatcher
from gateway.models import Command, CommandSpec, Licence, LicenceChange
from gateway.testing.devices import SyntheticAdapter, SyntheticBus, SyntheticDevice

KEY = "sn:synthetic/1"
CONTENT = "very-secret-content-of-more-than-sixty-characters-which-a-message-would-shorten"


def licence(change=LicenceChange.INSTALL, payload=CONTENT):
    return Licence(id="L1", change=change, payload=SecretStr(payload), signature=None, expires_at=None)


class Parameters(BaseModel):
    content: str = Field(max_length=200)


class Licensed(SyntheticAdapter):
    """An adapter whose licence command and execution are what a test sets."""

    made: object = None
    raised: Exception | None = None
    got: list[Command]

    def commands(self, child):
        return (CommandSpec(name="install", title="Install", parameters=Parameters),)

    def licence_command(self, child, licence):
        made = self.made if self.made is not None else Command("L1", child.key, "install", {"content": CONTENT})
        if isinstance(made, Exception):
            raise made
        return made

    async def execute(self, child, command):
        if self.raised is not None:
            raise self.raised
        self.got = [*getattr(self, "got", []), command]


@pytest.fixture
async def site(field):
    bus = SyntheticBus([SyntheticDevice("1", "a1")])
    fleet = Fleet((), {}, lambda adapter, entry: None)
    supervisor = field.serve(bus, Licensed)
    fleet.supervisors["entry", bus.label] = supervisor
    await field.until(lambda: KEY in field.registry.children and field.availability.of(KEY).since is not None)
    refused = []
    dispatcher = LicenceDispatcher(
        field.registry, ChildBuses(field.registry, fleet), field.availability,
        refusal=lambda child: next(iter(refused), None),
    )  # fmt: skip
    return dispatcher, supervisor.adapter.unchecked, fleet, refused


async def test_a_licence_reaches_its_device(site):
    dispatcher, adapter, _, _ = site
    await dispatcher.apply(KEY, licence())
    assert [(one.name, one.parameters) for one in adapter.got] == [("install", {"content": CONTENT})]


@pytest.mark.parametrize(
    "made",
    [
        "nonsense", 7, [], Command("L1", "sn:other/2", "install", {"content": CONTENT}), Command("L1", None, "install", {}),
        Command("L1", KEY, None, {}), Command("L1", KEY, "install", None), Command("L1", KEY, "unknown", {}),
        Command("L1", KEY, "install", {"content": CONTENT * 9}), Command("L1", KEY, "install", {"contents": CONTENT}),
        ZeroDivisionError(CONTENT), KeyError(CONTENT), CommandRejected(f"{CONTENT} is wrong"), RecursionError(CONTENT),
    ],
    ids=str,
)  # fmt: skip
async def test_a_command_that_cannot_be_sent_fails_the_licence_alone_and_shows_nothing_of_it(site, caplog, made):
    dispatcher, adapter, _, _ = site
    caplog.set_level(logging.DEBUG)
    adapter.made = made
    with pytest.raises(CommandRejected) as caught:
        await dispatcher.apply(KEY, licence())
    assert "very-secret" not in f"{caught.value} {caplog.text}"
    assert not hasattr(adapter, "got")
    adapter.made = None
    await dispatcher.apply(KEY, licence())


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (CommandRejected(f"{CONTENT} is wrong"), CommandRejected),
        (DeviceUnreachable(f"no answer to {CONTENT}"), DeviceUnreachable),
        (OutcomeUnknown(f"{CONTENT} was sent"), OutcomeUnknown), (ValueError(CONTENT), OutcomeUnknown),
    ],
    ids=str,
)  # fmt: skip
async def test_the_content_of_a_licence_is_in_no_error_of_its_execution_and_in_no_log_line(site, caplog, raised, expected):
    dispatcher, adapter, _, _ = site
    caplog.set_level(logging.DEBUG)
    adapter.raised = raised
    with pytest.raises(expected) as caught:
        await dispatcher.apply(KEY, licence())
    assert "very-secret" not in f"{caught.value} {caplog.text}"


async def test_a_licence_is_refused_where_the_cloud_may_only_observe_and_still_ends(site):
    dispatcher, adapter, _, refused = site
    refused.append("it takes no licences from the cloud")
    for change in (LicenceChange.INSTALL, LicenceChange.RENEW, LicenceChange.REMOVE):
        with pytest.raises(CommandRejected, match="takes no licences from the cloud"):
            await dispatcher.apply(KEY, licence(change))
    await dispatcher.apply(KEY, licence(LicenceChange.EXPIRE))
    assert len(adapter.got) == 1


async def test_a_busy_bus_does_not_fail_a_licence(site):
    dispatcher, adapter, fleet, _ = site
    began = asyncio.Event()

    async def long(_adapter, _device):
        began.set()
        await asyncio.sleep(59)

    busy = [
        asyncio.create_task(fleet.supervisors["entry", "bus"].do(KEY, "long", long, within=timedelta(minutes=5)))
        for _ in range(2)
    ]
    await began.wait()
    with pytest.raises(DeviceUnreachable, match="the bus was not free in time"):
        await dispatcher.apply(KEY, licence())
    await asyncio.gather(*busy)
    assert not hasattr(adapter, "got")


async def test_a_bus_that_is_not_there_does_not_fail_a_licence(site):
    dispatcher, _, fleet, _ = site
    fleet.supervisors.clear()
    with pytest.raises(DeviceUnreachable):
        await dispatcher.apply(KEY, licence())


async def test_a_licence_follows_a_child_that_moves_to_another_bus(field, site):
    dispatcher, _, fleet, _ = site
    other = SyntheticBus([SyntheticDevice("1", "a1")], label="other")
    supervisor = field.serve(other, Licensed)
    fleet.supervisors["entry", "other"] = supervisor
    began = asyncio.Event()

    async def long(_adapter, _device):
        began.set()
        await asyncio.sleep(30)

    busy = asyncio.create_task(fleet.supervisors["entry", "bus"].do(KEY, "long", long, within=timedelta(minutes=5)))
    await began.wait()
    applied = asyncio.create_task(dispatcher.apply(KEY, licence()))
    await asyncio.sleep(1)
    await field.registry.admit(replace(field.registry.children[KEY].child, bus="other"))
    await applied
    await busy
    assert len(supervisor.adapter.unchecked.got) == 1


async def test_a_child_that_is_gone_fails_its_licence(site):
    with pytest.raises(CommandRejected, match="not a child of the gateway any more"):
        await site[0].apply("sn:nobody/1", licence())


async def test_short_content_does_not_wreck_the_text_of_an_error(site):
    dispatcher, adapter, _, _ = site
    adapter.made = CommandRejected("its profile takes none")
    with pytest.raises(CommandRejected, match="its profile takes none"):
        await dispatcher.apply(KEY, licence(payload="pro"))
