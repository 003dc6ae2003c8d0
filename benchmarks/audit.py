"""What an audit costs beside the bare forward pass of the same network, and beside its peers.

usage: python -m benchmarks.audit [--images 4096] [--rounds 5] [--json FILE]

Files of 128 px on the disk become stored rows (maps of all classes, loss, leak under given masks, thumbnails). The bare
forward and the peers have their inputs in memory, except fastai, which reads files. Peers give one class its map, the
audit gives all. The bare forward is tried with batches of 64, 32 and 16. All run in turn, round by round, so that a
noisy machine does not matter: ratios do.
"""

import argparse
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

from whalecam import audit, classifier, dataset, geometry, network
from whalecam.config import AuditOptions
from whalecam.demo import write_planted
from whalecam.network import Network
from whalecam.run import DatasetRecord, Run, create_run

SIZE, CLASSES, DRAWN = 128, 30, 128
Task = Callable[[], int]


def prepare(folder: Path, images: int) -> Run:
    """A run with an untrained resnet18 of 30 classes, over `images` files of 128 px with masks."""
    drawn = write_planted(folder / "drawn", "colour", DRAWN).clean
    for name in ("images", "masks"):
        (folder / name).mkdir()
    rows = ["image,species,individual_id"]
    for number in range(images):
        source = f"{number % DRAWN:05d}"
        with Image.open(drawn / "images" / f"{source}.jpg") as picture:
            picture.resize((SIZE, SIZE)).save(folder / "images" / f"{number:06d}.jpg", quality=90)
        with Image.open(drawn / "masks" / f"{source}.png") as mask:
            mask.resize((SIZE, SIZE)).save(folder / "masks" / f"{number:06d}.png")
        rows.append(f"{number:06d}.jpg,class{number % CLASSES:02d},")
    (folder / "train.csv").write_text("\n".join(rows), encoding="utf-8")
    data = dataset.open_dataset(folder / "train.csv", folder / "images")
    record = DatasetRecord(str(data.csv), str(data.images), vars(data.columns), data.fingerprint)
    run = create_run(folder / "run", record)
    body = network.build_body("resnet18", pretrained=False)
    head = network.linear_head(body.channels, CLASSES).eval()
    model = Network(body.features.eval(), head, "resnet18", tuple(data.classes()), SIZE, "squish", body.mean, body.std)
    classifier.adopt(run, model)
    return run


def tasks(run: Run, images: int) -> dict[str, Task]:
    """Name → what is timed; each returns how many pictures it did."""
    data = audit.open_data(run)
    model = network.from_spec(run.manifest.network, run.load_checkpoint())
    paths = [Path(path) for path in data.table["path"]]
    inputs = np.stack([geometry.to_input(dataset.read_sample(p, p.name).pixels, SIZE, "squish") for p in paths])
    some = model.batch(inputs[: min(images, 256)])
    return {
        "audit, files to rows": lambda: audited(run, data),
        "bare forward, bf16 autocast, channels_last, batches of 64": lambda: bare(model, some, images // 4),
        "the same, batches of 32": lambda: bare(model, some, images // 4, batch=32),
        "the same, batches of 16": lambda: bare(model, some, images // 4, batch=16),
        "bare forward, float32": lambda: bare(model, some, images // 4, halves=False),
        "fastai get_preds, 2 workers": fastai_task(paths, 2),
        "fastai get_preds, no workers": fastai_task(paths, 0),
        "pytorch-grad-cam, batches of 32": lambda: grad_cam(model, some[:64]),
        "captum LayerGradCam": lambda: captum_maps(model, some[:64]),
        "torch-cam CAM": lambda: torch_cam(model, some[:64]),
    }


def audited(run: Run, data: Any) -> int:
    run.clear_audit()
    options = AuditOptions(masks=str(run.path.parent / "masks"), needs="none")
    return audit.run_audit(run, data, options).new


def bare(model: Network, some: torch.Tensor, images: int, halves: bool = True, batch: int = 64) -> int:
    """The network alone over as many pictures, their tensors in memory."""
    whole = torch.nn.Sequential(model.features, model.head).to(memory_format=torch.channels_last)
    some, done = some.contiguous(memory_format=torch.channels_last), 0
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=halves):
        while done < images:
            for start in range(0, len(some), batch):
                whole(some[start : start + batch])
            done += len(some)
    return done


def fastai_task(paths: list[Path], workers: int) -> Task:
    from fastai.vision.all import ImageDataLoaders, Resize, vision_learner
    from torchvision.models import resnet18

    labels = [f"class{number % CLASSES:02d}" for number in range(len(paths))]
    loaders = ImageDataLoaders.from_lists(
        paths[0].parent, paths, labels, item_tfms=Resize(SIZE), bs=64, num_workers=workers, valid_pct=0.0
    )
    learner = vision_learner(loaders, resnet18, pretrained=False)

    def predict() -> int:
        with learner.no_bar():
            return len(learner.get_preds(dl=loaders.test_dl(paths[:256]))[0])

    return predict


def grad_cam(model: Network, some: torch.Tensor) -> int:
    from pytorch_grad_cam import HiResCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    whole = torch.nn.Sequential(model.features, model.head)
    with HiResCAM(whole, [model.features]) as cam:
        for start in range(0, len(some), 32):
            part = some[start : start + 32]
            cam(part, [ClassifierOutputTarget(0)] * len(part))
    return len(some)


def captum_maps(model: Network, some: torch.Tensor) -> int:
    from captum.attr import LayerGradCam

    whole = torch.nn.Sequential(model.features, model.head)
    for start in range(0, len(some), 32):
        LayerGradCam(whole, model.features).attribute(some[start : start + 32], target=0)
    return len(some)


def torch_cam(model: Network, some: torch.Tensor) -> int:
    from torchcam.methods import CAM

    whole = torch.nn.Sequential()
    whole.add_module("features", model.features)
    whole.add_module("pool", torch.nn.AdaptiveAvgPool2d(1))
    whole.add_module("flat", torch.nn.Flatten())
    whole.add_module("fc", torch.nn.Linear(512, CLASSES))
    with CAM(whole.eval(), "features", "fc") as cam, torch.no_grad():
        for start in range(0, len(some), 32):
            cam(0, whole(some[start : start + 32]))
    return len(some)


def measure(run: Run, images: int, rounds: int) -> dict[str, list[float]]:
    """Pictures a second of each task, one figure a round."""
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
    lines = ["| | pictures/s | the audit is … times as fast |", "|---|---|---|"]
    for name, speeds in found.items():
        ratio = statistics.median(mine / other for mine, other in zip(own, speeds, strict=True))
        lines.append(f"| {name} | {statistics.median(speeds):.0f} | {ratio:.2f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=4096)
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
