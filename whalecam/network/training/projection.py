"""A cue removed from what the last linear layer takes, by an orthogonal projection (P-ClArC).

Anders et al. 2022, Finding and removing Clever Hans, Information Fusion 77 (arXiv 1912.11425). A direction is the
difference of two means: of images that carry the cue and of images that do not.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from whalecam.errors import ModelError
from whalecam.network import Network
from whalecam.network.training.last_layer import UNMASKED, last_layer, loss_of
from whalecam.network.training.regression import Values
from whalecam.network.training.versions import Versions

LEAST_IMAGES = 4
"""Images of a label with the cue, and as many without it, that a difference of their means needs."""
MOST_DIRECTIONS = 0.5
"""Of the features, the share that may be removed: what is left must still tell the labels apart."""
ROUNDING = 1e-9


@dataclass(frozen=True, kw_only=True)
class Projection:
    """`h ↦ h − Vᵀ V (h − center)`: what lies along the directions V becomes that of the center.

    Attributes:
        directions: V, (R, J), orthonormal rows.
        center: (J,), the mean of images without the cue.
    """

    directions: Values
    center: Values

    def __call__(self, features: Values) -> Values:
        """Features (N, J) → the same without the cue."""
        return features - (features - self.center) @ self.directions.T @ self.directions

    def folded(self, weights: Values, bias: Values) -> tuple[Values, Values]:
        """A layer's weights (C, J) and bias (C,) → those that give on any features what they gave on projected ones."""
        along = weights @ self.directions.T
        return weights - along @ self.directions, bias + along @ self.directions @ self.center


@dataclass(frozen=True, kw_only=True)
class Cue:
    """What images share that should not count.

    Attributes:
        name: as in `--cue`.
        carriers: names of the images that carry it; None: the cue is each image's background.
        is_per_label: whether each label has a cue of its own, such as its water, and not all the same one.
        note: what of its names is not used, as a sentence; empty where all are.
    """

    name: str
    carriers: frozenset[str] | None = None
    is_per_label: bool = False
    note: str = ""


@dataclass
class RemoveCue:
    """A cue's directions are projected out of the input of the last layer, and folded into it."""

    cue: Cue
    _facts: list[Mapping[str, object]] = field(default_factory=list)

    @property
    def facts(self) -> Mapping[str, object]:
        """The cue and, by network, how many directions were removed and by which images."""
        return {"cue": self.cue.name, "networks": list(self._facts)}

    def note(self, source: str) -> str:
        """What was done, as a sentence, and what of the cue's names was not used."""
        done = f"The cue {self.cue.name} was projected out of the last layer of run {source}; all else as it was."
        return f"{done} {self.cue.note}".strip()

    def __call__(self, model: Network, versions: Versions) -> float:
        """As `LayerChange`. Raises ModelError as `removal`, and for a network that does not end in a linear layer."""
        removed, facts = removal(versions, self.cue)
        layer = last_layer(model)
        weights, bias = removed.folded(*layer.affine)
        layer.replace(weights, bias)
        self._facts.append(facts)
        return loss_of(model, versions, weights, bias)


def removal(versions: Versions, cue: Cue) -> tuple[Projection, Mapping[str, object]]:
    """The projection that removes a cue, and by which images it was found.

    Raises ModelError where no label has images with the cue and without it, where images with and without it do not
    differ, and where more would be removed than MOST_DIRECTIONS.
    """
    facts: Mapping[str, object]
    if cue.carriers is None:
        differences, center = _of_backgrounds(versions)
        facts = {"images": len(set(versions.images.tolist())), "labels": sorted(set(versions.backgrounds.tolist()))}
    else:
        differences, center, facts = _of_carriers(versions, cue)
    directions = _orthonormal(differences)
    if not len(directions):
        raise ModelError(f"Images with the cue '{cue.name}' and without it have the same features in this network.")
    if len(directions) > MOST_DIRECTIONS * len(center):
        raise ModelError(
            f"Removing the cue '{cue.name}' would take {len(directions):,} of the network's {len(center):,} features "
            "away, and the labels with them. Name images that carry a single cue: --cue FILE."
        )
    return Projection(directions=directions, center=center), {"directions": len(directions), **facts}


def _of_backgrounds(versions: Versions) -> tuple[Values, Values]:
    """By background what it adds to the same image's features, (D, J); and the mean over backgrounds and labels, (J,).

    Edited versions alone are compared, so that no direction is that of having been edited.
    """
    edited = ~versions.is_own
    if not edited.any() or (versions.labels == versions.backgrounds).all():
        raise ModelError(UNMASKED)
    features = pd.DataFrame(versions.features[edited])
    added = features - features.groupby(versions.images[edited]).transform("mean")
    differences = added.groupby(versions.backgrounds[edited]).mean().to_numpy()
    return differences, np.average(versions.features, axis=0, weights=versions.share())


def _of_carriers(versions: Versions, cue: Cue) -> tuple[Values, Values, Mapping[str, object]]:
    """Mean of carriers − mean of others, by label, or over the labels where all have one cue; the mean of the others.

    Labels count alike, and images are compared with those of their own label, so that no direction is that of a label.
    """
    own, carriers = versions.is_own, cue.carriers or frozenset()
    is_carrier = np.array([image in carriers for image in versions.images.tolist()]) & own
    pairs = {}
    for label in sorted(set(versions.labels.tolist())):
        of_label = own & (versions.labels == label)
        sides = versions.features[of_label & is_carrier], versions.features[of_label & ~is_carrier]
        if min(len(side) for side in sides) >= LEAST_IMAGES:
            pairs[label] = sides
    if not pairs:
        raise ModelError(_incomparable(cue, int(is_carrier.sum())))
    without = np.array([others.mean(axis=0) for _, others in pairs.values()])
    differences = np.array([carriers.mean(axis=0) for carriers, _ in pairs.values()]) - without
    used = {"images": sum(len(carriers) for carriers, _ in pairs.values()), "labels": list(pairs)}
    return (differences if cue.is_per_label else differences.mean(axis=0)[None]), without.mean(axis=0), used


def _incomparable(cue: Cue, count: int) -> str:
    return (
        f"The cue '{cue.name}' is named for {count:,} of the training images, and no label has {LEAST_IMAGES} of them "
        f"beside {LEAST_IMAGES} without it, to compare them with. Name more of them, or fewer."
    )


def _orthonormal(differences: NDArray[np.float64]) -> Values:
    """An orthonormal basis (R, J) of the rows of (D, J)."""
    _, lengths, directions = np.linalg.svd(differences, full_matrices=False)
    return np.asarray(directions[lengths > ROUNDING * max(1.0, float(lengths.max()))])
