"""The demo's plant: seven real devices by their public register maps, four behind a TCP port and three on a serial bus."""

from __future__ import annotations

import time

from gateway.testing.modbus import (
    Clock,
    Conformity,
    Constant,
    Counter,
    Encoding,
    Firmware,
    Identification,
    Signal,
    SimulatedUnit,
    Sine,
    StepWave,
    Table,
    Wave,
)

_INPUT, _HOLDING = Table.INPUT_REGISTERS, Table.HOLDING_REGISTERS
_SECONDS_PER_HOUR = 3600

_VOLTAGE_L1 = Sine(mean=230, amplitude=2, period_seconds=47)
_VOLTAGE_L2 = Sine(mean=231, amplitude=2, period_seconds=53)
_VOLTAGE_L3 = Sine(mean=229, amplitude=2, period_seconds=59)
_VOLTAGE_L1_L2 = Sine(mean=399, amplitude=3, period_seconds=47)
_VOLTAGE_L2_L3 = Sine(mean=400, amplitude=3, period_seconds=53)
_VOLTAGE_L3_L1 = Sine(mean=398, amplitude=3, period_seconds=59)
_FREQUENCY = Sine(mean=50, amplitude=0.03, period_seconds=31)


def tcp_units(clock: Clock = time.monotonic) -> tuple[SimulatedUnit, ...]:
    """Return the units behind the TCP port, ids 1 to 3: an energy meter, a solar inverter, an I/O module."""
    return schneider_iem3255(1, clock), fronius_symo(2, clock), moxa_iologik_e1210(3, clock)


def rtu_units(clock: Clock = time.monotonic) -> tuple[SimulatedUnit, ...]:
    """Return the units on the serial bus, ids 1 to 3: two energy meters, a temperature controller.

    The last one has nothing that tells what it is, as in life: the config must name it.
    """
    return eastron_sdm630(1, clock), abb_b23(2, clock), omron_e5cc(3, clock)


def schneider_iem3255(unit_id: int, clock: Clock = time.monotonic) -> SimulatedUnit:
    """Return an energy meter that says who it is by function 43/14 (Schneider Electric, iEM3000 user manual DOCA0005EN)."""
    signals = [
        _text("model", _HOLDING, 49, 20, "iEM3255"),
        _number("serial_number", _HOLDING, 129, Encoding.UINT32, Constant(21_340_217)),
        *_floats(
            _HOLDING,
            ("current_l1", 2999, Sine(12, 1.5, 37)),
            ("current_l2", 3001, Sine(11, 1.2, 41)),
            ("current_l3", 3003, Sine(14, 2.0, 43)),
            ("voltage_l1_l2", 3019, _VOLTAGE_L1_L2),
            ("voltage_l2_l3", 3021, _VOLTAGE_L2_L3),
            ("voltage_l3_l1", 3023, _VOLTAGE_L3_L1),
            ("voltage_l1", 3027, _VOLTAGE_L1),
            ("voltage_l2", 3029, _VOLTAGE_L2),
            ("voltage_l3", 3031, _VOLTAGE_L3),
            ("active_power_l1", 3053, Sine(2.7, 0.3, 37)),
            ("active_power_l2", 3055, Sine(2.5, 0.3, 41)),
            ("active_power_l3", 3057, Sine(3.2, 0.4, 43)),
            ("active_power", 3059, Sine(8.4, 0.8, 37)),
            ("reactive_power", 3067, Sine(1.9, 0.2, 37)),
            ("apparent_power", 3075, Sine(8.6, 0.8, 37)),
            ("frequency", 3109, _FREQUENCY),
        ),
        _number("energy_import", _HOLDING, 3203, Encoding.UINT64, _energy(4_821_055, per_hour=8_400)),
        _number("energy_export", _HOLDING, 3207, Encoding.UINT64, Constant(0)),
        _number("reactive_energy_import", _HOLDING, 3219, Encoding.UINT64, _energy(1_102_408, per_hour=1_900)),
        _number("reactive_energy_export", _HOLDING, 3223, Encoding.UINT64, Constant(20)),
        _number("energy_import_l1", _HOLDING, 3517, Encoding.UINT64, _energy(1_550_300, per_hour=2_700)),
        _number("energy_import_l2", _HOLDING, 3521, Encoding.UINT64, _energy(1_433_310, per_hour=2_500)),
        _number("energy_import_l3", _HOLDING, 3525, Encoding.UINT64, _energy(1_837_445, per_hour=3_200)),
    ]
    objects = {0: b"Schneider Electric", 1: b"A9MEM3255", 2: b"001.004.000", 5: b"iEM3255"}
    identification = Identification(objects, conformity=Conformity.REGULAR)
    return SimulatedUnit(
        unit_id, signals, name="Schneider Electric iEM3255", firmware=Firmware(identification=identification), clock=clock
    )


