"""A schema registry by Confluent's REST interface (Apicurio and Karapace have it too), and its messages in Avro."""

from __future__ import annotations

import base64
import http.client
import json
import os
import urllib.error
import urllib.parse
import urllib.request
from typing import Any, NamedTuple

import fastavro
from fastavro.repository import AbstractSchemaRepository, SchemaRepositoryError

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


class Entry(NamedTuple):
    """A schema as the registry has it: its text, and by name the types of other schemas that it refers to."""

    text: str
    references: dict[str, tuple[str, int]]  # subject and version


class Registry:
    """A schema registry at a URL."""

    def __init__(self, url: str) -> None:
        if not url.startswith(("http://", "https://")):
            raise UsageError(f"registry is {url!r}; an http:// or https:// URL is expected")
        self._url = url.rstrip("/")

    def schema(self, number: int) -> Entry:
        """A schema by its id; DecodeError if the registry has none of it, AfootError if it does not answer."""
        return self._entry(f"schemas/ids/{number}", f"schema {number}")

    def version(self, subject: str, version: int) -> Entry:
        """A schema by its subject and version; errors as above."""
        quoted = urllib.parse.quote(subject, safe="")
        return self._entry(f"subjects/{quoted}/versions/{version}", f"version {version} of subject {subject!r}")

    def _entry(self, path: str, what: str) -> Entry:
        headers = {"Accept": "application/vnd.schemaregistry.v1+json"}
        request = urllib.request.Request(f"{self._url}/{path}", headers=headers)
        if credentials := os.environ.get(_CREDENTIALS):
            request.add_header("Authorization", "Basic " + base64.b64encode(credentials.encode()).decode())
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:
                found = json.load(response)
            references = {one["name"]: (one["subject"], one["version"]) for one in found.get("references") or ()}
            return Entry(str(found["schema"]), references)
        except urllib.error.HTTPError as error:
            with error:
                if error.code == 404:
                    raise DecodeError(f"{what} is not in the registry {self._url}") from None
                raise AfootError(f"registry {self._url}: status {error.code} for {what}") from None
        except (OSError, http.client.HTTPException, *_NO_SCHEMA) as error:
            raise AfootError(f"registry {self._url} gave no {what}: {error}") from None


class Schemas:
    """The Avro schemas of a format's messages; remembers them, which never change under their id."""

    def __init__(self, url: str, format_name: str) -> None:
        self._registry = Registry(url)
        self._format = format_name
        self._known: dict[int, Any] = {}

    def of(self, value: bytes) -> Any:
        """The parsed schema of a message, whole; DecodeError if its header names none that is to be had."""
        number = schema_id(value, self._format)
        if number not in self._known:
            try:
                self._known[number] = self._parsed(number)
            except DecodeError as error:
                raise DecodeError(f"{self._format}: {error}") from None
            except AfootError:
                raise
            except Exception as error:  # fastavro raises what it likes
                reason = f"schema {number} of the registry is not an Avro schema: {error}"
                raise DecodeError(f"{self._format}: {reason}") from None
        return self._known[number]

    def _parsed(self, number: int) -> Any:
        entry = self._registry.schema(number)
        if not entry.references:
            return fastavro.parse_schema(json.loads(entry.text))
        return fastavro.schema.load_schema("", repo=_References(self._registry, entry, number))


class _References(AbstractSchemaRepository):
    """Where fastavro finds the types that a schema refers to: the empty name is the schema itself."""

    def __init__(self, registry: Registry, entry: Entry, number: int) -> None:
        self._registry = registry
        self._entry, self._number = entry, number
        self._references = dict(entry.references)

    def load(self, name: str) -> Any:
        """A type by its full name, as JSON."""
        if not name:
            return json.loads(self._entry.text)
        if name not in self._references:
            raise SchemaRepositoryError(name)  # fastavro then says that the type is not known
        try:
            entry = self._registry.version(*self._references[name])
        except DecodeError as error:
            raise DecodeError(f"schema {self._number} refers to {name!r}: {error}") from None
        self._references.update(entry.references)
        return json.loads(entry.text)
