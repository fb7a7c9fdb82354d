"""Train a small UNet on the phantom set. On your data, use `study_config(DIR, "scratch")`.

python examples/train_network.py artifacts/phantom artifacts/example-run
"""

import sys
from pathlib import Path

from runtime import ensure_phantom
from train import demo_config, train_network


def main(data: str, run: str, epochs: str = "3") -> None:
    ensure_phantom(data)
    config = demo_config(data, "scratch", width=4, size=32, epochs=int(epochs))
    result = train_network(config, run, cache=Path(run).parent / "cache", overwrite=True)
    for row in result.history:
        print(f"epoch {row.epoch}: loss {row.valid_loss:.3f}, IoU {row.valid_iou:.3f}")
    print(f"{result.best} has the lowest validation loss")


if __name__ == "__main__":
    main(*sys.argv[1:])
