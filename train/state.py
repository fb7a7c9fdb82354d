"""The state of a run: everything that a training step or an epoch changes."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim.lr_scheduler import ReduceLROnPlateau

from runtime.core.errors import ConfigError
from train.config import Arithmetic, TrainConfig
from train.network import SegmentationNetwork, make_network
from train.objective import Objective, make_objective
from train.pretrained import EncoderWeights, Pretrained
from train.weights import load_encoder_weights, load_weights

_DTYPES: Mapping[Arithmetic, torch.dtype] = {"float32": torch.float32, "bf16": torch.bfloat16}


@dataclass(frozen=True, slots=True)
class TrainState:
    """A network in training.

    Attributes:
        device: where it is trained.
        objective: the loss and the metrics' sums of a batch, by `network`.
        scheduler: lowers the learning rates when the validation loss no longer falls.
        encoder_weights: origin of the encoder's weights; None where it started untrained.
    """

    config: TrainConfig
    device: torch.device
    network: SegmentationNetwork
    objective: Objective
    optimizer: torch.optim.Optimizer
    scheduler: ReduceLROnPlateau
    encoder_weights: EncoderWeights | None

    @property
    def parameters(self) -> int:
        """The number of the network's parameters."""
        return sum(parameter.numel() for parameter in self.network.parameters())

    @property
    def trained_parameters(self) -> int:
        """The number of parameters that the optimizer changes."""
        return sum(p.numel() for group in self.optimizer.param_groups for p in group["params"])

    @property
    def learning_rate(self) -> float:
        """The current learning rate of the decoder."""
        return float(self.optimizer.param_groups[0]["lr"])

    def unfreeze_encoder(self) -> None:
        """Train the encoder from now on, at the config's own rate for it.

        The encoder starts at this rate even where the decoder's has been lowered; from now on the
        scheduler lowers both.
        """
        self.network.unfreeze_encoder()
        assert self.network.encoder is not None
        encoder = list(self.network.encoder.parameters())
        rate = self.config.unfreeze_learning_rate
        self.optimizer.add_param_group({"params": encoder, "lr": rate})

    def restore(
        self,
        weights: dict[str, Tensor],
        optimizer: Mapping[str, Any] | None,
        scheduler: Mapping[str, Any] | None,
        where: str | Path,
    ) -> None:
        """Load the state dictionaries of a checkpoint.

        Args:
            where: the checkpoint's name, for the message.

        Raises:
            CheckpointError: the weights do not fit the network.
        """
        load_weights(self.network, weights, where)
        self.optimizer.load_state_dict(dict(optimizer or {}))
        self.scheduler.load_state_dict(dict(scheduler or {}))


def choose_device(config: TrainConfig) -> torch.device:
    """Return the device that a config asks for.

    Raises:
        ConfigError: CUDA is asked for, and this machine has no CUDA device.

    Example:
        >>> choose_device(TrainConfig(data="scans", device="cpu"))
        device(type='cpu')
    """
    available = torch.cuda.is_available()
    if config.device == "cuda" and not available:
        raise ConfigError("device cuda: this machine has no CUDA device")
    return torch.device("cuda" if available and config.device != "cpu" else "cpu")


def device_name(device: torch.device) -> str:
    """Return the name of a device for people: "CPU", or what a CUDA device calls itself.

    Example:
        >>> device_name(torch.device("cpu"))
        'CPU'
    """
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"


def choose_precision(config: TrainConfig, device: torch.device) -> Arithmetic:
    """Return the arithmetic that a config asks for; "auto" is bf16 where the device speeds it up.

    That is a CUDA device with bf16, or a CPU with AMX tiles. Other CPUs emulate bf16, which is
    slower than float32.

    Example:
        >>> config = TrainConfig(data="scans", precision="bf16")
        >>> choose_precision(config, torch.device("cpu"))
        'bf16'
    """
    if config.precision != "auto":
        return config.precision
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "float32"
    return "bf16" if torch.cpu._is_amx_tile_supported() else "float32"


def settle_precision(config: TrainConfig, device: torch.device) -> TrainConfig:
    """Return the config of a run on a device, whose precision is no longer "auto"."""
    return replace(config, precision=choose_precision(config, device))


def initialize_state(config: TrainConfig, device: torch.device) -> TrainState:
    """Return the state before the first epoch.

    Raises:
        ConfigError, MissingExtraError: the network cannot be made.
        CheckpointError: the encoder's weights cannot be loaded.
    """
    network = make_network(config.arch, config.width, config.size)
    pretrained = network if isinstance(network, Pretrained) else network.encoder
    encoder_weights = None
    if isinstance(pretrained, Pretrained) and config.encoder_weights != "none":
        encoder_weights = load_encoder_weights(pretrained, config.encoder_weights)
    if config.freeze_encoder:
        if network.encoder is None:
            raise ConfigError(f"arch {config.arch}: the network has no `encoder` to freeze")
        network.freeze_encoder()
    layout = torch.channels_last if config.channels_last else torch.contiguous_format
    network = network.to(device=device, memory_format=layout)  # type: ignore[call-overload]
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(trained, lr=config.learning_rate)
    return TrainState(
        config,
        device,
        network,
        make_objective(network, config, device, _DTYPES[choose_precision(config, device)]),
        optimizer,
        make_scheduler(optimizer, config),
        encoder_weights,
    )


def make_scheduler(optimizer: torch.optim.Optimizer, config: TrainConfig) -> ReduceLROnPlateau:
    """Return the scheduler that lowers the rates after `patience` epochs without a lower loss."""
    # PyTorch acts in the epoch after `patience` bad ones, the study's protocol in the last of them.
    return ReduceLROnPlateau(
        optimizer, factor=config.decay, patience=config.patience - 1, threshold=0.0
    )
