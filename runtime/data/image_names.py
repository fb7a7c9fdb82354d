"""Facts in an image's file name and COCO entry: slice number, source, and patient."""

import re
from collections.abc import Mapping
from typing import Any

_ROBOFLOW = re.compile(r"(?P<source>.+_[A-Za-z]+)\.rf\.[0-9A-Za-z]+(\.[A-Za-z]+)?")
_SPLIT_FOLDER = re.compile(r"^(images/)?(train|valid|validation|val|dev|test)/", re.IGNORECASE)
_PATIENT = re.compile(
    r"(?<![a-z0-9])((?:patient|subject|person)[-_ ]?[a-z]?\d+|sub-[a-z0-9]+|"
    r"tcga[-_][a-z0-9]{2}[-_][a-z0-9]{4})(?![a-z0-9])",
    re.IGNORECASE,
)
_PATIENT_FIELDS = frozenset({"patient", "patientid", "subject", "subjectid"})
_EXTRA_FIELDS = ("extra", "attributes")


def slice_number(file_name: str) -> tuple[str, int | None]:
    """Return the series and the slice number that a file name states.

    The slice number is the last number of the name, the series is the text before it. The suffix
    that Roboflow appends and the folder of a split belong to neither.

    Example:
        >>> slice_number("person01_slice3.png")
        ('person01_slice', 3)
        >>> slice_number("train/2369_jpg.rf.8b8afa9d.jpg")
        ('', 2369)
        >>> slice_number("brain.png")
        ('brain', None)
    """
    stem = re.sub(r"_[A-Za-z]+\.rf\.[0-9A-Za-z]+$", "", file_name.rpartition(".")[0] or file_name)
    stem = _SPLIT_FOLDER.sub("", stem)
    match = re.fullmatch(r"(.*?)(\d{1,9})\D*", stem, re.DOTALL)
    return (match[1], int(match[2])) if match else (stem, None)


def source_name(file_name: str) -> str | None:
    """Return the name of the file that a Roboflow export was made from, or None.

    Roboflow names each augmented copy of NAME.jpg `NAME_jpg.rf.HASH.jpg`.

    Example:
        >>> source_name("train/cell7_png.rf.0a1b2c.jpg")
        'cell7_png'
        >>> source_name("cell7.png") is None
        True
    """
    match = _ROBOFLOW.fullmatch(file_name.rpartition("/")[2])
    return match["source"] if match else None


def patient_name(file_name: str) -> str | None:
    """Return the patient that a file name or one of its folders states, or None.

    Only unmistakable words count: `patient`, `subject` or `person` followed by a number, `sub-` and
    a label (BIDS), and the bar code of a TCGA participant.

    Example:
        >>> patient_name("sub-07/anat/slice_3.png"), patient_name("Patient_12_3.png")
        ('sub-07', 'patient_12')
        >>> patient_name("TCGA_CS_4941_19960909_12.tif")
        'tcga_cs_4941'
        >>> patient_name("impatient3.png") is None
        True
    """
    match = _PATIENT.search(file_name)
    return match[1].lower() if match else None


def stated_patient(entry: Mapping[str, Any]) -> str | None:
    """Return the patient that an image's COCO entry states, or None.

    The field is `patient_id`, `patient`, `subject_id` or `subject`, in any letter case. It is in
    the entry itself, or in its `extra` or `attributes`.

    Example:
        >>> stated_patient({"id": 1, "patient_id": 17})
        '17'
        >>> stated_patient({"id": 1, "extra": {"PatientID": "A3"}})
        'A3'
    """
    for fields in (entry, *(entry.get(name) for name in _EXTRA_FIELDS)):
        for name, value in fields.items() if isinstance(fields, dict) else ():
            known = str(name).lower().replace("_", "") in _PATIENT_FIELDS
            if known and type(value) in (int, str) and str(value).strip():
                return str(value).strip()[:200]
    return None
