"""The work of one fold in an audit: what its explainer is made of, and how batches become parts on this machine."""

import contextlib
import functools
import gc
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import pandas as pd

from whalecam import network
from whalecam.audit import pipeline
from whalecam.audit.precision import (
    TOLERATED_DROP,
    TOLERATED_ROUNDING,
    at_map_size,
    check_answers,
    rounding,
    some_inputs,
)
from whalecam.config import TESTED_SAMPLE, AuditOptions
from whalecam.data import Dataset
from whalecam.explain import background_test, occlusion, propagation
from whalecam.explain.explainer import PROPAGATION, Agreement, Explained, Explainer
from whalecam.explain.masks import MaskSources, find_mask
from whalecam.network import Network
from whalecam.network.exactness import NONE, exactness
from whalecam.network.runtime import ONNX_RUNTIME, TORCH, Computed, with_runtime
from whalecam.store.run import Run
from whalecam.store.thumbnails import save_thumbs
from whalecam.text import percent, points

PART_ROWS, PART_SECONDS = 512, 10.0
"""How much work a crash can cost."""
MIN_PASSES = 8192
"""Forward passes of an audit from which on it pays to export its network to another library, which takes seconds."""

WITHOUT_MAPS = "No maps: where the network looks is not measured, what it relies on is."


@dataclass(frozen=True)
class Networks:
    """One fold's network in its roles.

    Attributes:
        predictor: gives the predictions, with exchanged backgrounds too.
        mapper: gives the maps.
        note: what precision and another size cost, in words.
        exactness: of the maps that this audit draws.
        maps: how it draws them, out of `config.MAPS`.
    """

    predictor: Network
    mapper: Network
    note: str
    exactness: str
    maps: str


@dataclass(frozen=True)
class Work:
    """All that one fold's explainer is made of; it can be sent to another process.

    Attributes:
        training: names of the images the fold's network was trained on.
        donors: images that lend their background; None where no background test is wanted.
        probes: images that are tested beyond the suspects; None: every one.
        agreements: as of an `Explainer`.
    """

    networks: Networks
    sources: MaskSources
    options: AuditOptions
    training: frozenset[str]
    donors: list[background_test.Donor] | None
    probes: frozenset[str] | None
    fold: int
    agreements: Mapping[str, Agreement] = field(default_factory=dict)

    def explainer(self) -> Explainer:
        """An explainer of its own for whoever asks."""
        tester = None
        if self.donors is not None:
            tester = background_test.BackgroundTest(self.networks.predictor, self.donors, self.options.donors)
        return Explainer(
            self.networks.predictor,
            self.sources,
            self.options.mask_method,
            training=self.training,
            device=self.options.device,
            mapper=self.networks.mapper,
            tester=tester,
            probes=self.probes,
            fold=self.fold,
            maps=self.networks.maps,
            agreements=self.agreements,
        )


Done = tuple[int, int]
"""Rows that were stored since the last report, and forward passes of the background test for them."""


class Engine(Protocol):
    """Who does the work: this machine (`Local`), or a cluster."""

    def audited(self, run: Run) -> set[str]:
        """Names of the images that have a row."""

    def __call__(self, run: Run, work: Work, batches: Sequence[pd.DataFrame]) -> Iterator[Done]:
        """Explain the batches of one fold and store their rows."""


def prepared(
    run: Run,
    fold: int,
    data: Dataset,
    options: AuditOptions,
    *,
    given: Network | None = None,
    runtime: str = TORCH,
) -> Networks:
    """One fold's network prepared for all it has to do, with what precision and another size cost, in words.

    Args:
        given: the network itself, where the run cannot build it.
        runtime: which library computes it in float32, out of `config.RUNTIMES`.
    """
    model = given or network.from_spec(run.manifest.network, run.load_checkpoint(fold))
    device = network.pick_device(options.device)
    model.to(device)
    check_answers(model, data, f"run '{run.name}', fold {fold}")
    predictor, mapper, note = _sized(model, run, fold, data, options)
    is_propagated = options.maps == PROPAGATION
    if is_propagated:
        _check_propagation(mapper, data)
    in_torch = mapper.has_positions and not mapper.is_opaque and runtime != ONNX_RUNTIME
    wanted = options.precision == "auto" and network.fast_halves(device) and in_torch
    quick = network.quick(mapper, wanted)
    apart = rounding(mapper, quick, data) if wanted else float("inf")
    halves = apart <= TOLERATED_ROUNDING
    if halves and not is_propagated:
        difference = f"Maps in bfloat16 differ from float32 by {percent(apart, 1)} of their largest value at most."
        note = f"{difference} {note}".strip()
    quick_mapper = quick if halves == wanted else network.quick(mapper, halves)
    note = f"{_drawn(options.maps, mapper)} {note}".strip()
    quick_predictor = quick_mapper if predictor is mapper else network.quick(predictor, halves)
    drawn_by = mapper if is_propagated else quick_mapper
    networks = Networks(quick_predictor, drawn_by, note, _exactness(options.maps, mapper), options.maps)
    if halves or is_propagated:
        return networks
    drawing = _computed(mapper, quick_mapper, data, options, runtime)
    predicting = drawing if predictor is mapper else _computed(predictor, quick_predictor, data, options, runtime)
    note = f"{note} {drawing.note or predicting.note}".strip()
    return replace(networks, predictor=predicting.network, mapper=drawing.network, note=note)


