"""What a remedy would do, before any training: the present network on changed images."""

import copy
import functools
import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from whalecam import network, remedies
from whalecam.analysis.recommendation import PRESENT, Simulation, metrics_of
from whalecam.arrays import ByteArray, Mask, Progress, Report, Sample, silent, typed_records
from whalecam.audit import run_audit
from whalecam.config import (
    BACKGROUND,
    FORESEEN,
    LAYER_REMEDIES,
    SIMULATION_LIMIT,
    AuditOptions,
    Columns,
    TrainOptions,
    mending_of,
)
from whalecam.data import Dataset, ImageRow, folds, geometry, inspect_images, open_dataset, with_merges
from whalecam.errors import ModelError, RunError
from whalecam.explain import background_test, cam, score
from whalecam.explain.masks import MaskMethod, find_mask
from whalecam.network import Network, training
from whalecam.network.beside import side_by_side
from whalecam.network.training import Cue
from whalecam.remedies import REMEDIES, Case
from whalecam.remedies.kinds import GREY
from whalecam.store.json_file import read_json, write_json
from whalecam.store.run import Run, now

WATERS = 2


@dataclass(frozen=True)
class Source:
    """The images a simulation starts from, how their subjects are found, and what the run's own training did to them.

    `trained` is the remedy whose mended images the run was trained on, empty where it saw them as they are. `donors`
    lend their background; None: they are still to be gathered.
    """

    data: Dataset
    find: MaskMethod
    trained: str = ""
    donors: Sequence[background_test.Donor] | None = None


def source_of(run: Run) -> Source:
    """The run's data set and masks; of a run trained on a mended data set, those it was made from."""
    remedy = mending_of(str(run.manifest.train.get("remedy", "none")))
    mended = remedies.record_in(run.remedied)
    if remedy and mended.is_file():
        record, options = read_json(mended), TrainOptions.stored(run.manifest.train)
        columns = Columns(**record["columns"])
        data = open_dataset(Path(record["source"]), Path(record["images"]), columns, needs_group=False)
        data = with_merges(data, record.get("merges", {}))
        return Source(data, remedies.finder(data, options), remedy)
    stored = AuditOptions.stored(run.manifest.audit)
    data = run_audit.open_data(run)
    sources = run_audit.joined_sources(data, stored, run=run).sources
    return Source(data, functools.partial(find_mask, sources=sources, fallback=stored.mask_method))


def simulate(
    run: Run,
    wanted: Sequence[str] | None = None,
    limit: int = SIMULATION_LIMIT,
    *,
    report: Report = silent,
    cue: str = BACKGROUND,
    source: Source | None = None,
) -> Simulation:
    """Judge images as they are and under each remedy by a network that had not seen them; kept in `simulation.json`.

    Each is judged on its own background and on that of WATERS images of other labels. The images that a network is
    judged on share the leak of those it learnt from, so accuracy on their own background rewards the leak; accuracy on
    swapped backgrounds is the figure that counts. A network trained on mended images is shown mended ones.

    Args:
        wanted: out of FORESEEN, None for all; a run that was trained on mended images is judged under no other.
        limit: images, at most, drawn at random.
        cue: what the remedy `project` would remove, as `remedies.cue_of` takes it.
        source: None: `source_of` the run.

    Raises RunError for an untrained run, where no such image has a mask and for a cue that no image has.
    """
    if not run.trained:
        raise RunError(f"Run '{run.name}' has no trained network. Train it first: whalecam train CSV IMAGES --run RUN.")
    _check_network(run)
    source = source or source_of(run)
    removed = remedies.cue_of(run, source.data, cue)
    names = () if source.trained else tuple(FORESEEN if wanted is None else wanted)
    rows = _unseen(run, source.data, limit, report)
    layers = [name for name in names if name in LAYER_REMEDIES]
    change = _changing(run, source, layers, removed, report) if layers else _as_it_is
    measure = _measure_of(run, source, rows, [name for name in names if name not in layers], report)
    results, impossible = list[dict[str, Any]](), dict[str, str]()
    for fold, part in rows.groupby("fold"):
        number = int(str(fold))
        model = network.quick(network.from_spec(run.manifest.network, run.load_checkpoint(number)), halves=False)
        changed, mine = change(number, model), typed_records(part, ImageRow)
        impossible |= changed.reasons
        every = side_by_side(functools.partial(measure, model, changed), mine)
        for row, outcomes in zip(mine, every, strict=True):
            report(Progress("simulation", len(results), len(rows)))
            results.append({"row": row, "outcomes": outcomes})
    report(Progress("simulation", len(rows), len(rows)))
    summary = _summary([result for result in results if result["outcomes"] is not None], run, source)
    summary["not_finite"] = sum(result["outcomes"] is None for result in results)
    summary["impossible"], summary["cue"] = impossible, removed.name
    write_json(run.simulation, summary)
    return cast(Simulation, read_json(run.simulation))


