"""Predict the probability map of one image, and save it as an overlay.

python examples/predict_image.py artifacts/unet-scratch-w16.onnx artifacts/example/scan.jpg
"""

import sys

from PIL import Image

from runtime import Predictor, draw_overlay, load_scan


def main(model: str, image: str, overlay: str = "overlay.png") -> None:
    predictor = Predictor(model)
    probability = predictor(image)  # float32 [height, width], at the image's own size
    print(f"{(probability >= 0.5).mean():.1%} of the image is tumor")
    Image.fromarray(draw_overlay(load_scan(image).pixels, probability)).save(overlay)


if __name__ == "__main__":
    main(*sys.argv[1:])
