"""How fast a bench drives the core: cycles per second through cocotb, for ``svpg bench``."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import cocotb

from golden.protocol import LAST
from hdl.core import Core
from hdl.options import CoreOptions
from sim.bench.run import parameters
from sim.bench.streams import Bench

RUN = parameters()


@cocotb.test()
async def commands_and_their_answers(dut: Any) -> None:
    """Words in, words out, as every bench of the core does it."""
    bench = Bench(dut, Core(RUN["config"], CoreOptions(**RUN["options"])), seed=0, limit=10_000_000)
    source = bench.source("commands")
    sink = bench.sink("responses")
    await bench.reset()
    source.send(*({"data": word & (LAST - 1), "last": word // LAST} for word in RUN["words"]))
    began = time.perf_counter()
    with sink.unchecked():
        await bench.until(lambda: not source.pending)
        await bench.step(RUN["tail"])
    seconds = time.perf_counter() - began
    Path(RUN["out"]).write_text(json.dumps({"cycles": bench.cycle, "seconds": seconds}))
