"""`seg-data split` and `seg-data locate`: make splits without leaks, and repair moved ones."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runtime.cli.command import Command
from runtime.cli.config_options import config_options, given_settings
from runtime.cli.display import counted, table
from runtime.cli.options import Folder, intensity_option
from runtime.data.configs import LinkRule

if TYPE_CHECKING:
    from runtime.data.audit import AuditSummary
    from runtime.data.grouped_split import GroupedSplit

folder_argument = click.argument("folder", metavar="DIR", type=Folder)


@click.command(cls=Command)
@folder_argument
@click.argument("target", metavar="OUT", type=Folder)
@click.option(
    "--shares",
    metavar="A/B/C",
    help="Percentages of images in train, valid and test, such as 70/15/15.  "
    "[default: the present splits and their sizes]",
)
@config_options(LinkRule)
@intensity_option
@click.option(
    "--seed",
    default=0,
    show_default=True,
    type=click.IntRange(min=0),
    metavar="N",
    help="Same seed, same split.",
)
def split(
    folder: Path,
    target: Path,
    shares: str | None,
    intensity: int | None,
    seed: int,
    **rule: Any,
) -> None:
    """Split the data set in DIR again, so that similar images are never in two splits.

    Writes OUT/train, OUT/valid, ...: COCO files that refer to the images in place. Runs and reports
    name the data set after the folder OUT. Splits get the wanted sizes as far as whole groups
    allow, then the distribution of object sizes. What was written is read back and audited; exit
    code 1 if a link between two splits remains.
    """
    from runtime.data.audit import audit_dataset, summarize
    from runtime.data.coco import read_dataset
    from runtime.data.grouped_split import read_shares, split_by_group
    from runtime.data.split_files import write_split

    dataset = read_dataset(folder, intensity=intensity)
    wanted = None if shares is None else read_shares(shares)
    before = audit_dataset(dataset, LinkRule(**given_settings(rule)))
    chosen = split_by_group(dataset, before, seed=seed, shares=wanted)
    written = write_split(dataset, chosen, target)
    after = summarize(audit_dataset(written, before.rule))
    click.echo(_split_text(chosen, summarize(before), after))
    click.echo(str(target))
    if after.crossing:
        raise click.exceptions.Exit(1)


def _split_text(chosen: "GroupedSplit", before: "AuditSummary", after: "AuditSummary") -> str:
    sizes, areas = chosen.sizes(), chosen.areas()
    header = ("split", "images wanted", "images now", "difference", "area of boxes")
    rows = [
        (name, wanted, sizes[name], f"{sizes[name] - wanted:+d}", f"{areas[name]:.1%}")
        for name, wanted in chosen.wanted.items()
    ]
    return (
        f"{table(header, rows)}\n\n"
        f"{counted(before.groups, 'group')}, the largest of {counted(before.largest, 'image')}; "
        f"no group is divided.\n{before.on_patients}\n"
        f"Links between splits before: {links_text(before)}.\n"
        f"Links between splits in what was written: {links_text(after)}."
    )


def links_text(summary: "AuditSummary") -> str:
    """Return the number of links between two splits in words."""
    by_look = summary.crossing - summary.crossing_by_name
    return f"{summary.crossing} ({summary.crossing_by_name} by name, {by_look} by look)"


@click.command(cls=Command)
@folder_argument
@click.option(
    "--images",
    type=Folder,
    required=True,
    metavar="DIR",
    help="Folder of the data set that the split was made from.",
)
def locate(folder: Path, images: Path) -> None:
    """Repair the split in DIR, made by `seg-data split`, after its images have moved."""
    from runtime.data.split_files import locate_images

    dataset = locate_images(folder, images)
    number = sum(len(split.samples) for split in dataset.splits.values())
    click.echo(f"{counted(number, 'image')} of {folder} found in {images}")
