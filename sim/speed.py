"""How fast the other ways to simulate the core are, for comparison with the compiled model."""

from __future__ import annotations

import dataclasses
import json
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

from amaranth.sim import Simulator

from golden.config import DeviceConfig
from golden.protocol import Words
from hdl.core import Core
from hdl.options import CoreOptions
from sim.bench.run import run

TAIL = 500
"""Cycles that are simulated after the last command word."""


def cocotb_rate(config: DeviceConfig, options: CoreOptions, words: Words) -> float:
    """Cycles per second in which a cocotb bench on Verilator takes command frames in."""
    with tempfile.TemporaryDirectory(prefix="svpg-speed-") as folder:
        out = Path(folder) / "speed.json"
        run(
            Core(config, options),
            "sim.bench.speed",
            config=config,
            options=dataclasses.asdict(options),
            words=words.tolist(),
            tail=TAIL,
            out=str(out),
        )
        measured = json.loads(out.read_text())
    return float(measured["cycles"] / measured["seconds"])


def amaranth_rate(config: DeviceConfig, options: CoreOptions, words: Words) -> float:
    """Cycles per second of Amaranth's own simulator with the same frames."""
    core = Core(config, options)
    simulator = Simulator(core)
    simulator.add_clock(1e-6)
    cycles = 0
    began = 0.0
    seconds = 0.0

    async def drive(context: Any) -> None:
        nonlocal cycles, began, seconds
        began = time.perf_counter()
        context.set(core.responses.ready, 1)
        context.set(core.commands.valid, 1)
        for word in words.tolist():
            context.set(core.commands.payload.as_value(), word)
            while True:
                cycles += 1
                _, _, ready = await context.tick().sample(core.commands.ready)
                if ready:
                    break
        context.set(core.commands.valid, 0)
        for _ in range(TAIL):
            cycles += 1
            await context.tick()
        seconds = time.perf_counter() - began

    simulator.add_testbench(drive)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        simulator.run()
    return cycles / seconds
