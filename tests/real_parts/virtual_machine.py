"""Boot Debian's own kernel in QEMU, with the files of this machine, and run a command in it.

The kernel is taken out of Debian's package and not installed. The guest mounts the root of this machine read-only over 9p, with
a layer in memory above it: it has the same Python environment and the same checkout, and nothing that it writes remains. It has
no network, and two UARTs that are connected, one of which also receives breaks. It is emulated in software, some ten times
slower than this machine: on a machine that is virtual itself, hardware virtualization can hang.
"""

import gzip
import io
import os
import re
import shutil
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread

NEEDED = ("qemu-system-x86_64", "busybox", "apt-get", "dpkg")
PACKAGES = ("linux-image-amd64", "bluez")
"""Debian's packages whose files the guest uses; the first depends on the kernel."""

BOOT_MODULES = ("virtio_pci", "9pnet_virtio", "9p", "overlay", "virtio_rng")
BLUETOOTH_MODULES = (
    *("aes_generic", "ctr", "cmac", "ecb", "hmac", "sha256_generic", "sha512_generic", "drbg"),  # else the kernel's ECDH fails
    *("ecdh_generic", "algif_hash", "algif_skcipher", "hci_vhci"),
)
TTY_MODULES = ("dummy_hcd", "usb_f_acm", "g_serial", "cdc_acm")
"""A USB device and a USB host in one kernel: what is written to /dev/ttyGS0 arrives at /dev/ttyACM0."""

BREAK_EVERY_SECONDS = 0.3
EXIT = "guest exit status "
INIT = """#!/bin/busybox sh
busybox mount -t proc proc /proc
busybox mount -t sysfs sys /sys
busybox mount -t devtmpfs dev /dev
for module in /modules/*; do busybox insmod $module || echo "cannot load $module"; done
busybox mount -t 9p -o trans=virtio,version=9p2000.L,ro,cache=loose,msize=524288 machine /machine
busybox mount -t tmpfs tmpfs /layer
busybox mkdir -p /layer/upper /layer/work
busybox mount -t overlay -o lowerdir=/machine,upperdir=/layer/upper,workdir=/layer/work overlay /root
for folder in proc sys dev; do busybox mount --move /$folder /root/$folder; done
busybox mkdir -p /root/dev/pts /root/dev/shm
busybox mount -t devpts -o ptmxmode=666 devpts /root/dev/pts
busybox mount -t tmpfs tmpfs /root/dev/shm
busybox mount -t tmpfs tmpfs /root/run
busybox mkdir /root/run/tmp
busybox chroot /root /bin/busybox ip link set lo up
busybox chroot /root /bin/bash -c '{command}'
echo "{exit}$?"
busybox poweroff -f
"""


class PartsMissing(Exception):
    """This machine cannot run the guest; the text says what it lacks."""


def unpack_packages(folder: Path) -> Path:
    """Download Debian's packages, without installing them, and return the folder with their files.

    Raises:
        PartsMissing: a program is not installed, or the packages cannot be had.
    """
    if os.uname().machine != "x86_64":
        raise PartsMissing(f"the guest is a PC; this machine is {os.uname().machine}")
    if missing := [program for program in NEEDED if shutil.which(program) is None]:
        raise PartsMissing(f"not installed: {', '.join(missing)} (apt-get install qemu-system-x86 busybox-static)")
    files = folder / "files"
    files.mkdir()
    _download(folder, *PACKAGES)
    described = subprocess.run(
        ["dpkg", "--info", *folder.glob("linux-image-amd64_*.deb")], capture_output=True, text=True, check=True
    )
    _download(folder, re.search(r"Depends: (linux-image-\S+)", described.stdout)[1])
    for package in folder.glob("*.deb"):
        subprocess.run(["dpkg", "--extract", package, files], check=True)
        package.unlink()
    return files


