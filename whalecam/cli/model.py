"""Verbs on a network: train, inspect, audit."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from whalecam.arrays import Progress
from whalecam.cli.gate import Gate, gate_options
from whalecam.cli.options import (
    FOLDER,
    GROUP,
    JSON,
    RUN,
    Channels,
    Recipe,
    check_restricted,
    column_options,
    mask_options,
    mask_options_of,
    restriction_options,
    word_options,
)
from whalecam.cli.output import print_facts, reporter
from whalecam.config import (
    BACKGROUND_TESTS,
    BOX_KINDS,
    ENGINES,
    FALLBACKS,
    INTERPOLATIONS,
    LOADED_ARCH,
    LOSSES,
    MAPS,
    MASK_FALLBACKS,
    MAX_CENTRES,
    ORIENTATIONS,
    PRECISIONS,
    RECIPES,
    RESIZES,
    RUNTIMES,
    SIDES,
    SPLITS,
    TRAIN_REMEDIES,
    AuditOptions,
    Columns,
    TrainOptions,
)
from whalecam.errors import DatasetError, ModelError
from whalecam.extras import require

DEFAULT, AUDIT = TrainOptions(), AuditOptions()
LOADING = ("mean", "std", "crop_share", "interpolation")
"""Options of `train` that say how a loaded network's input is prepared."""


class MaskMethodName(click.Choice[str]):
    """One of MASK_FALLBACKS, or a method of another package, which is looked up when it is named."""

    name = "method"

    def __init__(self) -> None:
        super().__init__(MASK_FALLBACKS)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value in MASK_FALLBACKS:
            return str(value)
        from whalecam.explain.masks import mask_fallbacks

        return value if value in mask_fallbacks() else str(super().convert(value, param, ctx))


