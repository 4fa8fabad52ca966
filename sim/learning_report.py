"""What a person reads where golden and hardware learn differently."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from golden.arguments import section_shape
from golden.config import DeviceConfig
from golden.device import Ints
from golden.files import make_folder, write_atomically
from sim.lesson import COUNTED, LearningCase, Learns
from sim.report import SHOWN, neuron_name
from sim.twins import Relearned, relearn

FILE = "learning.npz"
"""Name of a case's file in its report's folder."""


def place_name(config: DeviceConfig, section: str, place: int) -> str:
    """Where a value of a memory belongs."""
    if len(section_shape(config, section)) == 1:
        return f"bias of {neuron_name(config, place)}"
    row, column = divmod(place, config.neurons)
    source = neuron_name(config, row) if row < config.neurons else f"observation {row - config.neurons}"
    return f"from {source} to {neuron_name(config, column)}"


def difference_lines(config: DeviceConfig, name: str, golden: Ints, hardware: Ints) -> Iterator[str]:
    """How a memory or counter differs: place, golden's value, the hardware's, the bits in which they differ."""
    places = np.flatnonzero(golden != hardware)
    yield f"{name}: {places.size} of {golden.size} values differ"
    for place in places[:SHOWN].tolist():
        where = "" if name in COUNTED else f" [{place}] ({place_name(config, name, place)})"
        a, b = int(golden[place]), int(hardware[place])
        yield f" {where} golden {a}, hardware {b}, bits {a ^ b:#x}"
    if places.size > SHOWN:
        yield f"  and {places.size - SHOWN} more"


def found_lines(case: LearningCase, found: Relearned) -> Iterator[str]:
    """What fresh hardware makes of the case, one sample after the other."""
    if not found.differs:
        yield "On fresh hardware, sample by sample, it does not happen: it depends on what came earlier, or on time."
        return
    if found.sample is None:
        yield f"On fresh hardware all {len(case.lessons)} samples are equal, and the update is not:"
    else:
        yield f"On fresh hardware the first sample that differs is number {found.sample} of {len(case.lessons)}:"
        yield f"  observation {case.lessons.obs[found.sample].tolist()}"
        yield f"  winners     {case.lessons.winners[found.sample].tolist()}"
        yield f"  modulator   {int(case.lessons.modulator[found.sample])}"
        if case.config.spikes:
            yield f"  nonce       {int(case.lessons.nonce[found.sample]):#018x}"
    if found.fault:
        yield f"  {found.fault}"
    for name, values in found.golden.items():
        yield from difference_lines(case.config, name, values, found.hardware[name])


def write_learning_report(
    folder: Path, case: LearningCase, fresh: Callable[[], Learns], command: Callable[[Path], str]
) -> Path:
    """Write ``report.txt`` and :data:`FILE` into a folder, made if need be.

    Parameters
    ----------
    fresh: makes hardware that has run nothing.
    command: what replays a file.

    Raises
    ------
    SvpgError: a file cannot be written.
    """
    make_folder(folder)
    file = folder / FILE
    case.save(file)
    lines = [
        f"Golden and hardware differ in what they learn, after {case.samples} equal samples and {case.updates} equal "
        "updates.",
        "",
        f"configuration  {json.dumps(case.config.to_dict())}",
        f"digest         {case.config.digest:08x}",
        f"hardware       {json.dumps(case.options)}",
        f"rule           {case.lessons.rule}",
        f"update         {case.update}",
        f"differ         {', '.join(case.wrong) or case.fault}",
        "",
        *found_lines(case, relearn(case, fresh())),
        "",
        f"{FILE} holds all memories before the {len(case.lessons)} samples since the last update, the samples, and the",
        "update. To run it again, and see every signal:",
        "",
        f"  {command(file)}",
        "",
    ]
    path = folder / "report.txt"
    write_atomically(path, lambda stream: stream.write("\n".join(lines).encode()))
    return path
