"""What an audit costs beside the bare forward pass of the same network, and beside its peers.

usage: python -m benchmarks.audit [--images 8192] [--rounds 5] [--json FILE]

Files of 128 px on the disk become stored rows (maps of all classes, loss, attention under given masks, thumbnails). The
bare forward has its inputs in memory and runs with batches of 64, 32 and 16. Peers compute the map of one class, from
memory and from files, and the maps of all classes from files, which is nearest to what the audit does. None of them
scores or stores anything. Each has the batch size and the number of workers at which it is fastest on this machine. All
run in turn, round by round, so that the noise of the machine cancels in the ratios.
"""

import argparse
import copy
import functools
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks import peers, synthetic
from benchmarks.synthetic import SIZE
from whalecam import network
from whalecam.audit import run_audit
from whalecam.config import AuditOptions
from whalecam.data import Dataset, geometry, open_dataset, read_sample
from whalecam.demo import write_planted
from whalecam.network import Network, training
from whalecam.store.manifest import DatasetRecord
from whalecam.store.run import Run, create_run

CLASSES, DRAWN, SOME = 30, 128, 256
Task = Callable[[], int]
PEERS = (
    ("pytorch-grad-cam HiResCAM", peers.grad_cam, 16),
    ("captum LayerGradCam", peers.captum, 32),
    ("torch-cam CAM", peers.torch_cam, SOME),
)
"""Name, how it is made, and on how many images all classes are timed: two of them run the network once a class."""


def prepare(folder: Path, images: int, scenes: int = DRAWN) -> Run:
    """A run with an untrained resnet18 of 30 classes, over `images` files of 128 px with masks: `scenes`, repeated."""
    drawn = write_planted(folder / "drawn", "colour", scenes).clean
    for name in ("images", "masks"):
        (folder / name).mkdir()
    rows = ["image,species,individual_id"]
    for number in range(images):
        source = f"{number % scenes:05d}"
        with Image.open(drawn / "images" / f"{source}.jpg") as picture:
            picture.resize((SIZE, SIZE)).save(folder / "images" / f"{number:06d}.jpg", quality=90)
        with Image.open(drawn / "masks" / f"{source}.png") as mask:
            mask.resize((SIZE, SIZE)).save(folder / "masks" / f"{number:06d}.png")
        rows.append(f"{number:06d}.jpg,class{number % CLASSES:02d},")
    (folder / "train.csv").write_text("\n".join(rows), encoding="utf-8")
    return untrained(folder / "run", open_dataset(folder / "train.csv", folder / "images"))


def untrained(path: Path, data: Dataset, arch: str = "resnet18") -> Run:
    """A run of this data set with an untrained network."""
    run = create_run(path, DatasetRecord.of(data))
    training.adopt(run, synthetic.untrained(data.classes(), arch))
    return run


def tasks(run: Run, images: int) -> dict[str, Task]:
    """Name → what is timed; each returns how many images it did."""
    data = run_audit.open_data(run)
    model = network.from_spec(run.manifest.network, run.load_checkpoint())
    paths = [Path(path) for path in data.table["path"]]
    inputs = [geometry.to_input(read_sample(p, p.name).pixels, SIZE, "squish") for p in paths[:SOME]]
    some = model.batch(np.stack(inputs))
    own: dict[str, Task] = {
        "audit, files to rows": lambda: audited(run, data),
        "bare forward, bf16 autocast, channels_last, batches of 64": lambda: bare(model, some, images // 4),
        "the same, batches of 32": lambda: bare(model, some, images // 4, batch=32),
        "the same, batches of 16": lambda: bare(model, some, images // 4, batch=16),
        "bare forward, float32": lambda: bare(model, some, images // 4, halves=False),
    }
    return own | peer_tasks(model, some, paths[:SOME])


def peer_tasks(model: Network, some: torch.Tensor, paths: list[Path]) -> dict[str, Task]:
    """Each peer at the batch size and number of workers at which it is fastest here."""
    batch, workers = peers.fastest(functools.partial(peers.fastai, paths, model), peers.BATCHES, peers.WORKERS)
    told = f"fastai get_preds, from files (no map; {workers} workers, batches of {batch})"
    found: dict[str, Task] = {told: functools.partial(peers.fastai, paths, model, batch, workers)}
    for name, make, few in PEERS:
        maps = make(copy.deepcopy(model))  # what a peer hooks onto a network must not slow the others
        single, every, files = [0], range(CLASSES), peers.Files(paths, model)
        memory = functools.partial(peers.from_memory, maps, some[: SOME // 2])
        disk = functools.partial(peers.from_files, maps, files)
        (batch,) = peers.fastest(functools.partial(memory, single), peers.BATCHES)
        found[f"{name}, one class, from memory (batches of {batch})"] = functools.partial(memory, single, batch)
        batch, workers = peers.fastest(functools.partial(disk, single), peers.BATCHES, peers.WORKERS)
        told = f"{workers} workers, batches of {batch}"
        found[f"{name}, one class, from files ({told})"] = functools.partial(disk, single, batch, workers)
        some_files = peers.Files(paths[:few], model)
        disk = functools.partial(peers.from_files, maps, some_files, every, min(batch, few), 0)
        found[f"{name}, all classes, from files (batches of {min(batch, few)})"] = disk
    return found


def options_of(run: Run, limit: int | None = None) -> AuditOptions:
    """No background test; the masks beside the run where there are some, else the mask network's."""
    masks = run.path.parent / "masks"
    return AuditOptions(masks=str(masks) if masks.is_dir() else None, background_test="none", limit=limit)


def audited(run: Run, data: Any) -> int:
    run.clear_audit()
    return run_audit.run_audit(run, data, options_of(run)).new


def bare(model: Network, some: torch.Tensor, images: int, halves: bool = True, batch: int = 64) -> int:
    """The network alone over as many images, their tensors in memory."""
    whole = torch.nn.Sequential(model.features, model.head).to(memory_format=torch.channels_last)
    some, done = some.contiguous(memory_format=torch.channels_last), 0
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=halves):
        while done < images:
            for start in range(0, len(some), batch):
                whole(some[start : start + batch])
            done += len(some)
    return done


def measure(run: Run, images: int, rounds: int) -> dict[str, list[float]]:
    """Images a second of each task, one figure a round."""
    todo = tasks(run, images)
    for task in todo.values():
        task()
    found: dict[str, list[float]] = {name: [] for name in todo}
    for _ in range(rounds):
        for name, task in todo.items():
            start = time.perf_counter()
            done = task()
            found[name].append(done / (time.perf_counter() - start))
    return found


def table(found: dict[str, list[float]]) -> str:
    """Markdown: medians, and the median of the ratios round by round."""
    own = found["audit, files to rows"]
    lines = ["| | images/s | the audit is … times as fast |", "|---|---|---|"]
    for name, speeds in found.items():
        ratio = statistics.median(mine / other for mine, other in zip(own, speeds, strict=True))
        lines.append(f"| {name} | {statistics.median(speeds):.0f} | {ratio:.2f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=8192)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = prepare(Path(folder), given.images)
        found = measure(run, given.images, given.rounds)
    print(table(found))
    if given.json:
        given.json.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
