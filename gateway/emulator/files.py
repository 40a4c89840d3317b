"""Handle the calls for dumps and model files (section 10). Pure."""

from __future__ import annotations

from email.parser import BytesParser
from urllib.parse import quote

from gateway.emulator.api_types import ApiError, Request, Response
from gateway.emulator.cloud import Cloud
from gateway.emulator.device import Device, ModelFile, QueuedCommand, iso
from gateway.emulator.device_registry import Dump, new_id
from gateway.emulator.field_validation import is_newer

DUMP_FIELD = "data"
"""The form field with the dump in Xyte's own API collection."""


def send(cloud: Cloud, device: Device, request: Request) -> Response:
    """Store a dump, raw or multipart (sections 10.1 and 17.23)."""
    dump = Dump(device.id, request.params["mime_type"], request.params["filename"], _content(cloud, request))
    dump_id = new_id()
    cloud.dumps[dump_id] = dump
    return Response(cloud.quirks.dump_status, {"id": dump_id})


def append(cloud: Cloud, device: Device, request: Request) -> Response:
    """Append to a dump, and return its new length in bytes (section 10.2)."""
    dump = cloud.dumps.get(request.params["dump_id"])
    if dump is None or dump.device_id != device.id:
        raise ApiError(404, "Dump not found")
    dump.content += _content(cloud, request)
    return Response(200, {"length": len(dump.content)})


def get_files(cloud: Cloud, device: Device, request: Request) -> Response:
    """List the files of the device's model (section 10.3)."""
    return Response(200, [_file_json(file, request) for file in _files(cloud, device)])


def get_file(cloud: Cloud, device: Device, request: Request) -> Response:
    """Return one file of the device's model; 400 when there is none with this id."""
    for file in _files(cloud, device):
        if file.id == request.params["file_id"]:
            return Response(200, _file_json(file, request))
    raise ApiError(400, "File not found")


def latest_firmware(cloud: Cloud, device: Device) -> ModelFile | None:
    """Return the newest firmware of the device's model if it is newer than the installed one (section 5.1)."""
    latest = None
    for file in _files(cloud, device):
        if file.file_type == "firmware" and is_newer(file.version, than=latest.version if latest else device.firmware_version):
            latest = file
    return latest


def command_parameters(cloud: Cloud, command: QueuedCommand, request: Request) -> dict[str, object] | None:
    """Return the parameters of a command, with link, version, checksum and signature of its file (section 6.1)."""
    file = next((known for known in cloud.saved_state.files if known.id == command.file_id), None)
    if file is None:
        return command.parameters
    link = {"url": _url(file, request), "version": file.version, "checksum": file.checksum, "signature": file.signature}
    return {**(command.parameters or {}), **link}


def file_path(file: ModelFile) -> str:
    """Return the path of a file on the file server."""
    return f"/files/{file.id}/{quote(file.name, safe='')}"


def _url(file: ModelFile, request: Request) -> str:
    return request.base_urls.files + file_path(file) if file.url is None else file.url


def _files(cloud: Cloud, device: Device) -> list[ModelFile]:
    return [file for file in cloud.saved_state.files if file.model_id == device.model_id]


def _content(cloud: Cloud, request: Request) -> bytes:
    is_multipart = request.content_type.lower().startswith("multipart/form-data")
    form = cloud.quirks.dump_body
    if form == "multipart" and not is_multipart:
        raise ApiError(422, "Data can't be blank")
    content = _multipart_field(request) if is_multipart and form != "raw" else request.body
    if not content:
        raise ApiError(422, "Data can't be blank")
    return content


def _multipart_field(request: Request) -> bytes | None:
    """Return the content of the form field `data` (RFC 7578), `None` when there is none."""
    header = f"Content-Type: {request.content_type}\r\n\r\n".encode(errors="replace")
    for part in BytesParser().parsebytes(header + request.body).walk():
        if part.get_param("name", header="content-disposition") == DUMP_FIELD:
            content = part.get_payload(decode=True)
            return content if isinstance(content, bytes) else None
    return None


def _file_json(file: ModelFile, request: Request) -> dict[str, object]:
    return {
        "id": file.id,
        "name": file.name,
        "url": _url(file, request),
        "desc": file.desc,
        "file_type": file.file_type,
        "version": file.version,
        "created_at": iso(file.created_at),
        "public_notes": file.public_notes,
        "checksum": file.checksum,
        "signature": file.signature,
    }
