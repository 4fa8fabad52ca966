"""Command frames become requests (docs/protocol.md)."""

from __future__ import annotations

from collections.abc import Callable

from amaranth import C, Cat, Module, Mux, Signal
from amaranth.hdl import Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from golden.config import DeviceConfig
from golden.kernels import OBSERVATION, POLICY_CONDITIONAL
from golden.protocol import (
    FLAG_GIVEN,
    INFER_FLAGS,
    NONCE_WORDS,
    POLICY_FLAGS,
    ROW_WORDS,
    WORD_BITS,
    Command,
    Section,
    Status,
    words_of,
)
from hdl.layouts import WORD, row_word, winner_bits
from hdl.observations import observation
from hdl.synapses import SynapseTable


def request(config: DeviceConfig) -> data.StructLayout:
    """What a frame asks for.

    ``command`` and ``flags`` as in its header; ``status``: what is wrong with it, in which case nothing else counts.
    ``nonce`` of a decision; ``place``: a word of the weights, and what to load there.
    """
    return data.StructLayout(
        {"command": 8, "status": 8, "flags": 8, "nonce": NONCE_WORDS * WORD_BITS, "place": row_word(config)}
    )


class CommandReader(wiring.Component):
    """Reads one frame after the other, checks every word, and hands on a request when the frame is whole.

    Golden twin: :class:`golden.server.FrameServer`; the first error in the order of the words decides.

    Takes a word in every cycle. The request is offered in the cycle after the frame's last word has been taken; until
    it is taken, no more words are, and observations and given winners stay as they are.

    Parameters
    ----------
    config: sizes and formats.

    Members
    -------
    commands: In(stream of :data:`hdl.layouts.WORD`).
    requests: Out(stream of :func:`request`).
    clear: Out, put: Out(stream of :func:`hdl.observations.observation`, always ready): into the observation queue.
    given_group: In; given_winner: Out, in the same cycle.
    """

    def __init__(self, config: DeviceConfig) -> None:
        self.config = config
        super().__init__(
            {
                "commands": In(stream.Signature(WORD)),
                "requests": Out(stream.Signature(request(config))),
                "clear": Out(1),
                "put": Out(stream.Signature(observation(config), always_ready=True)),
                "given_group": In(range(max(config.groups, 2))),
                "given_winner": Out(winner_bits(config)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        m.submodules.synapses = synapses = SynapseTable(config)
        m.submodules.given = given = Memory(shape=winner_bits(config), depth=max(config.groups, 2), init=[])
        put_given, get_given = given.write_port(), given.read_port(domain="comb")
        job = Signal(request(config))
        word, taken = self.commands.payload, Signal()
        m.d.comb += [
            self.requests.payload.eq(job),
            taken.eq(self.commands.valid & self.commands.ready),
            get_given.addr.eq(self.given_group),
            self.given_winner.eq(get_given.data),
        ]

        # A value that takes several words is looked at with the last of them; `held` is what came before.
        widest = max(words_of(config.obs_bits), words_of(config.weight_bits), ROW_WORDS)
        held = Signal(WORD_BITS * (widest - 1))
        part = Signal(range(widest))
        with m.If(taken):
            m.d.sync += held.eq(Cat(held, word.data)[WORD_BITS:])

        def value_of(words: int) -> Value:
            """The value of the last ``words`` words, this one included."""
            return Cat(held[WORD_BITS * (widest - words) :], word.data) if words > 1 else word.data

        def misfits(value: Value, bits: int) -> Value:
            """Whether a signed value needs more than ``bits`` bits."""
            upper = value[bits - 1 :]
            return ~((upper == 0) | upper.all())

        def accept(wrong: Value, is_final: Value | int, proceed: Callable[[], None]) -> None:
            """Take a word: ``wrong`` is its :class:`Status`, ``is_final`` marks the last that the command takes."""
            with m.If(taken):
                with m.If(wrong != Status.OK):
                    m.d.sync += job.status.eq(wrong)
                with m.Elif(word.last != is_final):
                    m.d.sync += job.status.eq(Status.LENGTH)
                with m.If(word.last):
                    m.next = "REQUEST"
                with m.Elif((wrong != Status.OK) | is_final):
                    m.next = "DROP"
                with m.Else():
                    proceed()

        def accept_values(
            words: int, wrong: Value, count: Signal, number: int, is_final: Value | int, then: str
        ) -> None:
            """Take a word of ``number`` values of ``words`` words each, of which ``count`` have been taken."""
            complete, is_last = part == words - 1, count == number - 1

            def proceed() -> None:
                with m.If(~complete):
                    m.d.sync += part.eq(part + 1)
                with m.Else():
                    m.d.sync += [part.eq(0), count.eq(Mux(is_last, 0, count + 1))]
                    with m.If(is_last):
                        m.next = then

            accept(Mux(complete, wrong, Status.OK), complete & is_last & is_final, proceed)

        # The table is asked a cycle ahead: `column` is that of the weight whose last word comes next, `present` that of
        # the one in work.
        column, present = Signal.like(synapses.column), Signal.like(synapses.column)
        lane = Signal(range(max(config.lanes, 2)))
        index = Signal(range(max(config.inputs, 2)))
        group = Signal(range(max(config.groups, 2)))
        quarter = Signal(range(NONCE_WORDS))
        wants_given = (job.flags & FLAG_GIVEN).any()
        m.d.comb += [synapses.row.eq(job.place.row), synapses.column.eq(column)]
        m.d.sync += present.eq(column)

        with m.FSM() as states:
            m.d.comb += self.commands.ready.eq(~states.ongoing("REQUEST"))
            with m.State("HEADER"):
                command, flags = word.data[:8], word.data[8:]
                wrong = Signal(Status)
                policy = flags & POLICY_FLAGS
                with m.Switch(command):
                    with m.Case(Command.INFO):
                        m.d.comb += wrong.eq(Mux(flags != 0, Status.FLAGS, Status.OK))
                    with m.Case(Command.LOAD, Command.READ):
                        m.d.comb += wrong.eq(Mux(flags != Section.WEIGHT, Status.FLAGS, Status.OK))
                    with m.Case(Command.INFER):
                        is_odd = (flags & FLAG_GIVEN).any() & (policy != POLICY_CONDITIONAL)
                        unknown = (flags & ~C(INFER_FLAGS, 8)).any() | (policy > POLICY_CONDITIONAL)
                        m.d.comb += wrong.eq(Mux(is_odd | unknown, Status.FLAGS, Status.OK))
                    with m.Default():
                        m.d.comb += wrong.eq(Status.COMMAND)
                with m.If(taken):
                    m.d.comb += self.clear.eq(1)
                    m.d.sync += [
                        job.command.eq(command),
                        job.flags.eq(flags),
                        job.status.eq(Status.OK),
                        *(counter.eq(0) for counter in (part, lane, index, group, quarter)),
                    ]

                def by_command() -> None:
                    with m.If(command == Command.INFER):
                        m.next = "NONCE"
                    with m.Else():
                        m.next = "ROW"

                accept(wrong, command == Command.INFO, by_command)
            with m.State("ROW"):
                row = value_of(ROW_WORDS)
                is_high = part == ROW_WORDS - 1
                with m.If(taken):
                    m.d.sync += [job.place.row.eq(row), part.eq(Mux(is_high, 0, part + 1))]

                def to_word() -> None:
                    with m.If(is_high):
                        m.next = "WORD"

                accept(Mux(is_high & (row > config.sources), Status.ADDRESS, Status.OK), 0, to_word)
            with m.State("WORD"):
                with m.If(taken):
                    m.d.sync += job.place.word.eq(word.data)
                    m.d.comb += column.eq(word.data * config.lanes)

                def to_weights() -> None:
                    m.next = "WEIGHTS"

                accept(
                    Mux(word.data >= config.row_words, Status.ADDRESS, Status.OK),
                    job.command == Command.READ,
                    to_weights,
                )
            with m.State("WEIGHTS"):
                words = words_of(config.weight_bits)
                weight = value_of(words)
                complete = taken & (part == words - 1)
                m.d.comb += column.eq(present + complete)
                with m.If(complete):
                    m.d.sync += job.place.weight.eq(
                        Cat(job.place.weight.as_value()[config.weight_bits :], weight[: config.weight_bits])
                    )
                bad = misfits(weight, config.weight_bits) | ((weight != 0) & ~synapses.exists)
                accept_values(words, Mux(bad, Status.VALUE, Status.OK), lane, config.lanes, 1, "REQUEST")
            with m.State("NONCE"):
                with m.If(taken):
                    m.d.sync += job.nonce.eq(Cat(job.nonce[WORD_BITS:], word.data))
                accept_values(1, C(Status.OK, 8), quarter, NONCE_WORDS, 0, "OBSERVATIONS")
            with m.State("OBSERVATIONS"):
                words = words_of(config.obs_bits)
                value = value_of(words)
                low, high = config.spans[OBSERVATION].tolist()
                m.d.comb += [
                    # Observations that reach no column are no events.
                    self.put.valid.eq(taken & (part == words - 1) & (value != 0) & int(high > low)),
                    self.put.payload.index.eq(index),
                    self.put.payload.value.eq(value),
                ]
                wrong = Mux(misfits(value, config.obs_bits), Status.VALUE, Status.OK)
                accept_values(words, wrong, index, config.inputs, ~wants_given, "GIVEN")
            with m.State("GIVEN"):
                m.d.comb += [put_given.en.eq(taken), put_given.addr.eq(group), put_given.data.eq(word.data)]
                wrong = Mux(word.data >= config.group_size, Status.VALUE, Status.OK)
                accept_values(1, wrong, group, config.groups, 1, "REQUEST")
            with m.State("DROP"), m.If(taken & word.last):
                m.next = "REQUEST"
            with m.State("REQUEST"):
                m.d.comb += self.requests.valid.eq(1)
                with m.If(self.requests.ready):
                    m.next = "HEADER"
        return m
