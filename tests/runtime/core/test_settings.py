from dataclasses import dataclass
from typing import Any, Literal

import pytest

from runtime.core.errors import ConfigError
from runtime.core.settings import check_settings, config_fields, setting, threads_setting


@dataclass(frozen=True)
class Config:
    data: str
    kind: Literal["round", "square"] = setting("round", help="The shape.")
    sizes: tuple[int, ...] = setting((8, 16), option="--size", minimum=1)
    rate: float = setting(0.5, above=0, below=1)
    scale: float = setting(1.0)
    name: str = setting("a", choices=("a", "b"))
    threads: int | None = threads_setting()

    def __post_init__(self) -> None:
        check_settings(self)


def test_values_in_range_are_accepted() -> None:
    Config("x")
    Config("x", kind="square", sizes=(1,), rate=0.001, scale=-5.0, name="b", threads=256)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "flat"}, "kind: expected one of round, square, found 'flat'"),
        ({"name": "c"}, "name: expected one of a, b, found 'c'"),
        ({"sizes": (4, 0)}, "sizes: expected 1 or more, found 0"),
        ({"rate": 0.0}, "rate: expected a value between 0 and 1, found 0.0"),
        ({"rate": 1.0}, "rate: expected a value between 0 and 1, found 1.0"),
        ({"scale": float("nan")}, "scale: expected a finite number, found nan"),
        ({"threads": 0}, "threads: expected 1 to 256, found 0"),
        ({"threads": 257}, "threads: expected 1 to 256, found 257"),
        ({"threads": True}, "threads: expected a number, found True"),
        ({"threads": "x"}, "threads: expected a number, found 'x'"),
        ({"scale": None}, "scale: expected a number, found None"),
        ({"name": None}, "name: expected text, found None"),
        ({"sizes": None}, "sizes: expected a number, found None"),
    ],
)
def test_a_value_out_of_range_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{message}$"):
        Config("x", **changes)


def test_fields_know_their_option_and_type() -> None:
    found = {field.name: field for field in config_fields(Config)}
    assert list(found) == ["kind", "sizes", "rate", "scale", "name", "threads"]
    assert (found["sizes"].kind, found["sizes"].repeated) == (int, True)
    assert (found["threads"].kind, found["threads"].repeated) == (int, False)
    assert (found["kind"].kind, found["kind"].choices) == (str, ("round", "square"))
    assert [found[name].option for name in ("sizes", "rate")] == ["--size", "--rate"]
