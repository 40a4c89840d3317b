"""How the buses of a `FakeView` are set, and what each device takes of them."""

from gateway.models import FactSource
from gateway.status.buses_view import BusDetails, BusFactSummary, DeviceBusLoad

LINE = (
    ("port", "/dev/ttyUSB0", FactSource.CONFIGURED),
    ("speed", "9600 baud", FactSource.FOUND),
    ("data_bits", "8", FactSource.USUAL),
    ("parity", "even", FactSource.PROFILE),
    ("stop_bits", "1", FactSource.USUAL),
    ("framing", "Modbus RTU", FactSource.USUAL),
)


def details(view, entry, bus):
    if bus not in view.buses or view.buses[bus].entry != entry:
        return BusDetails()
    children = [one for one in view.children.values() if (one.line.entry, one.line.bus) == (entry, bus)]
    devices = [
        DeviceBusLoad(id=one.line.id, name=one.line.name, address=one.line.address, plan=one.load * 2, load=one.load)
        for one in children
    ]
    facts = tuple(BusFactSummary(name=name, value=value, source=source) for name, value, source in LINE)
    devices.append(DeviceBusLoad(name="Oven 2", address="17", plan=0.03))
    return BusDetails(facts=facts, devices=tuple(devices), measured_seconds=100)