def fronius_symo(unit_id: int, clock: Clock = time.monotonic) -> SimulatedUnit:
    """Return a solar inverter with the SunSpec common model 1 and three-phase inverter model 103 from register 40000 on."""
    signals = [
        _text("sunspec", _HOLDING, 40000, 2, "SunS"),
        *_words(_HOLDING, ("common_model", 40002, 1), ("common_length", 40003, 65)),
        _text("manufacturer", _HOLDING, 40004, 16, "Fronius"),
        _text("model", _HOLDING, 40020, 16, "Symo 10.0-3-M"),
        _text("options", _HOLDING, 40036, 8, "3.30.2-1"),
        _text("version", _HOLDING, 40044, 8, "0.3.30.2"),
        _text("serial_number", _HOLDING, 40052, 16, "34120987"),
        *_words(_HOLDING, ("device_address", 40068, unit_id)),
        *_sunspec_three_phase_inverter(40069),
        *_words(_HOLDING, ("end_model", 40121, 0xFFFF), ("end_length", 40122, 0)),
    ]
    return SimulatedUnit(unit_id, signals, name="Fronius Symo 10.0-3-M", clock=clock)


def moxa_iologik_e1210(unit_id: int, clock: Clock = time.monotonic) -> SimulatedUnit:
    """Return an I/O module with 16 digital inputs (Moxa, ioLogik E1200 user's manual, appendix A)."""
    inputs = [
        Signal(
            metric=f"input_{number}",
            table=Table.DISCRETE_INPUTS,
            address=number,
            encoding=Encoding.BOOL,
            wave=StepWave((False, True), every_seconds=4 + 3 * number),
        )
        for number in range(16)
    ]
    system = [
        _text("model", _INPUT, 5000, 10, "ioLogik E1210"),
        _number("uptime", _INPUT, 5020, Encoding.UINT32, Counter(86_400, 1)),
        *_words(_INPUT, ("mac_0", 5024, 0x0090), ("mac_1", 5025, 0xE87A), ("mac_2", 5026, 0x31C4)),
        *_words(_INPUT, ("firmware_0", 5029, 0x0302), ("firmware_1", 5030, 0x0000)),
    ]
    return SimulatedUnit(unit_id, [*inputs, *system], name="Moxa ioLogik E1210", clock=clock)


def waveshare_relays(unit_id: int, clock: Clock = time.monotonic) -> SimulatedUnit:
    """Return eight relays that can be switched and eight inputs (Waveshare wiki, Modbus POE ETH Relay (B), Modbus protocol).

    Nothing in it tells what it is, as in life: the config must name it.
    """
    relays = [
        Signal(
            metric=f"relay_{number + 1}",
            table=Table.COILS,
            address=number,
            encoding=Encoding.BOOL,
            wave=Constant(0),
            writable=True,
        )
        for number in range(8)
    ]
    inputs = [
        Signal(
            metric=f"input_{number + 1}",
            table=Table.DISCRETE_INPUTS,
            address=number,
            encoding=Encoding.BOOL,
            wave=StepWave((False, True), every_seconds=5 + 2 * number),
        )
        for number in range(8)
    ]
    version = _words(_HOLDING, ("firmware_version", 0x8000, 200))
    return SimulatedUnit(unit_id, [*relays, *inputs, *version], name="Waveshare Modbus POE ETH Relay (B)", clock=clock)


