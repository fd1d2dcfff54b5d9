"""Kafka Connect and topics, brought to what a folder of files says."""
