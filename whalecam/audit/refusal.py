"""Maps that an audit does not draw, since they place too little of what the network decides by."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from whalecam.audit.fold_job import WITHOUT_MAPS, Networks
from whalecam.audit.precision import some_inputs
from whalecam.data import Dataset
from whalecam.explain import cam
from whalecam.explain.placement import LEAST_DRAWN, median_share, refusal
from whalecam.network import Network
from whalecam.network.exactness import NONE, WRITTEN, closed_form, pooling_of
from whalecam.store.run import Run


def drawn(run: Run, data: Dataset, networks: Sequence[Networks]) -> list[Networks]:
    """The networks of all folds, without maps where those of one would place too little; the run's metrics say so.

    Asked are only networks whose class token or pooling by attention reads the patches: elsewhere, what has no place is
    a constant. Maps that are not the network's own are left alone.
    """
    shares = [share for each in networks if each.maps == "auto" and (share := share_of(each.mapper, data)) is not None]
    least = min(shares, default=1.0)
    is_refused, before = least < LEAST_DRAWN, run.metrics()
    others = {name: value for name, value in before.items() if name != "refused_maps"}
    metrics = {**others, "refused_maps": least} if is_refused else others
    if metrics != before:
        run.save_metrics(metrics)
    if not is_refused:
        return list(networks)
    # What was noted of the maps of a network is of no use without them.
    note = f"{WITHOUT_MAPS} {refusal(least)}"
    return [replace(each, maps=NONE, exactness=NONE, note=note) for each in networks]


def as_audited(run: Run, networks: Networks) -> Networks:
    """A network prepared once more for images of an audited run: without maps where its audit drew none."""
    return networks if run.has_maps else replace(networks, maps=NONE, exactness=NONE)


def share_of(model: Network, data: Dataset) -> float | None:
    """The median placed share of a network's maps, over up to 32 images, where something without a place may decide.

    None where nothing can, and where no image can be read.
    """
    parts = closed_form(model.head) if model.has_positions and not model.is_opaque else None
    if parts is None or pooling_of(parts[0]) != WRITTEN:
        return None
    good = data.good()
    inputs = some_inputs(model, good[good["path"] != ""])
    if inputs is None:
        return None
    with torch.no_grad():
        evidence = cam.explain(model.head, model.look(inputs))
    maps, logits = evidence.maps.float().cpu().numpy(), evidence.logits.double().cpu().numpy()
    median = median_share(zip(maps, logits, strict=True))
    return None if median is None else median[0]
