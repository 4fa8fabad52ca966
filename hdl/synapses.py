"""Which synapses exist (docs/numerics.md, "Sizes and order")."""

from __future__ import annotations

from amaranth import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from golden.config import DeviceConfig


class SynapseTable(wiring.Component):
    """Whether a synapse, or a bias, exists.

    Golden twin: :attr:`golden.config.DeviceConfig.mask`; every bias exists, and no column from N on.

    The answer is about the column that ``column`` held one cycle ago, and about the row that ``row`` has held since
    then.

    Parameters
    ----------
    config: sizes and connections.

    Members
    -------
    row: In; 0 to P, P being the biases.
    column: In; up to the last column of the last word of a row.
    exists: Out.
    """

    def __init__(self, config: DeviceConfig) -> None:
        self.config = config
        super().__init__(
            {
                "row": In(range(config.sources + 1)),
                "column": In(range(config.row_words * config.lanes)),
                "exists": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, mask = self.config, self.config.mask
        hidden, neurons, bounds = config.hidden, config.neurons, config.group_start.tolist()
        group_of = [next(g for g in range(config.groups + 1) if j < bounds[g + 1]) for j in range(neurons)]
        m.submodules.groups = groups = Memory(shape=range(config.groups + 1), depth=neurons, init=group_of)
        of_row, of_column = groups.read_port(), groups.read_port()
        column = Signal.like(self.column)
        m.d.comb += [of_row.addr.eq(self.row), of_column.addr.eq(self.column)]
        m.d.sync += column.eq(self.column)

        def reaches(first: int, last: int) -> list[int]:
            """Whether rows from ``first`` to ``last`` reach the hidden groups, and the action group."""
            return [int(mask[first:last, :hidden].any()), int(mask[first:last, hidden:].any())]

        to_hidden, to_action = Signal(), Signal()
        targets = (to_hidden, to_action)
        own_group = Signal()
        with m.If(self.row < hidden):
            m.d.comb += [target.eq(one) for target, one in zip(targets, reaches(0, hidden), strict=True)]
        with m.Elif(self.row < neurons):
            m.d.comb += [target.eq(one) for target, one in zip(targets, reaches(hidden, neurons), strict=True)]
        with m.Elif(self.row < config.sources):
            m.d.comb += [target.eq(one) for target, one in zip(targets, reaches(neurons, config.sources), strict=True)]
        with m.Else():
            m.d.comb += [target.eq(1) for target in targets]
        m.d.comb += [
            own_group.eq((self.row < neurons) & (of_row.data == of_column.data)),
            self.exists.eq((column < neurons) & Mux(column < hidden, to_hidden, to_action) & ~own_group),
        ]
        return m
