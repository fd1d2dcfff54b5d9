"""Makes what a stack needs before its job starts: topics, the bucket of the lake, the connectors.

What is there already stays as it is. Environment: KAFKA_BOOTSTRAP, LAKE_BUCKET, CONNECT_URL, and the AWS_ variables;
each part is left out where its variable is not set.
"""

import os
from pathlib import Path

import boto3
from botocore.config import Config

from afoot.connectors import sync
from afoot.connectors.files import load_connectors, load_topics
from afoot.connectors.rest import Worker
from afoot.connectors.topics import Topics

FOLDER = Path(__file__).parents[1] / "connectors"


def topics(bootstrap: str) -> None:
    """Create the topics of topics.yaml that are not there."""
    brokers = Topics({"bootstrap.servers": bootstrap})
    for layout, there, _ in brokers.compare(load_topics(FOLDER)):
        if not there:
            brokers.create(layout)
            print(f"topic {layout.name} created")


def bucket(name: str) -> None:
    """Create the bucket unless it is there."""
    # Servers other than AWS know no host names of buckets.
    client = boto3.client("s3", config=Config(s3={"addressing_style": "path"}))
    if name not in {entry["Name"] for entry in client.list_buckets()["Buckets"]}:
        client.create_bucket(Bucket=name)
        print(f"bucket {name} created")


def connectors(url: str) -> None:
    """Give Kafka Connect the connectors, or their newer configurations."""
    worker = Worker(url)
    for connector in load_connectors(FOLDER):
        plan = sync.plan(worker, connector)
        print(f"connector {connector.name}: {len(plan.differences)} changes, {sync.carry_out(worker, plan).state}")


def main() -> None:
    """Make each part whose variable is set."""
    for variable, make in (("KAFKA_BOOTSTRAP", topics), ("LAKE_BUCKET", bucket), ("CONNECT_URL", connectors)):
        if value := os.environ.get(variable):
            make(value)


if __name__ == "__main__":
    main()
