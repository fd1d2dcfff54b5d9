"""`afoot simulate`: a capture of a scenario, and its truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from afoot.cli import console
from afoot.errors import UsageError
from afoot.simulate import SCENARIOS
from afoot.simulate import simulate as simulate_scenario

_WIDTH = max(map(len, SCENARIOS)) + 1
# \b keeps these lines as they are.
EPILOG = "\b\n" + "\n".join(["Scenarios:", *(f"{one.name:<{_WIDTH}} {one.summary}" for one in SCENARIOS.values())])


def simulate(
    scenario: Annotated[str, typer.Argument(help="What happens; all of them are listed below.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="A folder for capture.jsonl.zst and truth.json.")],
    seed: Annotated[int, typer.Option(help="Names, topology, rates, schedule and formats vary with it.")] = 0,
    hours: Annotated[float | None, typer.Option(help="Simulated time; long enough for five runs by default.")] = None,
) -> None:
    """Simulate an incident or a look-alike: telemetry as agents send it, from a model whose truth is known.

    Example: afoot simulate hourly_backup --seed 7 -o incident
    """
    with console.progress(scenario, total=1.0) as step:

        def told(word: str, part: float) -> None:
            step.say(word)
            step.to(part, 1.0)

        try:
            truth = simulate_scenario(scenario, seed, hours, output, told)
        except OSError as error:
            raise UsageError(f"-o {output}: cannot be written: {error.strerror}") from error
    console.stdout().print(f"{output / 'capture.jsonl.zst'}: {truth.kind or 'nothing to find'}", soft_wrap=True)
