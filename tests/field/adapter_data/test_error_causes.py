"""Check that the cause and the next step of an error pass the boundary of an adapter, printable and without secrets."""

import pytest
from pydantic import SecretStr

from gateway.adapter import Adapter, AdapterSettings, BusUnavailable, Cause, DeviceUnreachable
from gateway.field.adapter_data.checked_adapter import checked_adapter

pytestmark = pytest.mark.asyncio


class Settings(AdapterSettings):
    password: SecretStr = SecretStr("bumblebee-7")


class Failing(Adapter[Settings]):
    settings_model = Settings

    def __init__(self, error):
        super().__init__(Settings(type="failing", name="failing"))
        self._error = error

    async def identify(self, address):
        raise self._error

    async def discover(self):
        raise self._error
        yield

    def poll_groups(self, child):
        return {}

    async def read(self, child, due):
        raise self._error
        yield


async def raised_by(error):
    with pytest.raises((BusUnavailable, DeviceUnreachable)) as caught:
        await checked_adapter(Failing(error), "failing").identify("1")
    return caught.value


async def test_the_cause_and_the_next_step_pass_the_boundary():
    error = await raised_by(BusUnavailable("denied", cause=Cause.NO_PERMISSION, next_step="Add group_add: [dialout]."))

    assert (error.cause, error.next_step) == (Cause.NO_PERMISSION, "Add group_add: [dialout].")


async def test_a_next_step_shows_no_secret_of_the_settings():
    error = await raised_by(BusUnavailable("no", cause=Cause.LOGIN_REFUSED, next_step="Log in with bumblebee-7."))

    assert "bumblebee" not in error.next_step


async def test_the_error_of_the_system_behind_it_becomes_the_cause():
    refused = BusUnavailable("takes no connection")
    refused.__cause__ = ConnectionRefusedError(111, "refused")

    assert (await raised_by(refused)).cause is Cause.HOST_REFUSES


async def test_an_error_of_a_stranger_passes_with_an_unknown_cause():
    class Sulking(DeviceUnreachable):
        def __init__(self):
            self.cause = "sulking"

    error = await raised_by(Sulking())

    assert type(error) is DeviceUnreachable
    assert error.cause is Cause.UNKNOWN
