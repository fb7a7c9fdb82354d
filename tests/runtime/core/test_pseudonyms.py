import hashlib
import hmac
from pathlib import Path

import pytest

from runtime.core.pseudonyms import WITHHELD, Pseudonyms


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder of a patient, with a scan in it."""
    (tmp_path / "doe").mkdir()
    (tmp_path / "doe" / "head.dcm").touch()
    return tmp_path / "doe"


def test_a_name_is_a_hash_with_the_key_of_where_the_scan_lies(place: Path) -> None:
    scan = place / "head.dcm"
    digest = hmac.new(b"a key", bytes(scan.resolve()), hashlib.sha256).hexdigest()
    assert Pseudonyms([place], key=b"a key").of(scan) == f"scan-{digest[:12]}"


def test_a_link_to_a_scan_has_its_name_and_another_scan_another(place: Path) -> None:
    names = Pseudonyms([place])
    (place / "link.dcm").symlink_to(place / "head.dcm")
    assert names.of(place / "link.dcm") == names.of(place / "head.dcm")
    assert names.of(place / "other.dcm") != names.of(place / "head.dcm")


def test_a_key_is_drawn_anew(place: Path) -> None:
    assert Pseudonyms([place]).of(place) != Pseudonyms([place]).of(place)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{place}/head.dcm: damaged image", "{name}: damaged image"),
        ("{place}/head.dcm: its header names HEAD", f"{{name}}: {WITHHELD}"),
        ("{place}/head.dcm: of the patient Doe", f"{{name}}: {WITHHELD}"),
        ("{place}: no scans", "a scan: no scans"),
        ("ahead of doers", "ahead of doers"),
        ("see doe.", f"a scan: {WITHHELD}"),
    ],
)
def test_no_message_holds_a_name_of_the_place(place: Path, text: str, expected: str) -> None:
    names = Pseudonyms([place])
    name = names.of(place / "head.dcm")
    assert names.message(text.format(place=place)) == expected.format(name=name)
