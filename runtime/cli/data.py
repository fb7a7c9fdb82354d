"""`seg-data`: examine a data set, split it again, import one, or draw the phantom set."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runtime.cli.command import Group, require
from runtime.cli.config_options import config_options, given_settings
from runtime.cli.data_split import folder_argument, links_text, locate, split
from runtime.cli.display import counted, progress, table
from runtime.cli.options import (
    ARTIFACTS,
    File,
    Function,
    category_option,
    intensity_option,
    json_option,
    masks_option,
)
from runtime.cli.outputs import Outputs
from runtime.cli.scan_import import import_scans
from runtime.data.configs import LinkRule, PhantomConfig

if TYPE_CHECKING:
    from runtime.core.settings import MaskChoice
    from runtime.data.check import CheckReport, DefectGroup

_REPORT = ("report", "jinja2", "matplotlib", "scipy")
_EXAMPLES = 3
"""Defects of one kind that are listed."""


def page_option(default: str) -> Callable[[Function], Function]:
    """`--out FILE`: the page that a command writes below artifacts/."""
    return click.option(
        "--out",
        type=File,
        default=ARTIFACTS / default,
        show_default=True,
        metavar="FILE",
        help="Where the page is written.",
    )


@click.group(cls=Group)
def main() -> None:
    """Examine a COCO data set, split it again, import one, or draw a synthetic one."""


main.add_command(import_scans)
main.add_command(split)
main.add_command(locate)


@main.command()
@folder_argument
@masks_option
@category_option
@intensity_option
@json_option("the report")
def check(
    folder: Path,
    masks: "MaskChoice",
    categories: tuple[str, ...],
    intensity: int | None,
    json_file: Path | None,
) -> None:
    """List every defect of the data set in DIR, and the action taken on it.

    Reads each COCO file and decodes each image. Exit code 1 if a defect makes the set unusable.
    """
    from runtime.core.json_files import write_json
    from runtime.core.schema import to_dict
    from runtime.data.check import check_dataset
    from runtime.data.coco import read_dataset

    dataset = read_dataset(folder, categories=categories, intensity=intensity)
    outputs = Outputs(dataset.files, json=json_file)
    with progress("Check") as bar:
        report = check_dataset(dataset, masks=masks, on_progress=bar)
    click.echo(_check_text(report))
    content = {**to_dict(report), "root": str(report.root)}
    outputs.write(json=lambda file: write_json(file, content))
    if not report.usable:
        raise click.exceptions.Exit(1)


def _check_text(report: "CheckReport") -> str:
    header = ("split", "images", "annotations", "foreground", "mean box, pixels")
    rows = [
        (s.name, s.images, s.annotations, s.foreground_share, area)
        for s in report.splits
        for area in [round(s.annotated_area) if s.annotations else None]
    ]
    from runtime.data.check import group_defects

    number = counted(len(report.defects), "defect")
    groups = group_defects(report.defects)
    ready = "yes" if report.not_ready is None else f"no, because {report.not_ready}"
    return "\n".join(
        [
            table(header, rows),
            "",
            *report.notes,
            f"\n{number}:" if report.defects else f"\n{number}",
            *(line for group in groups for line in _defect_lines(group)),
            f"\nready to train: {ready}",
        ]
    )


def _defect_lines(group: "DefectGroup") -> list[str]:
    """Return the lines on defects of one kind: a single one in full, else a count and examples."""
    first, *others = group.defects
    if not others:
        return [f"  {first.split}: {first}; {first.action}"]
    examples = [f"    {defect.split}: {defect}" for defect in group.defects[:_EXAMPLES]]
    more = len(group.defects) - _EXAMPLES
    return [
        f"  {len(group.defects)} times: {group.kind}; {first.action}",
        *examples,
        *([f"    and {more} more, all in --json"] if more > 0 else []),
    ]


@main.command()
@folder_argument
@masks_option
@category_option
@intensity_option
@page_option("data-report.html")
@json_option("the numbers")
def report(
    folder: Path,
    masks: "MaskChoice",
    categories: tuple[str, ...],
    intensity: int | None,
    out: Path,
    json_file: Path | None,
) -> None:
    """Compare the splits of the data set in DIR, and show examples and outliers.

    Writes one HTML page that opens from disk.
    """
    require(*_REPORT)
    from runtime.core.files import write_text
    from runtime.core.json_files import write_json
    from runtime.core.schema import to_dict
    from runtime.data.coco import read_dataset
    from runtime.report.exploration import explore
    from runtime.report.exploration_page import exploration_html
    from runtime.report.exploration_tables import exploration_text

    dataset = read_dataset(folder, categories=categories, intensity=intensity)
    outputs = Outputs(dataset.files, out=out, json=json_file)
    with progress("Explore") as bar:
        exploration = explore(dataset, masks=masks, on_progress=bar)
    click.echo(exploration_text(exploration, table) + "\n")
    click.echo("Drawing the page", err=True)
    outputs.write(
        out=lambda file: write_text(file, exploration_html(dataset, exploration)),
        json=lambda file: write_json(file, to_dict(exploration)),
    )


@main.command()
@folder_argument
@config_options(PhantomConfig)
def phantom(folder: Path, **settings: Any) -> None:
    """Draw synthetic head scans with one lesion each into DIR, as a COCO data set."""
    from runtime.data.phantom import make_phantom

    config = PhantomConfig(**given_settings(settings))
    with progress("Phantom") as bar:
        make_phantom(folder, config, on_progress=bar)
    images = (config.train + config.valid + config.test) * config.slices
    click.echo(f"{counted(images, 'image')} of {config.size}x{config.size} in {folder}")


@main.command()
@folder_argument
@config_options(LinkRule)
@intensity_option
@page_option("audit.html")
@json_option("the figures and pairs")
@click.option(
    "--csv",
    "csv_file",
    type=File,
    metavar="FILE",
    help="Write the group of every image as CSV; all links go to the file's name with '-links'.",
)
def audit(
    folder: Path,
    intensity: int | None,
    out: Path,
    json_file: Path | None,
    csv_file: Path | None,
    **rule: Any,
) -> None:
    """Find similar images of the data set in DIR, within splits and between them.

    Images are linked where their names state one source or patient, or where they look alike, also
    turned or mirrored. Writes a page that shows pairs from two splits, or where there are none,
    within a split: the strongest, and those nearest to the limits.
    """
    require(*_REPORT)
    from runtime.core.files import write_text
    from runtime.core.json_files import write_json
    from runtime.core.schema import to_dict
    from runtime.data.audit import audit_dataset, groups_csv, links_csv, summarize
    from runtime.data.coco import read_dataset
    from runtime.report.audit_page import audit_page, exposure_table

    dataset = read_dataset(folder, intensity=intensity)
    links_file = csv_file and csv_file.with_stem(f"{csv_file.stem}-links")
    outputs = Outputs(dataset.files, out=out, json=json_file, csv=csv_file, links=links_file)
    found = audit_dataset(dataset, LinkRule(**given_settings(rule)))
    summary = summarize(found)
    if summary.exposures:
        click.echo(table(*exposure_table(summary)) + "\n")
    click.echo(
        f"{counted(summary.images, 'image')} with {counted(summary.links, 'link')} in "
        f"{counted(summary.groups, 'group')}, the largest of {summary.largest}; "
        f"links between two splits: {links_text(summary)}. {summary.on_patients}"
    )
    outputs.write(
        out=lambda file: write_text(file, audit_page(dataset, summary)),
        json=lambda file: write_json(file, to_dict(summary)),
        csv=lambda file: write_text(file, groups_csv(found)),
        links=lambda file: write_text(file, links_csv(found)),
    )
