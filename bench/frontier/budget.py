"""A budget: limits on the latency, the memory and the IoU of a file."""

from dataclasses import dataclass

from runtime.core.settings import check_settings, setting


@dataclass(frozen=True, slots=True)
class Budget:
    """Limits on what a file may cost and how it has to score; None for no limit.

    Attributes:
        max_latency_ms: highest 90th percentile of the latency, which MLPerf's single stream is
            judged by, in milliseconds.
        max_memory_mb: highest peak memory of the process, in 10^6 bytes.
        min_iou: lowest soft IoU, mean over images, in [0, 1].

    Raises:
        ConfigError: a limit is negative, infinite or NaN.

    Example:
        >>> print(Budget(max_latency_ms=20, min_iou=0.5))
        p90 of at most 20 ms, soft IoU of at least 0.5
    """

    max_latency_ms: float | None = setting(
        None, help="Recommend a file with a p90 latency within this limit.", metavar="MS", minimum=0
    )
    max_memory_mb: float | None = setting(
        None, help="Recommend a file with a peak memory within this limit.", metavar="MB", minimum=0
    )
    min_iou: float | None = setting(
        None, help="Recommend a file with at least this soft IoU.", metavar="IOU", minimum=0
    )

    def __post_init__(self) -> None:
        check_settings(self)

    def __str__(self) -> str:
        limits = (
            (self.max_latency_ms, "p90 of at most {:g} ms"),
            (self.max_memory_mb, "a peak of at most {:g} MB"),
            (self.min_iou, "soft IoU of at least {:g}"),
        )
        return ", ".join(text.format(limit) for limit, text in limits if limit is not None)

    @property
    def is_given(self) -> bool:
        """True if there is any limit."""
        return self != Budget()

    @property
    def limits_cost(self) -> bool:
        """True if latency or memory is limited."""
        return self.max_latency_ms is not None or self.max_memory_mb is not None
