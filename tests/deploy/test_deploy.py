"""The files by which afoot is deployed are valid, pinned, and say the same as each other and as the code."""

import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from afoot.config import load_config

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
RESOURCES: list[dict[str, Any]] = [
    resource
    for file in yaml.safe_load((ROOT / "k8s" / "kustomization.yaml").read_text())["resources"]
    for resource in yaml.safe_load_all((ROOT / "k8s" / file).read_text())
]
OF_KUBERNETES = [r for r in RESOURCES if "." not in r["apiVersion"] or ".k8s.io/" in r["apiVersion"]]
FINDINGS = next(resource for resource in RESOURCES if resource["kind"] == "FlinkDeployment")


def run_tool(name: str, *arguments: str) -> None:
    done = subprocess.run(
        [str(Path(sys.executable).parent / name), *arguments], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_compose_follows_its_specification() -> None:
    run_tool("check-jsonschema", "--builtin-schema", "vendor.compose-spec", "docker-compose.yml")


def test_the_dockerfile_lints() -> None:
    run_tool("hadolint", "docker/Dockerfile")


@pytest.mark.parametrize(
    "resource",
    [r for r in RESOURCES if "." not in r["apiVersion"] or ".k8s.io/" in r["apiVersion"]],
    ids=lambda r: r["kind"],
)
def test_resources_follow_the_kubernetes_api(resource: dict[str, Any]) -> None:
    kubernetes_validate.validate(resource, "1.34", strict=True)


def test_images_are_pinned() -> None:
    images = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    images += [service["image"] for service in COMPOSE["services"].values()] + [FINDINGS["spec"]["image"]]
    assert [image for image in images if not re.search(r":\d+\.\d+", image)] == []


def test_the_image_is_of_this_version() -> None:
    own = {service["image"] for service in COMPOSE["services"].values() if service["image"].startswith("afoot")}
    assert own == {f"afoot:{version('afoot')}"}
    assert FINDINGS["spec"]["image"] in own


def test_kubernetes_runs_the_locked_flink() -> None:
    flink = version("apache-flink")
    major, minor, _ = flink.split(".")
    assert FINDINGS["spec"]["flinkVersion"] == f"v{major}_{minor}"
    assert FINDINGS["spec"]["job"]["jarURI"] == f"local:///opt/flink/opt/flink-python-{flink}.jar"


def test_the_operator_gets_the_same_topics() -> None:
    wanted = {
        topic["name"]: (topic["partitions"], topic["config"])
        for topic in yaml.safe_load((ROOT / "connectors" / "topics.yaml").read_text())
    }
    declared = {
        resource["metadata"]["name"]: (
            resource["spec"]["partitions"],
            {key: str(value) for key, value in resource["spec"]["config"].items()},
        )
        for resource in RESOURCES
        if resource["kind"] == "KafkaTopic"
    }
    assert declared == wanted


@pytest.mark.parametrize("folder", ["deploy", "k8s"])
def test_configurations_load_and_read_topics_that_are_made(folder: str) -> None:
    config = load_config(ROOT / folder / "afoot.toml")
    made = {topic["name"] for topic in yaml.safe_load((ROOT / "connectors" / "topics.yaml").read_text())}
    assert {topic.name for topic in config.topics} | {config.alerts_topic, config.dead_letters_topic} == made


def test_the_task_managers_have_the_slots_that_the_job_takes() -> None:
    # One slot less, and the job waits for it until it fails.
    compose = COMPOSE["services"]["taskmanager"]["environment"]["TASK_SLOTS"]
    assert int(compose) >= load_config(ROOT / "deploy" / "afoot.toml").flink.slots
    (job,) = [resource["spec"] for resource in RESOURCES if resource["kind"] == "FlinkDeployment"]
    slots = int(job["flinkConfiguration"]["taskmanager.numberOfTaskSlots"])
    config = load_config(ROOT / "k8s" / "afoot.toml")
    assert (slots, job["job"]["parallelism"]) == (config.flink.slots, config.flink.parallelism)


@pytest.mark.parametrize(
    ("role", "template", "by_entrypoint"),
    [
        ("kafka", "kafka/broker.properties", {"KAFKA_DATA"}),
        ("connect", "connect/worker.properties", {"CONNECT_PLUGINS"}),
        ("s3", "s3/s3proxy.properties", {"S3_DATA"}),
        ("jobmanager", "flink/config.yaml", {"PYFLINK_PYTHON"}),
        ("taskmanager", "flink/config.yaml", {"PYFLINK_PYTHON"}),
    ],
)
def test_compose_gives_each_role_the_values_it_asks_for(role: str, template: str, by_entrypoint: set[str]) -> None:
    asked = set(re.findall(r"\$\{([A-Z0-9_]+)\}", (ROOT / "deploy" / template).read_text()))
    assert asked - by_entrypoint <= COMPOSE["services"][role]["environment"].keys()


def test_the_connector_s_secrets_are_in_the_worker_s_environment() -> None:
    asked = set(re.findall(r"\$\{env:([A-Z0-9_]+)\}", (ROOT / "connectors" / "inventory.json").read_text()))
    assert asked <= COMPOSE["services"]["connect"]["environment"].keys()


def test_nothing_listens_beyond_this_machine() -> None:
    ports = [port for service in COMPOSE["services"].values() for port in service.get("ports", [])]
    assert all(port.startswith("127.0.0.1:") for port in ports)
