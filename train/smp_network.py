"""Whole networks of segmentation_models_pytorch."""

import warnings
from collections.abc import Mapping

from torch import Tensor

from runtime.core.errors import CheckpointError, ConfigError
from runtime.core.extras import require
from train.architectures import suggestion
from train.encoders import IMAGENET_MEAN, IMAGENET_STD, Normalize
from train.network import SegmentationNetwork
from train.pretrained import EncoderWeights, Pretrained, download_failed, fitting


class SmpNetwork(SegmentationNetwork, Pretrained):
    """A network of segmentation_models_pytorch with one output, as its defaults make it.

    Images are normalized with ImageNet's mean and standard deviation inside the network.

    Args:
        arch: "smp:DECODER:ENCODER", such as "smp:FPN:resnet18".
        width: has no effect.
        size: has no effect.

    Raises:
        ConfigError: the library has no such decoder or encoder, or they do not fit together.
        MissingExtraError: it is not installed.
    """

    def __init__(self, arch: str, width: int, size: int) -> None:
        require("smp", "segmentation_models_pytorch")
        import segmentation_models_pytorch as smp

        super().__init__(arch, width)
        _, decoder, self.encoder_name = arch.split(":")
        decoders = smp.MODEL_ARCHITECTURES_MAPPING
        if decoder.lower() not in decoders:
            hint = suggestion(decoder.lower(), decoders)
            raise ConfigError(f"arch {arch}: no such decoder; {hint}")
        try:
            # Some encoders have newer names, which a checkpoint of today would not find.
            with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
                network = decoders[decoder.lower()](self.encoder_name, encoder_weights=None)
        except KeyError as error:
            hint = suggestion(
                self.encoder_name,
                smp.encoders.get_encoder_names(),
                "one of segmentation_models_pytorch.encoders.get_encoder_names()",
            )
            raise ConfigError(f"arch {arch}: no such encoder; {hint}") from error
        except (ValueError, NotImplementedError, TypeError, AttributeError, RuntimeError) as error:
            raise ConfigError(f"arch {arch}: {error}") from error
        self.normalize = Normalize(IMAGENET_MEAN, IMAGENET_STD)
        self.encoder = network.encoder
        self.decoder = network.decoder
        self.head = network.segmentation_head
        self.multiple = max(32, int(network.encoder.output_stride))
        self.dynamic_size = True

    def forward(self, images: Tensor) -> Tensor:
        """Return logits [N, 1, H, W] of images, float [N, 3, H, W] in [0, 1]."""
        assert self.encoder is not None
        features = self.encoder(self.normalize(images))
        return self.head(self.decoder(features))  # type: ignore[no-any-return]

    def download(self) -> tuple[Mapping[str, Tensor], EncoderWeights]:
        """See `Pretrained`."""
        import segmentation_models_pytorch as smp

        try:
            encoder = smp.encoders.get_encoder(self.encoder_name, weights="imagenet")
        except KeyError as error:
            raise CheckpointError(
                f"encoder weights imagenet: there are none of {self.encoder_name}"
            ) from error
        except Exception as error:  # of the hub's client, which has a tree of its own
            raise download_failed("segmentation_models_pytorch", error) from error
        source = f"segmentation_models_pytorch {self.encoder_name} imagenet"
        return encoder.state_dict(), EncoderWeights(source, "", stride_in_1x1=False)

    def load_backbone(self, state: Mapping[str, Tensor], where: str) -> None:
        """See `Pretrained`."""
        assert self.encoder is not None
        expected = self.encoder.state_dict()
        prefixes = ("fc.", "classifier.", "last_linear.")
        kept = {n: v for n, v in state.items() if n in expected or not n.startswith(prefixes)}
        title = f"segmentation_models_pytorch's {self.encoder_name}"
        self.encoder.load_state_dict(fitting(kept, expected, title, where))
