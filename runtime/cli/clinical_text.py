"""The part of `seg-eval`'s text on surfaces, lesions and patients."""

from collections.abc import Sequence
from itertools import pairwise

from runtime.cli.display import counted, table
from runtime.scoring.evaluation import Evaluation
from runtime.scoring.intervals import Estimate, Interval, withheld_notes
from runtime.scoring.lesions import LesionSummary
from runtime.scoring.patients import PatientScores
from runtime.scoring.surface import ScoredUnit, SurfaceSummary

NamedEvaluations = Sequence[tuple[str, Evaluation]]
_PLURALS: dict[ScoredUnit, str] = {
    "image": "images",
    "volume": "volumes",
    "image or volume": "images or volumes",
}
_NEIGHBORS: dict[ScoredUnit, str] = {
    "image": "8 neighbors",
    "volume": "26 neighbors",
    "image or volume": "8 or 26 neighbors",
}


def clinical_text(rows: NamedEvaluations) -> list[str]:
    """Return a table with its title for each kind of score that the evaluations have."""
    surfaces = [(name, found.surface) for name, found in rows if found.surface is not None]
    lesions = [(name, found.lesions) for name, found in rows if found.lesions is not None]
    patients = [(name, found.patients) for name, found in rows if found.patients is not None]
    return [
        *([_surfaces(surfaces)] if surfaces else []),
        *([_lesions(lesions), _sizes(lesions)] if lesions else []),
        *([_patients(patients)] if patients else []),
    ]


def _surfaces(rows: Sequence[tuple[str, SurfaceSummary]]) -> str:
    first = rows[0][1]
    scored = _PLURALS[first.of]
    title = (
        f"Hausdorff distance (95 %) in {first.unit} and normalized surface distance at a tolerance "
        f"of {first.tolerance:g} {first.unit}, at threshold 0.5,\nover the {scored} with "
        "foreground, with 95 % confidence intervals of the means. Without any predicted pixel,\n"
        "one is missed: its diagonal and 0 count.\n"
    )
    header = (
        *("network", scored, "missed", "HD95", "from", "to", "median"),
        *("NSD", "from", "to", "median"),
    )
    lines = [
        [name, s.hd95.spread.images, s.missed, *_estimate(s.hd95), *_estimate(s.nsd)]
        for name, s in rows
    ]
    named = [(f"HD95 of {name}", s.hd95.interval) for name, s in rows]
    named += [(f"NSD of {name}", s.nsd.interval) for name, s in rows]
    return "\n".join([title + table(header, lines), *withheld_notes(named)])


def _lesions(rows: Sequence[tuple[str, LesionSummary]]) -> str:
    first = rows[0][1]
    title = (
        f"Lesions, connected components of the mask of each {first.of} ({_NEIGHBORS[first.of]}), "
        f"of {first.smallest:g} {first.unit} or more\n(equivalent diameter), at threshold 0.5: "
        "found if a predicted lesion has a pixel in common, false if a predicted lesion\nhas none "
        "with the foreground.\n"
    )
    header = (
        *("network", "found", "missed", "recall", "from", "to"),
        *("false", f"per {first.of}", "from", "to"),
    )
    lines: list[list[object]] = []
    for name, lesions in rows:
        found, missed, false = (
            sum(each)
            for each in (lesions.counts.found, lesions.counts.missed, lesions.counts.false)
        )
        recall, rate = _ends(lesions.recall), _ends(lesions.false_per_image)
        lines.append([name, found, missed, *recall, false, *rate])
    named = [(f"recall of {name}", lesions.recall) for name, lesions in rows]
    named += [(f"false lesions of {name}", lesions.false_per_image) for name, lesions in rows]
    return "\n".join([title + table(header, lines), *withheld_notes(named)])


def _sizes(rows: Sequence[tuple[str, LesionSummary]]) -> str:
    """Return the lesions by size; classes without any are left out."""
    unit, sizes = rows[0][1].unit, rows[0][1].sizes
    limits = [f"{size:g}" for size in sizes]
    names = [
        f"below {limits[0]}",
        *(f"{low} to {high}" for low, high in pairwise(limits)),
        f"{limits[-1]} or more",
    ]
    lines = [
        [name, size, *numbers]
        for name, lesions in rows
        for size, *numbers in zip(
            names, lesions.counts.found, lesions.counts.missed, lesions.counts.false, strict=True
        )
        if any(numbers)
    ]
    header = ("network", f"size, {unit}", "found", "missed", "false")
    shape = "circle" if rows[0][1].of == "image" else "ball"
    return f"Lesions by the diameter of a {shape} of their size:\n{table(header, lines)}"


def _patients(rows: Sequence[tuple[str, PatientScores]]) -> str:
    number = counted(len(rows[0][1].patients), "patient")
    title = (
        f"Per patient, over {number}: IoU and Dice of all pixels of a patient's images together; "
        "means of those with foreground,\nwith 95 % confidence intervals.\n"
    )
    header = ("network", "score", "patients", "mean", "from", "to", "median")
    lines, named = [], []
    for name, scores in rows:
        each = [(key, value) for key, value in scores.soft.items()]
        each += [(f"{key} at 0.5", value) for key, value in scores.thresholded.items()]
        for key, value in each:
            lines.append([name, key, value.spread.images, *_estimate(value)])
            named.append((f"{key} of {name}", value.interval))
    return "\n".join([title + table(header, lines), *withheld_notes(named)])


def _estimate(estimate: Estimate) -> list[float]:
    return [*_ends(estimate.interval), estimate.spread.median]


def _ends(interval: Interval) -> list[float]:
    return [interval.value, interval.low, interval.high]
