"""The command line: `afoot COMMAND`. Exit status 0 done, 2 bad usage or configuration, 1 a run that failed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any

import typer

from afoot import __version__
from afoot.cli import connectors
from afoot.cli.archive import archive
from afoot.cli.capture import capture
from afoot.cli.case import case
from afoot.cli.compact import compact
from afoot.cli.demo import demo
from afoot.cli.doctor import doctor
from afoot.cli.findings import findings
from afoot.cli.poll import poll
from afoot.cli.replay import replay
from afoot.cli.run import run, submit
from afoot.cli.simulate import EPILOG, simulate
from afoot.errors import AfootError

app = typer.Typer(
    help="Finds what makes streaming pipelines late: names culprit and victims, and clears the innocent with numbers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _worded(command: Callable[..., Any]) -> Callable[..., Any]:
    """The command, with errors as one message on standard error and the exit status that is promised."""

    @wraps(command)
    def worded(*arguments: Any, **options: Any) -> Any:
        try:
            return command(*arguments, **options)
        except AfootError as error:
            sys.stderr.write(f"afoot: {error}\n")
            raise typer.Exit(error.exit_status) from error
        except BrokenPipeError:
            # Whoever read our output has had enough, as `| head` does.
            sys.stderr.close()
            raise typer.Exit(0) from None
        except OSError as error:
            # A disk that is full, a folder that was taken away: of the machine, and not of the program.
            place = f"{error.filename}: " if error.filename else ""
            sys.stderr.write(f"afoot: {place}{error.strerror or error}\n")
            raise typer.Exit(AfootError.exit_status) from error

    return worded


for command in (demo, replay, run, submit, findings, case, simulate, capture, archive, doctor, poll, compact):
    app.command(epilog=EPILOG if command is simulate else None)(_worded(command))

group = typer.Typer(help="Kafka Connect and the topics as the folder connectors/ says.", no_args_is_help=True)
group.command()(_worded(connectors.apply))
group.command()(_worded(connectors.status))
group.command()(_worded(connectors.restart))
app.add_typer(group, name="connectors")


@app.callback(invoke_without_command=True)
def about(
    version: Annotated[bool, typer.Option("--version", help="The version, and no more.")] = False,
) -> None:
    if version:
        typer.echo(f"afoot {__version__}")
        raise typer.Exit
