"""Every knob, with its default and its unit."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypedDict

IMAGE_SUFFIXES = (
    *(".jpg", ".jpeg", ".jfif", ".jpe", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif"),
    *(".heic", ".heif", ".avif", ".jp2", ".j2k", ".jpx"),
)
"""Extensions of image files that are read."""
UNREAD_SUFFIXES = (
    *(".cr2", ".cr3", ".crw", ".nef", ".arw", ".dng", ".orf", ".raf", ".rw2", ".pef", ".srw", ".x3f", ".raw"),
    *(".psd", ".jxl", ".svg", ".eps", ".pdf", ".exr", ".hdr", ".dcm", ".fits", ".npy", ".ppm", ".pgm", ".tga", ".ico"),
)
"""Extensions of files that contain an image which is not read."""
MAX_PIXELS = 120_000_000
SPLITS = ("random", "group")
PRECISIONS = ("auto", "float32")
RUNTIMES = ("auto", "torch", "onnxruntime")
ENGINES = ("local", "ray")
PROBE = "linear-probe"
RECIPES = ("fast", "notebook", PROBE)
ARCFACE = "arcface"
LOSSES = ("cross-entropy", ARCFACE)
MAX_CENTRES = 4
"""Of each label, under ARCFACE."""
EARLIER_RECIPES = {"seed": "notebook"}
"""Recipes by the names that an earlier version gave them → the present ones."""
DATA_REMEDIES = ("crop", "neutral", "drop", "relabel")
"""Remedies that make a mended data set."""
RESTRICT = "restrict"
TRAIN_REMEDIES = ("none", "crop", "neutral", "shuffle", RESTRICT)
"""Remedies that `train` can apply; `shuffle` exists only there, since its backgrounds are drawn anew every epoch, and
RESTRICT, which changes no image but what the network learns of it."""
REGIONS = ("mask", "box")
"""Where RESTRICT lets a network look: the subject's mask, or the boxes of its fin, else of its fluke, else of its body.
"""
HEAD, PROJECT = "head", "project"
LAYER_REMEDIES = (HEAD, PROJECT)
"""Remedies that change the last layer of a run's networks alone, their bodies as they are: HEAD fits it again, PROJECT
removes a cue from what it takes."""
RETRAIN_REMEDIES = (*TRAIN_REMEDIES, *LAYER_REMEDIES)
"""Remedies that `retrain` can apply; `parts_of` says of which two of them."""
BACKGROUND, FLAGGED, LEAKS = "background", "flagged", "leaks"
CUES = (BACKGROUND, FLAGGED, LEAKS)
"""What PROJECT can remove: the background of each label; what flagged images, or those that the audit lists as relying
on their background, have and others of their label have not. Else a file lists the images that carry the cue."""
DEMO_CUES = ("timestamp", "caption_strip", "logo", "boat", "jpeg_quality", "sharpness", "exposure")
"""What images of the demo may carry, see `whalecam.demo.cues.CUES`."""
CUES_PER_CLASS = 60
"""Images of each predicted class that are tested for cues beyond the background's looks, at most."""
SIMULATION_LIMIT = 600
"""Held-out images on which remedies are simulated, at most."""
SIMULATED = ("crop", "neutral")
"""Remedies that need no new network, so that the present one can be asked what they would do."""
FORESEEN = (*LAYER_REMEDIES, *SIMULATED)
"""Remedies whose effect can be measured before any training."""
SIDES = (32, 1024)
"""Of a network's input, px: the least and the largest."""
RESIZES = ("squish", "crop", "pad")
INTERPOLATIONS = ("bilinear", "bicubic", "lanczos", "nearest", "box", "hamming")
"""Of images that become network input, as Pillow has them."""
HIGH_NORM_LIMIT = 0.2
"""Share of a map's evidence in tokens of high norm on the background, above which an image is flagged."""
REVIEW_VERDICTS = ("flag", "keep", "unsure")
WRONG_MASK = "bad mask"
"""The reason of a verdict that rejects an image's mask: its scores then count no longer."""
ASSESSMENTS = (
    "confirmed_leak",
    "hidden_reliance",
    "background_reliance",
    "suspect",
    "cosmetic",
    "clean",
    "not_tested",
    "not_assessable",
)
SUSPECT_ASSESSMENTS = ("suspect", "confirmed_leak", "hidden_reliance", "background_reliance")
EXPORT_CHOICES = ("flagged", "reviewed", "suspects", "all")
MATCH_VERDICTS = ("same", "different", "unsure", "background")
"""What a person says of a match: the same individual, another one, cannot tell, or that it rests on the background."""
AUTO = "auto"
POOLINGS = (AUTO, "gem", "average", "own")
"""How activations become a vector to compare."""
CSV = "csv"
INTERCHANGE = ("fiftyone", "label-studio", "cvat", "coco", "camtrap-dp", "huggingface")
"""Formats of other tools that verdicts go out to and come back from, beside CSV."""
BACKGROUND_TESTS = ("all", "auto", "none")
"""Which images are tested for reliance on their background: all, the suspects and a sample, or none."""
MAPS = ("auto", "propagation", "occlusion", "none")
"""How maps are drawn: from the network's positions where it has them; through all layers of a class-token transformer;
by covering parts of the image; or not at all."""
OTHER = "other"
"""`reliance_on` where neither a single property of the background nor several together carry the drop."""
TESTED_SAMPLE = 2000
"""Images beyond the suspects whose background is exchanged under `auto`."""
MASK_FALLBACKS = ("net", "border")
"""How a subject without a given mask or box is found."""
BOX_KINDS = ("body", "fin", "fluke")
ORIENTATIONS = ("auto", "stored", "upright")
"""The pixels that boxes and masks of an image turned by EXIF lie in: as the file stores them, or as the image is
displayed; auto: as the box file or the sizes show, and refused where nothing does."""
BOX_UNITS = ("auto", "pixels", "shares", "percent")
"""The units of boxes; auto: as the format or the values show."""
FALLBACK_ARCH = "efficientnet_lite0"
FINE_ARCH = "efficientnet_lite0_fine"
UNTRAINED = "untrained"
LOADED_ARCH = "resnet18"
"""The architecture that a checkpoint is taken to have where neither a person nor the file names one."""
FALLBACKS = (FALLBACK_ARCH, UNTRAINED)
"""What can be trained, where it is named, if the pretrained weights of the chosen network cannot be had."""
EXACTNESS = {
    "exact_here": "Each map adds up to its logit for the image it is drawn on, with its own rectifiers and norm.",
    "exact": "The network has a linear head, so each map adds up to its logit: the map is the whole story.",
    "none": "There are no maps: where the network looks was not measured, what it relies on was.",
    "approximate": "The map leaves a rest of the logit unexplained, which is shown beside it.",
}
"""How far a map adds up to its logit, by what the head is."""
NO_MAPS = "none"
"""The exactness of an audit that has no maps."""
BLACK_BOX, IN_MEMORY = "black box", "in memory"
"""How a network was cut that a run cannot build again: a function, or a module that only its maker has."""
THUMB_SIZE = 192
MASK_GRID = 96


