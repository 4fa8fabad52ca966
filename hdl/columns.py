"""What each column contributes to the eligibility of a sample (docs/numerics.md, "Learning")."""

from __future__ import annotations

from amaranth import Array, Module, Mux, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from golden.config import DeviceConfig
from hdl.layouts import column_bits, word_index
from hdl.potentials import MOST_REGISTER_WORDS
from hdl.traces import trace


class Columns(wiring.Component):
    """The modulated activity and change of every neuron, a row word's columns at once; 0 where nothing has been put.

    Golden twin: the factors ``change`` and ``q`` of :func:`golden.plasticity.accumulate_sample`, times the modulator.

    Takes a neuron in every cycle, which is read :attr:`latency` + 1 cycles later and counted by ``changed_hidden`` or
    ``changed_action`` one cycle before. ``clear`` empties one word per cycle, from the next cycle on; nothing is put
    meanwhile. After a reset the content is undefined until it has been cleared.

    Multipliers: two.

    Parameters
    ----------
    config: sizes and formats.

    Members
    -------
    modulator: In; stays while neurons are put.
    put: In(stream of :func:`hdl.traces.trace`, always ready).
    clear: In; clearing: Out.
    word: In; activity, change: Out, in the same cycle: the columns of a word.
    changed_hidden, changed_action: Out; bit w: a hidden neuron, or action neuron, of word w has changed.
    """

    latency = 2
    """Cycles from a neuron to its place in the table."""

    def __init__(self, config: DeviceConfig) -> None:
        self.config = config
        super().__init__(
            {
                "modulator": In(signed(config.modulator_bits)),
                "put": In(stream.Signature(trace(config), always_ready=True)),
                "clear": In(1),
                "clearing": Out(1),
                "word": In(word_index(config)),
                "activity": Out(signed(column_bits(config))).array(config.lanes),
                "change": Out(signed(column_bits(config))).array(config.lanes),
                "changed_hidden": Out(config.row_words),
                "changed_action": Out(config.row_words),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        bits = column_bits(config)
        # The neuron, then its products.
        held, holds = Signal(trace(config)), Signal()
        word, lane, stores = Signal.like(held.word), Signal.like(held.lane), Signal()
        activity, change = Signal(signed(bits)), Signal(signed(bits))
        number = Signal(word_index(config))
        m.d.sync += [
            holds.eq(self.put.valid),
            held.eq(self.put.payload),
            stores.eq(holds),
            word.eq(held.word),
            lane.eq(held.lane),
            activity.eq(self.modulator * held.activity),
            change.eq(self.modulator * held.change),
        ]
        with m.If(holds & (held.change != 0)):
            for changed, is_one in (
                (self.changed_hidden, held.group < config.groups),
                (self.changed_action, held.group == config.groups),
            ):
                with m.If(is_one):
                    m.d.sync += changed.bit_select(held.word, 1).eq(1)
        with m.If(self.clear):
            m.d.sync += [self.clearing.eq(1), number.eq(0)]
        with m.Elif(self.clearing):
            m.d.sync += [number.eq(number + 1), self.changed_hidden.eq(0), self.changed_action.eq(0)]
            with m.If(number == config.row_words - 1):
                m.d.sync += self.clearing.eq(0)
        for table, value, out in (("activities", activity, self.activity), ("changes", change, self.change)):
            for i in range(config.lanes):
                enters = stores & (lane == i)
                if config.row_words > MOST_REGISTER_WORDS:
                    m.submodules[f"{table}{i}"] = memory = Memory(shape=value.shape(), depth=config.row_words, init=[])
                    put, get = memory.write_port(), memory.read_port(domain="comb")
                    m.d.comb += [
                        get.addr.eq(self.word),
                        out[i].eq(get.data),
                        put.addr.eq(Mux(self.clearing, number, word)),
                        put.data.eq(Mux(self.clearing, 0, value)),
                        put.en.eq(self.clearing | enters),
                    ]
                    continue
                held = [
                    Signal.like(value, name=f"{table}{i}_{place}", reset_less=True) for place in range(config.row_words)
                ]
                m.d.comb += out[i].eq(Array(held)[self.word] if config.row_words > 1 else held[0])
                for place, column in enumerate(held):
                    with m.If(self.clearing):
                        m.d.sync += column.eq(0)
                    with m.Elif(enters & (word == place) if config.row_words > 1 else enters):
                        m.d.sync += column.eq(value)
        return m
