"""The lake's tables for Athena: `python -m afoot.lake.athena s3://bucket/prefix` prints the statements.

Partitions are projected, not listed in a catalogue, so that a file is queryable as soon as it is there.
"""

from __future__ import annotations

import sys
from importlib import resources

from jinja2 import Environment, StrictUndefined

from afoot.errors import UsageError
from afoot.lake.layout import COMPONENTS, TABLES, athena_columns


def athena_ddl(uri: str, first_day: str = "2026-01-01") -> str:
    """CREATE statements of all tables of the lake at `uri` (s3://), with partitions from `first_day` on."""
    if not uri.startswith(("s3://", "s3a://")):
        raise UsageError(f"lake {uri!r}: Athena reads s3://bucket/prefix only")
    if "'" in uri:
        raise UsageError(f"lake {uri!r}: a quote cannot stand in the statements for Athena")
    template = resources.files("afoot.lake").joinpath("sql", "athena.sql.j2").read_text("utf-8")
    environment = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False)
    return environment.from_string(template).render(
        tables=TABLES.values(),
        columns=athena_columns,
        components=COMPONENTS,
        uri="s3://" + uri.partition("://")[2].strip("/"),
        first_day=first_day,
    )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m afoot.lake.athena s3://bucket/prefix")
    try:
        print(athena_ddl(sys.argv[1]))
    except UsageError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_status)
