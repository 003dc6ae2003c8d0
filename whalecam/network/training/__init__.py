"""Train a classifier, one network or one for each fold, and write it to a run. fastai stays in `fitting`."""

import copy
import importlib.metadata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from whalecam import __version__, network
from whalecam.arrays import Report, silent
from whalecam.config import ARCFACE, MAX_CENTRES, PROBE, RECIPES, RESTRICT, SPLITS, TrainOptions, parts_of
from whalecam.data import Dataset, folds
from whalecam.errors import ModelError
from whalecam.network import Body, Network, Start, load_checkpoint
from whalecam.network.averaged_bodies import trainable_body
from whalecam.network.exactness import exactness
from whalecam.network.layout import check_size
from whalecam.network.training.division import Division, divide
from whalecam.network.training.fitted import LEAST_BATCH, Augment, Change, Fit, Watch, seed_all
from whalecam.network.training.last_layer import FitAgain, LayerChange, fit_last_layer, layer_versions, refit
from whalecam.network.training.probe import probe
from whalecam.network.training.projection import Cue, RemoveCue
from whalecam.network.training.restriction import Restriction
from whalecam.network.training.versions import Backgrounds
from whalecam.network.training.weight_choice import WEIGHTS, Trial, choose, held_out_of, tried
from whalecam.network.written import PatchWrites
from whalecam.store.run import Run, open_run
from whalecam.store.training_metrics import SplitMetrics, TrainingMetrics

__all__ = [
    "LEAST_BATCH",
    "Augment",
    "Backgrounds",
    "Change",
    "Cue",
    "FitAgain",
    "LayerChange",
    "RemoveCue",
    "Restriction",
    "adopt",
    "change_last_layers",
    "check_start",
    "fit_last_layer",
    "held_out",
    "layer_versions",
    "load_checkpoint",
    "train",
]

LOADED = "Loaded, not trained here: what it was trained on is not known."
STATED = "Loaded, not trained here: its training images are those that were stated."
LIBRARIES = ("torch", "torchvision", "fastai", "timm", "numpy", "pandas")


def train(
    data: Dataset,
    run: Run,
    options: TrainOptions,
    report: Report = silent,
    *,
    augment: Augment | None = None,
    source: Dataset | None = None,
    restriction: Restriction | None = None,
) -> TrainingMetrics:
    """Train on the usable rows of `data` and write checkpoints, metrics and manifest to `run`, in this order.

    With `folds` above 1 there are as many networks, and each image is judged by the one that saw neither it nor its
    individual. With `compare_splits` one more is trained on the other kind of split, for the Model page, and dropped.
    Nothing is written before all training has ended; a KeyboardInterrupt passes through. `augment` changes the training
    images anew every epoch (a linear probe, a few times once), not under the recipe `seed`. `source` is the data set
    whose files and columns have the groups, where `data` was made from it. `restriction` says where the networks may
    look; without a weight, each tries `weight_choice.WEIGHTS` on a part of its own training images first.

    Returns: the metrics that stand in `metrics.json`. Raises ModelError where there is too little to train on, where
    the training ends in weights that are NaN or infinite, and as `check_start`; DatasetError for a group that the data
    set does not have and for a split file that cannot be used.
    """
    if augment is not None and options.recipe == "notebook":
        raise ModelError("Training images cannot be changed under the recipe 'notebook'. Leave --recipe notebook out.")
    start = check_start(options)
    seed_all(options.seed)
    rows, dropped = _usable(data, options.min_per_class)
    division = divide(rows, source or data, options)
    rows, validations, never = division.rows, division.validations, division.never
    body = _body(options, start)
    each = 1 + (len(WEIGHTS) if restriction is not None and restriction.weight is None else 0)
    watch = Watch(report, each * (len(validations) + options.compare_splits))
    how = _How(body, options, watch, augment, restriction)
    fits = [_fit(rows, is_valid, how) for is_valid in validations]
    metrics = cast(TrainingMetrics, division.facts(validations)) | {
        "split": division.kind,
        "arch": body.arch,
        "note": body.note,
        "dropped_classes": dropped,
        "never_judged": never,
    }
    if options.compare_splits:
        metrics["other_split"] = _other_split(division, how)
    remedy: dict[str, object] = {"name": options.remedy, **(augment.facts if augment is not None else {})}
    if restriction is not None:
        remedy |= {**restriction.facts, "networks": [dict(trained.facts) for trained in fits]}
    metrics["remedy"] = remedy
    used = {"arch": body.arch, "pretrained": start.pretrained, "note": body.note}
    return _stored(run, rows, validations, fits, metrics, asdict(options) | {"used": used})