def _measure_of(run: Run, source: Source, rows: pd.DataFrame, mended: Sequence[str], report: Report) -> "_Measure":
    """What measures images of `rows`, also under the remedies `mended`, which change them."""
    donors, find = source.donors, source.find
    if donors is None:
        size, resize = int(run.manifest.network["size"]), str(run.manifest.network["resize"])
        donors = background_test.gather(source.data, run.manifest.classes, find, size, resize=resize, report=report)
    water = remedies.mean_water(rows, find, report) if mended or source.trained else GREY
    return _Measure(source, donors, water, mended)


def _check_network(run: Run) -> None:
    """Raise ModelError where the network cannot be built again, or draws no maps to simulate a remedy by."""
    model = network.from_spec(run.manifest.network, run.load_checkpoint())
    if not model.has_positions:
        raise ModelError(
            f"The network of run '{run.name}' ({model.arch}) draws no maps, by which remedies are simulated. Train "
            "with a remedy where the network was trained, audit the result, and compare the runs."
        )


def exchanged(sample: Sample, mask: Mask, water: ByteArray) -> Sample:
    """The same subject on another background: `water` is any size, its subject filled in; the edge as in `shuffle`."""
    height, width = sample.pixels.shape[:2]
    laid = cv2.resize(water, (width, height), interpolation=cv2.INTER_LINEAR)
    keep = remedies.inside(mask.values)[..., None]
    mixed = keep * sample.pixels + (1 - keep) * laid
    return Sample(sample.image, mixed.round().astype(np.uint8), sample.orientation)


def _unseen(run: Run, data: Dataset, limit: int, report: Report) -> pd.DataFrame:
    """Some of the readable images of known species that a network had not seen, with its number as `fold`."""
    good = data.good().drop_duplicates("image")
    good = good[good["label"].isin(run.manifest.classes) & (good["path"] != "")]
    rows = good.assign(fold=run_audit.held_out_folds(run, good["image"].tolist()))
    seen = {fold: run.training_images(fold) for fold in set(rows["fold"])}
    rows = rows[[image not in seen[fold] for image, fold in zip(rows["image"], rows["fold"], strict=True)]]
    if rows.empty:
        raise RunError(f"The networks of run '{run.name}' have seen every image, so nothing can be simulated.")
    some = rows.sample(min(limit, len(rows)), random_state=0).sort_values("image", ignore_index=True)
    return inspect_images(replace(data, table=some), report).good()


@dataclass(frozen=True)
class _Changed:
    """Heads with another last layer, by remedy, and why others cannot be; the names of the images they are made by."""

    heads: Mapping[str, nn.Module] = field(default_factory=dict)
    training: Collection[str] = ()
    reasons: Mapping[str, str] = field(default_factory=dict)


def _as_it_is(fold: int, model: Network) -> _Changed:
    return _Changed()


def _changing(
    run: Run, source: Source, names: Sequence[str], cue: Cue, report: Report
) -> Callable[[int, Network], _Changed]:
    """What remedies would make of the last layer of each of the run's networks, which stay as they are themselves."""
    known, spec, options = run.manifest.classes, run.manifest.network, TrainOptions.stored(run.manifest.train)
    rows = inspect_images(source.data, report).good()
    rows = rows[rows["label"].isin(known) & (rows["path"] != "")].drop_duplicates("image", ignore_index=True)
    # One for all networks, since it keeps the masks that it has found.
    exchange = remedies.Shuffle(source.find, int(spec["size"]), str(spec["resize"]), report=report)

    def changed(fold: int, model: Network) -> _Changed:
        heads, reasons = dict[str, nn.Module](), dict[str, str]()
        try:
            fitted = rows[~training.held_out(run, source.data, rows, options)[0][fold]]
            versions = training.layer_versions(model, fitted, exchange, seed=options.seed, report=report)
        except ModelError as error:
            return _Changed(reasons=dict.fromkeys(names, str(error)))
        for name in names:
            copied = replace(model, head=copy.deepcopy(model.head))
            try:
                remedies.layer_change(name, exchange, cue)(copied, versions)
                heads[name] = copied.head
            except ModelError as error:
                reasons[name] = str(error)
        return _Changed(heads, frozenset(fitted["image"]), reasons)

    return changed