@click.command()
@click.argument("csv", type=FOLDER)
@click.argument("images", type=FOLDER, required=False)
@click.option("--run", "run_path", type=FOLDER, required=True, help="Run folder to write to.")
@click.option("--label", help="Column that the network learns, e.g. individual_id; instead of --label-column.")
@click.option("--from", "body_from", type=FOLDER, help="Start from the body of this run's network.")
@column_options
@word_options
@click.option("--labels-map", type=FOLDER, help="CSV of old,new label names to merge; the source stays as it is.")
@click.option("--min-per-class", default=DEFAULT.min_per_class, show_default=True, help="Leave smaller classes out.")
@click.option(
    "--arch",
    help=f"Any torchvision or timm name.  [default: {DEFAULT.arch}; {LOADED_ARCH} to load, where the file names none]",
)
@click.option("--epochs", default=DEFAULT.epochs, show_default=True, help="Epochs after the frozen one.")
@click.option("--lr", default=DEFAULT.lr, show_default=True, help="Peak learning rate.")
@click.option("--size", default=DEFAULT.size, show_default=True, help="Side of the network's input, px.")
@click.option("--batch", default=DEFAULT.batch, show_default=True, help="Images in a step; fewer for small sets.")
@click.option("--split", default=DEFAULT.split, show_default=True, type=click.Choice(SPLITS), help="How to validate.")
@GROUP
@click.option(
    "--split-file",
    type=FOLDER,
    help="Table of image and split or fold, or lists train.txt, val.txt; in place of a split.",
)
@click.option(
    "--folds",
    default=1,
    show_default=True,
    type=click.IntRange(1, 20),
    help="Number of networks; each is validated on a part.",
)
@click.option("--compare-splits", is_flag=True, help="Train once more on the other split, for comparison.")
@click.option(
    "--recipe",
    default=DEFAULT.recipe,
    show_default=True,
    type=Recipe(RECIPES),
    help="fast: fine-tune. linear-probe: fit a head only, in seconds. notebook: from files through 224 px, in float32.",
)
@click.option(
    "--loss",
    default=DEFAULT.loss,
    show_default=True,
    type=click.Choice(LOSSES),
    help="arcface: an angular margin between labels, for individuals; matches then compare its vectors.",
)
@click.option(
    "--centres",
    default=DEFAULT.centres,
    show_default=True,
    type=click.IntRange(1, MAX_CENTRES),
    help="Of arcface, for each label: several where it looks different from its two sides.",
)
@click.option(
    "--remedy",
    default=DEFAULT.remedy,
    show_default=True,
    type=click.Choice(TRAIN_REMEDIES),
    help="Remedy against leaks.",
)
@restriction_options
@mask_options
@click.option(
    "--resize",
    default=DEFAULT.resize,
    show_default=True,
    type=click.Choice(RESIZES),
    help="How an image becomes the input.",
)
@click.option("--pretrained/--no-pretrained", default=True, show_default=True, help="Start from ImageNet weights.")
@click.option("--fallback", type=click.Choice(FALLBACKS), help="What to train where those cannot be had; else nothing.")
@click.option("--seed", default=DEFAULT.seed, show_default=True, help="Seed of split, augmentation and head.")
@click.option("--device", default=DEFAULT.device, show_default=True, help="auto, cpu or cuda.")
@click.option(
    "--checkpoint", type=FOLDER, help="Load these weights, a folder of them, or an ONNX file, instead of training."
)
@click.option(
    "--mean", type=Channels(), help="Mean of the loaded network's input, R,G,B in [0, 1]; else as the file says."
)
@click.option("--std", type=Channels(), help="Standard deviation of the same.")
@click.option("--crop-share", type=float, help="Central share of the sides of what --resize shows, in (0, 1].")
@click.option("--interpolation", type=click.Choice(INTERPOLATIONS), help="How images are resized to its input.")
@click.option(
    "--classes",
    help="Classes of the checkpoint, in the order of its outputs: separated by commas, or a text or JSON file.",
)
@click.option("--audit", "audits", is_flag=True, help="Audit with the network at once; --masks and --boxes are its.")
@JSON
def train(csv: Path, images: Path | None, run_path: Path, as_json: bool, **given: Any) -> None:
    """Train on a data set, or load a checkpoint, and write the run folder.

    CSV is a table in any format, or a folder of class folders, which needs no IMAGES.
    """
    from whalecam.data import merge_labels, open_dataset

    if images is None and not csv.is_dir():
        raise DatasetError(f"Name the image folder after {csv}: its rows are names of images.")

    report = reporter()
    _check_used(given)
    require("train", "Training")
    columns = Columns(given["image_column"], given["label"] or given["label_column"], given["group_column"])
    data = open_dataset(csv, images, columns)
    if given["labels_map"]:
        data = merge_labels(data, given["labels_map"])
    # Ten seconds of imports, so only once the input is known to be good.
    from whalecam import api

    words = {name: given[name] for name in ("subject", "background")}
    if given["checkpoint"]:
        run = _loaded(data, run_path, words, given)
    else:
        known = {name: given[name] for name in vars(DEFAULT) if name in given} | {"arch": given["arch"] or DEFAULT.arch}
        known |= vars(mask_options_of(given))
        known |= {name: str(given[name]) if given[name] else None for name in ("body_from", "split_file")}
        run = api.train(data, run_path, report=report, **words, **known)
    metrics = run.metrics()
    shown = {name: value for name, value in metrics.items() if as_json or name not in ("epochs", "confusion")}
    joins = run.manifest.joins if given["remedy"] != "none" else {}
    if joins:
        shown["joins"] = {kind: join if as_json else join["sentence"] for kind, join in joins.items()}
    if given["audits"]:
        summary = api.audit(run, report=report, device=given["device"], **vars(mask_options_of(given)))
        shown["audit"] = vars(summary) if as_json else _plain(summary)
    print_facts({"run": str(run.path), "exactness": run.manifest.exactness, **shown}, as_json)


def _loaded(data: Any, run_path: Path, words: dict[str, str | None], given: dict[str, Any]) -> Any:
    """The run of a checkpoint. What nobody stated of its input is as the file says."""
    from whalecam.network import training
    from whalecam.network.checkpoints import class_names_of
    from whalecam.store.manifest import DatasetRecord
    from whalecam.store.run import create_run
    from whalecam.store.run_words import words_for

    context = click.get_current_context()
    stated = {
        name: None if context.get_parameter_source(name) is ParameterSource.DEFAULT else given[name]
        for name in ("size", "resize")
    }
    loaded = training.load_checkpoint(
        given["checkpoint"],
        class_names_of(given["classes"] or "") or None,
        otherwise=data.classes(),
        default_size=given["size"],
        **stated,
        **{name: given[name] for name in ("arch", *LOADING)},
    )
    run = create_run(run_path, DatasetRecord.of(data), words_for(run_path, data, **words))
    training.adopt(run, loaded.network, loaded.notes)
    return run