def change_last_layers(
    data: Dataset,
    run: Run,
    source: Run,
    *,
    options: TrainOptions,
    change: LayerChange,
    backgrounds: Backgrounds | None,
    report: Report = silent,
) -> TrainingMetrics:
    """Change the last layer of each of a run's networks (`last_layer.refit`) and write them to `run`.

    Every network keeps the images that it was trained on and those that it had not seen. Where it is not known what a
    loaded network was trained on, `options` split the images, and only its last layer has not seen the held-out ones.
    `run` may be `source`, whose networks these then replace.

    Args:
        backgrounds: on which the images are put as well; None: on no other than their own.

    Returns: as `train`. Raises ModelError where a network does not end in a linear layer, and where nothing is left to
    train on or to measure.
    """
    models = [network.from_spec(source.manifest.network, source.load_checkpoint(at)) for at in range(source.folds)]
    good = data.good()
    rows, dropped = _usable(replace(data, table=good[good["label"].isin(models[0].classes)]), 1)
    validations, never = held_out(source, data, rows, options)
    device = network.pick_device(options.device)
    fits = [
        refit(model.to(device), rows, is_valid, backgrounds, change=change, seed=options.seed, report=report)
        for model, is_valid in zip(models, validations, strict=True)
    ]
    note = change.note(source.name)
    if not source.manifest.train:
        note += " The body may have seen the held-out images: what it was trained on is not known."
    parent: dict[str, object] = {"parent": source.name, "parent_sha256": source.manifest.model_sha256}
    if source.path == run.path:  # trained just now, so it has no parent but a training
        parent = {"training": source.metrics().get("remedy")}
    metrics: TrainingMetrics = {
        "split": options.split,
        "arch": models[0].arch,
        "note": note,
        "dropped_classes": dropped,
        "never_judged": never,
        "remedy": {"name": options.remedy, **parent, **change.facts},
    }
    used = source.manifest.train.get("used") or {"arch": models[0].arch, "pretrained": True, "note": ""}
    kept = asdict(options) | {"used": used}
    return _stored(run, rows, validations, fits, metrics, kept if source.manifest.train else kept | {"loaded": True})


def held_out(
    source: Run, data: Dataset, rows: pd.DataFrame, options: TrainOptions
) -> tuple[list[NDArray[np.bool_]], list[str]]:
    """For each network of a run the rows that it had not seen, (N,), none twice; and labels without any.

    Where it is not known what a network was trained on, `options` say which are kept from its last layer. Raises
    ModelError for a network that has seen all of the rows, or none of them.
    """
    seen = [source.training_images(fold) for fold in range(source.folds)]
    if not any(seen):
        division = divide(rows, data, options)
        return division.validations[:1], division.never
    validations, left = [], np.ones(len(rows), bool)
    for images in seen:
        is_valid = left & ~rows["image"].isin(images).to_numpy()
        left &= ~is_valid
        validations.append(is_valid)
    unmeasured = [not is_valid.any() or is_valid.all() for is_valid in validations]
    if any(unmeasured):
        raise ModelError(
            f"Run '{source.name}' has a network that was trained on all of these images, or on none of them, so its "
            "last layer cannot be fitted on some and measured on others. Give the data set that it was trained on."
        )
    never = sorted(set(rows["label"]) - set(rows["label"][np.any(validations, axis=0)]))
    return validations, never


def _stored(
    run: Run,
    rows: pd.DataFrame,
    validations: list[NDArray[np.bool_]],
    fits: list[Fit],
    metrics: TrainingMetrics,
    options: Mapping[str, object],
) -> TrainingMetrics:
    """Write checkpoints, metrics and manifest, in this order; the metrics with what `_metrics` adds."""
    for trained in fits:
        network.check_finite(trained.model, "The trained network")
    every = _metrics(rows, validations, fits) | metrics
    digests = [
        run.save_checkpoint(fold, trained.model.tensors(), rows.loc[~is_valid, "image"], rows.loc[is_valid, "image"])
        for fold, (trained, is_valid) in enumerate(zip(fits, validations, strict=True))
    ]
    run.drop_checkpoints(len(fits))
    _store(run, fits[0].model, metrics=every, digest="-".join(digests), options=options)
    return every


def check_start(options: TrainOptions) -> Start:
    """What a training with these options starts from, asked before any image is read.

    Raises ModelError where its weights cannot be had and no fallback is named, and for a network that cannot be used;
    RunError where the run it is to start from cannot be opened.
    """
    _check_recipe(options)
    _check_loss(options)
    if options.body_from:
        body = _body_of(open_run(Path(options.body_from)))
        check_size(body.features, body.arch, options.size)
        return Start(body.arch, False)
    start = network.starting_point(options.arch, options.pretrained, options.fallback)
    trainable_body(start.arch, False, options.size)
    return start


