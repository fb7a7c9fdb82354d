"""`seg-data import`: make a data set of scans with masks in one of the usual layouts."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runtime.cli.anonymous import anonymous_messages
from runtime.cli.command import Command
from runtime.cli.config_options import config_options, given_settings
from runtime.cli.display import counted, progress, table
from runtime.cli.options import Folder
from runtime.core.pseudonyms import Pseudonyms
from runtime.data.imports.config import ImportConfig
from runtime.data.volumes.spec import VolumeSpec, volume_spec

if TYPE_CHECKING:
    from runtime.data.defects import Defect
    from runtime.data.imports.import_dataset import ImportReport
    from runtime.data.volumes.spec import Plane

_EXAMPLES = 3


@click.command("import", cls=Command)
@click.argument("source", metavar="SOURCE", type=Folder)
@click.argument("out", metavar="OUT", type=Folder)
@config_options(ImportConfig)
@config_options(VolumeSpec)
@click.option(
    "--window",
    metavar="LOW/HIGH",
    help="Values of a volume that become black and white, such as -160/240 for soft tissue in CT.  "
    "[default: percentiles]",
)
@click.option(
    "--percentiles",
    metavar="LOW/HIGH",
    help="Percentiles of a whole volume that become black and white.  [default: 0.5/99.5]",
)
def import_scans(
    source: Path,
    out: Path,
    plane: "Plane | None",
    window: str | None,
    percentiles: str | None,
    **settings: Any,
) -> None:
    """Make a COCO data set in OUT of the scans and masks in SOURCE.

    SOURCE is a folder of pictures with masks beside them (NAME.tif and NAME_mask.tif, or images/
    and masks/), NIfTI volumes in the Medical Segmentation Decathlon's layout, BIDS derivatives, or
    DICOM series with segmentations (DICOM-SEG). Pictures stay in their place; slices of volumes
    become PNG files in OUT. Patients are kept, and no patient is in two splits.
    """
    from runtime.data.imports.import_dataset import import_dataset

    volumes = volume_spec(plane, window, percentiles)
    config = ImportConfig(**given_settings(settings), volumes=volumes)
    names = Pseudonyms([source]) if config.anonymous else None
    with anonymous_messages(names), progress("Import") as bar:
        report = import_dataset(source, out, config, on_progress=bar)
    click.echo(_report_text(report))
    click.echo(str(out))


def _report_text(report: "ImportReport") -> str:
    rows = [
        (
            name,
            len(split.samples),
            report.patients.get(name),
            sum(bool(sample.annotations) for sample in split.samples),
            ", ".join(f"{category} ({number})" for category, number in split.annotations.items()),
        )
        for name, split in report.dataset.splits.items()
    ]
    lines = [table(("split", "images", "patients", "with foreground", "annotations"), rows), ""]
    origin = f"patients from {report.patients_from}" if report.patients else "no patient is known"
    lines.append(f"Imported from {report.layout}, {origin}.")
    if report.patients == {}:
        lines.append("Images that look alike stay together; --patients says where patients are.")
    if report.dropped:
        lines.append(f"{counted(report.dropped, 'image')} without foreground dropped.")
    return "\n".join([*lines, *_skipped_lines(report.defects)])


def _skipped_lines(defects: "tuple[Defect, ...]") -> list[str]:
    """Return the reasons of skipped scans, each with their number and the first examples."""
    alike: dict[str, list[Defect]] = {}
    for defect in defects:
        alike.setdefault(defect.reason, []).append(defect)
    lines = []
    for reason, group in alike.items():
        lines.append(f"skipped, {reason}: {counted(len(group), 'scan')}")
        lines += [f"  {defect}" for defect in group[:_EXAMPLES]]
        if len(group) > _EXAMPLES:
            lines.append(f"  and {len(group) - _EXAMPLES} more")
    return lines
