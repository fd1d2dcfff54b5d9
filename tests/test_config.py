"""afoot.toml: every error names file, table and key, and what is allowed; secrets are read and masked."""

from pathlib import Path

import pytest

from afoot.config import DEFAULT_TOPICS, Config, load_config
from afoot.errors import UsageError

WHOLE = """
[kafka]
"bootstrap.servers" = "kafka-0:9092"
security.protocol = "SASL_SSL"
"sasl.password" = "${KAFKA_PASSWORD}"
start = "latest"
[[topic]]
name = "telemetry.metrics"
kind = "metrics"
format = "otlp_json"
lateness = "90 s"
[[topic]]
pattern = "logs\\\\..*"
kind = "logs"
format = "fluent_bit"
[window]
size = "30 s"
shards = 8
[flink]
checkpoints = "s3://lake/checkpoints"
checkpoint_interval = "10 s"
parallelism = 4
batch = 2000
judge_apart = true
settings = { "taskmanager.memory.managed.size" = "512m" }
[lake]
uri = "s3://lake/afoot"
all_signals = true
[alerts]
topic = "afoot.alerts"
[dead_letters]
topic = "afoot.dead-letters"
[catalogue]
files = ["my-signals.yaml"]
[rules]
file = "my-rules.yaml"
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "afoot.toml"
    path.write_text(text, "utf-8")
    return path


def read(folder: Path, text: str) -> Config:
    return load_config(written(folder, text), environment={"KAFKA_PASSWORD": "hunter2"})


def test_every_table_is_read(tmp_path: Path) -> None:
    config = read(tmp_path, WHOLE)
    assert config.kafka == {
        "bootstrap.servers": "kafka-0:9092",
        "security.protocol": "SASL_SSL",
        "sasl.password": "hunter2",
    }
    assert config.start == "latest"
    metrics, logs = config.topics
    assert (metrics.name, metrics.kind, metrics.format, metrics.lateness_ms) == (
        "telemetry.metrics",
        "metrics",
        "otlp_json",
        90_000,
    )
    assert config.topic_of("logs.nginx") is logs
    assert config.topic_of("xlogs.nginx") is None
    assert (config.window.size_ms, config.window.shards) == (30_000, 8)
    assert (config.flink.checkpoint_interval_ms, config.flink.parallelism) == (10_000, 4)
    assert (config.flink.batch, config.flink.judge_apart, config.flink.slots) == (2000, True, 5)
    assert config.flink.settings == {"taskmanager.memory.managed.size": "512m"}
    assert (config.lake, config.all_signals) == ("s3://lake/afoot", True)
    assert (config.alerts_topic, config.dead_letters_topic) == ("afoot.alerts", "afoot.dead-letters")
    assert config.catalogue_files == (str(tmp_path / "my-signals.yaml"),)
    assert config.rules_file == str(tmp_path / "my-rules.yaml")


def test_a_format_has_options_of_its_own(tmp_path: Path) -> None:
    topic = '[[topic]]\nname = "a"\nkind = "metrics"\nformat = "influx"\nprecision = "ms"\n'
    assert read(tmp_path, topic).topics[0].options == {"precision": "ms"}
    with pytest.raises(UsageError, match=r"unknown key 'precision'.*known:.*lateness"):
        read(tmp_path, topic.replace("influx", "prometheus_kafka_adapter"))


def test_without_a_file_the_default_topics_hold() -> None:
    config = load_config(None)
    assert config.topics == DEFAULT_TOPICS
    assert {t.kind for t in config.telemetry()} == {"metrics", "logs", "flows"}
    assert config.topic_of("inventory.inventory.entity") in config.inventory()


def test_secrets_are_masked_wherever_they_are_told(tmp_path: Path) -> None:
    config = read(tmp_path, WHOLE)
    assert config.described("refused: hunter2 at kafka-0") == "refused: *** at kafka-0"
    secret = tmp_path / "secret"
    secret.write_text("letmein\n", "utf-8")
    from_file = read(tmp_path, f'[kafka]\n"sasl.password" = "${{file:{secret}}}"\n')
    assert from_file.kafka["sasl.password"] == "letmein"
    assert from_file.described("letmein") == "***"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[lakes]\nuri = 'x'\n", ["[lakes]", "did you mean 'lake'"]),
        ("[lake]\nurl = 'x'\n", ["[lake]", "'url'", "did you mean 'uri'"]),
        ("[flink]\nparalelism = 2\n", ["[flink]", "did you mean 'parallelism'"]),
        ("[flink]\nparallelism = 0\n", ["[flink] parallelism", "found 0", "1 to 4096"]),
        ("[flink]\nparallelism = true\n", ["[flink] parallelism", "found True"]),
        ("[flink]\nstate_backend = 'rocks'\n", ["[flink] state_backend", "'rocks'", "rocksdb"]),
        ("[flink]\ncheckpoint_interval = '30'\n", ["[flink] checkpoint_interval", "'30'", "no duration"]),
        ("[window]\nsize = '7 min'\n", ["[window] size", "'7 min'", "parts of an hour"]),
        ("[window]\nsize = '1 fortnight'\n", ["[window] size", "no duration"]),
        ("[flink]\nbatch = 0\n", ["[flink] batch", "found 0", "1 to 100000"]),
        ("[flink]\njudge_apart = 1\n", ["[flink] judge_apart", "found 1", "true and false"]),
        ("[lake]\nall_signals = 'yes'\n", ["[lake] all_signals", "'yes'", "true and false"]),
        ("[catalogue]\nfiles = 'one.yaml'\n", ["[catalogue] files", "a list"]),
        ("[[topic]]\nkind = 'metrics'\nformat = 'influx'\n", ["number 1", "exactly one of name and pattern"]),
        ("[[topic]]\nname = 'a'\nkind = 'logs'\nformat = 'vektor'\n", ["number 1 (a)", "did you mean 'vector'"]),
        ("[[topic]]\nname = 'a'\nkind = 'flows'\nformat = 'vector'\n", ["number 1 (a)", "does not hold flows", "logs"]),
        ("[[topic]]\nname = 'a'\nkind = 'metric'\nformat = 'influx'\n", ["number 1", "did you mean 'metrics'"]),
        ("[[topic]]\nname = 'a'\nformat = 'influx'\n", ["number 1 (a)", "kind is missing"]),
        (
            "[[topic]]\nname = 'a'\nkind = 'logs'\nformat = 'vector'\nlatenes = 'x'\n",
            ["'latenes'", "did you mean 'lateness'"],
        ),
        ("[[topic]]\npattern = '('\nkind = 'logs'\nformat = 'x'\n", ["pattern '('", "no regular expression"]),
        ("[[topic]]\nname = 'a'\nkind = 'logs'\nformt = 'vector'\n", ["number 1", "'formt'", "did you mean 'format'"]),
        ("[[topic]]\nnam = 'a'\nkind = 'logs'\nformat = 'vector'\n", ["number 1", "'nam'", "did you mean 'name'"]),
        ("topic = 3\n", ["[[topic]]"]),
        ("lake = 3\n", ["lake: found 3", "[lake]"]),
        ("[lake\n", ["not valid TOML", "line 1"]),
        ('[kafka]\n"sasl.password" = "${NOT_SET}"\n', ['"sasl.password"', "NOT_SET"]),
        ('[kafka]\n"sasl.password" = "${file:/no/such}"\n', ["/no/such", "No such file"]),
        ('[kafka]\n"acks" = [1]\n', ['"acks"', "found [1]"]),
        ('[kafka]\nstart = "yesterday"\n', ["[kafka] start", "'yesterday'", "earliest, latest, epoch milli", "2026-"]),
        ("[kafka]\nstart = -1\n", ["[kafka] start", "'-1'"]),
        ("[kafka]\nstart = true\n", ["[kafka] start", "'true'"]),
        ('[kafka]\nstrat = "latest"\n', ["[kafka] unknown key 'strat'", "did you mean 'start'"]),
        ('[kafka]\n"bootstrap.server" = "b:1"\n', ["'bootstrap.server'", "did you mean 'bootstrap.servers'"]),
        ("[kafka]\nfetch.mni.bytes = 1\n", ["'fetch.mni.bytes'", "did you mean 'fetch.min.bytes'"]),
        ('[kafka]\nnodes = "b:1"\n', ["unknown key 'nodes'", "settings of Kafka's clients"]),
        ('[kafka]\n"sasl.password" = "pw"\n', ['[kafka] "sasl.password"', "${NAME} and ${file:PATH}"]),
        ('[kafka]\n"sasl.password" = "pw${KAFKA_PASSWORD}"\n', ['"sasl.password"', "${NAME} and ${file:PATH}"]),
        ('[kafka]\n"ssl.key.pem" = "pw"\n', ['"ssl.key.pem"', "${NAME}"]),
        ('[kafka]\n"sasl.oauthbearer.client.secret" = "pw"\n', ["client.secret", "${NAME}"]),
        ("""[kafka]\n"sasl.jaas.config" = 'L required username="a" password="pw";'\n""", ["jaas", "${NAME}"]),
        ("""[kafka]\n"sasl.jaas.config" = "L required clientSecret='pw';"\n""", ["jaas", "${NAME}"]),
        ('[kafka]\n"sasl.jaas.config" = "L required password=pw;"\n', ["jaas", "${NAME}"]),
    ],
)
def test_an_error_names_the_place_and_what_is_allowed(tmp_path: Path, text: str, words: list[str]) -> None:
    with pytest.raises(UsageError) as error:
        read(tmp_path, text)
    message = str(error.value)
    assert str(tmp_path / "afoot.toml") in message
    for word in words:
        assert word in message
    assert "pw" not in message


@pytest.mark.parametrize(
    ("start", "found"),
    [
        ('"earliest"', "earliest"),
        ("1778290200000", "1778290200000"),
        ('"1778290200000"', "1778290200000"),
        ('"2026-05-09T01:30Z"', "1778290200000"),
        ("2026-05-09T03:30:00+02:00", "1778290200000"),
        ("2026-05-09", "1778284800000"),
    ],
)
def test_reading_begins_at_an_end_or_at_a_time(tmp_path: Path, start: str, found: str) -> None:
    assert read(tmp_path, f"[kafka]\nstart = {start}\n").start == found


def test_settings_of_either_client_and_of_plug_ins_pass(tmp_path: Path) -> None:
    jaas = """L required username="a" password="${KAFKA_PASSWORD}";"""
    passed = {
        "ssl.truststore.location": "t",  # Java
        "socket.timeout.ms": "1",  # librdkafka
        "partition.discovery.interval.ms": "1",  # Flink
        "my.plugin.url": "u",
        "sasl.jaas.config": jaas,
    }
    text = "[kafka]\n" + "".join(f"\"{name}\" = '{value}'\n" for name, value in passed.items())
    assert read(tmp_path, text).kafka == {**passed, "sasl.jaas.config": jaas.replace("${KAFKA_PASSWORD}", "hunter2")}
    keyless = '[kafka]\n"sasl.jaas.config" = "software.amazon.msk.auth.iam.IAMLoginModule required;"\n'
    assert "IAMLoginModule" in read(tmp_path, keyless).kafka["sasl.jaas.config"]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"afoot\.toml: cannot be read: No such file"):
        load_config(tmp_path / "afoot.toml")
