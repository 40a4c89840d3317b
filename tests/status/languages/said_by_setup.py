"""List what the set-up, backups, incidents and the timeline say on the page; `said.py` tells how."""

from __future__ import annotations

SETUP: dict[str, tuple[str, ...]] = {
    "gateway/config/entered_texts.py": (
        "Enter a name.",
        "The name has characters that cannot be shown, such as a line break. Enter it anew.",
        "The name has {number} characters; it may have {most}.",
        "The port behind the colon has to be a number from 1 to 65535.",
        "This address would send the key in clear text. Use https://, or allow http if this is an emulator.",
        "This is not a host; it looks like 192.168.1.20, meter.local or 192.168.1.20:1502.",
        "This is not the address of a server; it looks like https://entry.xyte.io.",
        "it has other characters in it",
        "it has {number} of 32 hexadecimal digits",
    ),
    "gateway/config/hardware_key.py": (
        "Enter the model's hardware key, from the Partner Portal",
        "Mount the secret there, as a file that user {user} may read",
        "The file has to hold the model's hardware key, from the Partner Portal, and nothing else",
        "is empty",
        "what is in this file does not look like a hardware key",
        "{name} cannot be read: {why}",
        "Enter the model's hardware key, from the Partner Portal",
        "Keep one of the two",
        "there is a hardware_key as well",
    ),
    "gateway/config/mistakes.py": (
        "no such setting: it has too few underscores",
        "Fix it there; `xyte-gateway adapters` lists the keys of an entry",
        "See the example file",
        "no such key",
        "no such setting",
    ),
    "gateway/file_mistakes/validation_messages.py": (
        "has characters that cannot be in it",
        "has to be a list, in [ ]",
        "has to be a number",
        "has to be a number of seconds",
        "has to be a path, in quotes",
        "has to be a table",
        "has to be a text, in quotes",
        "has to be a whole number",
        "has to be true or false",
        "is not an address or a network; write it as 10.0.0.5 or 10.0.0.0/24",
    ),
    "gateway/config/writing.py": (
        (
            "It is mounted read-only. In docker-compose.yml, remove :ro from the line that ends in :{folder}:ro, and run "
            "docker compose up --detach; or leave XYTE_GATEWAY_FOLDER out of .env: the configuration is then in a volume"
        ),
        "Make room there, or name another place with --config",
        "In docker-compose.yml, mount its folder instead: ./config:{folder}",
        "{file} is mounted as a single file, which cannot be replaced as a whole",
        "It is a file, no folder. Name another place with --config",
        "Its file system is read-only. Mount it writable, or name another file with --config",
        "Let user {user} write there, as with chown {user} {folder}, or name another place with --config",
        "{folder} cannot be written to: {error}",
    ),
    "gateway/first_start/buses_by_hand.py": (
        "Choose what is to be added.",
        "These are not line settings; they look like 9600 8N1.",
        "These are not unit ids; they look like 1-16, 255.",
        "This is not a Bluetooth adapter; it is called hci0, or by its address.",
        "This is not a serial port; it looks like /dev/ttyUSB0, usb:10c4:ea60 or tcp://192.168.1.40:4352.",
    ),
    "gateway/first_start/file_correction.py": (
        "It cannot be saved: {file}: {error}",
        "The file has changed since this page was opened. What it says now is below; nothing was saved.",
        "There is no former text with which the gateway could start. Nothing was changed.",
        "This text is larger than 256 KB; a configuration is not. Nothing was saved.",
    ),
    "gateway/first_start/first_look.py": ("a bug in the adapter: {error}",),
    "gateway/first_start/search.py": (
        "The adapter {name} is not installed.",
        "There are {number} already. Add further ones to the configuration later.",
        "there is no {name} on this machine",
        "{name} was added already.",
    ),
    "gateway/first_start/set_up.py": (
        "Answers are missing. Nothing was written.",
        "It is not in the list (any more).",
        "Nothing was written: {error}",
        "The cloud refuses this key: {text}. Copy it again from the gateway's model in the Partner Portal.",
        "The configuration has mistakes. Nothing was written.",
        "The set-up has changed since this page was opened, perhaps in another window. Nothing was written: look at it again.",
    ),
    "gateway/first_start/setup_answers.py": (
        "Enter the hardware key.",
        "Enter the model id, or choose to decide later.",
        "This is the hardware key. The model id is another one, under Model, Info.",
    ),
    "gateway/network_search/named_hosts.py": (
        "there are {number} hosts: name at most {most}",
        "{written} has {number} addresses: name networks of at most {most}",
        "{written} is neither a host nor a network: write 192.168.1.20, meter.local or 192.168.1.0/24",
        "{written} is not a network: write it as 192.168.1.0/24",
    ),
    "gateway/runtime/app.py": (
        "it becomes another gateway",
        "it was stopped",
        "its store is damaged",
        "version {version}, {children} children known, {samples} samples waiting",
        "version {version}: {why}",
    ),
    "gateway/runtime/incidents/configuration_causes.py": (
        "A configuration of {what} was taken back",
        (
            "Version {version}: {why}. It is not tried again. Correct the configuration in the cloud; the incident is "
            "closed when a version of it is in effect."
        ),
    ),
    "gateway/runtime/key_change.py": (
        "The environment variable {name} gives the key. Change it there, and start the gateway again.",
        "The key is saved, but the gateway is still not registered: {reason}",
        "The key stands in the configuration, as cloud.hardware_key. Change it there, and restart the gateway.",
        "This gateway is registered: its hardware key was used once, and is not needed any more.",
        "{file} cannot be written: {error}. Nothing has changed.",
    ),
    "gateway/runtime/notify/mail.py": ("e-mail by {host}",),
    "gateway/runtime/notify/webhook.py": ("webhook to {host}",),
    "gateway/runtime/restart.py": (
        (
            "nothing would start the gateway again: it runs neither as a service of systemd nor as the main process of a "
            "container. Restart it on its machine"
        ),
    ),
    "gateway/runtime/restores.py": (
        "another file is being checked",
        "no file was chosen",
        "the disk of the store has no room to check a file of {size} MB",
        "the disk of the store is too full for this file",
        "the file cannot be stored: {error}",
        "the file has more than {most} MB, which is more than is taken here",
        "the file was checked too long ago, or another one since; upload it again",
    ),
    "gateway/state/history/reported.py": (
        "may have been carried out",
        "was carried out",
    ),
    "gateway/state/recovery/backup_encryption.py": (
        "the backup cannot be decrypted: the passphrase is wrong, or the file is damaged",
    ),
    "gateway/state/recovery/backups.py": (
        "{name} has no gateway in it: that one was never started",
        "{name} is damaged, or no backup of a gateway: {error}",
        "{name} is damaged: {problem}",
        "{name} is no backup of a gateway",
        "{name} is no backup of a gateway: it is a database of something else",
    ),
    "gateway/state/recovery/uploaded_backups.py": (
        "the file is encrypted; type its passphrase",
        "the file that was checked cannot be used: {error}",
    ),
    "gateway/status/auth/wrong_tokens.py": (
        "{address} has sent a wrong token to the status page",
        "{address} has sent {number} wrong tokens to the status page in the last {minutes} min",
    ),
    "gateway/status/setup_view.py": (
        "One problem keeps the gateway from starting.",
        "The gateway is starting.",
        "There is no configuration yet.",
        "{number} problems keep the gateway from starting.",
    ),
}

