"""Flink jobs: the only package that imports pyflink."""
