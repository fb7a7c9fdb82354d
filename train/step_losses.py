"""The losses of an epoch's steps, read without waiting for the device that computes them."""

import torch
from torch import Tensor


class StepLosses:
    """Keeps the loss of each step on the device, and tells those that it has computed so far.

    A CUDA device computes some steps behind the host. To read a value from it is to wait for it,
    after which it waits for the host's next step; so values are copied as it goes, and looked at
    when a copy has arrived.

    Args:
        steps: of the whole epoch.
    """

    def __init__(self, steps: int, device: torch.device) -> None:
        self._on_device = torch.zeros(steps, device=device)
        behind = device.type == "cuda"
        self._on_host = torch.zeros(steps, pin_memory=True) if behind else self._on_device
        self._copied = torch.cuda.Event() if behind else None  # type: ignore[no-untyped-call]
        self._added = self._copying = 0
        self._known: list[float] = []

    def extend(self, losses: Tensor) -> None:
        """Add the losses of some steps, float32 [n] or a scalar, with or without a graph."""
        found = losses.detach().reshape(-1)
        self._on_device[self._added : self._added + len(found)] = found
        self._added += len(found)

    def known(self) -> list[float]:
        """Return the losses from the first step on that the device is known to have computed."""
        if self._copied is None:
            return self._on_host[: self._added].tolist()
        if self._copied.query():  # type: ignore[no-untyped-call]
            self._known = self._on_host[: self._copying].tolist()
            self._copying = self._added
            self._on_host[: self._added].copy_(self._on_device[: self._added], non_blocking=True)
            self._copied.record()
        return self._known

    def all(self) -> Tensor:
        """Wait for the device, and return the losses of all steps that were added, float32 [n]."""
        return self._on_device[: self._added].cpu()
