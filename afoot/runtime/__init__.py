"""What afoot brings along to run on: Java, the jars, a Flink home, filled-in configuration files."""
