"""The verb that serves the pages: dashboard."""

import os
import sys
from collections import Counter
from pathlib import Path
from typing import NoReturn

import click

import whalecam
from whalecam.cli.options import FOLDER
from whalecam.errors import RunError
from whalecam.extras import require

PACKAGE = Path(whalecam.__file__).parent


def _of_streamlit(_context: click.Context, _parameter: click.Parameter, words: tuple[str, ...]) -> tuple[str, ...]:
    """The words for Streamlit, which ignores in silence what it does not know, such as a run's folder."""
    if words and not words[0].startswith("-"):
        raise click.UsageError(f"'{words[0]}' is no option of Streamlit. A run to offer is named by --run.")
    return words


@click.command()
@click.option("--run", "runs", multiple=True, type=FOLDER, help="Run folder to offer; the first one opens.")
@click.option("--port", type=click.IntRange(1, 65535), help="To serve on; else 8501, or the next free one.")
@click.argument("options", nargs=-1, type=click.UNPROCESSED, callback=_of_streamlit, metavar="[-- STREAMLIT_OPTIONS]")
def dashboard(runs: tuple[Path, ...], port: int | None, options: tuple[str, ...]) -> NoReturn:
    """Serve the pages until it is stopped. Runs are looked for in WHALECAM_RUNS, else in ./runs.

    What follows -- goes to Streamlit, as in: whalecam dashboard -- --server.address 127.0.0.1
    """
    require("app", "The dashboard")
    _check(runs)
    words = command(script(), runs, port, options)
    # The server takes the place of this process, so that a signal reaches it.
    os.execv(words[0], words)  # noqa: S606


def script() -> Path:
    """The page that Streamlit starts from: the one in the wheel, or that of the checkout."""
    packaged = PACKAGE / "_dashboard" / "dashboard.py"
    return packaged if packaged.is_file() else PACKAGE.parent / "dashboard.py"


def command(page: Path, runs: tuple[Path, ...], port: int | None, options: tuple[str, ...]) -> list[str]:
    """The words that start Streamlit. `-P`: no file of the present folder takes the place of a library's."""
    words = [sys.executable, "-P", "-m", "streamlit", "run", str(page), *options]
    words += [f"--server.port={port}"] if port else []
    return [*words, "--", *(word for run in runs for word in ("--run", str(run)))]


def _check(runs: tuple[Path, ...]) -> None:
    """Raises RunError for what is no run folder, and for two of one name, of which the pages would offer one."""
    from whalecam.store.run import open_run

    for run in runs:
        open_run(run)
    twice = [name for name, count in Counter(run.resolve().name for run in runs).items() if count > 1]
    if twice:
        raise RunError(f"Two runs have the name '{twice[0]}'. Name one of them, or rename its folder.")


VERBS = (dashboard,)
