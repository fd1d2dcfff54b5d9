"""What the lock of the jars refuses."""

import hashlib
import socketserver
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from afoot.errors import AfootError, UsageError
from afoot.runtime.jars import Jar, fetch, lock, main, select, verify


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "afoot"


def jar_of(content: bytes) -> Jar:
    return Jar("flink", "org.example:thing:1.0", hashlib.sha256(content).hexdigest())


def serving(content: bytes, asked: list[str]) -> Callable[[Jar, Path], Path]:
    def download(jar: Jar, into: Path) -> Path:
        asked.append(jar.coordinates)
        path = into / jar.name
        path.write_bytes(content)
        return path

    return download


def test_a_jar_is_fetched_once(cache: Path) -> None:
    asked: list[str] = []
    jar = jar_of(b"content")
    first = fetch(jar, serving(b"content", asked))
    second = fetch(jar, serving(b"content", asked))
    assert first == second
    assert first.read_bytes() == b"content"
    assert asked == ["org.example:thing:1.0"]
    assert [path.name for path in cache.rglob("*") if path.is_file()] == ["thing-1.0.jar"]


def test_another_content_is_refused_and_not_kept(cache: Path) -> None:
    jar = jar_of(b"content")
    with pytest.raises(AfootError, match=r"is not org\.example:thing:1\.0: its SHA-256 is"):
        fetch(jar, serving(b"contenu", []))
    assert not jar.path.exists()
    assert not [path for path in cache.rglob("*") if path.is_file()]


def test_a_download_that_fails_leaves_nothing(cache: Path) -> None:
    def broken(jar: Jar, into: Path) -> Path:
        (into / jar.name).write_bytes(b"half of")
        raise AfootError("the line is cut")

    with pytest.raises(AfootError, match="the line is cut"):
        fetch(jar_of(b"content"), broken)
    assert not [path for path in cache.rglob("*") if path.is_file()]


def test_a_file_that_was_changed_in_the_cache_is_found() -> None:
    jar = jar_of(b"content")
    path = fetch(jar, serving(b"content", []))
    path.write_bytes(b"changed")
    with pytest.raises(AfootError, match=r"jars\.lock says"):
        verify(jar, path)


def test_a_registry_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFOOT_MAVEN_REPOSITORY", "http://127.0.0.1:9/maven")
    with pytest.raises(AfootError, match=r"org\.example:thing:1\.0 cannot be fetched: .*127\.0\.0\.1"):
        fetch(jar_of(b"content"), partial(Jar.download, pauses_s=()))


def test_a_line_that_is_cut_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    found = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n"
    answers = iter([found + b"cont", found + b"content"])

    class Repository(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            path = self.rfile.readline().split()[1]
            missing = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
            self.wfile.write(next(answers) if path.endswith(b"/org/example/thing/1.0/thing-1.0.jar") else missing)

    with socketserver.TCPServer(("127.0.0.1", 0), Repository) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("AFOOT_MAVEN_REPOSITORY", f"http://127.0.0.1:{server.server_address[1]}")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        path = fetch(jar_of(b"content"), partial(Jar.download, pauses_s=(0.0,)))
        server.shutdown()
    assert path.read_bytes() == b"content"
    assert next(answers, None) is None


def test_an_unknown_group_names_those_there_are() -> None:
    with pytest.raises(UsageError, match="no group 'flinc' of jars; there are flink, flink-s3, kafka"):
        main(["flinc"])


@pytest.mark.parametrize(
    ("coordinates", "name"),
    [
        ("org.example:thing:1.0", "thing-1.0.jar"),
        ("org.example:thing:jar:all:1.0", "thing-1.0-all.jar"),
        ("org.example:thing:tar.gz:plugin:1.0", "thing-1.0-plugin.tar.gz"),
    ],
)
def test_names_are_those_of_a_maven_repository(coordinates: str, name: str) -> None:
    assert Jar("flink", coordinates, "0" * 64).name == name


def test_each_group_has_a_version_of_an_artifact_once() -> None:
    for group in {jar.group for jar in lock()}:
        artifacts = [jar.coordinates.rpartition(":")[0] for jar in select([group])]
        assert sorted(artifacts) == sorted(set(artifacts))


def test_the_connectors_are_those_of_the_installed_flink() -> None:
    from importlib.metadata import version

    flink = version("apache-flink")
    of_flink = [jar for jar in select(["flink", "flink-s3"]) if jar.coordinates.startswith("org.apache.flink:")]
    versions = {jar.coordinates.split(":")[1]: jar.coordinates.split(":")[-1] for jar in of_flink}
    # The Kafka connector has versions of its own, which end in the minor version that it was built for.
    assert versions.pop("flink-sql-connector-kafka") == "5.0.0-2.2"
    assert set(versions.values()) == {flink}
