"""The Flink home is laid out as Flink's scripts want it."""

import pytest

from afoot.runtime.flink_home import flink_home, wheel_home


@pytest.mark.server
def test_the_layout() -> None:
    home = flink_home()
    for folder in ("bin", "conf", "lib", "opt", "plugins", "plugins/s3-fs-hadoop"):
        assert (home / folder).is_dir()
        assert not (home / folder).is_symlink()
    assert [path.name for path in (home / "plugins" / "s3-fs-hadoop").iterdir()] == ["flink-s3-fs-hadoop-2.3.0.jar"]
    assert all(path.exists() for path in home.rglob("*.jar")), "a jar that a link names is gone"
    lib = {path.name for path in (home / "lib").iterdir()}
    assert {path.name for path in (wheel_home() / "lib").glob("*.jar")} < lib
    assert "flink-sql-connector-kafka-5.0.0-2.2.jar" in lib
    assert (home / "bin" / "config.sh").resolve().parent == home.resolve() / "bin", "scripts take its parent for home"
    assert not (home / "conf" / "masters").exists(), "it would override the REST port"
    assert flink_home() == home


def test_a_missing_wheel_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("afoot.runtime.flink_home.find_spec", lambda name: None)
    with pytest.raises(Exception, match="apache-flink is not installed in this environment: run make setup"):
        wheel_home()
