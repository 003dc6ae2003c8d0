"""The verb that tests the detector itself: selftest."""

import sys
import tempfile
from pathlib import Path

import click

from whalecam.cli.options import FOLDER, JSON
from whalecam.cli.output import plainly, print_facts, reporter


@click.command()
@click.option("--plant", "plants", multiple=True, help="Only this planted leak; may be given several times.")
@click.option(
    "--images", default=160, show_default=True, type=click.IntRange(40, 5000), help="Images in each planted set."
)
@click.option("--out", type=FOLDER, help="Keep drawings and runs in this new folder.")
@click.option("--save", type=FOLDER, help="Also write the result to this JSON file.")
@JSON
def selftest(plants: tuple[str, ...], images: int, out: Path | None, save: Path | None, as_json: bool) -> None:
    """Plant leaks in drawn images and see whether they are found. Exit 1 where a bound is missed."""
    from whalecam import demo
    from whalecam.errors import DatasetError
    from whalecam.extras import require

    require("train", "The self-test")
    unknown = [name for name in plants if name not in demo.PLANTS]
    if unknown:
        raise DatasetError(f"No planted leak '{unknown[0]}'. There are: {', '.join(demo.PLANTS)}.")
    if out is not None and out.exists():
        raise DatasetError(f"{out} exists. Name a new folder.")
    from whalecam.audit.selftest import run_selftest
    from whalecam.store.json_file import write_json
    from whalecam.store.run import now

    with tempfile.TemporaryDirectory(prefix="whalecam-selftest-") as aside:
        checks = run_selftest(out or Path(aside), plants or tuple(demo.PLANTS), images, reporter())
    failed = [check.name for check in checks if not check.passed]
    rows = {check.name: {**vars(check), "passed": check.passed} for check in checks}
    result = {"passed": not failed, "failed": failed, "checks": rows, "when": now()}
    if save is not None:
        write_json(save, plainly(result))
    if as_json:
        print_facts(result, True)
    else:
        click.echo("\n".join(check.line() for check in checks))
    sys.exit(1 if failed else 0)


VERBS = (selftest,)
