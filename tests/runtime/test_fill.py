"""Placeholders of the configuration files."""

import stat
from pathlib import Path

import pytest

from afoot.errors import UsageError
from afoot.runtime.fill import fill, fill_file


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("port=${PORT}", "port=9"),
        ("port=${PORT:-1}", "port=9"),
        ("host=${HOST:-localhost}", "host=localhost"),
        ("empty=${HOST:-}", "empty="),
        ("${PORT}:${PORT}", "9:9"),
        ("pattern=%d{yyyy} $PORT ${lower}", "pattern=%d{yyyy} $PORT ${lower}"),
    ],
)
def test_placeholders(text: str, filled: str) -> None:
    assert fill(text, {"PORT": "9"}) == filled


def test_a_value_is_not_filled_again() -> None:
    assert fill("${A}", {"A": "${B}", "B": "secret"}) == "${B}"


def test_what_is_missing_is_named_with_the_file(tmp_path: Path) -> None:
    template = tmp_path / "broker.properties"
    template.write_text("a=${ONE}\nb=${TWO}\nc=${THREE:-3}\n")
    with pytest.raises(UsageError, match=r"broker\.properties: no value for ONE, TWO: set it in the environment"):
        fill_file(template, tmp_path / "filled", {})
    assert not (tmp_path / "filled").exists()


def test_a_filled_file_is_its_owner_s_alone(tmp_path: Path) -> None:
    template = tmp_path / "template"
    template.write_text("secret=${SECRET}")
    filled = fill_file(template, tmp_path / "filled", {"SECRET": "s"})
    assert filled.read_text() == "secret=s"
    assert stat.S_IMODE(filled.stat().st_mode) == 0o600
