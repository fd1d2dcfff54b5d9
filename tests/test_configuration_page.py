"""docs/configuration.md has every table and key of afoot.toml, no other, and the defaults that hold."""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from afoot.config import _TABLES, DEFAULT_TOPICS, Config, load_config
from afoot.telemetry import formats

PAGE = (Path(__file__).parent.parent / "docs" / "configuration.md").read_text("utf-8")
SECTIONS = {
    name: re.findall(r"^\| (.+?) \| (.+?) \| (.+) \|$", section, re.MULTILINE)
    for name, section in re.findall(r"^## \[+(\w+)\]+\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
}
TOPIC_KEYS, OPTIONS = (
    [(row[0].strip("`"), row[1]) for row in SECTIONS["topic"] if row[0].startswith("`") and option == ("](" in row[1])]
    for option in (False, True)
)
KEYS = {name: [(r[0].strip("`"), r[1]) for r in rows if r[0].startswith("`")] for name, rows in SECTIONS.items()}
KEYS["topic"] = TOPIC_KEYS


def test_every_table_has_its_section() -> None:
    assert list(KEYS) == list(_TABLES)


@pytest.mark.parametrize("table", [name for name, keys in _TABLES.items() if keys is not None])
def test_every_key_of_a_table_is_there_once(table: str) -> None:
    assert sorted(key for key, _ in KEYS[table]) == sorted(_TABLES[table] or ())


def test_every_option_of_every_format_is_there() -> None:
    told = [(name, option) for option, names in OPTIONS for name in re.findall(r"\[(\w+)\]", names)]
    assert sorted(told) == sorted((name, option) for name in formats.names() for option in formats.options(name))


def defaults(table: str) -> str:
    """The table as TOML, with all the defaults that its section tells."""
    told = [(key, value.strip("`")) for key, value in KEYS[table] if value.startswith("`")]
    assert told or table in ("alerts", "dead_letters", "rules")
    return "\n".join([f"[{table}]", *(f"{key} = {value}" for key, value in told), ""])


def test_the_defaults_are_those_that_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", "0123456789abcdef")
    path = tmp_path / "afoot.toml"

    def read(text: str) -> Config:
        path.write_text(text, "utf-8")
        return replace(load_config(path), source="")

    tables = [name for name in _TABLES if name not in ("topic", "privacy")]
    assert read("".join(map(defaults, tables))) == replace(Config(DEFAULT_TOPICS), source="")
    secret = 'key = "${KEY}"\n'
    assert read(defaults("privacy") + secret).privacy == read("[privacy]\n" + secret).privacy
    entry = '[[topic]]\nname = "a"\nkind = "logs"\nformat = "vector"\n'
    assert read(entry + defaults("topic").replace("[topic]\n", "")) == read(entry)
    for block in re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL):
        monkeypatch.setenv("KAFKA_PASSWORD", "p")
        assert set(read(block).kafka) == set(tomllib.loads(block)["kafka"])


def test_links_lead_somewhere() -> None:
    for link in re.findall(r"\]\(([^)#]+)", PAGE):
        assert (Path(__file__).parent.parent / "docs" / link).exists(), link
