"""Which unit of the core works in which cycle, as Amaranth's own simulator sees it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from amaranth.sim import Simulator

from golden.config import DeviceConfig
from golden.protocol import LAST, Words
from hdl.core import Core
from hdl.memory import row_address
from hdl.options import CoreOptions
from sim.cost import UNITS

PERIOD = 2e-9
"""Of the clock, in seconds: any."""

CLOCK = ("clk",)
"""Ends of the names of the signals that are looked at; a name is its modules and the signal."""

FETCH, ADDRESS = ("engine", "fetch__en"), ("engine", "fetch__address")
START = (("decision", "starts__valid"), ("decision", "starts__ready"))
TRANSFERS = {
    "scan": (("softmax", "beats__valid"), ("softmax", "beats__ready")),
    "terms": (("softmax", "take"),),
    "activities": (("softmax", "leave"),),
    "mover": (("mover", "beats__valid"), ("mover", "beats__ready")),
    "winners": (("sampler", "winners__valid"),),
}
"""A unit works in a cycle in which all of its signals are high."""

Name = tuple[str, ...]


def record(config: DeviceConfig, options: CoreOptions, loads: Words, frame: Words) -> dict[str, list[int]]:
    """The cycles of a decision in which each unit works, counted from its start, as in :attr:`sim.cost.Cost.busy`.

    Parameters
    ----------
    config, options: the build.
    loads: frames that load the parameters.
    frame: a single ``INFER``.
    """
    with tempfile.TemporaryDirectory(prefix="svpg-timeline-") as folder:
        path = Path(folder) / "core.vcd"
        _simulate(Core(config, options), [loads, frame], path)
        return _working(config, path)


def _simulate(core: Core, exchanges: list[Words], path: Path) -> None:
    """Send words and wait for all answers before the next, recording every signal."""

    async def drive(context: Any) -> None:
        context.set(core.responses.ready, 1)
        for words in exchanges:
            waiting = words.tolist()[::-1]
            missing = sum(word >= LAST for word in waiting)
            while missing:
                context.set(core.commands.valid, bool(waiting))
                if waiting:
                    context.set(core.commands.payload.as_value(), waiting[-1])
                (*_, taken, came, word) = await context.tick().sample(
                    core.commands.ready, core.responses.valid, core.responses.payload
                )
                if taken and waiting:
                    waiting.pop()
                missing -= came and word.last

    simulator = Simulator(core)
    simulator.add_clock(PERIOD)
    simulator.add_testbench(drive)
    with path.open("w") as file, simulator.write_vcd(file):
        simulator.run()


def _cycles(path: Path, wanted: set[Name]) -> Iterator[dict[Name, int]]:
    """Values of the signals whose names end so, at the end of every cycle."""
    values: dict[Name, int] = dict.fromkeys(wanted, 0)
    names: dict[str, list[Name]] = {}
    modules: list[str] = []
    changes: dict[Name, int] = {}
    with path.open() as file:
        for line in file:
            match line.split():
                case ["$scope", _, module, "$end"]:
                    modules.append(module)
                case ["$upscope", "$end"]:
                    modules.pop()
                case ["$var", _, _, code, signal, *_]:
                    full = (*modules, signal)
                    names.setdefault(code, []).extend(name for name in wanted if full[-len(name) :] == name)
                case [time] if time.startswith("#"):
                    # What changes along with the clock belongs to the next cycle.
                    if changes.get(CLOCK) and not values[CLOCK]:
                        yield values
                    values |= changes
                    changes = {}
                case [number, code] if number.startswith("b"):
                    changes |= dict.fromkeys(names[code], int(number[1:], 2))
                case [change] if change[0] in "01":
                    changes |= dict.fromkeys(names[change[1:]], int(change[0]))


def _working(config: DeviceConfig, path: Path) -> dict[str, list[int]]:
    """The working cycles since the last start of a decision."""
    wanted = {CLOCK, FETCH, ADDRESS, *START, *(name for names in TRANSFERS.values() for name in names)}
    busy: dict[str, list[int]] = {}
    cycle = 0
    for values in _cycles(path, wanted):
        cycle += 1
        if all(values[name] for name in START):
            busy, cycle = {unit: [] for unit in UNITS}, 0
        for unit, names in TRANSFERS.items():
            if busy and all(values[name] for name in names):
                busy[unit].append(cycle)
        if busy and values[FETCH]:
            address = values[ADDRESS]
            biases, observations = (row_address(config, row, 0) for row in (config.sources, config.neurons))
            unit = "biases" if address >= biases else "observations" if address >= observations else "moves"
            busy[unit].append(cycle)
    return busy
