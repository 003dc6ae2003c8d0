"""The check of a run's tokens, once an audit: whether they stand for their places in the image."""

from collections.abc import Sequence

from whalecam.arrays import FloatArray, records
from whalecam.config import AuditOptions
from whalecam.data import Dataset, geometry, read_sample
from whalecam.errors import DatasetError
from whalecam.explain.background_test import Donor, Scene, Water, scene_of
from whalecam.explain.masks import MaskSources, find_mask
from whalecam.explain.places import places
from whalecam.network import Network
from whalecam.network.tokens import has_patches
from whalecam.store.run import Run
from whalecam.store.token_places import save_places

IMAGES = 12
"""Images of which the background is exchanged for it."""


def check_places(
    run: Run,
    data: Dataset,
    sources: MaskSources,
    options: AuditOptions,
    *,
    network: Network,
    donors: Sequence[Donor] | None,
) -> None:
    """Write to the run's metrics what `places.places` measures on IMAGES images; nothing for a network without tokens.

    Without a background test, and without maps, nothing is measured.
    """
    if not donors or options.maps != "auto" or not has_patches(network.features):
        return
    scenes: list[Scene] = []
    waters: list[Water] = []
    shown: list[FloatArray | None] = []
    for image, scene, seen in _scenes(data, sources, options, network):
        other = next((donor for donor in donors[len(scenes) % len(donors) :] if donor.image != image), None)
        if other is not None:
            scenes.append(scene)
            waters.append(other.water)
            shown.append(seen)
    measured = places(network, scenes, waters, shown)
    if measured is not None:
        save_places(run, measured)


def _scenes(
    data: Dataset, sources: MaskSources, options: AuditOptions, network: Network
) -> list[tuple[str, Scene, FloatArray | None]]:
    """The same images in every run, as far as they can be read and have a mask, and where an input shows them."""
    good = data.good().drop_duplicates("image")
    good = good[good["path"] != ""]
    scenes = []
    for row in records(good.sample(min(IMAGES, len(good)), random_state=0)):
        try:
            sample = read_sample(row["path"], row["image"], geometry.needed(network.size))
        except DatasetError:
            continue
        mask = find_mask(sample, sources, options.mask_method)
        if mask is not None:
            seen = geometry.mask_to_input(mask.values, network.size, network.resize)[1]
            scenes.append((str(row["image"]), scene_of(sample, mask, network.size, network.resize), seen))
    return scenes