def parts_of(remedy: str) -> tuple[str, ...]:
    """The remedies that are applied one after the other, as in `shuffle+head`."""
    return tuple(remedy.split("+"))


def mending_of(remedy: str) -> str:
    """The part of a remedy that mends the images which a network is then trained on and judged by; empty without."""
    return next((part for part in parts_of(remedy) if part in SIMULATED), "")


def clash_of(remedy: str) -> str:
    """Why the parts of a remedy cannot be applied one after the other, as a sentence; empty where they can."""
    parts = parts_of(remedy)
    trainings, layers = ([part for part in parts if part in of] for of in (TRAIN_REMEDIES, LAYER_REMEDIES))
    if len(trainings) + len(layers) < len(parts):
        unknown = next(part for part in parts if part not in RETRAIN_REMEDIES)
        return f"There is no remedy '{unknown[:40]}'. There are: {', '.join(RETRAIN_REMEDIES)}."
    if len(parts) > 1 and "none" in parts:
        return "'none' is no remedy that another could follow. Leave it out."
    if len(trainings) > 1:
        return f"{trainings[0]} and {trainings[1]} both train the network, so one would be lost. Take one of them."
    if len(layers) > 1:
        return (
            f"{layers[0]} and {layers[1]} both set the last layer, and what one removes the other may bring back. "
            "Apply one, look at the run, and apply the other to it."
        )
    if trainings and parts[0] != trainings[0]:
        return f"{trainings[0]} trains the network, so {layers[0]} would be lost. Write {trainings[0]}+{layers[0]}."
    return ""


@dataclass(frozen=True)
class Columns:
    """Names of the columns in the user's CSV; `group` may be absent from it."""

    image: str = "image"
    label: str = "species"
    group: str = "individual_id"


