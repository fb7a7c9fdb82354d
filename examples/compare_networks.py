"""Compare two ONNX files on the same test images, with 95 % confidence intervals.

python examples/compare_networks.py one.onnx other.onnx artifacts/phantom
"""

import sys

from runtime import Predictor, compare, evaluate, read_dataset


def main(one: str, other: str, data: str) -> None:
    test = read_dataset(data).split("test")
    comparison = compare(evaluate(Predictor(one), test), evaluate(Predictor(other), test))
    for metric in ("recall", "precision", "iou"):
        interval = comparison.find(metric).difference
        significant = interval.low > 0.0 or interval.high < 0.0
        print(
            f"{metric}: {interval.value:+.3f} [{interval.low:+.3f}, {interval.high:+.3f}]"
            f"{'' if significant else ', not significant'}"
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
