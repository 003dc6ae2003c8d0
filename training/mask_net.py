"""Train the mask network that WhaleCAM ships (whalecam/explain/masks/net.safetensors).

usage: python -m training.mask_net DATA OUT.safetensors [--encoder fine-tuned|frozen|scratch] [--epochs 60] [--seed 0]

DATA holds photos/, pseudo_masks/, extra/ and masks.csv. The photos that masks.csv names are for testing and are never
read here, neither they nor their pseudo-masks. What to train on and when to stop is chosen on a tenth of the rest.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader

from training.mask_data import Item, Pictures, load
from whalecam.network.segmenter import Segmenter, normalised

EMA = 0.995
PEAKS = {"encoder": 6e-4, "decoder": 4e-3}


def loss_of(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Cross-entropy and soft Dice, weighted by how far each target is trusted."""
    entropy = functional.binary_cross_entropy_with_logits(logits, target, reduction="none").mean((1, 2))
    p = logits.sigmoid()
    both, either = (p * target).sum((1, 2)), (p + target).sum((1, 2))
    dice = 1 - (2 * both + 16) / (either + 16)
    return ((entropy + dice) * weight).sum() / weight.sum()


def build(kind: str) -> Segmenter:
    """The network with ImageNet's encoder, or one from scratch; `frozen` keeps the encoder as it came."""
    network = Segmenter(pretrained=kind != "scratch")
    for value in network.encoder.parameters():
        value.requires_grad = kind != "frozen"
    return network.to(memory_format=torch.channels_last)


def train(items: list[Item], kind: str, epochs: int, seed: int, batch: int = 32) -> Segmenter:
    """One-cycle AdamW in bf16; the moving average of the weights is what is returned."""
    torch.manual_seed(seed)
    network = build(kind)
    moving: Callable[[float], Callable[..., Any]] = torch.optim.swa_utils.get_ema_multi_avg_fn
    average = torch.optim.swa_utils.AveragedModel(network, multi_avg_fn=moving(EMA), use_buffers=True)
    loader = DataLoader(Pictures(items, seed), batch, shuffle=True, drop_last=True, num_workers=1)
    groups = {
        "encoder": list(network.encoder.parameters()),
        "decoder": [p for name, p in network.named_parameters() if not name.startswith("encoder.")],
    }
    peaks = {**PEAKS, "encoder": PEAKS["decoder" if kind == "scratch" else "encoder"]}
    optimizer = torch.optim.AdamW([{"params": groups[name], "lr": peaks[name]} for name in groups], weight_decay=1e-2)
    steps = epochs * len(loader)
    plan = torch.optim.lr_scheduler.OneCycleLR(optimizer, [peaks[name] for name in groups], steps, pct_start=0.15)
    for epoch in range(epochs):
        network.train()
        if kind == "frozen":
            network.encoder.eval()
        start, losses = time.perf_counter(), []
        for pixels, target, weight in loader:
            inputs = normalised(pixels).contiguous(memory_format=torch.channels_last)
            with torch.autocast("cpu", torch.bfloat16):
                logits = network(inputs)
            loss = loss_of(logits.float(), target, weight)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            nn.utils.clip_grad_norm_(network.parameters(), 2.0)
            optimizer.step()
            plan.step()
            average.update_parameters(network)
            losses.append(float(loss.detach()))
        print(
            f"epoch {epoch + 1}/{epochs}: loss {np.mean(losses):.3f}, {time.perf_counter() - start:.0f} s", flush=True
        )
    return cast(Segmenter, average.module.eval())


def overlap(network: Segmenter, items: list[Item], size: int = 128) -> float:
    """Mean IoU with the pseudo-masks at 0.5."""
    overlaps = []
    for item in items:
        pixels, target = item.resized(size)
        with torch.inference_mode():
            p = network(normalised(torch.from_numpy(pixels)[None]))[0].sigmoid().numpy()
        drawn, wanted = p > 0.5, target > 0.5
        overlaps.append((drawn & wanted).sum() / max(1, (drawn | wanted).sum()))
    return float(np.mean(overlaps))


def halves(network: nn.Module) -> dict[str, Tensor]:
    """Weights as float16, which halves the file; counters are left out."""
    state: dict[str, Any] = network.state_dict()
    return {name: value.half().contiguous() for name, value in state.items() if value.is_floating_point()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--encoder", choices=("fine-tuned", "frozen", "scratch"), default="fine-tuned")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=2, help="Each later one mends the pseudo-masks with the last.")
    given = parser.parse_args()
    items = load(given.data)
    chosen = np.random.default_rng(given.seed).permutation(len(items))
    held_out = {int(at) for at in chosen[: len(items) // 10]}
    sure = [items[at] for at in held_out if items[at].weight >= 0.9]
    kept = [item for at, item in enumerate(items) if at not in held_out]
    for number in range(given.rounds):
        trained = train(kept, given.encoder, given.epochs, given.seed + number)
        print(f"round {number + 1}: IoU {overlap(trained, sure):.3f} on {len(sure)} held-out pseudo-masks", flush=True)
        save_file(halves(trained), given.out)
        kept = [item.joined(trained) for item in kept]


if __name__ == "__main__":
    main()