def run_in_guest(files: Path, folder: Path, command: str, *, modules: tuple[str, ...], seconds: float) -> tuple[int | None, str]:
    """Boot, run a shell command as root, power off, and return its exit status and all that was printed.

    The exit status is `None` when the guest did not come to its end within the time.

    Args:
        files: what `unpack_packages` returned.
        folder: for the initial file system.
        command: without single quotes.
        modules: the kernel modules to load before it.
        seconds: how long it may take.
    """
    kernel = next((files / "boot").glob("vmlinuz-*"))
    initial = folder / "initrd.gz"
    init = INIT.format(command=command, exit=EXIT)
    initial.write_bytes(_initial_file_system(files, init, (*BOOT_MODULES, *modules)))
    line, control = folder / "line", folder / "control"
    qemu = [
        *("qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "qemu64", "-smp", "2", "-m", "1200"),
        *("-nographic", "-no-reboot", "-nodefaults", "-nic", "none"),
        *("-kernel", str(kernel), "-initrd", str(initial)),
        # on a busy machine the emulated timers are late: the kernel would take one for broken, and calibrate the other wrongly
        *("-append", "console=ttyS0 quiet panic=-1 no_timer_check nolapic_timer clocksource=hpet rdinit=/init"),
        *("-fsdev", "local,id=root,path=/,security_model=none,readonly=on,multidevs=remap"),
        *("-device", "virtio-9p-pci,fsdev=root,mount_tag=machine", "-device", "virtio-rng-pci"),
        *("-serial", "stdio"),
        # two more UARTs, connected to each other
        *("-chardev", f"socket,id=one,path={line},server=on,wait=off", "-serial", "chardev:one"),
        *("-chardev", f"socket,id=other,path={line}", "-serial", "chardev:other"),
        *("-qmp", f"unix:{control},server=on,wait=off"),
    ]
    process = subprocess.Popen(
        qemu, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )
    ended = Event()
    breaks = Thread(target=_send_breaks, args=(control, ended))
    breaks.start()
    try:
        printed, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        printed, _ = process.communicate()
    finally:
        process.kill()
        ended.set()
        breaks.join()
    status = re.search(rf"{EXIT}(\d+)", printed)
    return (int(status[1]) if status else None), printed


def python_command(arguments: str, **environment: str) -> str:
    """Return a shell command that runs Python in this checkout, with the environment of this process."""
    settings = " ".join(f"{name}={value}" for name, value in environment.items())
    checkout = Path(__file__).parents[2]
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return (
        f"cd {checkout} && PATH={path} HOME=/root TMPDIR=/run/tmp PYTHONPATH={checkout} {settings} {sys.executable} {arguments}"
    )


def _send_breaks(control: Path, ended: Event) -> None:
    """Let the first of the connected UARTs receive a break now and then, through QEMU's machine protocol."""
    while not control.exists():
        if ended.wait(0.1):
            return
    with socket.socket(socket.AF_UNIX) as machine, suppress(OSError):
        machine.connect(str(control))
        machine.sendall(b'{"execute": "qmp_capabilities"}')
        while not ended.wait(BREAK_EVERY_SECONDS):
            machine.sendall(b'{"execute": "chardev-send-break", "arguments": {"id": "one"}}')
            machine.recv(65536)  # what QEMU answers is of no use, and must not fill its buffer


def _download(folder: Path, *packages: str) -> None:
    command = ["apt-get", "download", "-o", "APT::Sandbox::User=root", *packages]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PartsMissing(f"Debian's packages cannot be downloaded (apt-get update?): {done.stderr.strip()[-500:]}")


def _initial_file_system(files: Path, init: str, modules: tuple[str, ...]) -> bytes:
    """Return a compressed cpio archive (format "newc") with busybox, the modules in loading order, and the init script."""
    archive = io.BytesIO()

    def add(name: str, mode: int, content: bytes = b"", device: tuple[int, int] = (0, 0)) -> None:
        path = name.encode() + b"\0"
        numbers = (archive.tell() + 1, mode, 0, 0, 1, 0, len(content), 0, 0, *device, len(path), 0)
        head = b"070701" + b"".join(b"%08x" % number for number in numbers) + path
        archive.write(head + bytes(-len(head) % 4) + content + bytes(-len(content) % 4))

    for folder in ("bin", "dev", "layer", "machine", "modules", "proc", "root", "sys"):
        add(folder, 0o40755)
    add("dev/console", 0o20600, device=(5, 1))
    add("bin/busybox", 0o100755, Path(shutil.which("busybox")).read_bytes())
    add("bin/sh", 0o120777, b"busybox")
    for at, module in enumerate(_in_loading_order(files, modules)):
        add(f"modules/{at:02}-{module.name}", 0o100644, module.read_bytes())
    add("init", 0o100755, init.encode())
    add("TRAILER!!!", 0)
    return gzip.compress(archive.getvalue(), 1)


def _in_loading_order(files: Path, wanted: tuple[str, ...]) -> list[Path]:
    """Return the files of the modules and of those that they depend on; what the kernel has built in has no file."""
    known = {module.stem.replace("-", "_"): module for module in (files / "lib" / "modules").rglob("*.ko")}
    ordered: dict[str, Path] = {}

    def add(name: str) -> None:
        module = known.get(name.replace("-", "_"))
        if module is None or module.stem in ordered:
            return
        depends = re.search(rb"\0depends=([^\0]*)\0", module.read_bytes())
        for other in depends[1].decode().split(",") if depends else ():
            add(other)
        ordered[module.stem] = module

    for name in wanted:
        add(name)
    return list(ordered.values())