@dataclass(frozen=True, kw_only=True)
class MaskOptions:
    """Where the subjects are, and how that is read.

    Attributes:
        masks: a folder of masks.
        boxes: box files or folders.
        box_orientation, mask_orientation: out of ORIENTATIONS, for images that are turned by EXIF.
        box_units: out of BOX_UNITS.
        box_confidence: boxes that state a smaller confidence (0 to 1) are not used.
        mask_class: the values of a mask that are the subject, separated by commas, or `any` for all but 0; empty: as
            the values show.
    """

    masks: str | None = None
    boxes: tuple[str, ...] = ()
    box_orientation: str = "auto"
    box_units: str = "auto"
    box_confidence: float = 0.2
    mask_class: str = ""
    mask_orientation: str = "auto"

    @classmethod
    def _from_json(cls, record: Mapping[str, Any]) -> dict[str, Any]:
        """Keyword arguments out of a record of options as JSON holds it, or as an earlier version wrote it."""
        orientation = record.get("box_orientation") or MaskOptions.box_orientation
        options = {**record, "boxes": tuple(record.get("boxes") or ()), "box_orientation": orientation}
        return {name: value for name, value in options.items() if name in cls.__dataclass_fields__}


MASK_OPTIONS = tuple(field.name for field in fields(MaskOptions))


@dataclass(frozen=True)
class TrainOptions(MaskOptions):
    """How a network is trained. Where masks and boxes are, and how they are read, is as in docs/data.md.

    Attributes:
        arch: a name of torchvision or timm.
        epochs: after one with the body frozen.
        lr: the peak of the one-cycle schedule, in (0, 1].
        batch: at most so many images.
        size: side of the network's input, px, 32 to 1024.
        split: `group` keeps groups together, `random` does not.
        valid_share: of the rows, in (0, 1), that the network is validated on, where there is one fold.
        folds: so many networks, each validated on what it was not trained on.
        compare_splits: train once more on the other kind of split, for comparison.
        resize: how an image becomes a square: `squish`, `crop` or `pad`.
        pretrained: start from ImageNet weights.
        min_per_class: labels with fewer images are left out.
        seed: of the split, of augmentation and of the new last layer.
        device: `auto` (a GPU where there is one), `cpu` or `cuda`.
        recipe: `fast` fine-tunes the whole network; `notebook` does so from files, through 224 px and in float32, for
            comparison; `linear-probe` fits a linear head over the body as it is, in seconds, and takes no `epochs`,
            `lr` and `batch`.
        body_from: a run whose network's body is started from.
        remedy: one of TRAIN_REMEDIES; it finds the subjects by the options of masks and boxes.
        fallback: `efficientnet_lite0` or `untrained`, for where the pretrained weights of `arch` cannot be had; None:
            nothing is trained then.
        group: what a split keeps together: `folder`, `source`, `photographer`, `camera`, `day`, `place` or a column;
            empty: the individual.
        split_file: a table with a column of parts or folds, or lists of names, in place of a split.
        region: where `restrict` wants the evidence: `mask` or `box`.
        weight: of the penalty of `restrict`, above 0; None: chosen on held-out training images.
        loss: `cross-entropy`, or `arcface`: an angular margin between labels over vectors of length 1 (arXiv
            1801.07698), for individuals; generalised-mean pooling, and fine-tuning alone.
        centres: of `arcface`, for each label, 1 to 4: several where it looks different from its two sides.
    """

    arch: str = FALLBACK_ARCH
    epochs: int = 2
    lr: float = 3e-3
    size: int = 128
    batch: int = 128
    split: str = "group"
    valid_share: float = 0.2
    folds: int = 1
    compare_splits: bool = False
    resize: str = "squish"
    pretrained: bool = True
    min_per_class: int = 1
    seed: int = 0
    device: str = "auto"
    recipe: str = "fast"
    body_from: str | None = None
    remedy: str = "none"
    fallback: str | None = None
    group: str = ""
    split_file: str | None = None
    region: str = "mask"
    weight: float | None = None
    loss: str = LOSSES[0]
    centres: int = 1

    @classmethod
    def stored(cls, record: Mapping[str, object]) -> "TrainOptions":
        """What was asked for by `Manifest.train`, which also notes what was `used`."""
        return cls(**cls._from_json(record))


