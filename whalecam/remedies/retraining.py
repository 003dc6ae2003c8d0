"""Train and audit a run again with a remedy, all else as it was, into a run of its own."""

import functools
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from whalecam.arrays import Report, silent
from whalecam.audit import fold_job, run_audit
from whalecam.audit.known import Known, agreements_of
from whalecam.config import (
    BACKGROUND,
    LAYER_REMEDIES,
    MASK_OPTIONS,
    RESTRICT,
    AuditOptions,
    TrainOptions,
    clash_of,
    mending_of,
    parts_of,
)
from whalecam.data import inspect_images
from whalecam.errors import DatasetError, RunError
from whalecam.explain.masks import find_mask
from whalecam.network import training
from whalecam.remedies.combination import apply, mended_masks
from whalecam.remedies.cues import cue_of
from whalecam.remedies.simulation import Source, simulate
from whalecam.store.manifest import DatasetRecord
from whalecam.store.run import Run, create_run, is_run


def retrain(
    run: Run,
    remedy: str,
    out: Path,
    *,
    cue: str = BACKGROUND,
    seed: int | None = None,
    fallback: str | None = None,
    region: str | None = None,
    weight: float | None = None,
    report: Report = silent,
) -> Run:
    """Make the run folder `out`: `run` with a remedy, audited and simulated, so that both can be compared.

    Args:
        remedy: out of RETRAIN_REMEDIES, or a training and a change of the last layer, as in `shuffle+head`.
        cue: what `project` removes, as `cue_of` takes it.
        seed: None: that of the run; another one makes a twin.
        fallback: as in `TrainOptions`.
        region, weight: as in `TrainOptions`, of `restrict` alone; None: those of the run where it was restricted too,
            else the default.

    Raises DatasetError for an unknown remedy, for two that cannot follow each other and for options that it would not
    use, RunError where `out` is a run already and where the run cannot be trained again; else as `remedies.apply`.
    """
    _check_remedy(remedy, region, weight)
    options = _options(run, remedy, {"seed": seed, "fallback": fallback, "region": region, "weight": weight})
    if is_run(out):
        raise RunError(f"There is a run in {out} already. Name a new folder.")
    data = run_audit.open_data(run)
    gone = set(run.manifest.classes) - set(data.good()["label"])
    if gone:
        raise RunError(
            f"Run '{run.name}' was trained on merged labels, such as '{min(gone)}', that its CSV lacks. "
            f"Use: whalecam train --labels-map FILE --remedy {remedy}."
        )
    removed = cue_of(run, data, cue)
    if remedy not in LAYER_REMEDIES:
        training.check_start(options)
    made = create_run(out, DatasetRecord.of(data), run.words)
    apply(inspect_images(data, report), made, run, options, report=report, cue=removed)
    _audit_alike(made, run, remedy, report)
    return made


def _audit_alike(made: Run, run: Run, remedy: str, report: Report) -> None:
    """Audit and simulate `made` as `run` was audited; what both have in common is found once."""
    options = AuditOptions.stored(run.manifest.audit)
    data = run_audit.open_data(made)
    if mending_of(remedy):  # mended images are judged by the masks they were mended with
        run_audit.run_audit(made, data, replace(options, **vars(mended_masks(made))), report)
        simulate(made, (), report=report)
        return
    joined = run_audit.joined_sources(data, options, report, run=made)
    donors = fold_job.donors_of(made, data, joined.sources, options, report=report)
    is_read_alike = run.manifest.audit.get("reading") == run_audit.READING
    known = Known(joined, donors, agreements_of(run) if is_read_alike else {})
    run_audit.run_audit(made, data, options, report, known=known)
    find = functools.partial(find_mask, sources=joined.sources, fallback=options.mask_method)
    simulate(made, (), report=report, source=Source(data, find, donors=donors))


def _check_remedy(remedy: str, region: str | None, weight: float | None) -> None:
    if clash := clash_of(remedy):
        raise DatasetError(clash)
    for name, value in (("region", region), ("weight", weight)):
        if value is not None and RESTRICT not in parts_of(remedy):
            raise DatasetError(f"The option {name} is of the remedy {RESTRICT}. Leave it out.")


def _options(run: Run, remedy: str, given: Mapping[str, Any]) -> TrainOptions:
    """The run's own training with the remedy: the network it really has, its masks those of the run's audit."""
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
    """Region and weight: as given, else as in the run, where both are restricted; else the default."""
    is_twin = RESTRICT in parts_of(options.remedy) and RESTRICT in parts_of(remedy)
    otherwise = options if is_twin else TrainOptions()
    names = ("region", "weight")
    return {name: getattr(otherwise, name) if given[name] is None else given[name] for name in names}
