"""What names and COCO entries state, and what they do not."""

import pytest

from runtime.data.image_names import patient_name, source_name, stated_patient


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("2369_jpg.rf.8b8afa9d2c.jpg", "2369_jpg"),
        ("train/a b_png.rf.Ab1.png", "a b_png"),
        ("scan.rf.8b8a.jpg", None),
        ("8b8afa9d2c.jpg", None),
        ("my.rf.folder/scan_1.png", None),
    ],
)
def test_the_source_of_a_roboflow_export(name: str, expected: str | None) -> None:
    assert source_name(name) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("patient007_slice3.png", "patient007"),
        ("Patient-12.png", "patient-12"),
        ("subject 4/7.png", "subject 4"),
        ("person03_slice1.png", "person03"),
        ("sub-control01_T1w.png", "sub-control01"),
        ("a/sub-01/anat/x.png", "sub-01"),
        ("TCGA-CS-4941/12.tif", "tcga-cs-4941"),
        ("outpatient3.png", None),
        ("sub-.png", None),
        ("sub_01.png", None),
        ("patients.png", None),
        ("patient12ab.png", None),
        ("2369_jpg.rf.8b8afa9d2c.jpg", None),
    ],
)
def test_only_unmistakable_words_state_a_patient(name: str, expected: str | None) -> None:
    assert patient_name(name) == expected


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"patient_id": 3}, "3"),
        ({"SubjectID": " S1 "}, "S1"),
        ({"attributes": {"patient": "x"}}, "x"),
        ({"patient_id": None, "extra": {"subject": 0}}, "0"),
        ({"patient_id": ""}, None),
        ({"patient_id": True}, None),
        ({"patient_id": ["x"]}, None),
        ({"patient_name": "x", "extra": 5}, None),
    ],
)
def test_the_fields_that_state_a_patient(entry: dict[str, object], expected: str | None) -> None:
    assert stated_patient(entry) == expected
