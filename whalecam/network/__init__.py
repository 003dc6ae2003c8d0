"""A picture classifier cut in two, `logits = head(features(x))`."""

from whalecam.network.bodies import Body, build_body, hub_reachable
from whalecam.network.cut import Network, fast_halves, pick_device
from whalecam.network.folding import quick
from whalecam.network.heads import fastai_head, linear_head
from whalecam.network.resizing import at_size
from whalecam.network.weights import from_spec, load_state

__all__ = [
    "Body",
    "Network",
    "at_size",
    "build_body",
    "fast_halves",
    "fastai_head",
    "from_spec",
    "hub_reachable",
    "linear_head",
    "load_state",
    "pick_device",
    "quick",
]
