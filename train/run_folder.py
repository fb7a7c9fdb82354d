"""What a run leaves in its folder, so that a run that is killed at any moment can go on."""

from dataclasses import replace
from pathlib import Path

from runtime.core.files import remove_unfinished, write_all
from runtime.core.json_files import json_text
from runtime.core.schema import to_dict
from train.checkpoint import BEST, LAST, Checkpoint, checkpoint_bytes, load_checkpoint
from train.config import TrainConfig
from train.history import EpochRow, best_epoch, draw_curves, write_history

CONFIG, HISTORY, CURVES = "config.json", "history.csv", "curves.png"


class RunFolder:
    """A folder that a run writes to, and no other run meanwhile (`runtime.core.lock.locked`).

    Args:
        new: the run begins anew; what an earlier one left goes as soon as there is something to
            put in its place.
    """

    def __init__(self, path: Path, *, new: bool) -> None:
        self.path = path
        self._new = new
        remove_unfinished(path)

    def save(self, checkpoint: Checkpoint) -> None:
        """Write where a run is, after an epoch or in the middle of one. Raises OutputError."""
        contents: dict[str, bytes | memoryview] = {}
        if self._new:
            contents[CONFIG] = json_text(to_dict(checkpoint.config)).encode()
        history = checkpoint.history
        # The best goes first: a run killed between the two repeats the epoch, best and all.
        if checkpoint.steps is None and best_epoch(history) is history[-1]:
            contents[BEST] = checkpoint_bytes(replace(checkpoint, optimizer=None, scheduler=None))
        contents[LAST] = checkpoint_bytes(checkpoint)
        # `last.pt` first: without it nothing of the rest is taken for a run.
        earlier = (LAST, BEST, HISTORY, CURVES) if self._new else ()
        write_all(self.path, contents, removing=earlier)
        self._new = False
        if history:
            write_history(self.path / HISTORY, history)

    def finish(self, config: TrainConfig, history: tuple[EpochRow, ...], title: str) -> None:
        """Write what describes a whole run. Raises OutputError, CheckpointError."""
        best = load_checkpoint(self.path / BEST)
        if best.config != config:
            # More epochs were asked for than at first, and none of them was better.
            write_all(self.path, {BEST: checkpoint_bytes(replace(best, config=config))})
        write_all(self.path, {CONFIG: json_text(to_dict(config)).encode()})
        write_history(self.path / HISTORY, history)
        draw_curves(self.path / CURVES, history, title)
