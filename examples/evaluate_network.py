"""Score an ONNX file on a test split, beside the baselines that need no network.

python examples/evaluate_network.py artifacts/unet-scratch-w16.onnx artifacts/phantom
"""

import sys

from runtime import Predictor, evaluate, evaluate_baselines, read_dataset


def main(model: str, data: str) -> None:
    dataset = read_dataset(data)
    train, test = dataset.split("train"), dataset.split("test")
    predictor = Predictor(model)
    baselines = evaluate_baselines(train, test, predictor.size)
    for evaluation in (evaluate(predictor, test), *baselines):
        iou = evaluation.soft.per_image["iou"].mean
        print(f"{evaluation.name}: soft IoU {iou:.3f} per image")


if __name__ == "__main__":
    main(*sys.argv[1:])
