"""A Flink job small enough to try a cluster with: squares of row numbers, by Python, into CSV files."""

import argparse

from pyflink.table import EnvironmentSettings, TableEnvironment
from pyflink.table.udf import udf


@udf(result_type="BIGINT")
def square(number: int) -> int:
    """The number times itself."""
    return number * number


def main() -> None:
    """Submit the job."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--target", required=True)
    arguments = parser.parse_args()
    table_env = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
    table_env.get_config().set("execution.checkpointing.interval", "500 ms")
    table_env.create_temporary_function("square", square)
    table_env.execute_sql(
        "CREATE TABLE numbers (number BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '200',"
        " 'fields.number.kind' = 'sequence', 'fields.number.start' = '1',"
        f" 'fields.number.end' = '{arguments.rows}')"
    )
    table_env.execute_sql(
        "CREATE TABLE squares (squared BIGINT) WITH ('connector' = 'filesystem', 'format' = 'csv',"
        f" 'path' = '{arguments.target}')"
    )
    table_env.execute_sql("INSERT INTO squares SELECT square(number) FROM numbers")


if __name__ == "__main__":
    main()