def eastron_sdm630(unit_id: int, clock: Clock = time.monotonic) -> SimulatedUnit:
    """Return an energy meter that tells its kind in a register (Eastron, SDM630-Modbus MID V2 protocol description).

    It gives at most 80 registers in one answer, and zeros where nothing is listed.
    """
    signals = [
        *_floats(
            _INPUT,
            ("voltage_l1", 0x0000, _VOLTAGE_L1),
            ("voltage_l2", 0x0002, _VOLTAGE_L2),
            ("voltage_l3", 0x0004, _VOLTAGE_L3),
            ("current_l1", 0x0006, Sine(5.2, 0.4, 23)),
            ("current_l2", 0x0008, Sine(4.8, 0.5, 29)),
            ("current_l3", 0x000A, Sine(6.1, 0.3, 19)),
            ("active_power_l1", 0x000C, Sine(1150, 80, 23)),
            ("active_power_l2", 0x000E, Sine(1060, 90, 29)),
            ("active_power_l3", 0x0010, Sine(1340, 60, 19)),
            ("active_power", 0x0034, Sine(3550, 200, 23)),
            ("apparent_power", 0x0038, Sine(3660, 200, 23)),
            ("reactive_power", 0x003C, Sine(890, 40, 23)),
            ("power_factor", 0x003E, Sine(0.97, 0.01, 61)),
            ("frequency", 0x0046, _FREQUENCY),
            ("energy_import", 0x0048, _energy(1_530.2, per_hour=3.55)),
            ("energy_export", 0x004A, Constant(12.5)),
            ("reactive_energy_import", 0x004C, _energy(402.1, per_hour=0.89)),
            ("reactive_energy_export", 0x004E, Constant(3.5)),
            ("energy_total", 0x0156, _energy(1_542.7, per_hour=3.55)),
            ("reactive_energy_total", 0x0158, _energy(405.6, per_hour=0.89)),
            ("energy_import_l1", 0x015A, _energy(510.2, per_hour=1.15)),
            ("energy_import_l2", 0x015C, _energy(490.4, per_hour=1.06)),
            ("energy_import_l3", 0x015E, _energy(529.6, per_hour=1.34)),
            ("energy_export_l1", 0x0160, Constant(4.5)),
            ("energy_export_l2", 0x0162, Constant(4)),
            ("energy_export_l3", 0x0164, Constant(4)),
        ),
        _number("serial_number", _HOLDING, 0xFC00, Encoding.UINT32, Constant(22_051_877)),
        *_words(_HOLDING, ("meter_code", 0xFC02, 0x0070)),
    ]
    listed = {address for signal in signals if signal.table is _INPUT for address in signal.addresses}
    zeros = {_INPUT: {address: 0 for address in range(0x0180) if address not in listed}}
    name = "Eastron SDM630-Modbus"
    return SimulatedUnit(unit_id, signals, name=name, registers=zeros, firmware=Firmware(registers_per_answer=80), clock=clock)


