"""A part of each scenario of `make chaos`: nothing is lost, done twice, crashed or hung, whatever happens to the gateway."""

from random import Random

import kills
import pytest

pytestmark = pytest.mark.enable_socket

SEED = 14


def has_held(outcome):
    assert outcome.violations == [], outcome.figures


@pytest.mark.timeout(300)
async def test_kills_of_a_loaded_gateway_lose_no_sample_and_register_no_child_twice(tmp_path):
    has_held(await kills.kill_loaded_gateway(tmp_path, Random(SEED), kills=6))


@pytest.mark.timeout(300)
async def test_kills_during_a_migration_leave_every_row(tmp_path):
    has_held(await kills.kill_migrations(tmp_path, Random(SEED), kills=2))


@pytest.mark.timeout(300)
async def test_kills_of_first_starts_leave_no_token_that_was_never_shown(tmp_path):
    has_held(await kills.kill_first_starts(tmp_path, Random(SEED), kills=2))
