"""Run the Bluetooth adapter on a Linux kernel with bluetoothd, in a guest: what runs there is `guest/test_bluetooth.py`.

It is a file of its own, so that each worker of the suite has one guest.
"""

import pytest

SECONDS = 1800
"""The longest time that the guest may take, on a busy machine; on a quiet one it takes about a minute."""


@pytest.mark.timeout(SECONDS + 60)
def test_the_adapters_pass_their_tests_on_a_real_bluetoothd(run_in_guest, machines):
    run_in_guest("bluetooth", machines.BLUETOOTH_MODULES, SECONDS)