COMPOSED_BY_SETUP = (
    "AppArmor denies this program access to D-Bus; in a container, run it with: --security-opt apparmor=unconfined",
    "D-Bus does not allow this user to use bluetoothd; add the user to the group bluetooth: usermod -aG bluetooth USER",
    "D-Bus or bluetoothd does not answer; restart it with: systemctl restart bluetooth",
    "Did you mean {name}? Known here: {names}",
    (
        "Enter it, from the Partner Portal, as cloud.hardware_key or put it into a mounted secret file that "
        "cloud.hardware_key_file names; or set the environment variable {name} and start again"
    ),
    "Enter the model id.",
    "Known here: {names}",
    "No device on the bus {bus} answers",
    "The bus {bus} does not work: {why}",
    "This is not a hardware key: {why}. It looks like 0f0e0d0c-1111-4222-8333-444455556666; copy it again as a whole.",
    "This is not a model id: {why}. It looks like 0f0e0d0c-1111-4222-8333-444455556666; copy it again as a whole.",
    "an installation of firmware of version {version}, given here ({by}), begins",
    "an installation of firmware of version {version}, of the cloud, begins",
    "bluetoothd is not running; start it with: systemctl start bluetooth",
    "changed by {by}: {what}",
    "command {name} given here ({by}) failed: {why}",
    "command {name} given here ({by}) was carried out",
    "command {name} given here ({by}) {what}",
    "command {name} given here failed: {why}",
    "command {name} given here was carried out: {why}",
    "command {name} given here {what}",
    "command {name} given here ({by}) was carried out: {why}",
    "command {name} of the cloud failed: {why}",
    "command {name} of the cloud was carried out: {why}",
    "command {name} of the cloud was carried out",
    "command {name} of the cloud {what}",
    "expired",
    "firmware was installed",
    "firmware was not installed",
    "firmware was not installed: {why}",
    "has to be at least {least}",
    "has to be at most {most}",
    "has to be less than {most}",
    "has to be more than {least}",
    "has too few entries: at least {least}",
    "has too many entries: at most {most}",
    "in use",
    "is a child of this gateway now, at {bus}, address {address}",
    "is in service again after {time}: 1 child",
    "is in service again after {time}: {number} children",
    "is in service again: 1 child",
    "is in service again: {number} children",
    "is too long: at most {most} characters",
    "is too short: at least {least} character(s)",
    "no permission for the D-Bus socket; run the gateway as a user that may open /run/dbus/system_bus_socket",
    "over: {what}",
    "pending",
    "the clock was set ahead by {time}: it shows {shown} UTC",
    "the clock was set back by {time}: it shows {shown} UTC",
    (
        "there is no D-Bus socket; install and start dbus and bluez on the host, and in a container mount it: -v "
        "/run/dbus/system_bus_socket:/run/dbus/system_bus_socket"
    ),
    "was found at {bus}, address {address}. It is no child: {why}",
    "{controller} does not support Bluetooth Low Energy",
    "{controller} does not support Bluetooth Low Energy; use another one",
    "{controller} is busy with another program's scan",
    "{controller} is busy with another program's scan; stop that program, or wait",
    "{controller} is missing",
    "{controller} is missing; plug it in, and check its name with: bluetoothctl list",
    "{controller} is switched off",
    "{controller} is switched off by rfkill",
    "{controller} is switched off by rfkill; switch it on with: rfkill unblock bluetooth",
    "{controller} is switched off; switch it on with: bluetoothctl power on",
    "{number} buses ({names}): {why}",
    "{number} of {total} devices on the bus {bus} do not answer",
)
"""Sentences that are put together of several texts of the source."""
