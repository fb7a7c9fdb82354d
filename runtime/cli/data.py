"""`seg-data`: examine a data set, or make the phantom one."""

from dataclasses import fields
from pathlib import Path

import click

from runtime.cli.shell import Group, counted, json_option, progress, table


@click.group(cls=Group)
def main() -> None:
    """Examine a COCO data set, or make the embedded one."""


@main.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@json_option("the report")
def check(folder: Path, json_file: Path | None) -> None:
    """Report every defect of the data set in DIR, and what is done about it.

    Reads each COCO file and decodes each image. Returns 1 where a defect forbids the set's use.
    """
    from runtime.check import check_dataset
    from runtime.files import write_json
    from runtime.schema import to_dict

    with progress("Check  ") as bar:
        report = check_dataset(folder, on_image=bar)
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
    "--size", default=256, show_default=True, metavar="N", help="Height and width of an image."
)
@click.option("--train", default=60, show_default=True, metavar="N", help="People to train on.")
@click.option("--valid", default=15, show_default=True, metavar="N", help="People to validate on.")
@click.option("--test", default=15, show_default=True, metavar="N", help="People to test on.")
@click.option("--slices", default=4, show_default=True, metavar="N", help="Images a person.")
@click.option("--seed", default=0, show_default=True, metavar="N", help="Same seed, same pixels.")
def phantom(folder: Path, **settings: int) -> None:
    """Draw synthetic head scans with one lesion each into DIR, as a COCO data set."""
    from runtime.phantom import PhantomConfig, make_phantom

    config = PhantomConfig(**{field.name: settings[field.name] for field in fields(PhantomConfig)})
    with progress("Phantom") as bar:
        make_phantom(folder, config, on_image=bar)
    images = (config.train + config.valid + config.test) * config.slices
    click.echo(f"{counted(images, 'image')} of {config.size}x{config.size} in {folder}")
