"""ONNX Runtime: its sessions, and a network's features exported to it."""

import io
import logging
import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from whalecam.errors import ModelError
from whalecam.network.layout import first_line
from whalecam.network.opaque import Opaque

ALL_BUT_ERRORS = 3
IMAGES = 2
"""In the batch that is traced; more or fewer may follow."""


class RuntimeFeatures(Opaque):
    """Features in ONNX Runtime, on the CPU: images (N, 3, S, S) → activations (N, K, h, w), float32.

    Safe for several threads at once, each on its own core. Args: content: a graph as `exported` gives it.
    """

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.content = content
        self.session = open_session(content, "The network")

    def forward(self, images: Tensor) -> Tensor:
        pixels = np.ascontiguousarray(images.detach().numpy(), np.float32)
        return torch.from_numpy(self.session.run(None, {"images": pixels})[0])

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "session"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self.session = open_session(self.content, "The network")


def exported(features: nn.Module, size: int) -> bytes:
    """Features as an ONNX graph from `images` (N, 3, size, size) to `activations`, for any N.

    Raises ModelError where the export fails. What a graph cannot hold, such as a choice by the batch, may be lost
    without an error: compare its numbers.
    """
    target = io.BytesIO()
    names = {"input_names": ["images"], "output_names": ["activations"]}
    log = logging.getLogger("torch.onnx")
    level = log.level
    try:
        log.setLevel(logging.ERROR)
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # Of what tracing may lose; the comparison says whether it did.
            torch.onnx.export(
                features,
                (torch.zeros(IMAGES, 3, size, size),),
                target,  # type: ignore[arg-type]  # A file in memory is taken where dynamo is not.
                dynamo=False,
                dynamic_axes={"images": {0: "n"}, "activations": {0: "n"}},
                **names,  # type: ignore[arg-type]
            )
    except Exception as error:  # A forward pass is anybody's code, and each operation may lack a translation.
        raise ModelError(f"the network cannot be exported ({first_line(error)})") from error
    finally:
        log.setLevel(level)
    return target.getvalue()


def open_session(content: bytes, name: str) -> Any:
    """ONNX Runtime's session: one core, for an audit runs as many batches beside one another as there are cores.

    Raises ModelError for a graph that it refuses.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = ALL_BUT_ERRORS
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime raises a dozen kinds of its own.
        raise ModelError(f"{name} cannot be computed by ONNX Runtime: {first_line(error)}.") from error
