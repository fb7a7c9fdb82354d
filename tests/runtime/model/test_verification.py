"""A changed file is caught, by the name of what was changed; a sound one passes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from runtime.cli.verify import main
from runtime.core.errors import ModelError
from runtime.core.machine import available_cores
from runtime.model.checksums import CHECKSUMS_KEY, dump_checksums
from runtime.model.golden import GOLDEN_KEY, parse_golden
from runtime.model.metadata import KEY
from runtime.model.onnx_file import read_onnx
from runtime.model.verification import verify
from tests.support.model_builder import ModelBuilder

onnx = pytest.importorskip("onnx")

WEIGHT = "network.decoder.1.convs.0.weight"


def properties(proto: Any) -> dict[str, str]:
    return {entry.key: entry.value for entry in proto.metadata_props}


def flip_a_weight(proto: Any) -> None:
    (tensor,) = (t for t in proto.graph.initializer if t.name == WEIGHT)
    raw = bytearray(tensor.raw_data)
    raw[0] ^= 1  # the lowest bit of a mantissa: no number would tell
    tensor.raw_data = bytes(raw)


def scale_a_weight(proto: Any) -> None:
    (tensor,) = (t for t in proto.graph.initializer if t.name == WEIGHT)
    values = 1.5 * onnx.numpy_helper.to_array(tensor)
    tensor.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float32), WEIGHT))


def rename_a_weight(proto: Any) -> None:
    for tensor in proto.graph.initializer:
        tensor.name = "other" if tensor.name == WEIGHT else tensor.name
    for node in proto.graph.node:
        node.input[:] = ["other" if name == WEIGHT else name for name in node.input]


def remove_an_activation(proto: Any) -> None:
    second = proto.graph.node[1]
    assert second.op_type == "Relu"
    second.op_type = "Identity"


def edit(key: str, change: Callable[[dict[str, object]], None]) -> Callable[..., None]:
    def apply(proto: Any) -> None:
        for entry in proto.metadata_props:
            if entry.key == key:
                content = json.loads(entry.value)
                change(content)
                entry.value = json.dumps(content)

    return apply


def praise(metadata: dict[str, object]) -> None:
    metadata["training"]["validation"]["iou"] = 0.99  # type: ignore[index]


def loosen(golden: dict[str, object]) -> None:
    golden["tolerance"] = {"largest": 1.0, "mean": 1.0}


def spoil(golden: dict[str, object]) -> None:
    golden["probabilities_zlib"] = "AAAA"


def forget(checksums: dict[str, object]) -> None:
    checksums["weights"] = {}


@pytest.mark.parametrize(
    ("change", "failing", "named"),
    [
        (flip_a_weight, {"weights", "certificate"}, f"{WEIGHT} changed"),
        (scale_a_weight, {"weights", "certificate", "replay"}, f"{WEIGHT} changed"),
        (rename_a_weight, {"weights", "graph", "certificate"}, f"{WEIGHT} missing; other added"),
        (remove_an_activation, {"graph", "certificate", "replay"}, "changed since"),
        (edit(KEY, praise), {"metadata"}, "changed since"),
        (edit(GOLDEN_KEY, loosen), {"golden pair"}, "changed since"),
        (edit(GOLDEN_KEY, spoil), {"golden pair", "replay"}, "damaged golden pair"),
        (edit(CHECKSUMS_KEY, forget), {"weights"}, "added"),
    ],
)
def test_a_change_is_caught_by_the_name_of_what_was_changed(
    change: Callable[..., None], failing: set[str], named: str, model: Path, tmp_path: Path
) -> None:
    proto = onnx.load(model)
    change(proto)
    path = tmp_path / "changed.onnx"
    path.write_bytes(proto.SerializeToString())
    result = verify(path)
    assert not result.passed
    failed = {check.name: check.found for check in result.checks if not check.passed}
    assert failed.keys() == failing
    assert any(named in found for found in failed.values())


def test_auto_reports_a_file_that_no_provider_reproduces(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    proto = onnx.load(model)
    scale_a_weight(proto)
    changed = tmp_path / "changed.onnx"
    onnx.save(proto, changed)
    result = verify(changed, threads=1, provider="auto")
    failed = {check.name: check.found for check in result.checks if not check.passed}
    assert failed.keys() == {"weights", "certificate", "replay"}
    assert "no provider gives the certified numbers (cpu" in failed["replay"]


def test_what_a_file_states_stays_in_the_lines_of_a_table(model: Path, tmp_path: Path) -> None:
    def state(metadata: dict[str, Any]) -> None:
        metadata["parity"]["digest"] = "0\nError: \x1b[2Jall is well"

    proto = onnx.load(model)
    edit(KEY, state)(proto)
    path = tmp_path / "changed.onnx"
    path.write_bytes(proto.SerializeToString())
    result = CliRunner().invoke(main, [str(path)])
    assert result.exit_code == 1
    assert "for digest 0\\nError: \\x1b[2Jall is well," in result.output
    assert all(line.isprintable() for line in result.output.split("\n"))


@pytest.mark.parametrize("threads", [1, 2])
def test_a_sound_file_passes(model: Path, threads: int) -> None:
    result = verify(model, threads=threads)
    assert result.passed
    assert result.difference is not None
    assert 0.0 <= result.difference.mean <= result.difference.largest <= 1e-5
    assert result.digest == read_onnx(model).digest
    assert result.engine is not None
    assert result.engine.threads == threads
    assert result.engine.provider == "cpu"
    assert "onnxruntime" in result.versions


def test_the_replay_is_what_onnxruntime_gives(model: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    from PIL import Image

    proto = onnx.load(model)
    golden = parse_golden(properties(proto)[GOLDEN_KEY], "m")
    path = model.parent / "golden.png"
    path.write_bytes(golden.scan)
    gray = np.asarray(Image.open(path).convert("RGB"), np.float32) / np.float32(255.0)
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"image": gray.transpose(2, 0, 1)[None]})
    differences = np.abs(found[0, 0].astype(np.float64) - golden.probabilities)
    replayed = verify(model).difference
    assert replayed is not None
    assert replayed.largest == pytest.approx(differences.max(), abs=1e-7)
    assert replayed.mean == pytest.approx(differences.mean(), abs=1e-8)
    assert golden.probabilities.std() > 0.0


def test_a_file_of_another_origin_is_reported(build_onnx: ModelBuilder, tmp_path: Path) -> None:
    path = build_onnx(tmp_path / "m.onnx")
    with pytest.raises(ModelError, match=r"m\.onnx: .* as export-onnx writes it"):
        verify(path)


def test_the_command_reports_each_check_and_fails_where_one_does(
    model: Path, tmp_path: Path
) -> None:
    proto = onnx.load(model)
    flip_a_weight(proto)
    changed = tmp_path / "changed.onnx"
    changed.write_bytes(proto.SerializeToString())
    report = tmp_path / "checks.json"
    result = CliRunner().invoke(main, [str(model), str(changed), "--json", str(report)])
    assert result.exit_code == 1, result.output
    assert f"{model}: passed" in result.output
    assert f"{changed}: FAILED" in result.output
    assert WEIGHT in result.output
    first, second = json.loads(report.read_text())["files"]
    assert (first["passed"], second["passed"]) == (True, False)
    assert CliRunner().invoke(main, [str(model)]).exit_code == 0


def test_a_published_digest_covers_everything_in_the_file(model: Path, tmp_path: Path) -> None:
    contents = verify(model).contents_digest
    for given, code in ((contents, 0), (contents[:12].upper(), 0), ("0" * 64, 1)):
        result = CliRunner().invoke(main, [str(model), "--digest", given])
        assert result.exit_code == code, result.output
    forged = tmp_path / "forged.onnx"
    proto = onnx.load(model)
    edit(KEY, praise)(proto)
    forged.write_bytes(proto.SerializeToString())
    text = dump_checksums(forged)
    for entry in proto.metadata_props:
        entry.value = text if entry.key == CHECKSUMS_KEY else entry.value
    forged.write_bytes(proto.SerializeToString())
    assert verify(forged).passed
    failed = [
        check.name for check in verify(forged, contents_digest=contents).checks if not check.passed
    ]
    assert failed == ["digest"]
    assert f"--digest {contents}" in model.with_suffix(".md").read_text()


@pytest.mark.parametrize("digest", ["", "454e3a2", "zzzzzzzz", "0" * 65])
def test_what_is_no_digest_is_wrong_use(digest: str, model: Path) -> None:
    result = CliRunner().invoke(main, [str(model), "--digest", digest])
    assert result.exit_code == 2
    assert "expected 8 to 64 hexadecimal digits" in result.output


def test_one_file_that_cannot_be_read_hides_no_other(model: Path, tmp_path: Path) -> None:
    report = tmp_path / "checks.json"
    arguments = [str(tmp_path / "gone.onnx"), str(model), "--json", str(report)]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert f"{model}: passed" in result.output
    assert "gone.onnx: expected an ONNX file" in result.output
    content = json.loads(report.read_text())
    assert len(content["files"]) == len(content["unreadable"]) == 1


def test_a_report_does_not_replace_the_file_that_it_is_about(model: Path) -> None:
    before = model.read_bytes()
    result = CliRunner().invoke(main, [str(model), "--json", str(model)])
    assert result.exit_code == 2
    assert f"{model}: would replace the input {model}" in result.output
    assert model.read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"no network", b"\x00" * 100, None])
def test_what_is_no_file_of_ours_ends_in_one_sentence(
    content: bytes | None, tmp_path: Path
) -> None:
    path = tmp_path / "m.onnx"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    result = CliRunner().invoke(main, [str(path)])
    assert result.exit_code == 2
    assert result.output.startswith(f"Error: {path}: expected ")
    assert result.output.count("\n") == 1


def test_a_certificate_without_a_digest_certifies_nothing(model: Path, tmp_path: Path) -> None:
    def strip(metadata: dict[str, Any]) -> None:
        metadata["parity"]["digest"] = ""

    proto = onnx.load(model)
    edit(KEY, strip)(proto)
    path = tmp_path / "changed.onnx"
    path.write_bytes(proto.SerializeToString())
    text = dump_checksums(path)
    for entry in proto.metadata_props:
        if entry.key == CHECKSUMS_KEY:
            entry.value = text
    path.write_bytes(proto.SerializeToString())
    (failed,) = (check for check in verify(path).checks if not check.passed)
    assert failed.name == "certificate"
    assert failed.found.startswith("issued for digest unknown, ")


def test_a_published_digest_is_compared_in_either_case(model: Path) -> None:
    digest = verify(model).contents_digest
    assert digest != digest.upper()
    assert verify(model, contents_digest=digest.upper()).passed
    assert not verify(model, contents_digest=("1" if digest[0] == "0" else "0") + digest[1:]).passed


@pytest.mark.parametrize("threads", [None, 1, 2])
def test_a_replay_uses_and_states_the_threads_asked_for(model: Path, threads: int | None) -> None:
    engine = verify(model, threads=threads).engine
    assert engine is not None
    assert engine.threads == (threads or available_cores())


def test_exit_codes_of_the_command(model: Path, tmp_path: Path) -> None:
    proto = onnx.load(model)
    flip_a_weight(proto)
    changed, unreadable = tmp_path / "changed.onnx", tmp_path / "unreadable.onnx"
    changed.write_bytes(proto.SerializeToString())
    unreadable.write_bytes(b"no model")
    for files, code in (
        ([model], 0),
        ([model, changed], 1),
        ([model, unreadable], 2),
        ([changed, unreadable], 2),
    ):
        assert CliRunner().invoke(main, [str(file) for file in files]).exit_code == code