def abb_b23(unit_id: int, clock: Clock = time.monotonic) -> SimulatedUnit:
    """Return an energy meter that tells its kind in a text (ABB, B23/B24 user manual 2CMC485003M0201, section 9.3)."""
    measured: list[tuple[str, int, Encoding, Wave, float]] = [
        ("energy_import", 0x5000, Encoding.UINT64, _energy(30_117.25, per_hour=2.1), 0.01),
        ("energy_export", 0x5004, Encoding.UINT64, Constant(0), 0.01),
        ("voltage_l1", 0x5B00, Encoding.UINT32, _VOLTAGE_L1, 0.1),
        ("voltage_l2", 0x5B02, Encoding.UINT32, _VOLTAGE_L2, 0.1),
        ("voltage_l3", 0x5B04, Encoding.UINT32, _VOLTAGE_L3, 0.1),
        ("current_l1", 0x5B0C, Encoding.UINT32, Sine(3.1, 0.3, 19), 0.01),
        ("current_l2", 0x5B0E, Encoding.UINT32, Sine(2.9, 0.4, 31), 0.01),
        ("current_l3", 0x5B10, Encoding.UINT32, Sine(3.3, 0.2, 27), 0.01),
        ("active_power", 0x5B14, Encoding.INT32, Sine(2100, 120, 19), 0.01),
        ("active_power_l1", 0x5B16, Encoding.INT32, Sine(700, 60, 19), 0.01),
        ("active_power_l2", 0x5B18, Encoding.INT32, Sine(655, 70, 31), 0.01),
        ("active_power_l3", 0x5B1A, Encoding.INT32, Sine(745, 40, 27), 0.01),
        ("frequency", 0x5B2C, Encoding.UINT16, _FREQUENCY, 0.01),
        *(
            (f"energy_{way}_l{phase}", start + 4 * (phase - 1), Encoding.UINT64, _energy(total, per_hour=rate), 0.01)
            for way, start, total, rate in (("import", 0x5460, 10_039.05, 0.7), ("export", 0x546C, 0, 0))
            for phase in (1, 2, 3)
        ),
        ("power_factor", 0x5B3A, Encoding.INT16, Sine(0.97, 0.01, 61), 0.001),
        *((f"power_factor_l{phase}", 0x5B3A + phase, Encoding.INT16, Sine(0.97, 0.01, 61), 0.001) for phase in (1, 2, 3)),
    ]
    signals = [
        _number("serial_number", _HOLDING, 0x8900, Encoding.UINT32, Constant(30_412_766)),
        _text("firmware_version", _HOLDING, 0x8908, 8, "B2.15.0"),
        _text("model", _HOLDING, 0x8960, 6, "B23 112-100"),
        *(_number(metric, _HOLDING, address, encoding, wave, scale) for metric, address, encoding, wave, scale in measured),
    ]
    return SimulatedUnit(unit_id, signals, name="ABB B23", clock=clock)


def omron_e5cc(unit_id: int, clock: Clock = time.monotonic) -> SimulatedUnit:
    """Return a temperature controller in two-byte mode (Omron, E5_C communications manual H175, section 5-1).

    Its sensor range has no decimals; its set point can be written.
    """
    signals = [
        _number("process_value", _HOLDING, 0x2000, Encoding.INT16, Sine(mean=185, amplitude=4, period_seconds=71)),
        *_words(_HOLDING, ("status", 0x2001, 0x0100), ("set_point", 0x2002, 185)),
        _number("heater_current", _HOLDING, 0x2003, Encoding.INT16, Sine(8.4, 0.6, 71), 0.1),
        _number("heating_output", _HOLDING, 0x2004, Encoding.INT16, Sine(42, 6, 71), 0.1),
        _number("cooling_output", _HOLDING, 0x2005, Encoding.INT16, Constant(0), 0.1),
        _number("main_set_point", _HOLDING, 0x2103, Encoding.INT16, Constant(185), writable=True),
        _number("alarm_1_value", _HOLDING, 0x2104, Encoding.INT16, Constant(210), writable=True),
    ]
    return SimulatedUnit(unit_id, signals, name="Omron E5CC", clock=clock)


