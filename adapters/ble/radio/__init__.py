"""Use the Bluetooth controllers of this machine: scan, connect, read and write attributes, watch bluetoothd."""
