"""`afoot demo`: the bundled capture of an hourly backup, solved on this machine."""

from __future__ import annotations

import shutil
from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated

import typer

from afoot.casefile.case import load_case
from afoot.casefile.page import render_page
from afoot.casefile.text import render_text
from afoot.cli import console, outputs
from afoot.cli.replay import replay_files
from afoot.errors import AfootError, UsageError
from afoot.lake.query import findings, open_lake

MARKER = ".afoot-demo"  # in a folder that a demo made, and may make anew


def demo(
    output: Annotated[
        Path, typer.Option("-o", "--output", help="A folder for the lake, the alerts and the page.")
    ] = Path("demo"),
) -> None:
    """Solve the bundled case: every hour data is late, and a VM's backup on the same volume is why.

    Example: afoot demo -o demo
    """
    outputs.ensure_folder(output, "-o")
    if not (output / MARKER).exists() and any(output.iterdir()):
        raise UsageError(f"-o {output}: is not empty and no demo made it; give another folder")
    shutil.rmtree(output, ignore_errors=True)
    outputs.ensure_folder(output, "-o")
    (output / MARKER).touch()
    lake, alerts, page = output / "lake", output / "alerts.jsonl", output / "case.html"
    with as_file(files("afoot.demo") / "capture.jsonl.zst") as capture:
        replay_files([capture], str(lake), alerts)
    opened = open_lake(str(lake))
    cases = [row for row in findings(opened, False) if row["severity"] != "info"]
    if not cases:
        raise AfootError(f"the demo's capture gave no finding; what was written is in {output}")
    loaded = load_case(opened, cases[0]["finding_id"])
    page.write_text(render_page(loaded), "utf-8")
    out = console.stdout()
    out.print(render_text(loaded))
    out.print(f"page    {page}\nlake    {lake}\nalerts  {alerts}", soft_wrap=True)
