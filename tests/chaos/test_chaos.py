"""A part of each scenario of `make chaos`: nothing is lost, done twice, crashed or hung, whatever happens to the gateway."""

from random import Random

import hub_disturbances
import kills
import machine_disturbances
import neighbour_disturbances
import pytest
import soak

pytestmark = pytest.mark.enable_socket

SEED = 14


def has_held(outcome):
    assert outcome.violations == [], outcome.figures


@pytest.mark.timeout(300)
async def test_kills_of_a_loaded_gateway_lose_no_sample_and_register_no_child_twice(tmp_path):
    has_held(await kills.kill_loaded_gateway(tmp_path, Random(SEED), kills=5))


@pytest.mark.timeout(300)
async def test_kills_with_a_full_outbox_leave_each_dropped_sample_recorded(tmp_path):
    has_held(await kills.kill_with_full_outbox(tmp_path, Random(SEED), kills=2))


@pytest.mark.timeout(300)
async def test_kills_during_a_migration_leave_every_row(tmp_path):
    has_held(await kills.kill_migrations(tmp_path, Random(SEED), kills=2))


@pytest.mark.timeout(300)
async def test_kills_of_first_starts_leave_no_token_that_was_never_shown(tmp_path):
    has_held(await kills.kill_first_starts(tmp_path, Random(SEED), kills=2))


@pytest.mark.timeout(300)
async def test_no_fault_of_the_hub_loses_a_sample(tmp_path):
    has_held(await hub_disturbances.fail_in_every_way(tmp_path, Random(SEED), kinds=6))


@pytest.mark.timeout(300)
async def test_a_certificate_that_cannot_be_trusted_keeps_every_sample_here(tmp_path):
    has_held(await hub_disturbances.break_tls(tmp_path, Random(SEED), rounds=1))


@pytest.mark.timeout(300)
async def test_a_full_disk_loses_no_sample_uncounted(tmp_path):
    has_held(await machine_disturbances.fill_disk(tmp_path, Random(SEED), rounds=1))


@pytest.mark.timeout(300)
async def test_a_read_only_disk_is_a_reason_and_no_crash(tmp_path):
    has_held(await machine_disturbances.protect_store(tmp_path, Random(SEED), rounds=1))


@pytest.mark.timeout(300)
async def test_a_store_that_is_removed_is_put_back(tmp_path):
    has_held(await machine_disturbances.remove_store(tmp_path, Random(SEED), rounds=2))


@pytest.mark.timeout(300)
async def test_a_damaged_store_crashes_no_gateway_and_makes_no_second_one(tmp_path):
    has_held(await machine_disturbances.damage_store(tmp_path / "site", Random(SEED), rounds=3))


@pytest.mark.timeout(300)
async def test_a_wrong_clock_loses_no_sample(tmp_path):
    has_held(await machine_disturbances.set_clock(tmp_path, Random(SEED), clocks=2))


@pytest.mark.timeout(300)
async def test_no_descriptors_for_a_while_lose_no_sample(tmp_path):
    has_held(await machine_disturbances.take_descriptors(tmp_path, Random(SEED), rounds=1))


@pytest.mark.timeout(300)
async def test_adapters_with_bugs_do_no_harm_to_the_healthy_bus(tmp_path):
    has_held(await neighbour_disturbances.run_hostile_adapters(tmp_path, Random(SEED), kinds=10, seconds=2))


@pytest.mark.timeout(300)
async def test_clients_that_hold_the_page_do_not_stop_the_uploads(tmp_path):
    has_held(await neighbour_disturbances.hold_page(tmp_path, Random(SEED), clients=200, seconds=2, compares=False))


@pytest.mark.timeout(300)
async def test_a_load_with_faults_leaves_descriptors_threads_and_tasks_flat(tmp_path):
    has_held(await soak.load(tmp_path, Random(SEED), seconds=4, points_a_second=5_000))
