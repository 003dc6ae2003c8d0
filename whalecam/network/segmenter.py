"""A small network that outlines the animal: EfficientNet-Lite0's first five stages and a light decoder."""

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from whalecam.errors import ModelError
from whalecam.network.bodies import HALF, build_body
from whalecam.network.fusion.folding import fold

SKIPS = (16, 24, 40, 112)
"""Channels of the encoder at strides of 2, 4, 8 and 16."""
WIDTH = 48
FINE_WIDTH = 16
STAGE_OF_SKIP = (0, 1, 2, 4)


class Segmenter(nn.Module):
    """(N, 3, S, S) normalised to [−1, 1] → logits (N, S, S) that a pixel is animal; S a multiple of 16.

    The decoder adds each finer stage to the upsampled coarser one (feature pyramid, Lin et al. 2017); the mean over the
    whole image joins at the coarsest, and the image's own pixels at the finest, for sharp outlines. It ends at a
    stride of 2, which keeps it within a few milliseconds.
    """

    def __init__(self, pretrained: bool = False, encoder: nn.Module | None = None) -> None:
        super().__init__()
        self.encoder = encoder or build_body("efficientnet_lite0_fine", pretrained).features
        self.laterals = nn.ModuleList(_pointwise(channels, WIDTH) for channels in SKIPS[1:])
        self.context = nn.Sequential(nn.Linear(SKIPS[-1], WIDTH), nn.ReLU())
        self.merges = nn.ModuleList(_separable(WIDTH, WIDTH) for _ in SKIPS[1:])
        self.narrow, self.finest = _pointwise(WIDTH, FINE_WIDTH), _pointwise(SKIPS[0], FINE_WIDTH)
        self.pixels = nn.Sequential(nn.Conv2d(3, FINE_WIDTH, 4, 2, 1, bias=False), nn.BatchNorm2d(FINE_WIDTH))
        self.outline = nn.Sequential(nn.ReLU(), _separable(FINE_WIDTH, FINE_WIDTH), nn.Conv2d(FINE_WIDTH, 1, 1))

    @classmethod
    def load(cls, path: Path) -> "Segmenter":
        """Weights as `training.mask_net` writes them (float16, safetensors), in eval mode, float32."""
        network = cls()
        stored = {name: value.float() for name, value in load_file(path).items()}
        unknown = network.load_state_dict(stored, strict=False)
        absent = [name for name in unknown.missing_keys if not name.endswith("num_batches_tracked")]
        if absent or unknown.unexpected_keys:
            raise ModelError(f"{path.name} is not a mask network: {len(absent)} of its weights are missing.")
        return network.eval()

    def folded(self) -> "Segmenter":
        """The same function with each BatchNorm folded into the convolution before it: about twice as fast."""
        fold(self)
        return self.to(memory_format=torch.channels_last)

    def forward(self, inputs: Tensor) -> Tensor:
        finest, *stages = self.stages(inputs)
        pooled = self.context(stages[-1].mean((2, 3)))[..., None, None]
        x = self.merges[-1](self.laterals[-1](stages[-1]) + pooled)
        for place in (1, 0):
            x = self.merges[place](self.laterals[place](stages[place]) + _twice(x))
        fine = _twice(self.narrow(x)) + self.finest(finest) + self.pixels(inputs)
        return _twice(self.outline(fine))[:, 0]

    def stages(self, inputs: Tensor) -> list[Tensor]:
        """Activations at strides of 2, 4, 8 and 16."""
        body = self.encoder
        x = body.bn1(body.conv_stem(inputs))  # type: ignore[operator]
        kept = []
        for number, stage in enumerate(body.blocks):  # type: ignore[arg-type]
            x = stage(x)
            if number in STAGE_OF_SKIP:
                kept.append(x)
        return kept


def normalised(inputs: Tensor) -> Tensor:
    """uint8 (N, S, S, 3) → float32 (N, 3, S, S) in [−1, 1], as the encoder's weights were made for."""
    return (inputs.permute(0, 3, 1, 2).float() / 255 - HALF[0][0]) / HALF[1][0]


def _twice(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def _pointwise(channels: int, out: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, out, 1, bias=False), nn.BatchNorm2d(out))


def _separable(channels: int, out: int) -> nn.Sequential:
    spread = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
    return nn.Sequential(nn.ReLU(), spread, nn.BatchNorm2d(channels), nn.ReLU(), *_pointwise(channels, out))


def parameters(network: nn.Module) -> int:
    """How many numbers the network holds."""
    return sum(p.numel() for p in network.parameters()) + sum(b.numel() for b in network.buffers())