@dataclass(frozen=True)
class _How:
    """How each network of a training is made."""

    body: Body
    options: TrainOptions
    watch: Watch
    augment: Augment | None
    restriction: Restriction | None


def _fit(rows: pd.DataFrame, is_valid: NDArray[np.bool_], how: _How) -> Fit:
    """One network by the recipe, from a copy of the body."""
    if how.restriction is not None:
        return _restricted(rows, is_valid, how, how.restriction)
    body = copy.deepcopy(how.body)
    if how.options.recipe == PROBE:
        return probe(rows, is_valid, body, how.options, watch=how.watch, augment=how.augment)
    from whalecam.network.training.fitting import fit  # fastai takes seconds to load

    return fit(rows, is_valid, body, how.options, watch=how.watch, augment=how.augment)


def _restricted(rows: pd.DataFrame, is_valid: NDArray[np.bool_], how: _How, restriction: Restriction) -> Fit:
    """One network whose attention is restricted, with its weight, and the trials that it was chosen by."""
    from whalecam.network.training.fitting import fit

    regions = restriction.regions(rows[~is_valid])

    def fitted(of: pd.DataFrame, held_out: NDArray[np.bool_], weight: float) -> Fit:
        return fit(
            of,
            held_out,
            copy.deepcopy(how.body),
            how.options,
            watch=how.watch,
            augment=how.augment,
            regions=regions,
            weight=weight,
        )

    if restriction.weight is not None:
        return replace(fitted(rows, is_valid, restriction.weight), facts={"weight": restriction.weight})
    training = rows[~is_valid].reset_index(drop=True)
    aside, trials = held_out_of(training, how.options.seed), list[Trial]()
    for weight in WEIGHTS:
        model = fitted(training, aside, weight).model
        backgrounds = restriction.backgrounds
        trials.append(tried(weight, model, training[aside], backgrounds, seed=how.options.seed))
    chosen = choose(trials).weight
    facts = {"weight": chosen, "trials": [trial.plain() for trial in trials]}
    return replace(fitted(rows, is_valid, chosen), facts=facts)


def _check_recipe(options: TrainOptions) -> None:
    """Raises ModelError for an option that a linear probe would not use, and for a body that cannot be restricted."""
    if RESTRICT in parts_of(options.remedy) and options.recipe != RECIPES[0]:
        raise ModelError(
            f"The remedy {RESTRICT} needs a body that trains on images with their regions, which the recipe "
            f"{options.recipe} does not do. Use --recipe {RECIPES[0]}."
        )
    default = TrainOptions()
    unused = [name for name in ("epochs", "lr", "batch") if getattr(options, name) != getattr(default, name)]
    if options.recipe == PROBE and unused:
        raise ModelError(
            f"A linear probe has no --{unused[0]}: it is one fit over the body as it is. Leave it out, or train with "
            "--recipe fast."
        )


def _check_loss(options: TrainOptions) -> None:
    """Raises ModelError for a loss that the recipe does not descend, and for centres that no loss would use."""
    if options.loss == ARCFACE and options.recipe == PROBE:
        raise ModelError(
            "A linear probe is a logistic regression, so it has no angular margin. Use --recipe fast with --loss "
            "arcface, or fit a projection over the body as it is: whalecam matches --fit."
        )
    if options.loss != ARCFACE and options.centres != 1:
        raise ModelError(f"--centres is of --loss {ARCFACE}. Leave it out, or add --loss {ARCFACE}.")
    if not 1 <= options.centres <= MAX_CENTRES:
        raise ModelError(f"ArcFace takes 1 to {MAX_CENTRES} centres for each label, not {options.centres}.")


def adopt(run: Run, model: Network, notes: Sequence[str] = (), training: Collection[str] = ()) -> None:
    """Put a network that was trained elsewhere into a run.

    Args:
        notes: what else is to be known of it.
        training: names of the run's images that it was trained on.

    Raises ModelError for weights that are NaN or infinite.
    """
    network.check_finite(model, "The network")
    digest = run.save_checkpoint(0, model.tensors(), training)
    run.drop_checkpoints(1)
    _store(
        run,
        model,
        metrics={"arch": model.arch, "note": " ".join([LOADED if not training else STATED, *notes])},
        digest=digest,
        options={},
    )


