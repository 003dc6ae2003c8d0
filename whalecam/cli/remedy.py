"""Verbs from a leak to a better network: simulate, retrain."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from whalecam.cli.options import (
    FOLDER,
    JSON,
    RUN,
    CueName,
    RemedyName,
    check_restricted,
    is_stated,
    restriction_options,
)
from whalecam.cli.output import print_facts, reporter
from whalecam.config import BACKGROUND, FALLBACKS, FORESEEN, PROJECT, parts_of
from whalecam.errors import RunError
from whalecam.extras import require

CUE = click.option(
    "--cue",
    default=BACKGROUND,
    show_default=True,
    type=CueName(),
    help="What project removes: backgrounds, what flagged or leaking images have, or images listed in a file.",
)


@click.command()
@RUN
@click.option("--remedy", "wanted", multiple=True, type=click.Choice(FORESEEN), help="Only this one; else all.")
@click.option(
    "--limit", default=600, show_default=True, type=click.IntRange(1), help="Images to simulate on, drawn at random."
)
@CUE
@JSON
def simulate(run: Path, wanted: tuple[str, ...], limit: int, cue: str, as_json: bool) -> None:
    """What head, project, crop and neutral would do before any training: the present network on changed images, or with
    another last layer.

    Then which remedy the evidence supports.
    """
    from whalecam.cli.summaries import advice_lines, advice_of, simulation_lines
    from whalecam.store.open_table import open_table
    from whalecam.store.run import open_run

    opened = open_run(run)
    _check_cue(wanted or FORESEEN)
    from whalecam.remedies.simulation import simulate as run_simulation

    results = run_simulation(opened, wanted or None, limit, report=reporter(), cue=cue)
    advice = advice_of(opened, open_table(opened).overview()) if opened.parts() else None
    if as_json:
        shown = {name: results[name] for name in ("pictures", "without_mask", "not_finite", "waters", "figures")}
        print_facts(shown | {"advice": advice.plain() if advice else None}, True)
        return
    click.echo("\n".join([*simulation_lines(results, opened.words), *(advice_lines(opened, advice) if advice else ())]))


@click.command()
@RUN
@click.option(
    "--remedy",
    required=True,
    type=RemedyName(),
    help="What to train with; head and project change the last layer alone, after another training too.",
)
@CUE
@restriction_options
@click.option("--out", required=True, type=FOLDER, help="New run folder.")
@click.option("--seed", type=int, help="A seed other than the run's, for a twin.")
@click.option("--fallback", type=click.Choice(FALLBACKS), help="As in train, where pretrained weights cannot be had.")
@JSON
def retrain(run: Path, remedy: str, cue: str, out: Path, as_json: bool, **given: Any) -> None:
    """Train and audit again with a remedy, all else as in RUN, into a new run folder."""
    from whalecam.store.run import open_run

    require("train", "Training")
    _check_cue(parts_of(remedy))
    check_restricted(remedy)
    opened = open_run(run)
    from whalecam.analysis.recommendation import PRESENT, measured_of, simulation_of
    from whalecam.cli.summaries import retraining_lines
    from whalecam.remedies.retraining import retrain as run_retraining

    stated = {name: given[name] if is_stated(name) else None for name in ("region", "weight")}
    made = run_retraining(opened, remedy, out, cue=cue, report=reporter(), **{**given, **stated})
    results = simulation_of(made)
    if results is None:
        raise RunError(f"Run '{made.name}' has changed while it was simulated. Simulate it again: whalecam simulate.")
    if not as_json:
        click.echo("\n".join(retraining_lines(opened, made, results)))
        return
    shown = {"run": str(made.path), "remedy": remedy, "accuracy": made.metrics()["accuracy"]}
    shown["swapped_accuracy"] = results["figures"][PRESENT]["all"]["unseen"]
    print_facts(shown | {"measured": [change.plain() for change in measured_of(opened, [made])]}, True)


def _check_cue(remedies: Sequence[str]) -> None:
    """Raises RunError for a cue that no remedy would remove."""
    if is_stated("cue") and PROJECT not in remedies:
        raise RunError(f"--cue names what the remedy {PROJECT} removes. Leave it out, or add --remedy {PROJECT}.")


VERBS = (simulate, retrain)
