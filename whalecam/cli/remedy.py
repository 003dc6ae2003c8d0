"""Verbs from a leak to a better network: simulate, retrain."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
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
from whalecam.config import (
    BACKGROUND,
    FALLBACKS,
    FORESEEN,
    LAYER_REMEDIES,
    MASK_OPTIONS,
    PROJECT,
    RESTRICT,
    AuditOptions,
    TrainOptions,
    mending_of,
    parts_of,
)
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
@click.option("--limit", default=600, show_default=True, type=click.IntRange(1), help="Images, drawn at random.")
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

    results = run_simulation(opened, wanted or None, limit, reporter(), cue)
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
@click.option("--seed", type=int, help="Another seed than the run's, for a twin.")
@click.option("--fallback", type=click.Choice(FALLBACKS), help="As in train, where pretrained weights cannot be had.")
@JSON
def retrain(run: Path, remedy: str, cue: str, out: Path, as_json: bool, **given: Any) -> None:
    """Train and audit again with a remedy, all else as in RUN, into a new run folder."""
    from whalecam.audit import run_audit
    from whalecam.data import inspect_images
    from whalecam.store.run import DatasetRecord, create_run, is_run, open_run

    require("train", "Training")
    _check_cue(parts_of(remedy))
    check_restricted(remedy)
    opened, report = open_run(run), reporter()
    before, options = AuditOptions.stored(opened.manifest.audit), _options(opened, remedy, given)
    if is_run(out):
        raise RunError(f"There is a run in {out} already. Name a new folder.")
    data = run_audit.open_data(opened)
    gone = set(opened.manifest.classes) - set(data.good()["label"])
    if gone:
        raise RunError(
            f"Run '{opened.name}' was trained on merged labels, such as '{min(gone)}', that its CSV lacks. "
            f"Use: whalecam train --labels-map FILE --remedy {remedy}."
        )
    from whalecam import remedies
    from whalecam.analysis.recommendation import PRESENT, measured_of
    from whalecam.cli.summaries import retraining_lines
    from whalecam.network import training
    from whalecam.remedies.simulation import simulate as run_simulation

    removed = remedies.cue_of(opened, data, cue)
    if remedy not in LAYER_REMEDIES:
        training.check_start(options)
    made = create_run(out, DatasetRecord.of(data), opened.words)
    remedies.apply(inspect_images(data, report), made, opened, options, report, removed)
    # Mended images are judged by the masks they were mended with.
    masks = vars(remedies.mended_masks(made)) if mending_of(remedy) else {}
    run_audit.run_audit(made, run_audit.open_data(made), replace(before, **masks), report)
    results = run_simulation(made, (), report=report)
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


def _options(run: Any, remedy: str, given: Mapping[str, Any]) -> TrainOptions:
    """The run's own training with the remedy: the network it really has, its masks those of the run's audit.

    Args:
        given: `seed`, `fallback`, `region` and `weight` of the command line.
    """
    trained, network = run.manifest.train, run.manifest.network
    if remedy not in LAYER_REMEDIES and (not trained or trained.get("loaded")):
        raise RunError(
            f"Run '{run.name}' was loaded, not trained, so it cannot be trained again. Change its last layer: --remedy "
            f"{' or --remedy '.join(LAYER_REMEDIES)}; or train another: whalecam train."
        )
    options, stored = TrainOptions.stored(trained), AuditOptions.stored(run.manifest.audit)
    if mending_of(options.remedy):
        raise RunError(f"Run '{run.name}' was trained on mended images. Start from the run of the untouched ones.")
    # Runs from before `used` was noted may have another network than was asked for; their manifest names it.
    used = trained.get("used") or {"arch": network["arch"], "pretrained": options.pretrained}
    if not trained:
        options = replace(options, size=int(network["size"]), resize=str(network["resize"]))
    return replace(
        options,
        arch=used["arch"],
        pretrained=used["pretrained"],
        remedy=remedy,
        **{name: getattr(stored, name) for name in MASK_OPTIONS},
        seed=options.seed if given["seed"] is None else given["seed"],
        fallback=given["fallback"],
        **_restriction(options, remedy, given),
    )


def _restriction(options: TrainOptions, remedy: str, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Region and weight: as given, else as in the run, where both are restricted; else none."""
    is_twin = RESTRICT in parts_of(options.remedy) and RESTRICT in parts_of(remedy)
    kept = [name for name in ("region", "weight") if is_twin and not is_stated(name)]
    return {name: getattr(options, name) if name in kept else given[name] for name in ("region", "weight")}


VERBS = (simulate, retrain)
