// A Modbus TCP host on npm modbus-serial. Its arguments: the package's folder, units as JSON; it writes its port.
// A unit that is not there stays silent.
const ModbusRTU = require(process.argv[2]);
const units = JSON.parse(process.argv[3]);

const cell = (table) => (address, unit) => {
    if (!(unit in units)) return new Promise(() => {});
    const value = (units[unit][table] || {})[address];
    if (value === undefined) throw { modbusErrorCode: 0x02 };
    return value;
};

const host = new ModbusRTU.ServerTCP({
    getCoil: cell("coil"),
    getDiscreteInput: cell("discrete"),
    getInputRegister: cell("input"),
    getHoldingRegister: cell("holding"),
    readDeviceIdentification: (unit) => {
        if (!(unit in units)) return new Promise(() => {});
        return units[unit].identification || {};
    },
}, { host: "127.0.0.1", port: 0, unitID: 255 });

host.on("initialized", () => console.log(host._server.address().port));
host.on("error", () => {});
