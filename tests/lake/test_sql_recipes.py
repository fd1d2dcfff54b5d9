"""The recipes of docs/sql.md run as they stand there, on files as a sink leaves them."""

import re
from pathlib import Path

import duckdb
import pytest

from tests.lake.w1 import write_lake

DOCUMENT = Path(__file__).parents[2] / "docs" / "sql.md"


def test_every_recipe_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_lake("lake")
    for file in Path("lake").rglob("*.parquet"):
        file.with_name("._partial").touch()
        file.rename(file.with_suffix(""))
    recipes = re.findall(r"^```sql\n(.*?)^```", DOCUMENT.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    assert len(recipes) == 9
    with duckdb.connect() as connection:
        connection.execute(recipes[0])
        for recipe in recipes[1:]:
            assert connection.execute(recipe).fetchall(), recipe
        latest = connection.execute(recipes[1]).fetchall()
        balance = connection.execute(recipes[-1]).fetchall()
    assert balance == [(8, 8)]
    assert [row[:3] for row in latest] == [("critical", "vm:frosa-system-backup", "volume:svm1/flexvol7")]
