"""An S3 server."""

import contextlib
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from afoot.runtime.fill import fill_file
from afoot.runtime.jars import jars
from afoot.runtime.java import java
from tests.servers.process import REPOSITORY, Process, free_port, listening


@dataclass(frozen=True)
class S3:
    """A running S3 server and its only credentials."""

    endpoint: str
    access_key: str
    secret_key: str
    process: Process

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which AWS tools, and so afoot and the Flink configuration, find the server."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": "us-east-1",
        }

    def client(self) -> Any:
        """A boto3 client of this server."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name="us-east-1",
            config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 2}),
        )

    def bucket(self, name: str) -> str:
        """Create a bucket; returns its URI without a slash at its end."""
        self.client().create_bucket(Bucket=name)
        return f"s3://{name}"

    def keys(self, bucket: str, prefix: str = "") -> list[str]:
        """The keys of all objects under a prefix, sorted."""
        pages = self.client().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return sorted(entry["Key"] for page in pages for entry in page.get("Contents", []))


@contextlib.contextmanager
def s3(folder: Path) -> Iterator[S3]:
    """An S3 server with its objects and log in folder, and credentials made for it."""
    port = free_port()
    access_key, secret_key = "test" + secrets.token_hex(8), secrets.token_urlsafe(30)
    data = folder / "objects"
    data.mkdir(parents=True)
    config = fill_file(
        REPOSITORY / "deploy" / "s3" / "s3proxy.properties",
        folder / "s3proxy.properties",
        {
            "S3_PORT": str(port),
            "S3_DATA": str(data),
            "AWS_ACCESS_KEY_ID": access_key,
            "AWS_SECRET_ACCESS_KEY": secret_key,
        },
    )
    command = [java(), "-Xmx384m", "-XX:+UseSerialGC", "-jar", str(jars("s3proxy")[0]), "--properties", str(config)]
    process = Process("s3proxy", command, folder / "s3proxy.log", lambda: listening(port))
    with process:
        yield S3(f"http://127.0.0.1:{port}", access_key, secret_key, process)