@dataclass(frozen=True)
class _Measure:
    """What images are measured by, whatever the network.

    Attributes:
        mended: remedies that change the image.
    """

    source: Source
    donors: Sequence[background_test.Donor]
    water: remedies.Rgb
    mended: Sequence[str]

    def __call__(self, model: Network, changed: _Changed, row: ImageRow) -> dict[str, dict[str, float]] | None:
        """`own`, `unseen` and `leak` of one image, as it is and under each remedy; nothing without a mask.

        None where the network gives NaN or infinite logits, which say neither right nor wrong.
        """
        case = remedies.case_of(row, self.source.find, {}, water=self.water)
        if case.mask is None or not (case.mask.values > 0.5).any():
            return {}
        drawn = _drawn(row["image"], row["label"], self.donors)
        scenes = [case.sample, *(exchanged(case.sample, case.mask, donor.water.filled) for donor in drawn)]
        versions = [_changed(name, case, scene) for name in (self.source.trained, *self.mended) for scene in scenes]
        inputs = [geometry.to_input(pixels, model.size, model.resize) for pixels, _ in versions]
        activations, each = model.look(np.stack(inputs)), len(scenes)
        if not bool(torch.isfinite(model.head(activations)).all()):
            return None
        outcomes = {}
        for at, name in enumerate((PRESENT, *self.mended)):
            own = at * each
            outcomes[name] = _outcome(model, model.head, activations[own : own + each], row["label"], versions[own][1])
        for name, head in changed.heads.items() if row["image"] not in changed.training else ():
            outcomes[name] = _outcome(model, head, activations[:each], row["label"], versions[0][1])
        return outcomes


def _outcome(
    model: Network, head: nn.Module, activations: Tensor, label: str, mask: NDArray[np.float32]
) -> dict[str, float]:
    """Of an image, `activations[0]`, and of the same on other waters, the others."""
    seen = cam.explain(head, activations)
    logits, maps = seen.logits.numpy(), seen.maps.numpy()
    right = logits.argmax(1) == model.classes.index(label)
    return {
        "own": float(right[0]),
        "unseen": float(right[1:].mean()) if len(right) > 1 else np.nan,
        "leak": _leak(maps[0], int(logits[0].argmax()), mask, model),
    }


def _changed(name: str, case: Case, scene: Sample) -> tuple[ByteArray, NDArray[np.float32]]:
    """One image and its mask under a remedy, or as it is under none."""
    mended = REMEDIES[name](replace(case, sample=scene)) if name else None
    pixels = mended.pixels if mended is not None else None
    mask = mended.mask if mended is not None else None
    given = np.asarray(case.mask, np.float32)
    return scene.pixels if pixels is None else pixels, given if mask is None else mask


def _leak(maps: NDArray[Any], top: int, mask: NDArray[np.float32], model: Network) -> float:
    """The share of positive evidence on the background under the image's own mask; NaN where it cannot be assessed."""
    values, seen = geometry.mask_to_input(mask, model.size, model.resize)
    weights = score.weigh(values, seen, maps.shape[1:])
    return score.score(score.contrast(maps, "relative", top), weights).background_share


def _drawn(image: str, label: str, donors: Sequence[background_test.Donor]) -> list[background_test.Donor]:
    """The backgrounds of other labels for one image; the same for the same name in every simulation."""
    rng = np.random.default_rng(int.from_bytes(hashlib.sha256(image.encode()).digest()[:8], "little"))
    others = [donor for donor in donors if donor.label != label]
    return [others[at] for at in rng.permutation(len(others))[:WATERS]]


def _summary(results: Sequence[Mapping[str, Any]], run: Run, source: Source) -> Simulation:
    """What stands in the file."""
    groups = folds.groups_of([result["row"]["group"] for result in results]).tolist()
    rows = [
        {"image": result["row"]["image"], "label": result["row"]["label"], "group": group, "remedy": name, **values}
        for result, group in zip(results, groups, strict=True)
        for name, values in result["outcomes"].items()
    ]
    if not rows:
        raise RunError("No image has a mask, so no remedy can be simulated. Audit with --masks or --boxes.")
    present = [row for row in rows if row["remedy"] == PRESENT]
    return {
        "created": now(),
        "source": source.data.fingerprint,
        "model_sha256": run.manifest.model_sha256,
        "pictures": len(present),
        "without_mask": len(results) - len(present),
        "waters": WATERS,
        "figures": metrics_of(pd.DataFrame(rows)),
        "own": {row["image"]: _null(row["own"]) for row in present},
        "unseen": {row["image"]: _null(row["unseen"]) for row in present},
        "groups": {row["image"]: row["group"] for row in present},
    }


def _null(value: float) -> float | None:
    return None if np.isnan(value) else value
