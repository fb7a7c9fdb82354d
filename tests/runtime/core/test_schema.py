"""Frozen dataclasses to JSON and back, checked against their types."""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given, settings, strategies as st

from runtime.core.errors import ModelError
from runtime.core.json_files import write_json
from runtime.core.schema import from_dict, to_dict


@dataclass(frozen=True)
class Inner:
    label: str
    share: float = 0.5


@dataclass(frozen=True)
class Outer:
    count: int
    ratio: float
    flag: bool
    kind: Literal["boxes", "segmentation"]
    inner: Inner
    names: tuple[str, ...]
    inners: tuple[Inner, ...]
    losses: dict[str, float]
    license: str | None
    more: Inner | None = None
    extra: tuple[int, ...] = field(default_factory=tuple)


FINITE = st.floats(allow_nan=False, allow_infinity=False)
INNERS = st.builds(Inner, label=st.text(), share=FINITE)
OUTERS = st.builds(
    Outer,
    count=st.integers(),
    ratio=FINITE,
    flag=st.booleans(),
    kind=st.sampled_from(["boxes", "segmentation"]),
    inner=INNERS,
    names=st.lists(st.text(), max_size=3).map(tuple),
    inners=st.lists(INNERS, max_size=3).map(tuple),
    losses=st.dictionaries(st.text(), FINITE, max_size=3),
    license=st.none() | st.text(),
    more=st.none() | INNERS,
    extra=st.lists(st.integers(), max_size=3).map(tuple),
)


def valid() -> dict[str, Any]:
    return {
        "count": 3,
        "ratio": 0.5,
        "flag": True,
        "kind": "boxes",
        "inner": {"label": "a"},
        "names": ["x"],
        "inners": [{"label": "b", "share": 1}],
        "losses": {"train": 0.25},
        "license": None,
    }


def read(content: object) -> Outer:
    return from_dict(Outer, content, where="file", error=ModelError)


@given(OUTERS)
@settings(max_examples=50, deadline=None)
def test_a_record_survives_json(record: Outer) -> None:
    assert read(json.loads(json.dumps(to_dict(record)))) == record


def test_defaults_fill_what_is_absent_and_unknown_keys_are_ignored() -> None:
    record = read({**valid(), "a later minor version": 1})
    assert record == Outer(
        3, 0.5, True, "boxes", Inner("a", 0.5), ("x",), (Inner("b", 1.0),), {"train": 0.25}, None
    )


def test_an_integer_stands_for_a_float_and_becomes_one() -> None:
    record = read({**valid(), "ratio": 2})
    assert record.ratio == 2.0
    assert isinstance(record.ratio, float)


def test_null_stands_for_a_float_that_is_nan_as_it_is_written(tmp_path: Path) -> None:
    record = read({**valid(), "ratio": float("nan")})
    write_json(tmp_path / "record.json", to_dict(record))
    again = read(json.loads((tmp_path / "record.json").read_text()))
    assert math.isnan(again.ratio)


@pytest.mark.parametrize(
    "name", ["count", "ratio", "flag", "kind", "inner", "names", "losses", "license"]
)
def test_a_missing_field_is_named(name: str) -> None:
    content = valid()
    del content[name]
    with pytest.raises(ModelError, match=rf"file: .*'{name}'"):
        read(content)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("count", True),
        ("count", 1.0),
        ("count", "1"),
        ("count", None),
        ("ratio", False),
        ("ratio", "0.5"),
        pytest.param("ratio", 10**400, id="ratio-beyond a float"),
        ("flag", 1),
        ("flag", "true"),
        ("kind", "polygons"),
        ("kind", ["boxes"]),
        ("kind", None),
        ("inner", ["a"]),
        ("inner", None),
        ("names", "x"),
        ("names", {"x": 1}),
        ("losses", [1.0]),
        ("license", 4),
        ("more", "a"),
    ],
)
def test_a_value_of_another_type_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(ModelError, match=rf"file\.{name}: expected"):
        read({**valid(), name: value})


@pytest.mark.parametrize(
    ("name", "value", "where"),
    [
        ("inner", {"label": 1}, r"file\.inner\.label"),
        ("inner", {}, r"file\.inner: .*'label'"),
        ("inners", [{"label": "a"}, {"label": "b", "share": "c"}], r"file\.inners\.share"),
        ("names", ["a", 1], r"file\.names"),
        ("losses", {"train": "low"}, r"file\.losses"),
        ("more", {"label": None}, r"file\.more\.label"),
    ],
)
def test_a_fault_inside_another_record_is_found_and_named(
    name: str, value: object, where: str
) -> None:
    with pytest.raises(ModelError, match=where):
        read({**valid(), name: value})


@pytest.mark.parametrize("content", [None, [], "text", 3, [valid()]])
def test_what_is_no_object_is_refused(content: object) -> None:
    with pytest.raises(ModelError, match="file: expected an object"):
        read(content)


def test_a_long_wrong_value_does_not_flood_the_message() -> None:
    with pytest.raises(ModelError) as caught:
        read({**valid(), "count": "x" * 100_000})
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("thing", [Inner, {"label": "a"}, "text"])
def test_only_an_instance_of_a_dataclass_becomes_a_dictionary(thing: object) -> None:
    with pytest.raises(TypeError, match="dataclass instance"):
        to_dict(thing)
