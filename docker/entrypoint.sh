#!/usr/bin/env bash
# Starts the role that is named; anything else is run as it stands, which is what the Flink operator sends.
set -euo pipefail

deploy=/opt/afoot/deploy

fill() { # template, target: values come from the environment
    python -m afoot.runtime.fill "$1" "$2"
}

jars() { # group: its jars as a class path
    python -m afoot.runtime.jars --path "$1"
}

case "${1:-}" in
jobmanager | taskmanager)
    fill "$deploy/flink/config.yaml" "$FLINK_HOME/conf/config.yaml"
    exec "$FLINK_HOME/bin/$1.sh" start-foreground
    ;;
kafka)
    export KAFKA_DATA=/data/kafka
    fill "$deploy/kafka/broker.properties" /tmp/broker.properties
    kafka=(java -Xmx512m "-Dlog4j2.configurationFile=$deploy/kafka/log4j2.properties" -cp "$(jars kafka)")
    "${kafka[@]}" kafka.tools.StorageTool format --ignore-formatted -t "$KAFKA_CLUSTER_ID" -c /tmp/broker.properties
    exec "${kafka[@]}" kafka.Kafka /tmp/broker.properties
    ;;
connect)
    export CONNECT_PLUGINS=/opt/connect
    fill "$deploy/connect/worker.properties" /tmp/worker.properties
    exec java -Xmx512m "-Dlog4j2.configurationFile=$deploy/kafka/log4j2.properties" -cp "$(jars kafka)" \
        org.apache.kafka.connect.cli.ConnectDistributed /tmp/worker.properties
    ;;
s3)
    export S3_DATA=/data/s3
    mkdir -p "$S3_DATA"
    fill "$deploy/s3/s3proxy.properties" /tmp/s3proxy.properties
    exec java -Xmx512m -jar "$(jars s3proxy)" --properties /tmp/s3proxy.properties
    ;;
*)
    exec "$@"
    ;;
esac