def _store(run: Run, model: Network, *, metrics: TrainingMetrics, digest: str, options: Mapping[str, object]) -> None:
    """Write metrics and, last, the manifest."""
    run.save_metrics(metrics)
    run.update(
        classes=model.classes,
        network=model.spec(),
        train=options,
        exactness=exactness(model.head),
        model_sha256=digest,
        versions={"whalecam": __version__}
        | {name: importlib.metadata.version(name) for name in LIBRARIES if _installed(name)},
    )


def _usable(data: Dataset, least: int) -> tuple[pd.DataFrame, list[str]]:
    """Rows that can be trained on, and the classes that were too small."""
    good = data.good()
    good = good[good["path"] != ""].drop_duplicates("image").reset_index(drop=True)
    sizes = good["label"].value_counts()
    dropped = sorted(sizes[sizes < least].index)
    rows = good[~good["label"].isin(dropped)].reset_index(drop=True)
    if rows["label"].nunique() < 2 or len(rows) < 4:
        raise ModelError(
            f"{len(rows)} readable images of {rows['label'].nunique()} classes are too few to train on: "
            f"two classes with {max(least, 2)} images each are the least. Check the rows on the Dataset page."
        )
    return rows, dropped


def _metrics(rows: pd.DataFrame, validations: list[NDArray[np.bool_]], fits: list[Fit]) -> TrainingMetrics:
    """Accuracy, balanced accuracy, loss and confusion over all rows that some network was judged on."""
    classes = fits[0].model.classes
    labels = np.array([classes.index(name) for name in rows["label"]])
    wanted = np.concatenate([labels[is_valid] for is_valid in validations])
    p = np.concatenate([trained.probabilities for trained in fits])
    predicted, counts = p.argmax(1), np.zeros((len(classes), len(classes)), np.int64)
    np.add.at(counts, (wanted, predicted), 1)
    of_class = counts.sum(axis=1)
    individuals = rows["group"].tolist()
    return {
        "accuracy": float((predicted == wanted).mean()),
        "balanced_accuracy": float((counts.diagonal()[of_class > 0] / of_class[of_class > 0]).mean()),
        "valid_loss": float(-np.log(p[np.arange(len(p)), wanted].clip(1e-12)).mean()),
        "confusion": counts.tolist(),
        "epochs": [
            {"fold": fold, **row} if len(fits) > 1 else row
            for fold, trained in enumerate(fits)
            for row in trained.epochs
        ],
        "n_train": round(float(np.mean([(~is_valid).sum() for is_valid in validations]))),
        "n_valid": len(wanted),
        "shared_individuals": float(
            np.mean([folds.shared_individuals(individuals, is_valid) for is_valid in validations])
        ),
        "folds": len(fits),
    }


def _other_split(division: Division, how: _How) -> SplitMetrics:
    """The same recipe on the other kind of split: what its accuracy is worth when groups are shared, or not."""
    other = next(kind for kind in SPLITS if kind != how.options.split)
    rows, is_valid = division.rows, division.once(other, how.options)
    metrics = _metrics(rows, [is_valid], [_fit(rows, is_valid, how)])
    return {
        "split": other,
        "accuracy": metrics["accuracy"],
        "balanced_accuracy": metrics["balanced_accuracy"],
        "valid_loss": metrics["valid_loss"],
        "n_valid": metrics["n_valid"],
        "shared_individuals": metrics["shared_individuals"],
        **division.facts([is_valid]),
    }


def _body(options: TrainOptions, start: Start) -> Body:
    if options.body_from:
        return _body_of(open_run(Path(options.body_from)))
    return replace(trainable_body(start.arch, start.pretrained, options.size), note=start.note)


def _body_of(run: Run) -> Body:
    """The body of another run's network, to start from."""
    model = network.from_spec(run.manifest.network, run.load_checkpoint(0)) if run.trained else None
    if model is None:
        raise ModelError(f"Run '{run.name}' has no trained network to start from. Train it first.")
    if model.is_opaque:
        raise ModelError(f"The network of run '{run.name}' is {model.arch}, which cannot be trained here.")
    if isinstance(model.features, PatchWrites):
        raise ModelError(
            f"The network of run '{run.name}' classifies one token that its patches wrote, so it has no body that "
            "another head could pool. Start from a network that averages its positions."
        )
    note = f"Started from the body of run {run.name}."
    frame = (model.arch, model.mean, model.std, note, model.way, model.whole_classes)
    return Body(model.features, _channels(model), *frame)


def _channels(model: Network) -> int:
    """The width K of what a network's features give, (N, K, h, w)."""
    return model.look(np.zeros((1, model.size, model.size, 3), np.uint8)).shape[1]


def _installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
