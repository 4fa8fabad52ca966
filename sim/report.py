"""What a person reads where golden and hardware differ."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from golden.config import DeviceConfig
from golden.device import Inference
from golden.files import make_folder, write_atomically
from sim.case import COMPARED, Case, differing
from sim.lockstep import Hardware, Replay, replay

SHOWN = 12
"""Values of one field that a report shows."""


def _values(values: NDArray[Any]) -> str:
    """A few numbers in full, many with their head."""
    flat = np.ravel(values)
    text = " ".join(str(value) for value in flat[: 4 * SHOWN])
    return text + (f" … ({flat.size} values)" if flat.size > 4 * SHOWN else "")


def field_lines(config: DeviceConfig, name: str, golden: NDArray[Any], hardware: NDArray[Any]) -> Iterator[str]:
    """How one field differs: index, golden's value, the hardware's, the bits in which they differ."""
    a, b = np.ravel(golden), np.ravel(hardware)
    places = np.flatnonzero(a != b)
    yield f"{name}: {places.size} of {a.size} values differ"
    for place in places[:SHOWN].tolist():
        where = f"  [{place}]" if a.size > 1 else "  "
        if name == "q_raw":
            where += f" ({neuron_name(config, place)})"
        if name == "spikes":
            step, group = divmod(place, config.groups + 1)
            where += f" (step {step}, {'action' if group == config.groups else f'group {group}'})"
        yield f"{where} golden {a[place]}, hardware {b[place]}, bits {int(a[place] ^ b[place]):#x}"
    if places.size > SHOWN:
        yield f"  and {places.size - SHOWN} more"


def difference_lines(config: DeviceConfig, golden: Inference, hardware: Inference) -> Iterator[str]:
    """How two answers to one transaction differ."""
    for name in differing(golden, hardware):
        yield from field_lines(config, name, getattr(golden, name)[0], getattr(hardware, name)[0])


def neuron_name(config: DeviceConfig, neuron: int) -> str:
    """Where a neuron is."""
    if neuron >= config.hidden:
        return f"action {neuron - config.hidden}"
    group, index = divmod(neuron, config.group_size)
    return f"group {group}, neuron {index}"


def report_text(case: Case, command: str, alone: Replay, after_others: Replay) -> str:
    """What a person needs to go on.

    Parameters
    ----------
    command: that replays the case.
    alone, after_others: what fresh hardware does, without and with the transactions before it.
    """
    last, config = case.last, case.config
    nonzero = np.flatnonzero(last.obs[0])
    if alone.differs:
        again = "alone, so it depends on nothing that came before"
    elif after_others.differs:
        again = f"after the {len(case.transactions) - 1} transactions before it, not alone: something is left behind"
    else:
        again = "neither alone nor after the transactions before it: it depends on what came earlier, or on time"
    lines = [
        f"Golden and hardware differ in transaction {case.number} (counted from 0); all before it were equal.",
        "",
        f"configuration  {json.dumps(config.to_dict())}",
        f"digest         {config.digest:08x}",
        f"hardware       {json.dumps(case.options)}",
        f"policy         {last.policy}",
        f"nonce          {int(last.nonce[0]):#018x}",
        f"observation    {_values(last.obs)}",
        f"not zero       {nonzero.size} of {last.obs.shape[1]}: {_values(nonzero)}",
        *([] if last.given is None else [f"given winners  {_values(last.given)}"]),
        "",
        f"On fresh hardware it happens {again}.",
        "",
    ]
    if case.hardware is None:
        lines += ["The hardware gives no answer:", f"  {case.fault}", "", "Golden answers:"]
        lines += [f"  {name:<11} {_values(getattr(case.golden, name))}" for name in COMPARED]
    else:
        lines += [*difference_lines(config, case.golden, case.hardware), "", "Both answers:"]
        for name in COMPARED:
            lines += [
                f"  {name:<11} golden    {_values(getattr(case.golden, name))}",
                f"  {'':<11} hardware  {_values(getattr(case.hardware, name))}",
            ]
    lines += [
        "",
        f"transaction.npz holds the parameters, this transaction and the {len(case.transactions) - 1} before it.",
        "To run it again and see every signal:",
        "",
        f"  {command}",
        "",
    ]
    return "\n".join(lines)


def write_report(folder: Path, case: Case, fresh: Callable[[], Hardware], command: Callable[[Path], str]) -> Path:
    """Write ``report.txt`` and ``transaction.npz`` into a folder, made if need be.

    Parameters
    ----------
    fresh: makes hardware that has run nothing.
    command: what replays a file.

    Returns
    -------
    Path of the report.

    Raises
    ------
    SvpgError: a file cannot be written.
    """
    make_folder(folder)
    file = folder / "transaction.npz"
    case.save(file)
    alone, after_others = replay(case, fresh(), history=False), replay(case, fresh(), history=True)
    text = report_text(case, command(file), alone, after_others)
    path = folder / "report.txt"
    write_atomically(path, lambda stream: stream.write(text.encode()))
    return path
