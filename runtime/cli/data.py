"""`seg-data`: examine a data set, split it again, or make the phantom one."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from runtime.cli.command import Group, require
from runtime.cli.display import counted, progress, table
from runtime.cli.options import ARTIFACTS, Function, json_option


def link_options(function: Function) -> Function:
    """Options of when two images count as linked."""
    for option in (
        click.option(
            "--slice-correlation", default=0.8, show_default=True, metavar="X",
            help="From which correlation on near slices are linked.",
        ),
        click.option(
            "--slices", default=2, show_default=True, metavar="N",
            help="How far apart the numbers of near slices are at most.",
        ),
        click.option(
            "--correlation", default=0.97, show_default=True, metavar="X",
            help="From which correlation of 32x32 gray versions on any two images are linked.",
        ),
    ):  # fmt: skip
        function = option(function)
    return function


@click.group(cls=Group)
def main() -> None:
    """Examine a COCO data set, split it again, or make the embedded one."""


@main.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@json_option("the report")
def check(folder: Path, json_file: Path | None) -> None:
    """Report every defect of the data set in DIR, and what is done about it.

    Reads each COCO file and decodes each image. Returns 1 where a defect forbids the set's use.
    """
    from runtime.core.files import ensure_apart, ensure_replaceable
    from runtime.core.json_files import write_json
    from runtime.core.schema import to_dict
    from runtime.data.check import check_dataset
    from runtime.data.coco import read_dataset

    dataset = read_dataset(folder)
    if json_file is not None:
        ensure_apart([json_file], dataset.files)
        ensure_replaceable(json_file)
    with progress("Check  ") as bar:
        report = check_dataset(dataset, on_image=bar.count)
    if json_file is not None:
        write_json(json_file, {**to_dict(report), "root": str(report.root)})
    header = ("split", "images", "annotations", "foreground", "mean box, pixels")
    click.echo(
        table(
            header,
            [
                (s.name, s.images, s.annotations, s.foreground_share, round(s.annotated_area))
                if s.annotations
                else (s.name, s.images, s.annotations, s.foreground_share, None)
                for s in report.splits
            ],
        )
    )
    click.echo(f"\n{counted(len(report.defects), 'defect')}" + (":" if report.defects else ""))
    for defect in report.defects:
        click.echo(f"  {defect.split}: {defect}; {defect.action}")
    if not report.usable:
        raise click.exceptions.Exit(1)


@main.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=ARTIFACTS / "data-report.html",
    show_default=True,
    metavar="FILE",
    help="Where the page is written.",
)
@json_option("the numbers")
def report(folder: Path, out: Path, json_file: Path | None) -> None:
    """Show what the splits of the data set in DIR hold, side by side, and whether they are alike.

    Writes one HTML page that opens from disk.
    """
    require("report", "jinja2", "matplotlib", "scipy")
    from runtime.core.files import ensure_apart, ensure_replaceable, write_text
    from runtime.core.json_files import write_json
    from runtime.core.schema import to_dict
    from runtime.data.coco import read_dataset
    from runtime.report.exploration import explore
    from runtime.report.exploration_page import exploration_html
    from runtime.report.exploration_tables import fences_table, summary_table, tests_table

    dataset = read_dataset(folder)
    outputs = [file for file in (out, json_file) if file is not None]
    if len(set(outputs)) < len(outputs):
        raise click.UsageError("--out and --json need two files")
    ensure_apart(outputs, dataset.files)
    for file in outputs:
        ensure_replaceable(file)
    with progress("Explore") as bar:
        exploration = explore(dataset, on_image=bar.count)
    click.echo(table(*summary_table(exploration)))
    click.echo(
        "\nOutliers, by Tukey's fences over all splits:\n" + table(*fences_table(exploration))
    )
    if exploration.tests:
        click.echo(
            "\nKolmogorov-Smirnov tests of the splits, p corrected for their number by Holm:"
        )
        click.echo(table(*tests_table(exploration)))
    write_text(out, exploration_html(dataset, exploration))
    if json_file is not None:
        write_json(json_file, to_dict(exploration))
    click.echo()
    for file in outputs:
        click.echo(str(file))


@main.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--size", default=256, show_default=True, metavar="N", help="Height and width of an image."
)
@click.option("--train", default=60, show_default=True, metavar="N", help="People to train on.")
@click.option("--valid", default=15, show_default=True, metavar="N", help="People to validate on.")
@click.option("--test", default=15, show_default=True, metavar="N", help="People to test on.")
@click.option("--slices", default=4, show_default=True, metavar="N", help="Images a person.")
@click.option("--seed", default=0, show_default=True, metavar="N", help="Same seed, same pixels.")
def phantom(folder: Path, **settings: int) -> None:
    """Draw synthetic head scans with one lesion each into DIR, as a COCO data set."""
    from runtime.data.phantom import PhantomConfig, make_phantom

    config = PhantomConfig(**{field.name: settings[field.name] for field in fields(PhantomConfig)})
    with progress("Phantom") as bar:
        make_phantom(folder, config, on_image=bar.count)
    images = (config.train + config.valid + config.test) * config.slices
    click.echo(f"{counted(images, 'image')} of {config.size}x{config.size} in {folder}")


@main.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@link_options
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=ARTIFACTS / "audit.html",
    show_default=True,
    metavar="FILE",
    help="Where the page with pairs of pictures goes.",
)
@json_option("the figures and pairs")
def audit(folder: Path, out: Path, json_file: Path | None, **rule: Any) -> None:
    """Find images of the data set in DIR that show nearly the same, within splits and across.

    Writes a page that shows pairs across splits, the strongest and those at the rule's limits.
    """
    require("report", "jinja2", "matplotlib", "scipy")
    from runtime.core.files import ensure_apart, ensure_replaceable, write_text
    from runtime.core.json_files import write_json
    from runtime.core.schema import to_dict
    from runtime.data.audit import audit_dataset, summarize
    from runtime.data.coco import read_dataset
    from runtime.data.similarity import LinkRule
    from runtime.report.audit_page import audit_page, exposure_table

    dataset = read_dataset(folder)
    outputs = [file for file in (out, json_file) if file is not None]
    ensure_apart(outputs, dataset.files)
    for file in outputs:
        ensure_replaceable(file)
    summary = summarize(audit_dataset(dataset, LinkRule(**rule)))
    write_text(out, audit_page(dataset, summary))
    if json_file is not None:
        write_json(json_file, to_dict(summary))
    if summary.exposures:
        click.echo(table(*exposure_table(summary)) + "\n")
    click.echo(
        f"{counted(summary.images, 'image')} with {counted(summary.links, 'link')} in "
        f"{counted(summary.groups, 'group')}, the largest of {summary.largest}; "
        f"{counted(summary.crossing, 'link')} between two splits."
    )
    for file in outputs:
        click.echo(str(file))


@main.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.argument("target", metavar="OUT", type=click.Path(path_type=Path))
@link_options
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0), metavar="N")
def split(folder: Path, target: Path, seed: int, **rule: Any) -> None:
    """Split the data set in DIR again, so that similar images are never in two splits.

    Writes OUT/train, OUT/valid, ...: COCO files that refer to the images in place. The splits keep
    their sizes and the distribution of tumor sizes, as far as whole groups allow.
    """
    from runtime.data.audit import audit_dataset
    from runtime.data.coco import read_dataset
    from runtime.data.grouped_split import split_by_group, write_split
    from runtime.data.similarity import LinkRule

    dataset = read_dataset(folder)
    found = audit_dataset(dataset, LinkRule(**rule))
    chosen = split_by_group(dataset, found, seed=seed)
    write_split(dataset, chosen, target)
    rows = [
        (name, len(dataset.splits[name].samples), images) for name, images in chosen.sizes().items()
    ]
    click.echo(table(("split", "images before", "images now"), rows))
    click.echo(
        f"\n{counted(found.groups, 'group')} of similar images, "
        f"{counted(len(found.crossing()), 'link')} between splits before, none now."
    )
    click.echo(str(target))
