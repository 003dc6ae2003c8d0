"""What an audit of ConvNeXts and transformers costs beside the bare forward pass of the same network.

usage: python -m benchmarks.architectures [--images 384] [--rounds 3] [--arch NAME]... [--runtime torch]

Files of 224 px on the disk become stored rows (maps of all thirty classes, loss, attention under given masks,
thumbnails), in float32. With `--runtime onnxruntime` ONNX Runtime computes the features, as it does by itself in audits
of 8,192 passes or more; its export and check are part of the time, so take more images. The bare forward has its inputs
in memory, float32, at the fastest of three batch sizes. Both run in turn, round by round; the ratio is the median of
theirs. A ratio above its bound is marked MISSED, and the exit status is then 1.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import timm
import torch

import whalecam as wc
from benchmarks.audit import CLASSES, bare
from whalecam.audit import run_audit
from whalecam.config import RUNTIMES, AuditOptions
from whalecam.data import Dataset, geometry, open_dataset, read_sample
from whalecam.demo import write_planted
from whalecam.network import Network
from whalecam.network.runtime import TORCH

ARCHS = (
    "convnext_atto",
    "convnext_tiny",
    "vit_tiny_patch16_224",
    "vit_small_patch16_224",
    "swin_tiny_patch4_window7_224",
)
BOUND, SIDE, BATCHES, IN_MEMORY = 1.15, 224, (32, 16, 8), 32


def drawn(folder: Path, images: int) -> Dataset:
    """Scenes with masks in `folder`, whose labels are replaced by thirty."""
    made = write_planted(folder, "colour", images).clean
    names = sorted(path.name for path in (made / "images").iterdir())
    rows = [f"{name},class{at % CLASSES:02d}" for at, name in enumerate(names)]
    (made / "classes.csv").write_text("\n".join(["image,species", *rows]), encoding="utf-8")
    return open_dataset(made / "classes.csv", made / "images")


def opened(arch: str) -> Network:
    """A network of thirty classes with random weights; they cost what trained ones do."""
    torch.manual_seed(0)
    module = timm.create_model(arch, num_classes=CLASSES).eval()
    return wc.open_model(module, classes=[f"class{at:02d}" for at in range(CLASSES)], size=SIDE)


def measure(arch: str, data: Dataset, folder: Path, *, rounds: int, runtime: str) -> list[tuple[float, float]]:
    """Seconds per image of the audit and of the bare forward pass, a pair per round."""
    network, paths = opened(arch), [Path(path) for path in data.table["path"]]
    run = wc.Run.from_model(network, data, folder / arch)
    masks = paths[0].parent.parent / "masks"
    options = AuditOptions(masks=str(masks), background_test="none", precision="float32", runtime=runtime)

    def audited() -> int:
        run.clear_audit()
        return run_audit.run_audit(run, data, options, model=network).new

    some = network.batch(
        np.stack([geometry.to_input(read_sample(p, p.name).pixels, SIDE, "squish") for p in paths[:IN_MEMORY]])
    )
    batch = min(BATCHES, key=lambda size: per_image(lambda: bare(network, some, IN_MEMORY, halves=False, batch=size)))

    def alone() -> int:
        return bare(network, some, len(paths), halves=False, batch=batch)

    per_image(audited)
    return [(per_image(audited), per_image(alone)) for _ in range(rounds)]


def per_image(work: Callable[[], int]) -> float:
    """Seconds of the work by each image that it did."""
    start = time.perf_counter()
    done = work()
    return (time.perf_counter() - start) / done


def ratio(pairs: list[tuple[float, float]]) -> float:
    return statistics.median(audit / alone for audit, alone in pairs)


def table(found: dict[str, list[tuple[float, float]]]) -> str:
    """Markdown: a row per architecture."""
    lines = ["| | audit, images/s | bare forward, images/s | time ÷ bare | at most |", "|---|---|---|---|---|"]
    for arch, pairs in found.items():
        audit, alone = (1 / statistics.median(side) for side in zip(*pairs, strict=True))
        missed = " **MISSED**" if ratio(pairs) > BOUND else ""
        lines.append(f"| {arch} | {audit:.1f} | {alone:.1f} | {ratio(pairs):.2f}{missed} | {BOUND:g} |")
    return "\n".join(lines)


def measured(
    archs: tuple[str, ...], images: int, rounds: int, runtime: str = TORCH
) -> dict[str, list[tuple[float, float]]]:
    with tempfile.TemporaryDirectory() as folder:
        data = drawn(Path(folder) / "drawn", images)
        return {arch: measure(arch, data, Path(folder), rounds=rounds, runtime=runtime) for arch in archs}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=384)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--arch", action="append", choices=ARCHS)
    parser.add_argument("--runtime", choices=RUNTIMES, default=TORCH)
    given = parser.parse_args()
    found = measured(tuple(given.arch or ARCHS), given.images, given.rounds, given.runtime)
    print(table(found))
    sys.exit(any(ratio(pairs) > BOUND for pairs in found.values()))


if __name__ == "__main__":
    main()
