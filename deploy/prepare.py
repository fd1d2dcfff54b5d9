"""Makes what a stack needs before its job starts: topics, the bucket of the lake, the connector of the inventory.

What is there already stays as it is. Environment: KAFKA_BOOTSTRAP, LAKE_BUCKET, CONNECT_URL, and the AWS_ variables;
each part is left out where its variable is not set.
"""

import json
import os
import urllib.request
from pathlib import Path

import boto3
import yaml
from botocore.config import Config
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

HERE = Path(__file__).parent
CONNECTOR = HERE.parent / "connectors" / "inventory.json"


def topics(bootstrap: str) -> None:
    """Create the topics of topics.yaml that are not there."""
    wanted = yaml.safe_load((HERE / "topics.yaml").read_text(encoding="utf-8"))
    admin = AdminClient({"bootstrap.servers": bootstrap})
    created = admin.create_topics(
        [NewTopic(topic["name"], topic["partitions"], config=topic["config"]) for topic in wanted]
    )
    for name, done in created.items():
        try:
            done.result(timeout=60)
            print(f"topic {name} created")
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise


def bucket(name: str) -> None:
    """Create the bucket unless it is there."""
    # Servers other than AWS know no host names of buckets.
    client = boto3.client("s3", config=Config(s3={"addressing_style": "path"}))
    if name not in {entry["Name"] for entry in client.list_buckets()["Buckets"]}:
        client.create_bucket(Bucket=name)
        print(f"bucket {name} created")


def connector(url: str) -> None:
    """Give Kafka Connect the connector, or its newer configuration."""
    wanted = json.loads(CONNECTOR.read_text(encoding="utf-8"))
    request = urllib.request.Request(
        f"{url}/connectors/{wanted['name']}/config",
        data=json.dumps(wanted["config"]).encode(),
        headers={"Content-Type": "application/json"},
        method="PUT",
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        print(f"connector {wanted['name']}: {answer.status} {answer.reason}")


def main() -> None:
    """Make each part whose variable is set."""
    for variable, make in (("KAFKA_BOOTSTRAP", topics), ("LAKE_BUCKET", bucket), ("CONNECT_URL", connector)):
        if value := os.environ.get(variable):
            make(value)


if __name__ == "__main__":
    main()
