"""Imports that tell nothing of patients: numbers in the place of names."""

from collections.abc import Iterable
from dataclasses import replace

from runtime.core.errors import DataError
from runtime.core.pseudonyms import Pseudonyms
from runtime.data.defects import Defect
from runtime.data.imports.source import ImportSource


def numbered(source: ImportSource) -> ImportSource:
    """Return the scans of a source, in its order, with numbers as the names of scans and patients.

    Raises:
        DataError: the source has pictures, which stay in their place under their own names.
    """
    if any(scan.picture is not None for scan in source.scans):
        raise DataError(
            "pictures stay in their place, so that a data set of them has their names; an "
            "anonymous import is possible for volumes only"
        )
    stated = dict.fromkeys(scan.patient for scan in source.scans if scan.patient is not None)
    patients = {patient: f"patient{number:04d}" for number, patient in enumerate(stated, start=1)}
    scans = tuple(
        replace(
            scan,
            name=f"scan{number:04d}",
            patient=None if scan.patient is None else patients[scan.patient],
        )
        for number, scan in enumerate(source.scans, start=1)
    )
    return replace(source, scans=scans)


def without_names(defects: Iterable[Defect], names: Pseudonyms) -> list[Defect]:
    """Return defects of a numbered source without names of files and folders."""
    return [
        replace(
            defect,
            where=names.message(defect.where),
            problem=names.message(defect.problem),
            reason=names.message(defect.reason),
        )
        for defect in defects
    ]
