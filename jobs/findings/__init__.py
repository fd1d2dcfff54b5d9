"""The findings job: from telemetry topics to named culprits, in numbered steps."""
