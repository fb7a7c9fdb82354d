"""The scripts in examples/ run, on the phantom set."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.data.phantom import PhantomConfig, make_phantom
from runtime.model.predictor import Predictor

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def main_of(name: str) -> Callable[..., None]:
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main  # type: ignore[no-any-return]


def test_predict_image(
    model: Path, phantom: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = next((phantom / "test").glob("*.png"))
    main_of("predict_image")(str(model), str(image), str(tmp_path / "overlay.png"))
    assert "of the image is tumor" in capsys.readouterr().out
    assert (tmp_path / "overlay.png").is_file()


@pytest.mark.usefixtures("quick_exports")
def test_train_network_and_export_network(
    phantom: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("train.resumable_run.draw_curves", lambda *_: None)
    run, output = tmp_path / "run", tmp_path / "run.onnx"
    main_of("train_network")(str(phantom), str(run), "1")
    main_of("export_network")(str(run / "best.pt"), str(output))
    printed = capsys.readouterr().out
    assert "epoch 1: loss " in printed
    assert "passed: replay" in printed
    assert "FAILED" not in printed
    assert Predictor(output).size == (32, 32)


def test_evaluate_network(model: Path, phantom: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main_of("evaluate_network")(str(model), str(phantom))
    assert len(capsys.readouterr().out.splitlines()) == 4


def test_compare_networks(
    model: Path, phantom: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = PhantomConfig(train=1, valid=1, test=12, slices=1, size=64)
    data = make_phantom(tmp_path / "data", config)
    main_of("compare_networks")(str(model), str(model), str(data))
    printed = capsys.readouterr().out
    assert printed.count("+0.000 [+0.000, +0.000], not significant") == 3
    main_of("compare_networks")(str(model), str(model), str(phantom))
    assert capsys.readouterr().out.count("4 images in 2 groups are too few for an interval") == 3


def test_every_example_is_short_and_has_a_test() -> None:
    for path in EXAMPLES.glob("*.py"):
        text = path.read_text()
        assert len(text.splitlines()) <= 40, path
        assert f'main_of("{path.stem}")' in Path(__file__).read_text()
        assert f"python examples/{path.name} " in text
