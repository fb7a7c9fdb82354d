"""Score an ONNX file on a test split, beside the baselines that need no network.

python examples/evaluate_network.py artifacts/unet-scratch-w16.onnx artifacts/phantom
"""

import sys

from runtime import evaluate_files


def main(model: str, data: str) -> None:
    report = evaluate_files([model], data)
    for evaluation in (report.models[0].evaluation, *report.baselines):
        iou = evaluation.soft.per_image["iou"].mean
        print(f"{evaluation.name}: soft IoU {iou:.3f} per image")


if __name__ == "__main__":
    main(*sys.argv[1:])
