"""The statements for Athena, as people read them: athena.sql beside this file is what they must be."""

from pathlib import Path

import pytest

from afoot.errors import UsageError
from afoot.lake.athena import athena_ddl

GOLDEN = Path(__file__).with_name("athena.sql")


@pytest.mark.parametrize("uri", ["s3://lake/afoot", "s3a://lake/afoot/"])
def test_the_statements_are_as_kept(uri: str) -> None:
    assert athena_ddl(uri) + "\n" == GOLDEN.read_text("utf-8")


@pytest.mark.parametrize("uri", ["lake", "file:///lake", "s3://la'ke"])
def test_what_athena_cannot_read_is_refused(uri: str) -> None:
    with pytest.raises(UsageError, match="lake"):
        athena_ddl(uri)
