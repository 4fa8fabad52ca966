"""The observations of a decision as a queue of events (docs/numerics.md, "Inference" step 1)."""

from __future__ import annotations

from amaranth import Module, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from golden.config import DeviceConfig


def observation(config: DeviceConfig) -> data.StructLayout:
    """An observation that is not zero."""
    return data.StructLayout({"index": range(max(config.inputs, 2)), "value": signed(config.obs_bits)})


def queued_observation(config: DeviceConfig) -> data.StructLayout:
    """An observation on its way out of the queue; ``last`` marks the last of a decision."""
    return data.StructLayout({"entry": observation(config), "last": 1})


class ObservationQueue(wiring.Component):
    """The non-zero observations of a decision, in order; they can be gone through any number of times.

    Golden twin: the loop over the observations in :func:`golden.kernels.feed_forward`.

    Takes one in every cycle, but not in that of ``clear``. After ``rewind`` the first is offered two cycles later, then
    one in every cycle until as many as were put in since ``clear`` have come out; a rewind before that starts again.
    While entries are on their way out, nothing is put in or cleared.

    Parameters
    ----------
    config: sizes and formats.

    Members
    -------
    clear: In; empties the queue.
    put: In(stream of :func:`observation`, always ready); at most S after a clear.
    rewind: In; starts to offer them from the first on.
    count: Out; how many have been put in since the last clear.
    entries: Out(stream of :func:`queued_observation`).
    """

    def __init__(self, config: DeviceConfig) -> None:
        self.config = config
        super().__init__(
            {
                "clear": In(1),
                "put": In(stream.Signature(observation(config), always_ready=True)),
                "rewind": In(1),
                "count": Out(range(config.inputs + 1)),
                "entries": Out(stream.Signature(queued_observation(config))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        inputs = self.config.inputs
        m.submodules.memory = memory = Memory(shape=observation(self.config), depth=max(inputs, 2), init=[])
        write, read = memory.write_port(), memory.read_port()
        count, next_one = self.count, Signal(range(inputs + 1))
        offered, final, advance = Signal(), Signal(), Signal()
        running = Signal()
        m.d.comb += [
            write.en.eq(self.put.valid),
            write.addr.eq(count),
            write.data.eq(self.put.payload),
            advance.eq(~offered | self.entries.ready),
            read.en.eq(advance),
            read.addr.eq(next_one),
            self.entries.valid.eq(offered),
            self.entries.payload.entry.eq(read.data),
            self.entries.payload.last.eq(final),
        ]
        with m.If(self.clear):
            m.d.sync += count.eq(0)
        with m.Elif(self.put.valid):
            m.d.sync += count.eq(count + 1)
        with m.If(advance):
            m.d.sync += [offered.eq(running), final.eq(next_one + 1 == count)]
            with m.If(running):
                m.d.sync += [next_one.eq(next_one + 1), running.eq(next_one + 1 != count)]
        with m.If(self.rewind):
            m.d.sync += [next_one.eq(0), running.eq(count != 0), offered.eq(0)]
        return m
