"""Test what the gateway expects of every adapter: an author inherits the class and supplies an adapter with a device.

    class TestThermometer(AdapterContract):
        @pytest.fixture
        async def adapter(self):
            async with thermometer_on_loopback() as port:
                yield ThermometerAdapter(ThermometerSettings(type="thermometer", host="127.0.0.1", port=port))

        absent_address = "nobody"

Runs under pytest with pytest-asyncio in auto mode.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar

from gateway.adapter import (
    UPDATE_FIRMWARE,
    Adapter,
    ChildDevice,
    Command,
    CommandRejected,
    CommandResult,
    CommandSpec,
    DeviceUnreachable,
    FindingState,
    Found,
    NamedNetworks,
    NetworkHost,
    Progress,
)
from gateway.command_parameters import given_parameters, validate_parameters
from gateway.tasks import closed_after

LONGEST_REASON = 2000
"""In characters."""

MODEL_ID = "00000000-0000-4000-8000-000000000001"


class AdapterContract:
    """The tests of what the supervisor relies on.

    The `adapter` fixture yields an adapter that is not open, on a bus where at least one device answers.
    """

    absent_address: ClassVar[str]
    """An address at which no device answers."""

    def example(self, child: ChildDevice, spec: CommandSpec) -> Command:
        """Return a command that this device can carry out. Override it where the first accepted values will not do."""
        return Command(1, child.key, spec.name, example_parameters(spec))

    async def test_a_bus_can_be_opened_again_and_again(self, adapter: Adapter[Any]) -> None:
        for _ in range(3):
            async with adapter:
                pass

    def test_the_bus_has_a_label_that_stays(self, adapter: Adapter[Any]) -> None:
        assert adapter.bus
        assert adapter.bus == adapter.bus

    async def test_discovery_ends_and_finds_the_same_devices_each_time(self, adapter: Adapter[Any]) -> None:
        async with adapter:
            first, second = await discovered(adapter), await discovered(adapter)
        assert first, "no device was found"
        assert [found.identity for found in first] == [found.identity for found in second]
        assert len({found.identity.key for found in first}) == len(first), "two devices share an identity"

    async def test_a_device_comes_with_evidence(self, adapter: Adapter[Any]) -> None:
        async with adapter:
            assert all(found.evidence for found in await discovered(adapter))

    async def test_discovery_can_be_given_up_half_way(self, adapter: Adapter[Any]) -> None:
        async with adapter:
            async with closed_after(adapter.discover()) as discovery:
                assert isinstance(await anext(discovery), Found | Progress)
            assert await discovered(adapter)

    async def test_identify_meets_the_device_that_discovery_found(self, adapter: Adapter[Any]) -> None:
        async with adapter:
            for found in await discovered(adapter):
                assert (await adapter.identify(found.address)).identity == found.identity

    async def test_nobody_is_an_unreachable_device(self, adapter: Adapter[Any]) -> None:
        async with adapter:
            try:
                found = await adapter.identify(self.absent_address)
            except DeviceUnreachable as error:
                assert str(error), "an operator needs the reason"
            else:
                raise AssertionError(f"{found} answers at an address without a device")

    async def test_all_groups_of_a_child_can_be_read(self, adapter: Adapter[Any]) -> None:
        async with adapter:
            for child in await children(adapter):
                groups = adapter.poll_groups(child)
                assert all(every > timedelta(0) for every in groups.values())
                for group in groups:
                    await self._check_readings(adapter, child, frozenset({group}))
                await self._check_readings(adapter, child, frozenset(groups))

    async def test_the_metrics_of_a_group_are_those_that_are_read(self, adapter: Adapter[Any]) -> None:
        async with adapter:
            for child in await children(adapter):
                await self._check_metrics(adapter, child)

    async def test_each_setting_of_a_child_has_a_title_and_none_is_written_by_a_comparison_of_nothing(
        self, adapter: Adapter[Any]
    ) -> None:
        async with adapter:
            for child in await children(adapter):
                model = adapter.configuration_model(child)
                if model is not None:
                    assert all(field.title for field in model.model_fields.values()), "an operator needs to know what it is"
                    assert not model.model_validate({}).model_dump(exclude_none=True), "what is left out stays as it is"
                    assert await adapter.differing_settings(child, {}) == {}

    async def test_a_child_is_read_by_its_own_map_after_another_one(self, adapter: Adapter[Any]) -> None:
        async with adapter:
            for child in await children(adapter):
                if (text := adapter.point_map(child)) is not None:
                    adapter.use_map(child.key, text)
                    await self._check_metrics(adapter, child)
                    adapter.use_map(child.key, None)
                    assert adapter.point_map(child) == text
                    await self._check_metrics(adapter, child)

    async def test_a_reading_that_is_given_up_leaves_the_bus_usable(self, adapter: Adapter[Any]) -> None:
        async with adapter:
            for child in [child for child in await children(adapter) if adapter.poll_groups(child)]:
                due = frozenset(adapter.poll_groups(child))
                async with closed_after(adapter.read(child, due)) as blocks:
                    await anext(blocks)
                cut_off = asyncio.ensure_future(anext(aiter(adapter.read(child, due))))
                await asyncio.sleep(0)
                cut_off.cancel()
                await asyncio.gather(cut_off, return_exceptions=True)
                await self._check_readings(adapter, child, due)

    async def test_a_plan_tells_only_of_reads_that_will_be_made(self, adapter: Adapter[Any]) -> None:
        async with adapter:
            known = await children(adapter)
        groups = {child.address: adapter.poll_groups(child) for child in known}
        for read in adapter.planned_reads(known):
            assert read.seconds >= 0
            assert read.transactions > 0
            assert read.address not in groups or groups[read.address][read.group] == read.every

    async def test_remarks_are_sentences_for_a_person(self, adapter: Adapter[Any]) -> None:
        async with adapter:
            for child in await children(adapter):
                assert all(isinstance(remark, str) and remark for remark in adapter.remarks(child))
            assert all(isinstance(remark, str) and remark for remark in adapter.bus_remarks())

    async def test_an_examination_tells_each_thing_in_words_and_what_mends_it(self, adapter: Adapter[Any]) -> None:
        for settings in (adapter.settings, None):
            async with closed_after(type(adapter).examine(settings)) as findings:
                async for finding in findings:
                    assert finding.what, "an operator needs to know what was checked"
                    assert finding.meaning, "an operator needs to know what the result means"
                    assert settings is not None or finding.state is not FindingState.FAULT, (
                        "without an entry that uses the adapter, nothing is a fault"
                    )

    async def test_what_it_would_look_around_with_is_an_entry_of_the_config(self, adapter: Adapter[Any]) -> None:
        table = await type(adapter).first_look([])
        if table is not None:
            adapter.settings_model.model_validate({**table, "type": adapter.settings.type, "name": adapter.settings.type})

    async def test_a_look_into_networks_finds_nothing_where_nothing_is_named(self, adapter: Adapter[Any]) -> None:
        async with closed_after(type(adapter).look_in_networks(NamedNetworks())) as steps:
            assert [step async for step in steps if isinstance(step, NetworkHost)] == [], "nobody has named it"

    async def test_commands_are_declared_also_while_the_bus_is_closed_each_name_once(self, adapter: Adapter[Any]) -> None:
        async with adapter:
            known = await children(adapter)
        for child in known:
            specs = adapter.commands(child)
            names = [spec.name for spec in specs]
            assert len(names) == len(set(names)), "the cloud sends the name alone"
            for spec in specs:
                assert spec.name, "the cloud sends its name"
                assert spec.title, "a person needs to know what it is called"
                assert spec.parameters.model_json_schema()["type"] == "object", "the Partner Portal needs its parameters"

    async def test_a_plan_of_a_command_says_what_would_be_sent_and_sends_nothing(self, adapter: Adapter[Any]) -> None:
        async with adapter:
            known = await commands(adapter)
        for child, spec in known:  # while the bus is closed, so nothing can be sent
            sentences = adapter.planned_writes(child, self.example(child, spec))
            assert all(isinstance(sentence, str) and sentence for sentence in sentences)

    async def test_a_command_is_carried_out_and_proven_as_its_declaration_says(self, adapter: Adapter[Any]) -> None:
        async with adapter:
            for child, spec in await commands(adapter):
                example = self.example(child, spec)
                checked = given_parameters(validate_parameters(spec, example.parameters))
                command = replace(example, parameters=checked)  # as the gateway passes it on
                result = await adapter.execute(child, command)
                if spec.is_proven:
                    assert isinstance(result, CommandResult), "a proof needs the values that were read back"
                    assert result.is_proven, f"{spec.name} is declared as one that is read back"
                    again = await adapter.read_back(child, command)
                    assert again is None or again.is_proven, "what is read back is a proof"
                else:
                    assert not isinstance(result, CommandResult) or not result.is_proven
                    assert await adapter.read_back(child, command) is None, f"nothing shows the effect of {spec.name}"

    async def test_an_unknown_command_is_refused_with_a_reason(self, adapter: Adapter[Any]) -> None:
        async with adapter:
            child = (await children(adapter))[0]
            await _expect_refusal(adapter.execute(child, Command(1, child.key, "no such command", {})))

    def test_every_setting_says_what_it_is_for(self, adapter: Adapter[Any]) -> None:
        missing = [name for name, field in adapter.settings_model.model_fields.items() if not field.description]
        assert not missing

    def test_an_unknown_setting_is_an_error(self, adapter: Adapter[Any]) -> None:
        assert adapter.settings_model.model_config.get("extra") == "forbid"

    async def _check_metrics(self, adapter: Adapter[Any], child: ChildDevice) -> None:
        """Check that each group has the metrics that the adapter declares, where it declares any."""
        declared = {group: {metric.name for metric in metrics} for group, metrics in adapter.metrics(child).items()}
        for group in adapter.poll_groups(child) if declared else ():
            async with closed_after(adapter.read(child, frozenset({group}))) as blocks:
                read = {reading.metric.name async for readings in blocks for reading in readings}
            assert read <= declared.get(group, set()) | declared.get("", set()), f"{group} has other metrics than it declares"

    async def _check_readings(self, adapter: Adapter[Any], child: ChildDevice, due: frozenset[str]) -> None:
        names: list[str] = []
        async with closed_after(adapter.read(child, due)) as blocks:
            async for readings in blocks:
                assert {reading.child for reading in readings} <= {child.key}
                assert all(reading.at.utcoffset() == timedelta(0) for reading in readings), "times must be aware and in UTC"
                names += [reading.metric.name for reading in readings]
        assert len(names) == len(set(names)), "each metric must be read once"


async def discovered(adapter: Adapter[Any]) -> list[Found]:
    """Return every device that a complete discovery finds."""
    async with closed_after(adapter.discover()) as discovery:
        return [met async for met in discovery if isinstance(met, Found)]


async def children(adapter: Adapter[Any]) -> list[ChildDevice]:
    """Return every device that is found, as the child that it would become."""
    return [
        found.as_child(adapter=adapter.settings.name, bus=adapter.bus, model_id=MODEL_ID) for found in await discovered(adapter)
    ]


async def commands(adapter: Adapter[Any]) -> list[tuple[ChildDevice, CommandSpec]]:
    """Return every declared command of every device that is found, but those that install firmware, which run in steps."""
    known = [(child, spec) for child in await children(adapter) for spec in adapter.commands(child)]
    return [(child, spec) for child, spec in known if spec.name != UPDATE_FIRMWARE.name]


def example_parameters(spec: CommandSpec) -> dict[str, object]:
    """Return accepted values of the parameters that a command requires: first choices, lowest numbers, shortest texts."""
    schema = spec.parameters.model_json_schema()
    required = {name: schema["properties"][name] for name in schema.get("required", ())}
    return {name: _example_value(value) for name, value in required.items()}


def _example_value(schema: Mapping[str, Any]) -> object:
    if "enum" in schema:
        return schema["enum"][0]
    match schema.get("type"):
        case "boolean":
            return True
        case "number" | "integer":
            return schema.get("minimum", 0)
        case "string" if "minimum" in schema:  # a secret number
            return str(schema["minimum"])
        case "string":
            return "x" * max(1, schema.get("minLength", 1))
        case _:
            raise AssertionError(f"override `example`: there is no obvious value for {dict(schema)}")


async def _expect_refusal(execution: Awaitable[object]) -> None:
    try:
        result = await execution
    except CommandRejected as error:
        assert str(error), "an operator needs the reason"
        assert len(str(error)) < LONGEST_REASON, "an operator cannot read so long a reason"
    else:
        raise AssertionError(f"the wrong command was executed: {result}")