def _sunspec_three_phase_inverter(start: int) -> list[Signal]:
    """Model 103 with scale factors as registers (SunSpec Information Model Reference, inverter models)."""
    scale_factors = {6: -2, 13: -1, 15: 0, 17: -2, 19: 0, 21: 0, 23: -1, 26: 0, 28: -2, 30: -1, 32: 0, 37: -1}
    not_implemented = {35: 0x8000, 36: 0x8000}
    nothing_happened = dict.fromkeys(range(42, 52), 0)
    measured: list[tuple[str, int, Encoding, Wave, float]] = [
        ("ac_current", 2, Encoding.UINT16, Sine(13.8, 1.5, 83), 0.01),
        ("ac_current_l1", 3, Encoding.UINT16, Sine(4.6, 0.5, 83), 0.01),
        ("ac_current_l2", 4, Encoding.UINT16, Sine(4.5, 0.5, 83), 0.01),
        ("ac_current_l3", 5, Encoding.UINT16, Sine(4.7, 0.5, 83), 0.01),
        ("ac_voltage_l1_l2", 7, Encoding.UINT16, _VOLTAGE_L1_L2, 0.1),
        ("ac_voltage_l2_l3", 8, Encoding.UINT16, _VOLTAGE_L2_L3, 0.1),
        ("ac_voltage_l3_l1", 9, Encoding.UINT16, _VOLTAGE_L3_L1, 0.1),
        ("ac_voltage_l1", 10, Encoding.UINT16, _VOLTAGE_L1, 0.1),
        ("ac_voltage_l2", 11, Encoding.UINT16, _VOLTAGE_L2, 0.1),
        ("ac_voltage_l3", 12, Encoding.UINT16, _VOLTAGE_L3, 0.1),
        ("ac_power", 14, Encoding.INT16, Sine(3170, 340, 83), 1),
        ("frequency", 16, Encoding.UINT16, _FREQUENCY, 0.01),
        ("apparent_power", 18, Encoding.INT16, Sine(3190, 340, 83), 1),
        ("reactive_power", 20, Encoding.INT16, Sine(60, 20, 83), 1),
        ("power_factor", 22, Encoding.INT16, Sine(99.4, 0.3, 83), 0.1),
        ("energy_total", 24, Encoding.UINT32, _energy(18_400_512, per_hour=3170), 1),
        ("dc_current", 27, Encoding.UINT16, Sine(5.6, 0.6, 83), 0.01),
        ("dc_voltage", 29, Encoding.UINT16, Sine(583, 9, 97), 0.1),
        ("dc_power", 31, Encoding.INT16, Sine(3260, 350, 83), 1),
        ("cabinet_temperature", 33, Encoding.INT16, Sine(41, 2, 113), 0.1),
        ("heat_sink_temperature", 34, Encoding.INT16, Sine(53, 4, 113), 0.1),
        ("operating_state", 38, Encoding.UINT16, Constant(4), 1),
        ("operating_state_of_the_maker", 39, Encoding.UINT16, Constant(4), 1),
        ("error_code", 40, Encoding.UINT32, Constant(0), 1),
    ]
    plain = {0: 103, 1: 50} | scale_factors | not_implemented | nothing_happened
    return [
        *_words(_HOLDING, *((f"model_103_{offset}", start + offset, word & 0xFFFF) for offset, word in plain.items())),
        *(_number(metric, _HOLDING, start + offset, encoding, wave, scale) for metric, offset, encoding, wave, scale in measured),
    ]


def _energy(start: float, *, per_hour: float) -> Counter:
    return Counter(start, per_hour / _SECONDS_PER_HOUR)


def _floats(table: Table, *measured: tuple[str, int, Wave]) -> list[Signal]:
    return [_number(metric, table, address, Encoding.FLOAT32, wave) for metric, address, wave in measured]


def _words(table: Table, *fixed: tuple[str, int, int]) -> list[Signal]:
    return [_number(metric, table, address, Encoding.UINT16, Constant(word)) for metric, address, word in fixed]


def _text(metric: str, table: Table, address: int, length: int, text: str) -> Signal:
    return Signal(metric=metric, table=table, address=address, encoding=Encoding.STRING, length=length, wave=Constant(text))


def _number(
    metric: str, table: Table, address: int, encoding: Encoding, wave: Wave, scale: float = 1, *, writable: bool = False
) -> Signal:
    return Signal(metric=metric, table=table, address=address, encoding=encoding, wave=wave, scale=scale, writable=writable)