@dataclass(frozen=True)
class AuditOptions(MaskOptions):
    """What an audit measures and on what. Where masks and boxes are, and how they are read, is as in docs/data.md.

    Attributes:
        box_kind: what the boxes show: `body`, `fin` or `fluke`.
        mask_method: how a subject without a given mask or box is located: `net` or `border`.
        size: side of the network's input, px; None: that of its training.
        background_test: which images are tested: `all`, `auto` (the suspects and 2,000 others) or `none`.
        donors: how many images of other labels lend each image their background.
        limit: only the first rows; None: all.
        batch: images in a forward pass.
        device: `auto` (a GPU where there is one), `cpu` or `cuda`.
        precision: `float32`, or `auto`: bfloat16 where the CPU has it and the maps hardly change; the audit says by how
            much.
        runtime: which library computes the network: `torch`, `onnxruntime`, or `auto`, the faster one.
        maps: `auto` where the network has positions, `propagation` (Achtibat et al. 2024) through all layers of a
            vision transformer with a class token, `occlusion` (Zeiler & Fergus 2014) by covering parts of the image, or
            `none`, which measures the reliance on the background alone.
    """

    box_kind: str = "body"
    mask_method: str = "net"
    size: int | None = None
    background_test: str = "all"
    donors: int = 6
    limit: int | None = None
    batch: int = 32
    device: str = "auto"
    precision: str = "auto"
    runtime: str = "auto"
    maps: str = "auto"

    @classmethod
    def stored(cls, record: Mapping[str, object]) -> "AuditOptions":
        """What `Manifest.audit` holds; the defaults before the first audit."""
        return cls(**cls._from_json(record))


@dataclass(frozen=True)
class MatchOptions(MaskOptions):
    """How matches of individuals are made and tested. Where masks and boxes are, and how they are read: docs/data.md.

    Attributes:
        encounter: what an encounter is: `day`, `place`, `camera`, `source` or a column, or several of them together;
            empty: the day, where it is known.
        network: whose vectors are compared: a checkpoint, or a name of torchvision or timm; empty: the run's own.
        pooling: `gem` or `average` of its activations; `own`: as the network pools them, with what follows; `auto`:
            `own` where the run's network was trained by `arcface`, else `gem`.
        fit: fit an ArcFace projection on the individuals of one part of the encounters, and look up the others.
        length: of the projected vectors.
        centres: for each individual of the projection.
        share: about which share of the encounters is looked up after a fit, in (0, 1).
        candidates: how many individuals a match lists.
        limit: at most so many queries are tested, drawn by chance; all are evaluated.
        donors: how many images of other encounters lend a query their background.
        size: side of the input of a network that is named, px.
        batch: images in a forward pass.
        device: `auto` (a GPU where there is one), `cpu` or `cuda`.
        seed: of the split and of what is drawn.
    """

    encounter: tuple[str, ...] = ()
    network: str = ""
    pooling: str = AUTO
    fit: bool = False
    length: int = 128
    centres: int = 1
    share: float = 0.3
    candidates: int = 5
    limit: int = 400
    donors: int = 6
    size: int = 224
    mask_method: str = "net"
    batch: int = 32
    device: str = "auto"
    seed: int = 0


class NotedThresholds(TypedDict):
    """Thresholds by the names that verdicts, the flag CSV and the options of the command line have for them."""

    attention_threshold: float
    reliance_threshold: float
    false_rate: float


@dataclass(frozen=True)
class Thresholds:
    """Where a score becomes a verdict.

    Attributes:
        attention: an image *looks* at the background from this `attention_score` on: 0 is the subject's shape, 1 a flat
            map.
        reliance: an image *relies* on the background from this `reliance` on, a drop in probability in [0, 1], where
            its audit controlled no rate.
        false_rate: how many of the images that are listed as relying on the background may be false, as a share in
            [0, 1], in the mean over all of them (false discovery rate; Benjamini & Hochberg 1995).
    """

    attention: float = 1.0
    reliance: float = 0.25
    false_rate: float = 0.05

    def noted(self) -> NotedThresholds:
        """As verdicts, the flag CSV and the options of the command line name them."""
        return {
            "attention_threshold": self.attention,
            "reliance_threshold": self.reliance,
            "false_rate": self.false_rate,
        }

    @classmethod
    def of(cls, noted: Mapping[str, float]) -> "Thresholds":
        """The thresholds that `noted` names."""
        return cls(noted["attention_threshold"], noted["reliance_threshold"], noted["false_rate"])


THRESHOLDS = tuple(field.name for field in fields(Thresholds))
FALSE_LEAKS = 0.023
"""The share of images that these thresholds confirm by mistake, of networks that never met a leak: 13 of 956; the
upper bound (95 %, Wilson) of `python -m benchmarks.twins clean --seeds 1` (docs/method/remedies.md)."""


@dataclass(frozen=True)
class Assessable:
    """Limits outside which the attention on an image cannot be assessed (docs/concepts.md)."""

    max_area: float = 0.9
    min_spread: float = 0.05
