"""The menus of remedies."""

from collections.abc import Callable, Mapping

from whalecam.network.training import Augment
from whalecam.remedies.crop import crop
from whalecam.remedies.drop import drop
from whalecam.remedies.kinds import Remedy
from whalecam.remedies.neutral import neutral
from whalecam.remedies.relabel import relabel
from whalecam.remedies.shuffle import Shuffle

REMEDIES: Mapping[str, Remedy] = {"crop": crop, "neutral": neutral, "drop": drop, "relabel": relabel}
"""Those that make a mended data set."""
AUGMENTS: Mapping[str, Callable[..., Augment]] = {"shuffle": Shuffle}
"""Those that change the images while training."""
