"""An image classifier cut in two, `logits = head(features(x))`."""

from whalecam.network.black_box import Predict, black_box
from whalecam.network.bodies import Body, build_body
from whalecam.network.cut import Network, fast_halves, pick_device
from whalecam.network.fusion.folding import quick
from whalecam.network.heads import fastai_head, linear_head, probe_head
from whalecam.network.pretrained import Start, hub_reachable, missing_weights, starting_point
from whalecam.network.resizing import at_size
from whalecam.network.weights import Loaded, check_finite, from_spec, load_checkpoint

__all__ = [
    "Body",
    "Loaded",
    "Network",
    "Predict",
    "Start",
    "at_size",
    "black_box",
    "build_body",
    "check_finite",
    "fast_halves",
    "fastai_head",
    "from_spec",
    "hub_reachable",
    "linear_head",
    "load_checkpoint",
    "missing_weights",
    "pick_device",
    "probe_head",
    "quick",
    "starting_point",
]
