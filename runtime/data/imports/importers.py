"""The table of layouts that `seg-data import` reads; a further one is one entry."""

from pathlib import Path

from runtime.core.errors import DataError, printable
from runtime.data.imports.bids import is_bids, read_bids
from runtime.data.imports.decathlon import is_decathlon, read_decathlon
from runtime.data.imports.dicom import is_dicom_folder, read_dicom_folder
from runtime.data.imports.pictures import is_picture_folder, read_pictures
from runtime.data.imports.source import Importer, ImportSource, SourceOptions

IMPORTERS = (
    Importer("Medical Segmentation Decathlon", is_decathlon, read_decathlon),
    Importer("BIDS derivatives", is_bids, read_bids),
    Importer("DICOM series with segmentations", is_dicom_folder, read_dicom_folder),
    Importer("pictures with masks", is_picture_folder, read_pictures),
)
"""In the order in which they are asked: the ones with a mark of their own first."""


def find_source(folder: Path, options: SourceOptions) -> ImportSource:
    """Find the scans of a folder by the first importer that recognizes it.

    Raises:
        DataError: none does, or the folder cannot be read.
        MissingExtraError: the layout needs a package that is not installed.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    for importer in IMPORTERS:
        if importer.recognizes(folder, options):
            return importer.read(folder, options)
    if options.mask_pattern is not None:
        raise DataError(f"{folder}: no picture has a mask at {printable(options.mask_pattern)}")
    known = ", ".join(importer.name for importer in IMPORTERS)
    raise DataError(f"{folder}: unknown layout of scans and masks; the known ones are {known}")
