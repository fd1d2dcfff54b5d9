"""A schema registry by Confluent's REST interface (Apicurio and Karapace have it too), and its messages in Avro."""

from __future__ import annotations

import base64
import json
import os
import urllib.error
import urllib.request
from typing import Any

import fastavro

from afoot.errors import AfootError, DecodeError, UsageError

HEADER = 5  # a zero byte, and the schema's id in four
_TIMEOUT_S = 10
_NO_SCHEMA = (ValueError, LookupError, TypeError, AttributeError, RecursionError)  # of JSON that is none
_CREDENTIALS = "SCHEMA_REGISTRY_BASIC_AUTH_USER_INFO"  # user:password, under the name that other clients use


def schema_id(value: bytes, format_name: str) -> int:
    """The schema's id from a message's header: a zero byte and four of the id."""
    if len(value) < HEADER or value[0] != 0:
        found = f"begins with 0x{value[0]:02x}" if value else "is empty"
        raise DecodeError(f"{format_name}: the message {found}; a zero byte and the schema's id in four are expected")
    return int.from_bytes(value[1:HEADER], "big")


class Registry:
    """A schema registry at a URL."""

    def __init__(self, url: str) -> None:
        if not url.startswith(("http://", "https://")):
            raise UsageError(f"registry is {url!r}; an http:// or https:// URL is expected")
        self._url = url.rstrip("/")

    def schema(self, number: int) -> str:
        """The text of a schema; DecodeError if the registry has none of that id, AfootError if it does not answer."""
        url = f"{self._url}/schemas/ids/{number}"
        request = urllib.request.Request(url, headers={"Accept": "application/vnd.schemaregistry.v1+json"})
        if credentials := os.environ.get(_CREDENTIALS):
            request.add_header("Authorization", "Basic " + base64.b64encode(credentials.encode()).decode())
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:
                return str(json.load(response)["schema"])
        except urllib.error.HTTPError as error:
            with error:
                if error.code == 404:
                    raise DecodeError(f"schema {number} is not in the registry {self._url}") from None
                raise AfootError(f"registry {self._url}: status {error.code} for schema {number}") from None
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise AfootError(f"registry {self._url} gave no schema {number}: {error}") from None


class Schemas:
    """The Avro schemas of a format's messages; remembers them, which never change under their id."""

    def __init__(self, url: str, format_name: str) -> None:
        self._registry = Registry(url)
        self._format = format_name
        self._known: dict[int, Any] = {}

    def of(self, value: bytes) -> Any:
        """The parsed schema of a message; DecodeError if its header names none that is to be had."""
        number = schema_id(value, self._format)
        if number not in self._known:
            try:
                self._known[number] = fastavro.parse_schema(json.loads(self._registry.schema(number)))
            except DecodeError as error:
                raise DecodeError(f"{self._format}: {error}") from None
            except (fastavro.schema.SchemaParseException, fastavro.schema.UnknownType, *_NO_SCHEMA) as error:
                reason = f"schema {number} of the registry is not an Avro schema: {error}"
                raise DecodeError(f"{self._format}: {reason}") from None
        return self._known[number]
