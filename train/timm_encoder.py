"""Any backbone of timm as an encoder."""

import logging
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from runtime.core.errors import CheckpointError, ConfigError
from runtime.core.extras import require
from train.architectures import Architecture, suggestion
from train.encoders import Encoder, Normalize
from train.pretrained import EncoderWeights, Pretrained, download_failed, fitting

_FINEST_STRIDES = (1, 2, 4)


class TimmEncoder(Encoder, Pretrained):
    """The features of a timm network, one for each halving; parameters have timm's names.

    Args:
        architecture: its `backbone` is timm's name, with or without the tag of its weights
            ("resnet10t", "resnet10t.c3_in1k").
        size: height and width of the input in pixels, for backbones that are built for one size.

    Raises:
        ConfigError: timm has no such network, it has no features at several scales, or they do not
            halve from one to the next.
        MissingExtraError: timm is not installed.
    """

    def __init__(self, architecture: Architecture, width: int, size: int) -> None:
        require("timm", "timm")
        super().__init__()
        assert architecture.backbone is not None
        self.name, self.size = architecture.backbone, size
        self.backbone = self._features()
        facts = self.backbone.pretrained_cfg
        self.license: str | None = facts.get("license")
        self.normalize = Normalize(tuple(facts["mean"]), tuple(facts["std"]))
        self.dynamic_size = not facts.get("fixed_input_size", False)
        self.channels = tuple(self.backbone.feature_info.channels())
        self.finest_stride = _finest_stride(self.name, self.backbone.feature_info.reduction())
        self._channels_last = str(getattr(self.backbone, "output_fmt", "")).endswith("NHWC")

    def forward(self, images: Tensor) -> list[Tensor]:
        """See `Encoder`."""
        features = self.backbone(self.normalize(images))
        if self._channels_last:
            return [feature.permute(0, 3, 1, 2) for feature in features]
        return list(features)

    def download(self) -> tuple[Mapping[str, Tensor], EncoderWeights]:
        """See `Pretrained`."""
        try:
            network = _create(self.name, pretrained=True)
        except Exception as error:  # of the hub's client, which has a tree of its own
            raise download_failed("timm", error) from error
        facts = network.pretrained_cfg
        source = f"timm {facts['architecture']}.{facts['tag']}"
        return network.state_dict(), EncoderWeights(source, "", False, self.license)

    def load_backbone(self, state: Mapping[str, Tensor], where: str) -> None:
        """See `Pretrained`. The weights are those of the whole network, with its classifier."""
        whole = _create(self.name).state_dict()
        weights = fitting(state, whole, f"timm's {self.name}", where)
        # timm renames weights for features, and fits those that depend on the size of the input.
        try:
            loaded = self._features(weights)
        except RuntimeError as error:
            raise CheckpointError(f"{where}: timm cannot load these weights: {error}") from error
        self.backbone.load_state_dict(loaded.state_dict())

    def _features(self, weights: dict[str, Tensor] | None = None) -> Any:
        options: dict[str, Any] = {"features_only": True}
        if weights is not None:
            options |= {"pretrained": True, "pretrained_cfg_overlay": {"state_dict": weights}}
        if _is_of_fixed_size(self.name):
            options["img_size"] = self.size
        try:
            return _create(self.name, **options)
        except (AttributeError, NotImplementedError, TypeError, AssertionError, RuntimeError) as e:
            raise ConfigError(
                f"arch timm:{self.name}: timm makes no features of this network at "
                f"{self.size}x{self.size} ({e})"
            ) from e


def _create(name: str, **options: Any) -> Any:
    """Return timm's network. Raises ConfigError if there is none of this name."""
    import timm

    if not timm.is_model(name):
        hint = suggestion(name.split(".")[0], timm.list_models(), "one of timm.list_models()")
        raise ConfigError(f"arch timm:{name}: timm has no such network; {hint}")
    logger = logging.getLogger("timm")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        return timm.create_model(name, **options)
    finally:
        logger.setLevel(level)


def _is_of_fixed_size(name: str) -> bool:
    import timm

    facts = timm.get_pretrained_cfg(name, allow_unregistered=True)
    return facts is not None and bool(facts.fixed_input_size)


def _finest_stride(name: str, strides: list[int]) -> int:
    """Return the stride of the finest feature. Raises ConfigError if they do not halve."""
    expected = [strides[0] * 2**level for level in range(len(strides))]
    if strides != expected or strides[0] not in _FINEST_STRIDES:
        raise ConfigError(
            f"arch timm:{name}: expected features that start at 1, 1/2 or 1/4 of the image and "
            f"halve from one to the next, found strides of {', '.join(map(str, strides))}"
        )
    return strides[0]
