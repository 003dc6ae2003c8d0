"""Image classifiers of the library transformers, from a configuration and weights; nothing of the file is run."""

import json
from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

from whalecam.errors import ModelError
from whalecam.extras import require
from whalecam.network.checkpoint_files import difference
from whalecam.network.layout import first_line

NOT_READ = frozenset(
    (
        "auto_map",
        "attn_implementation",
        "_attn_implementation",
        "attn_implementation_internal",
        "_attn_implementation_internal",
        "experts_implementation",
        "_experts_implementation",
        "use_kernels",
        "dtype",
        "torch_dtype",
        "_name_or_path",
        "backbone_kwargs",
    )
)
"""Keys of a configuration that could fetch code or kernels, or change the precision."""
TIMES, SMALL = 2, 10_000_000
"""How many times the weights of a file a configuration may ask for, beyond a small network's."""
MODEL = "model."
"""What stands before the library's own names of weights in `TransformersClassifier`."""


class TransformersClassifier(nn.Module):
    """A classifier of transformers as a network of tensors: images (N, 3, S, S) → logits (N, C).

    Args:
        config: as the checkpoint has it; it is kept among the weights, so that a run can build the network again.
    """

    config_json: Tensor

    def __init__(self, model: nn.Module, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.model = model
        text = json.dumps(dict(config), sort_keys=True).encode()
        self.register_buffer("config_json", torch.frombuffer(bytearray(text), dtype=torch.uint8))
        self.image_size = native_size(config) or 0

    def forward(self, images: Tensor) -> Tensor:
        return cast(Tensor, self.model(pixel_values=images).logits)

    @property
    def body(self) -> nn.Module:
        """The network without its classifier: the first part of each classifier of the library."""
        return next(self.model.children())

    @property
    def classifier(self) -> nn.Module:
        """Its last layers. Raises AttributeError for a network that names them otherwise."""
        return cast(nn.Module, self.model.classifier)

    def hidden(self, images: Tensor) -> Tensor:
        """What the body gives before any pooling: (N, K, h, w) or tokens (N, T, K)."""
        return cast(Tensor, self.body(pixel_values=images).last_hidden_state)


def native_size(config: Mapping[str, Any]) -> int | None:
    """The side in px that a configuration names, its own or its vision part's; None where it names none."""
    for part in (config, config.get("vision_config")):
        size = part.get("image_size") if isinstance(part, Mapping) else None
        if isinstance(size, int) and not isinstance(size, bool) and size > 0:
            return size
    return None


def is_transformers(config: Mapping[str, Any]) -> bool:
    """Whether a configuration is one of transformers; those of timm name their `architecture` too."""
    return isinstance(config.get("architectures"), list) and "architecture" not in config


def classifier_name(config: Mapping[str, Any], file: str) -> str:
    """The class that a configuration names, as `ViTForImageClassification`. Raises ModelError for no classifier."""
    names = [name for name in config["architectures"] if isinstance(name, str)]
    if classifiers := [name for name in names if "ForImageClassification" in name]:
        return classifiers[0]
    raise ModelError(
        f"{file} is a {', '.join(names) or 'network without a name'} of transformers, which classifies no images. "
        "Give the checkpoint of a …ForImageClassification, fine-tuned on your classes."
    )


def build(
    config: Mapping[str, Any], tensors: Mapping[str, Tensor], file: str
) -> tuple[TransformersClassifier, list[str]]:
    """The classifier of a configuration with these weights, in float32 and eval mode, and names of weights left out.

    transformers itself reads the names, also those of its earlier versions. Nothing is fetched, and no code of the
    checkpoint is run.

    Raises ExtraError where the library is missing; ModelError for a class that it does not have, and for weights that
    are missing or of another shape.
    """
    name = classifier_name(config, file)
    require("transformers", f"{file}, a checkpoint of {name},")
    kind, own = _class_of(name, config, file)
    try:
        _check_amount(kind, own, tensors, file)
        model, left = kind.from_pretrained(
            None,
            config=own,
            state_dict={key: value.float() if value.is_floating_point() else value for key, value in tensors.items()},
            output_loading_info=True,
            ignore_mismatched_sizes=True,
            dtype=torch.float32,
        )
    except ModelError:
        raise
    except Exception as error:  # The configuration is anybody's, and the library raises whatever its parts raise.
        raise ModelError(
            f"{file} cannot be built as {name}: {first_line(error)}. Give the config.json that was saved with it."
        ) from error
    _check_filled(left, name, file)
    return TransformersClassifier(model.eval(), config).eval(), sorted(left["unexpected_keys"])


def _class_of(name: str, config: Mapping[str, Any], file: str) -> tuple[Any, Any]:
    """The library's class of this name, and its own configuration. Raises ModelError."""
    from transformers import CONFIG_MAPPING, MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        own = CONFIG_MAPPING[config["model_type"]].from_dict(_safe(config))
        known = MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING[type(own)]
    except Exception as error:
        raise ModelError(
            f"{file} is a {name} of the kind '{config.get('model_type')}', which the installed transformers does not "
            f"classify images with ({first_line(error)}). Update it, or use a network that it has."
        ) from error
    kinds = {kind.__name__: kind for kind in (known if isinstance(known, tuple | list) else [known])}
    if name not in kinds:
        raise ModelError(f"{file} names {name}, but its kind '{config['model_type']}' has {', '.join(kinds)}.")
    return kinds[name], own


def _check_amount(kind: Any, own: Any, tensors: Mapping[str, Tensor], file: str) -> None:
    """Raise ModelError for a network of many more weights than the file has, before any memory is taken for them."""
    with torch.device("meta"):
        wanted = sum(parameter.numel() for parameter in kind(own).parameters())
    given = sum(value.numel() for value in tensors.values())
    if wanted > TIMES * given + SMALL:
        raise ModelError(
            f"The config.json of {file} is of a network with {wanted:,} weights, and the file has {given:,}. Give the "
            "config.json that was saved with them."
        )


def _safe(config: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _safe(value) if isinstance(value, Mapping) and key.endswith("_config") else value
        for key, value in config.items()
        if key not in NOT_READ and key != "quantization_config"
    }


def _check_filled(left: Mapping[str, Any], name: str, file: str) -> None:
    """Raise ModelError where the weights and the network are not the same."""
    if shapes := sorted(left["mismatched_keys"]):
        key, its, wanted = shapes[0]
        raise ModelError(
            f"The weights of {file} do not fit its config.json: {key} is {tuple(its)}, not {tuple(wanted)}. "
            "Give the config.json that was saved with them."
        )
    if missing := left["missing_keys"]:
        raise ModelError(
            f"The weights of {file} do not fit {name}. {difference(missing, sorted(left['unexpected_keys']))} "
            "Give the config.json that was saved with them."
        )


def config_of(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The configuration and the library's own weights among those of a run. Raises ModelError where there is none."""
    ending = "config_json"
    before = next((name.removesuffix(ending) for name in tensors if name.endswith(ending)), None)
    if before is None:
        raise ModelError("This run's network of transformers lacks its configuration. Load the checkpoint again.")
    config = json.loads(bytes(tensors[before + ending].tolist()).decode())
    own = before + MODEL
    return config, {name.removeprefix(own): value for name, value in tensors.items() if name.startswith(own)}
