"""The verb that tests the detector itself: selftest."""

import sys
import tempfile
from pathlib import Path

import click

from whalecam.cli.options import FOLDER, JSON
from whalecam.cli.output import reporter, tell


@click.command()
@click.option("--plant", "plants", multiple=True, help="Only this planted leak; may be given several times.")
@click.option("--images", default=160, show_default=True, type=click.IntRange(40, 5000), help="Pictures a planted set.")
@click.option("--out", type=FOLDER, help="Keep drawings and runs in this new folder.")
@JSON
def selftest(plants: tuple[str, ...], images: int, out: Path | None, as_json: bool) -> None:
    """Plant leaks in drawn pictures and see whether they are found. Exit 1 where a bound is missed."""
    from whalecam import demo
    from whalecam.errors import DatasetError

    unknown = [name for name in plants if name not in demo.PLANTS]
    if unknown:
        raise DatasetError(f"No planted leak '{unknown[0]}'. There are: {', '.join(demo.PLANTS)}.")
    if out is not None and out.exists():
        raise DatasetError(f"{out} exists. Name a new folder.")
    from whalecam.selftest import run_selftest

    with tempfile.TemporaryDirectory(prefix="whalecam-selftest-") as aside:
        checks = run_selftest(out or Path(aside), plants or tuple(demo.PLANTS), images, reporter())
    failed = [check.name for check in checks if not check.passed]
    if as_json:
        rows = {check.name: {**vars(check), "passed": check.passed} for check in checks}
        tell({"passed": not failed, "failed": failed, "checks": rows}, True)
    else:
        click.echo("\n".join(check.line() for check in checks))
    sys.exit(1 if failed else 0)


VERBS = (selftest,)