def _check_propagation(mapper: Network, data: Dataset) -> None:
    """Raise ModelError for a network whose maps cannot be propagated, or not exactly."""
    good = data.good()
    inputs = some_inputs(mapper, good[good["path"] != ""])
    if inputs is not None:
        propagation.check(mapper, mapper.batch(inputs[:1]))


def _computed(exact: Network, quick: Network, data: Dataset, options: AuditOptions, runtime: str) -> Computed:
    """The network in the library that is wanted, or that is the fastest; small audits stay in torch."""
    good = data.good()
    passes = 1 + 2 * options.donors * (options.background_test == "all")
    is_small = passes * min(len(good), options.limit or len(good)) < MIN_PASSES
    if runtime == TORCH or (is_small and runtime != ONNX_RUNTIME):
        return Computed(quick)
    inputs = some_inputs(exact, good[good["path"] != ""])
    return Computed(quick) if inputs is None else with_runtime(exact, quick, exact.batch(inputs), runtime)


def _exactness(maps: str, mapper: Network) -> str:
    own = {PROPAGATION: "exact_here", "occlusion": "approximate", "none": NONE}
    return exactness(mapper.head) if maps == "auto" else own[maps]


def _drawn(maps: str, mapper: Network) -> str:
    """What is to be said of how maps are drawn, where it is not by the network's positions."""
    if maps == PROPAGATION:
        return f"Propagated maps: {len(mapper.classes):,} backward passes more an image, one for each class."
    if maps == "occlusion":
        return f"Occlusion maps: {occlusion.PASSES} forward passes more an image; they do not add up to the logit."
    if _exactness(maps, mapper) == NONE:
        return WITHOUT_MAPS
    return ""


def _sized(model: Network, run: Run, fold: int, data: Dataset, options: AuditOptions) -> tuple[Network, Network, str]:
    if options.size in (None, model.size):
        return model, model, ""
    larger, drop = at_map_size(model, run, data, int(options.size or 0), fold=fold)
    note = f"Maps at {larger.size} px: accuracy differs by {points(-drop, 1)} from {model.size} px, "
    note += "at which predictions and loss are taken."
    return model, larger, note + (" Do not trust them: train at this size." if drop > TOLERATED_DROP else "")


def donors_of(
    run: Run, data: Dataset, sources: MaskSources, options: AuditOptions, *, report: Any
) -> list[background_test.Donor] | None:
    """The images that lend their background, None where no background test is wanted."""
    if options.background_test == "none":
        return None
    find = functools.partial(find_mask, sources=sources, fallback=options.mask_method)
    size, resize = int(run.manifest.network["size"]), str(run.manifest.network["resize"])
    return background_test.gather(data, run.manifest.classes, find, size, resize=resize, report=report)


def probes_of(data: Dataset, options: AuditOptions) -> frozenset[str] | None:
    """The images that are tested beyond the suspects; None: every one."""
    names = data.good()["image"].drop_duplicates()
    if options.background_test == "all" or len(names) <= TESTED_SAMPLE:
        return None
    return frozenset(names.sample(TESTED_SAMPLE, random_state=0))


class Local:
    """The engine of this machine: rows gather here and become a part every PART_ROWS or PART_SECONDS."""

    def audited(self, run: Run) -> set[str]:
        return run.audited()

    def __call__(self, run: Run, work: Work, batches: Sequence[pd.DataFrame]) -> Iterator[Done]:
        explainer, reported = work.explainer(), 0
        with _unwalked(), _Parts(run) as parts:
            for explained in pipeline.explained(explainer, batches):
                parts.add(explained)
                passes = explainer.tester.passes if explainer.tester else 0
                yield len(explained), passes - reported
                reported = passes


@contextlib.contextmanager
def _unwalked() -> Iterator[None]:
    """What lives already outlives an audit: the collector of garbage need not walk it every few hundred rows."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


class _Parts:
    """Rows on their way into the run: one part for some hundred rows or some seconds of work, whichever ends first."""

    def __init__(self, run: Run) -> None:
        self.run, self.rows, self.since = run, list[dict[str, Any]](), time.monotonic()
        self.thumbs: dict[str, bytes] = {}

    def __enter__(self) -> "_Parts":
        return self

    def __exit__(self, *_: object) -> None:
        self._write()

    def add(self, explained: Sequence[Explained]) -> None:
        for item in explained:
            if item.thumb is not None:
                self.thumbs[item.row["image"]] = item.thumb
        self.rows += [item.row for item in explained]
        if len(self.rows) >= PART_ROWS or time.monotonic() - self.since >= PART_SECONDS:
            self._write()

    def _write(self) -> None:
        """Thumbnails first: an image that has a row is not looked at again."""
        save_thumbs(self.run, self.thumbs)
        if self.rows:
            self.run.write_part(self.rows)
        self.rows, self.thumbs, self.since = [], {}, time.monotonic()
