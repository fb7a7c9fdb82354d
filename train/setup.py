"""What a run starts from: device, seeds, network, optimizer, and an interrupted run to go on."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau

from runtime.core.errors import CheckpointError, ConfigError
from runtime.core.machine import available_cores
from train.checkpoint import Checkpoint, DataFacts, load_checkpoint, load_weights
from train.config import TrainConfig, differing_setting
from train.encoders import TorchvisionEncoder
from train.epoch import EpochSteps
from train.history import EpochRow
from train.network import UNet
from train.seeds import restore_random
from train.weights import EncoderWeights, load_encoder_weights


@dataclass(frozen=True, slots=True)
class RunState:
    """What changes from step to step of a run, and where its encoder's weights are from."""

    network: UNet
    optimizer: torch.optim.Optimizer
    scheduler: ReduceLROnPlateau
    encoder_weights: EncoderWeights | None

    @property
    def trained_parameters(self) -> int:
        """How many parameters the optimizer moves."""
        return sum(p.numel() for group in self.optimizer.param_groups for p in group["params"])


def choose_device(config: TrainConfig) -> tuple[torch.device, torch.dtype]:
    """Return the device, and the type that the network computes in there.

    Raises:
        ConfigError: the device is not there.
    """
    available = torch.cuda.is_available()
    if config.device == "cuda" and not available:
        raise ConfigError("device cuda: expected a CUDA device, found none")
    device = torch.device("cuda" if available and config.device != "cpu" else "cpu")
    halved = device.type == "cuda" and torch.cuda.is_bf16_supported()
    wanted = config.precision == "bf16" or (config.precision == "auto" and halved)
    return device, torch.bfloat16 if wanted else torch.float32


@contextmanager
def repeatable(config: TrainConfig, device: torch.device) -> Iterator[None]:
    """Seed and settings under which a run gives the same result twice, undone at the end."""
    threads = torch.get_num_threads()
    strict = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    torch.set_num_threads(config.threads or available_cores())
    if device.type == "cpu":
        # Otherwise threads may sum the gradient of a table that is indexed, as Swin's of positions,
        # in any order. On CUDA that sum is repeatable, and this would ask for more than is needed.
        torch.use_deterministic_algorithms(True)
    try:
        with (
            torch.random.fork_rng(),
            torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True),
        ):
            torch.manual_seed(config.seed)
            yield
    finally:
        torch.use_deterministic_algorithms(strict, warn_only=warn_only)
        torch.set_num_threads(threads)


def begin(config: TrainConfig, device: torch.device) -> RunState:
    """Return the state before the first epoch.

    Raises:
        CheckpointError: the encoder's weights cannot be loaded.
    """
    network = UNet(config.arch, config.width)
    record = None
    if isinstance(network.encoder, TorchvisionEncoder) and config.encoder_weights != "none":
        record = load_encoder_weights(network.encoder, config.encoder_weights)
    if config.freeze_encoder:
        network.freeze_encoder()
    layout = torch.channels_last if config.channels_last else torch.contiguous_format
    network = network.to(device=device, memory_format=layout)  # type: ignore[call-overload]
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(trained, lr=config.learning_rate)
    return RunState(network, optimizer, make_scheduler(optimizer, config), record)


def make_scheduler(optimizer: torch.optim.Optimizer, config: TrainConfig) -> ReduceLROnPlateau:
    """Return what lowers the learning rates after `patience` epochs without a lower loss."""
    # PyTorch acts on the epoch after `patience` bad ones, the study's protocol on the last of them.
    return ReduceLROnPlateau(
        optimizer, factor=config.decay, patience=config.patience - 1, threshold=0.0
    )


def unfreeze(state: RunState, learning_rate: float) -> None:
    """Train the encoder from now on, at a learning rate of its own.

    The rate is this one however often the others' has been lowered; from now on the scheduler
    lowers both.
    """
    state.network.unfreeze_encoder()
    encoder = list(state.network.encoder.parameters())
    state.optimizer.add_param_group({"params": encoder, "lr": learning_rate})


def go_on(
    state: RunState, path: Path, config: TrainConfig, data: DataFacts, device: torch.device
) -> tuple[tuple[EpochRow, ...], EpochSteps | None]:
    """Bring a state, and PyTorch's generators, to where a checkpoint's run was.

    Returns:
        That run's history, and the steps of the epoch that it was stopped in, if it was.

    Raises:
        CheckpointError: the checkpoint cannot be loaded.
        ConfigError: it is of a run with other settings, on other data, or of more epochs.
    """
    last = _resumable(path, config, data, state.encoder_weights)
    if 0 < config.unfreeze_epoch <= last.begun:
        unfreeze(state, config.unfreeze_learning_rate)
    load_weights(state.network, last.weights, path)
    state.optimizer.load_state_dict(last.optimizer or {})
    state.scheduler.load_state_dict(last.scheduler or {})
    if last.steps is not None:
        try:
            restore_random(last.steps.random, device)
        except (RuntimeError, TypeError) as error:
            raise CheckpointError(
                f"{path}: expected the states of random generators, found something else"
            ) from error
    return last.history, last.steps


def ensure_same_run(path: Path, last: Checkpoint, config: TrainConfig) -> None:
    """Raise ConfigError where a run with these settings cannot go on from a checkpoint."""
    changed = differing_setting(config, last.config)
    if changed is not None:
        raise ConfigError(
            f"{path}: expected a run with {changed} {getattr(config, changed)!r}, found one with "
            f"{getattr(last.config, changed)!r}"
        )
    if last.begun > config.epochs:
        raise ConfigError(
            f"{path}: expected at most {config.epochs} epochs, found {last.begun} trained"
        )


def _resumable(
    path: Path, config: TrainConfig, data: DataFacts, encoder: EncoderWeights | None
) -> Checkpoint:
    last = load_checkpoint(path)
    ensure_same_run(path, last, config)
    if _identity(encoder) != _identity(last.encoder_weights):
        raise ConfigError(
            f"{path}: expected a run that began with the encoder weights "
            f"{config.encoder_weights}, found one with {last.config.encoder_weights}"
        )
    if data.sha256 != last.data.sha256:
        raise ConfigError(f"{path}: expected a run on the same data, found one on other data")
    return last


def _identity(weights: EncoderWeights | None) -> str | None:
    """Return what tells weights apart wherever their file lies."""
    return None if weights is None else weights.sha256 or weights.source
