"""Where a lake is: a folder or s3://bucket/prefix, opened as a pyarrow filesystem and a path in it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pyarrow.fs as fs

from afoot.errors import AfootError, UsageError
from afoot.lake.layout import TABLES

Filesystem = Any  # pyarrow.fs.FileSystem; pyarrow brings no types


class Location(NamedTuple):
    """A lake's place: `uri` as the user wrote it, and where that is on which filesystem."""

    uri: str
    filesystem: Filesystem
    path: str

    def table(self, name: str) -> str:
        """The folder of a table on the filesystem."""
        return f"{self.path}/{name}"


def locate(uri: str, what: str = "lake") -> Location:
    """The place that `uri` means, whether or not anything is there; UsageError if it means none of `what`."""
    scheme, separator, _ = uri.partition("://")
    if not separator:
        return Location(uri, fs.LocalFileSystem(), Path(uri).expanduser().absolute().as_posix())
    if scheme == "file":
        return Location(uri, fs.LocalFileSystem(), Path(uri.removeprefix("file://")).absolute().as_posix())
    if scheme not in ("s3", "s3a"):
        raise UsageError(f"{what} {uri!r}: scheme {scheme!r} is not known; allowed are a folder and s3://bucket/prefix")
    _, _, path = uri.partition("://")
    if not path.strip("/") or path.startswith("/"):
        raise UsageError(f"{what} {uri!r}: no bucket is named; write s3://bucket/prefix")
    return Location(uri, _s3(), path.strip("/"))


def with_scheme(uri: str) -> str:
    """The place as the engine wants it: a folder becomes file:///..., anything else is as the user wrote it.

    Nothing is percent-encoded, for the engine takes paths by the letter.
    """
    return uri.rstrip("/") if "://" in uri else f"file://{Path(uri).expanduser().absolute().as_posix()}"


def existing(uri: str) -> Location:
    """The lake at `uri`; UsageError if there is none, AfootError if it cannot be looked at."""
    location = locate(uri)
    try:
        found = location.filesystem.get_file_info(location.path)
        if found.type == fs.FileType.Directory:
            inside = {info.base_name for info in location.filesystem.get_file_info(fs.FileSelector(location.path))}
            # One that is empty may become a lake, once the job that made it has something to write.
            if inside and inside.isdisjoint(TABLES):
                raise UsageError(f"lake {uri}: is no lake: it holds none of {', '.join(TABLES)}")
            return location
        if found.type == fs.FileType.File:
            raise UsageError(f"lake {uri}: is a file; a lake is a folder or s3://bucket/prefix")
    except OSError as error:
        raise AfootError(f"lake {uri}: cannot be read: {error}") from error
    hint = "" if "://" in uri else f" (looked for {location.path})"
    raise UsageError(f"lake {uri}: does not exist{hint}; `afoot replay --lake {uri}` or the running job makes it")


def holds_findings(uri: str) -> bool:
    """Whether a job has written findings there before."""
    location = locate(uri)
    selector = fs.FileSelector(location.table("findings"), recursive=True, allow_not_found=True)
    try:
        found = location.filesystem.get_file_info(selector)
    except OSError as error:
        raise AfootError(f"lake {uri}: cannot be read: {error}") from error
    return any(info.type == fs.FileType.File and info.base_name[0] not in "._" for info in found)


def ensure_writable(uri: str, what: str = "lake") -> None:
    """Writes and removes a file there; AfootError says why it cannot, before a job finds out."""
    location = locate(uri, what)
    probe = f"{location.path}/_afoot_probe"
    try:
        location.filesystem.create_dir(location.path, recursive=True)
        with location.filesystem.open_output_stream(probe) as stream:
            stream.write(b"afoot")
        location.filesystem.delete_file(probe)
    except OSError as error:
        raise AfootError(f"{what} {uri}: cannot be written, and nothing was started: {error}") from error


def _s3() -> Filesystem:
    """S3 as the AWS tools would reach it: credentials, profile, region and endpoint from environment and files."""
    import boto3  # here, because a local lake needs none of it and it is slow to import
    from botocore.exceptions import BotoCoreError

    try:
        session = boto3.Session()
        credentials = session.get_credentials()
        region = os.environ.get("AWS_REGION") or session.region_name or "us-east-1"
        client = session.client("s3", region_name=region)
    except (BotoCoreError, ValueError) as error:
        raise UsageError(f"S3 settings: {error}") from error
    if credentials is None:
        raise UsageError(
            "S3 settings: no credentials found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, "
            "or a role as for the AWS tools"
        )
    frozen = credentials.get_frozen_credentials()
    endpoint = urlsplit(client.meta.endpoint_url)
    own = not (endpoint.hostname or "").endswith((".amazonaws.com", ".amazonaws.com.cn"))
    style = (client.meta.config.s3 or {}).get("addressing_style")
    return fs.S3FileSystem(
        access_key=frozen.access_key,
        secret_key=frozen.secret_key,
        session_token=frozen.token,
        region=client.meta.region_name,
        scheme=endpoint.scheme,
        endpoint_override=endpoint.netloc + endpoint.path.rstrip("/") if own else None,
        force_virtual_addressing=style == "virtual",  # else path style at an own endpoint, which all servers take
        connect_timeout=10,
        request_timeout=60,
    )