def _check_used(given: dict[str, Any]) -> None:
    """Raises DatasetError for options that would have no effect: masks that neither a remedy nor an audit would read,
    a split without a training, an input without a network that is loaded."""
    check_restricted(given["remedy"])
    is_remedied = given["remedy"] != "none" and not given["checkpoint"]
    if (given["masks"] or given["boxes"]) and not (is_remedied or given["audits"]):
        raise DatasetError(
            "--masks and --boxes are read by a remedy only. Add --remedy or --audit, or give them to 'whalecam audit' "
            "afterwards."
        )
    if (given["group"] or given["split_file"]) and given["checkpoint"]:
        raise DatasetError("--group and --split-file are for a training. Leave them out with --checkpoint.")
    loading = [f"--{name.replace('_', '-')}" for name in LOADING if given[name] is not None]
    if loading and not given["checkpoint"]:
        raise DatasetError(
            f"{' and '.join(loading)} {'is' if len(loading) == 1 else 'are'} of a network that is loaded. Add "
            "--checkpoint, or leave this out."
        )


@click.command()
@click.argument("checkpoint", type=FOLDER)
@click.option("--run", "run_path", type=FOLDER, help="Run it is meant for, whose labels name the classes if need be.")
@click.option("--arch", help=f"Any torchvision or timm name; else as the file says, else {LOADED_ARCH}.")
@click.option("--size", type=click.IntRange(*SIDES), help="Side of its input, px; else as the file says, else 128.")
@click.option(
    "--resize", type=click.Choice(RESIZES), help="How an image becomes the input; else as the file says, else squish."
)
@click.option("--classes", help="Classes in the order of its outputs: separated by commas, or a text or JSON file.")
@click.option("--save", type=FOLDER, help="Also write the result to this JSON file.")
@JSON
def inspect(checkpoint: Path, run_path: Path | None, save: Path | None, as_json: bool, **given: Any) -> None:
    """What a checkpoint or ONNX file contains: architecture, classes, preprocessing, maps. No image is predicted."""
    from whalecam.audit import run_audit
    from whalecam.store.checkpoint_record import save_record
    from whalecam.store.run import open_run

    if not checkpoint.expanduser().exists():
        raise ModelError(f"There is no file {checkpoint}. Give the path of a checkpoint on this machine.")
    labels = run_audit.open_data(open_run(run_path)).classes() if run_path else ()
    # Seconds of imports, so only once the paths are known to be good.
    from whalecam.explain import inspection

    reporter()(Progress("reading the checkpoint", 0, 1))
    record = inspection.inspect(checkpoint, labels=labels, **given)
    if save is not None:
        save_record(record, save)
    if as_json:
        print_facts(asdict(record) | {"sentences": record.sentences}, True)
    else:
        click.echo("\n".join(record.sentences))


@click.command()
@RUN
@click.option("--csv", type=FOLDER, help="Another data set to audit with this run's network.")
@click.option("--images", type=FOLDER, help="Its image folder.")
@click.option(
    "--size", type=click.IntRange(*SIDES), help="Side of the input that maps are made from, px; else the training size."
)
@word_options
@mask_options
@click.option(
    "--box-kind", default=AUDIT.box_kind, show_default=True, type=click.Choice(BOX_KINDS), help="What the boxes show."
)
@click.option("--mask-method", default=AUDIT.mask_method, show_default=True, type=MaskMethodName(), help="Otherwise.")
@click.option(
    "--background-test",
    "--needs",
    default=AUDIT.background_test,
    show_default=True,
    type=click.Choice(BACKGROUND_TESTS),
    help="Exchange the background of all images, of suspects and a sample (auto), or of none.",
)
@click.option(
    "--donors",
    default=AUDIT.donors,
    show_default=True,
    type=click.IntRange(1, 32),
    help="Backgrounds of other labels, at most.",
)
@click.option(
    "--precision",
    default=AUDIT.precision,
    show_default=True,
    type=click.Choice(PRECISIONS),
    help="Precision of the network.",
)
@click.option(
    "--runtime",
    default=AUDIT.runtime,
    show_default=True,
    type=click.Choice(RUNTIMES),
    help="Library that computes the network; auto: the fastest on this CPU that gives torch's numbers.",
)
@click.option(
    "--maps",
    default=AUDIT.maps,
    show_default=True,
    type=click.Choice(MAPS),
    help="auto: exact, where the network has positions; propagation: through all layers of a transformer with a class "
    "token, a backward pass a class; occlusion: by covering parts, 50 passes an image; none.",
)
@click.option("--limit", type=click.IntRange(1), help="The first N rows of the CSV only.")
@click.option("--batch", default=AUDIT.batch, show_default=True, help="Images a part.")
@click.option("--device", default=AUDIT.device, show_default=True, help="auto, cpu or cuda.")
@click.option(
    "--engine", default="local", show_default=True, type=click.Choice(ENGINES), help="This machine, or a Ray cluster."
)
@click.option("--address", help="Address of the Ray cluster, as in ray://host:10001; else Ray is started here.")
@click.option("--images-url", help="The image folder as Ray's workers see it: s3://…, file:///…")
@click.option("--parts-url", help="Where Ray's workers write rows to, instead of sending them here.")
@click.option(
    "--workers", type=click.IntRange(1), help="Number of Ray's workers; else one for each core, or for each GPU."
)
@gate_options
@JSON
def audit(run: Path, csv: Path | None, images: Path | None, as_json: bool, **given: Any) -> None:
    """Fill or complete a run's table: evidence maps, leak scores, verdicts. Resumable."""
    from whalecam.store.run import open_run

    gate = Gate(**{name: given[name] for name in ("fail_if", "baseline", "junit", "summary")})
    # Seconds of imports, so only once the gate is known to be good.
    from whalecam import api
    from whalecam.audit import run_audit
    from whalecam.cli.results import facts_of
    from whalecam.cli.summaries import run_lines

    opened = open_run(run)
    data = run_audit.open_data(opened, csv, images)
    known = {name: given[name] for name in vars(AUDIT)} | vars(mask_options_of(given))
    words = {name: given[name] for name in ("subject", "background")}
    summary = api.audit(opened, data, report=reporter(), engine=_engine(given), **words, **known)
    facts = vars(summary) if as_json else _plain(summary)
    if given["parts_url"]:
        print_facts({**facts, "parts": given["parts_url"]}, as_json)
        return
    gate_facts = gate.close(opened)
    if as_json:
        print_facts({**facts, **facts_of(opened), **gate_facts}, True)
    else:
        print_facts(facts | gate_facts, False)
        click.echo("\n".join(["", *run_lines(opened)]))
    sys.exit(1 if gate_facts["failed"] else 0)


