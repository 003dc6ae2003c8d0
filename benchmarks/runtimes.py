"""Which library computes a network the fastest: each beside the bare float32 forward pass of torch, on one core.

usage: python -m benchmarks.runtimes [--rounds 7] [--batch 32] [--side 224] [--arch NAME]...

Computed are the features of a network of thirty classes with random weights; they cost what trained ones do. An audit
runs one batch per core, so each library has one core. All run in turn, round by round; the ratio is the median of
CPU times of theirs, which the noise of other processes changes less than the clock's. OpenVINO is measured where it is
installed; no part of WhaleCAM uses it.
"""

import argparse
import copy
import statistics
import time
from collections.abc import Callable
from importlib.util import find_spec

import timm
import torch
from torch import Tensor

import whalecam as wc
from benchmarks.audit import CLASSES
from benchmarks.machine import machine
from whalecam import network
from whalecam.network import Network
from whalecam.network.layout import largest_difference
from whalecam.network.onnx_runtime import RuntimeFeatures, exported

ARCHS = ("resnet18", "efficientnet_lite0", "mobilenetv3_large_100", "convnext_atto", "vit_tiny_patch16_224")
Run = Callable[[], Tensor]


def libraries(model: Network, images: Tensor) -> dict[str, Run]:
    """Name → one pass over the images, the bare forward first."""
    plain, last = copy.deepcopy(model.features), images.contiguous(memory_format=torch.channels_last)
    turned = copy.deepcopy(model.features).to(memory_format=torch.channels_last)
    quick = network.quick(model, halves=False).features
    graph = RuntimeFeatures(exported(model.features, model.size))
    found: dict[str, Run] = {
        "torch": lambda: plain(images),
        "torch, channels_last": lambda: turned(last),
        "torch, fused (audit)": lambda: quick(last),
        "ONNX Runtime (audit)": lambda: graph(last),
    }
    return found | ({"OpenVINO": openvino(model, images)} if find_spec("openvino") else {})


def openvino(model: Network, images: Tensor) -> Run:
    import openvino as ov

    shape = [-1, *images.shape[1:]]
    converted = ov.convert_model(copy.deepcopy(model.features), example_input=images[:2])
    converted.reshape(shape)
    hints = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    request, pixels = ov.Core().compile_model(converted, "CPU", hints).create_infer_request(), images.numpy()
    return lambda: torch.from_numpy(request.infer([pixels], share_inputs=True, share_outputs=True)[0])


def measure(arch: str, side: int, batch: int, rounds: int) -> dict[str, tuple[float, float]]:
    """Name → how many times as fast as the bare forward pass, and the largest difference of logits from its."""
    torch.manual_seed(0)
    module = timm.create_model(arch, num_classes=CLASSES).eval()
    model = wc.open_model(module, classes=[f"class{at:02d}" for at in range(CLASSES)], size=side)
    with torch.inference_mode():
        runs = libraries(model, torch.randn(batch, 3, side, side))
        logits = {name: model.head(run().clone()) for name, run in runs.items()}
        times = [{name: seconds(run) for name, run in runs.items()} for _ in range(rounds)]
    apart = {name: largest_difference(values, logits["torch"]) for name, values in logits.items()}
    return {name: (statistics.median(one["torch"] / one[name] for one in times), apart[name]) for name in runs}


def seconds(run: Run) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


def table(found: dict[str, dict[str, tuple[float, float]]]) -> str:
    """Markdown: a row per network, a column per library: times as fast as torch's bare forward pass."""
    names = list(next(iter(found.values())))
    lines = ["| times as fast | " + " | ".join(names) + " | logits differ by |", "|---" * (len(names) + 2) + "|"]
    for arch, measured in found.items():
        cells = " | ".join(f"{measured[name][0]:.2f}" for name in names)
        lines.append(f"| {arch} | {cells} | {max(apart for _, apart in measured.values()):.0e} |")
    return "\n".join(lines)


def measured(archs: tuple[str, ...], side: int, batch: int, rounds: int) -> str:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return table({arch: measure(arch, side, batch, rounds) for arch in archs})
    finally:
        torch.set_num_threads(threads)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--arch", action="append")
    given = parser.parse_args()
    print(machine())
    print(measured(tuple(given.arch or ARCHS), given.side, given.batch, given.rounds))


if __name__ == "__main__":
    main()
