"""Export a checkpoint as one ONNX file, then verify the file with the runtime alone.

python examples/export_network.py artifacts/example-run/best.pt artifacts/example-run.onnx
"""

import sys

from export import ExportRequest, export_checkpoints
from runtime import verify


def main(checkpoint: str, output: str) -> None:
    metadata = export_checkpoints(ExportRequest([checkpoint], output)).metadata
    assert metadata.parity is not None
    print(f"largest difference to PyTorch: {metadata.parity.max_probability:.1e}")
    for check in verify(output).checks:
        print(f"{'passed' if check.passed else 'FAILED'}: {check.name}")


if __name__ == "__main__":
    main(*sys.argv[1:])