def _plain(summary: Any) -> dict[str, Any]:
    """What an audit did, for people: of masks and boxes the sentence only."""
    joins = {kind: join["sentence"] for kind, join in summary.joins.items()}
    facts = {name: value for name, value in vars(summary).items() if name not in ("joins", "mask_sources")}
    return {**facts, **joins, "mask sources": dict(summary.mask_sources)}


def _engine(given: dict[str, Any]) -> Any:
    """Who does the work of an audit. Raises RunError for Ray's options without Ray."""
    from whalecam.audit import run_audit
    from whalecam.errors import RunError

    ray_options = {name: given[name] for name in ("address", "images_url", "parts_url", "workers") if given[name]}
    if given["engine"] == "local":
        if ray_options:
            named = ", ".join(f"--{name.replace('_', '-')}" for name in ray_options)
            raise RunError(f"{named} is for Ray's workers. Add --engine ray, or leave it out.")
        return run_audit.LOCAL
    if given["parts_url"] and (given["fail_if"] or given["baseline"]):
        raise RunError("A gate needs the rows here. Leave --parts-url out, or copy them into the run and ask again.")
    from whalecam.audit.engines.ray import OnRay

    return OnRay(given["address"], given["images_url"], given["parts_url"], given["workers"])


@click.command()
@RUN
@click.argument("image")
@click.option("--mask", type=FOLDER, help="The mask that you drew: a file as in a folder of --masks.")
@click.option("--reviewer", required=True, help="Who drew it, or undoes it.")
@click.option("--undo", is_flag=True, help="Take the newest corrected mask of the image back.")
@click.option("--redo", is_flag=True, help="Let the one count again that was taken back.")
@click.option("--mask-class", default="", help="Values of the mask that are the subject, such as 1 or 1,2.")
@click.option(
    "--mask-orientation",
    default=AUDIT.mask_orientation,
    show_default=True,
    type=click.Choice(ORIENTATIONS),
    help="Pixels that the mask of an image turned by EXIF lies in; auto: by its size.",
)
@JSON
def remask(run: Path, image: str, mask: Path | None, undo: bool, redo: bool, as_json: bool, **given: Any) -> None:
    """Correct the mask of one image: measure it again under yours. All other rows stay.

    The mask counts in every later audit of the run too. Corrected masks lie in the run's folder corrected-masks, which
    --masks takes.
    """
    if [mask is not None, undo, redo].count(True) != 1:
        raise DatasetError("Give a mask with --mask FILE, or --undo, or --redo: one of the three.")
    from whalecam.store.run import open_run

    opened, steps = open_run(run), {"undo": undo, "redo": redo}
    # Seconds of imports, so only once the run is known to be there.
    from whalecam import api

    if mask is not None:
        done = api.remask(opened, image, mask, report=reporter(), **given)
    else:
        name = next(name for name, is_chosen in steps.items() if is_chosen)
        done = api.step_mask(opened, image, name, reviewer=given["reviewer"], report=reporter())
    print_facts(vars(done), as_json)


VERBS = (train, inspect, audit, remask)
