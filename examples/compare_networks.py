"""Compare two ONNX files on the same test images, with 95 % confidence intervals.

python examples/compare_networks.py one.onnx other.onnx artifacts/phantom
"""

import sys

from runtime import evaluate_files


def main(first: str, second: str, data: str) -> None:
    report = evaluate_files([first, second], data, baselines=False)
    for metric in ("recall", "precision", "iou"):
        interval = report.comparisons[0].find(metric).difference
        if interval.withheld is not None:
            print(f"{metric}: {interval.withheld}")
            continue
        significant = "" if interval.excludes_zero else ", not significant"
        print(
            f"{metric}: {interval.value:+.3f} [{interval.low:+.3f}, {interval.high:+.3f}]"
            f"{significant}"
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
