"""Bench of :class:`hdl.synapses.SynapseTable`, one for each pattern of connections."""

from __future__ import annotations

from typing import Any

import cocotb
import numpy as np

from golden.config import REMOVABLE
from sim.bench.designs import SynapseTables
from sim.bench.run import parameters
from sim.bench.streams import Bench

RUN = parameters()
CONFIG = RUN["config"]
COMPONENT = SynapseTables(CONFIG)
ROWS = CONFIG.sources + 1
COLUMNS = CONFIG.row_words * CONFIG.lanes
EXISTS = np.zeros((len(REMOVABLE), ROWS, COLUMNS), dtype=bool)
"""Per pattern: golden's mask, every bias, and nothing from column N on."""
for one, removed in zip(EXISTS, REMOVABLE, strict=True):
    one[:-1, : CONFIG.neurons] = CONFIG.replace(removed=removed).mask
    one[-1, : CONFIG.neurons] = True


class Table:
    """Asks for a place in every cycle, and compares the answers with golden's."""

    def __init__(self, dut: Any) -> None:
        self.bench = Bench(dut, COMPONENT, RUN["seed"])
        self.bench.each_cycle(sample=self._check)
        self._asked: tuple[int, int] | None = None
        self.answers = 0

    async def ask(self, row: int, column: int) -> None:
        """One cycle. The row counts once it has been the same in two."""
        dut = self.bench.dut
        dut.row.value, dut.column.value = row, column
        self._row = row
        await self.bench.step()
        self._asked = (row, column)

    def _check(self, cycle: int) -> None:
        if self._asked is None or self._asked[0] != self._row:
            return
        row, column = self._asked
        needed = sum(int(exists) << number for number, exists in enumerate(EXISTS[:, row, column]))
        assert int(self.bench.dut.exists.value) == needed, (row, column)
        self.answers += 1


@cocotb.test()
async def every_place(dut: Any) -> None:
    """Each column of each row, one per cycle."""
    table = Table(dut)
    await table.bench.reset()
    for row in range(ROWS):
        for column in (*range(COLUMNS), 0):
            await table.ask(row, column)
    assert table.answers == ROWS * COLUMNS


@cocotb.test()
async def any_order(dut: Any) -> None:
    """Rows that change as soon as they may, columns in every cycle."""
    table = Table(dut)
    await table.bench.reset()
    rng = table.bench.rng
    for _ in range(RUN["rows"]):
        row = rng.randrange(ROWS)
        for _ in range(rng.randint(2, 4)):
            await table.ask(row, rng.randrange(COLUMNS))
    assert table.answers >= RUN["rows"]
