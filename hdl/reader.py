"""Command frames become requests (docs/protocol.md)."""

from __future__ import annotations

from collections.abc import Callable

from amaranth import C, Cat, Module, Mux, Signal, signed
from amaranth.hdl import Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from golden.arguments import OPTIMISERS, POLICIES, apply_limits, obs_range, policies, section_format
from golden.config import DeviceConfig
from golden.kernels import OBSERVATION, POLICY_CONDITIONAL
from golden.plasticity import RULE_CONTRASTIVE
from golden.protocol import (
    FLAG_GIVEN,
    FLAG_SPIKES,
    INFER_FLAGS,
    LEARN_FLAGS,
    NONCE_WORDS,
    POLICY_FLAGS,
    ROW_WORDS,
    RULE_FLAGS,
    SECTION_NAMES,
    UPDATE_ARGUMENTS,
    WORD_BITS,
    Abilities,
    Command,
    Section,
    Status,
    words_of,
)
from hdl.layouts import WORD, row_place, winner_bits
from hdl.multiply import times
from hdl.observations import observation
from hdl.synapses import SynapseTable

UPDATE_BITS = 7
"""Bits of an argument of ``APPLY``, signed: enough for every limit of every configuration."""


def section_bits(config: DeviceConfig, section: Section) -> int:
    """Bits of a value of a memory."""
    return section_format(config, SECTION_NAMES[section]).bits


def request(config: DeviceConfig, abilities: Abilities) -> data.StructLayout:
    """What a frame asks for.

    ``command`` and ``flags`` as in its header; ``status``: what is wrong with it, in which case nothing else counts.
    ``nonce`` of a decision; ``place``: a row word; ``values``: what to load there, in the low bits. If the build
    learns, ``modulator`` of a sample, and ``update``: the arguments of ``APPLY`` in the order of
    :data:`golden.protocol.UPDATE_ARGUMENTS`.
    """
    widest = max(section_bits(config, section) for section in abilities.sections)
    learning = {
        "modulator": signed(config.modulator_bits),
        "update": data.ArrayLayout(signed(UPDATE_BITS), len(UPDATE_ARGUMENTS)),
    }
    return data.StructLayout(
        {
            "command": 8,
            "status": 8,
            "flags": 8,
            "nonce": NONCE_WORDS * WORD_BITS,
            "place": row_place(config),
            "values": data.ArrayLayout(widest, config.lanes),
            **(learning if abilities.learns else {}),
        }
    )


class CommandReader(wiring.Component):
    """Reads one frame after the other, checks every word, and hands on a request when the frame is whole.

    Golden twin: :class:`golden.server.FrameServer`; the first error in the order of the words decides.

    Takes a word in every cycle. The request is offered in the cycle after the frame's last word has been taken; until
    it is taken, no more words are, and observations and given winners stay as they are.

    Parameters
    ----------
    config: sizes and formats.
    abilities: what the build learns with.

    Members
    -------
    commands: In(stream of :data:`hdl.layouts.WORD`).
    requests: Out(stream of :func:`request`).
    clear: Out, put: Out(stream of :func:`hdl.observations.observation`, always ready): into the observation queue.
    given_group: In; given_winner: Out, in the same cycle: hidden winners, and the action of a sample.
    """

    def __init__(self, config: DeviceConfig, abilities: Abilities) -> None:
        self.config, self.abilities = config, abilities.within(config)
        super().__init__(
            {
                "commands": In(stream.Signature(WORD)),
                "requests": Out(stream.Signature(request(config, self.abilities))),
                "clear": Out(1),
                "put": Out(stream.Signature(observation(config), always_ready=True)),
                "given_group": In(range(config.groups + 1)),
                "given_winner": Out(winner_bits(config)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, abilities = self.config, self.abilities
        m.submodules.synapses = synapses = SynapseTable(config)
        m.submodules.given = given = Memory(shape=winner_bits(config), depth=config.groups + 1, init=[])
        put_given, get_given = given.write_port(), given.read_port(domain="comb")
        job = Signal(request(config, abilities))
        word, taken = self.commands.payload, Signal()
        m.d.comb += [
            self.requests.payload.eq(job),
            taken.eq(self.commands.valid & self.commands.ready),
            get_given.addr.eq(self.given_group),
            put_given.data.eq(word.data),
            self.given_winner.eq(get_given.data),
        ]

        # A value that takes several words is looked at with the last of them; `held` is what came before.
        sections = abilities.sections
        widest = max(
            words_of(config.obs_bits),
            words_of(config.modulator_bits),
            *(words_of(section_bits(config, section)) for section in sections),
            ROW_WORDS,
        )
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

        # What is wrong decides about nothing but the status, so that the way from a word to the next state is short:
        # the rest of the frame is gone through as if it were right.
        failed = job.status != Status.OK

        def accept(wrong: Value, is_final: Value | int, proceed: Callable[[], None], *, first: bool = False) -> None:
            """Take a word: ``wrong`` is its :class:`Status`, ``is_final`` marks the last that the command takes."""
            with m.If(taken):
                with m.If(C(first, 1) | ~failed):
                    m.d.sync += job.status.eq(
                        Mux(wrong != Status.OK, wrong, Mux(word.last != is_final, Status.LENGTH, Status.OK))
                    )
                with m.If(word.last):
                    m.next = "REQUEST"
                with m.Elif(is_final):
                    m.next = "DROP"
                with m.Else():
                    proceed()

        def accept_values(
            words: Value | int, wrong: Value, count: Signal, number: int, is_final: Value | int, then: str
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
        # the one in work, `following` the one after it, so that no sum comes before the table.
        column, present = Signal.like(synapses.column), Signal.like(synapses.column)
        following = Signal.like(synapses.column)
        lane = Signal(range(max(config.lanes, 2)))
        index = Signal(range(max(config.inputs, 2)))
        group = Signal(range(max(config.groups, 2)))
        quarter = Signal(range(NONCE_WORDS))
        argument = Signal(range(len(UPDATE_ARGUMENTS)))
        wants_given: Value = Mux(
            job.command == Command.INFER,
            (job.flags & FLAG_GIVEN).any(),
            (job.flags & RULE_FLAGS) != RULE_CONTRASTIVE,
        )
        if config.spikes:
            wants_given = C(0)
        known_policies = [POLICIES[name] for name in policies(config)]
        infer_flags = INFER_FLAGS & ~(0 if config.spikes else FLAG_SPIKES)
        rules, optimisers = abilities.masks
        m.d.comb += [synapses.row.eq(job.place.row), synapses.column.eq(column)]
        m.d.sync += [present.eq(column), following.eq(column + 1)]

        with m.FSM() as states:
            m.d.comb += self.commands.ready.eq(~states.ongoing("REQUEST"))
            with m.State("HEADER"):
                command, flags = word.data[:8], word.data[8:]
                wrong = Signal(Status)
                policy = flags & POLICY_FLAGS
                with m.Switch(command):
                    with m.Case(Command.INFO, *([Command.CLEAR] if abilities.learns else [])):
                        m.d.comb += wrong.eq(Mux(flags != 0, Status.FLAGS, Status.OK))
                    with m.Case(Command.LOAD, Command.READ):
                        m.d.comb += wrong.eq(Mux(flags >= len(sections), Status.FLAGS, Status.OK))
                    with m.Case(Command.INFER):
                        is_odd = (flags & FLAG_GIVEN).any() & (policy != POLICY_CONDITIONAL)
                        unknown = (flags & ~C(infer_flags, 8)).any() | (policy > max(known_policies))
                        m.d.comb += wrong.eq(Mux(is_odd | unknown, Status.FLAGS, Status.OK))
                    if abilities.learns:
                        with m.Case(Command.LEARN):
                            lacks = ~C(rules, 4).bit_select(flags & RULE_FLAGS, 1)
                            unknown = (flags & ~C(LEARN_FLAGS, 8)).any()
                            m.d.comb += wrong.eq(Mux(lacks | unknown, Status.FLAGS, Status.OK))
                        with m.Case(Command.APPLY):
                            known = [flags == number for number in OPTIMISERS.values() if optimisers >> number & 1]
                            m.d.comb += wrong.eq(Mux(Cat(known).any(), Status.OK, Status.FLAGS))
                    with m.Default():
                        m.d.comb += wrong.eq(Status.COMMAND)
                with m.If(taken):
                    m.d.comb += self.clear.eq(1)
                    m.d.sync += [
                        job.command.eq(command),
                        job.flags.eq(flags),
                        *(counter.eq(0) for counter in (part, lane, index, group, quarter, argument)),
                    ]

                def by_command() -> None:
                    with m.If(command == Command.INFER):
                        m.next = "NONCE"
                    if abilities.learns:
                        with m.Elif(command == Command.LEARN):
                            m.next = "NONCE" if config.spikes else "MODULATOR"
                        with m.Elif(command == Command.APPLY):
                            m.next = "UPDATE"
                    with m.Else():
                        m.next = "ROW"

                accept(wrong, (command == Command.INFO) | (command == Command.CLEAR), by_command, first=True)
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
                    # Words beyond the last are refused whatever the table says.
                    m.d.comb += column.eq(times(word.data[: len(job.place.word)], config.lanes))

                def to_values() -> None:
                    m.next = "VALUES"

                accept(
                    Mux(word.data >= config.row_words, Status.ADDRESS, Status.OK),
                    job.command == Command.READ,
                    to_values,
                )
            with m.State("VALUES"):
                width = job.values.shape().elem_shape
                words, outside, value = Signal(range(widest + 1)), Signal(), Signal(width)
                nonzero = Signal()
                with m.Switch(job.flags):
                    for section in sections:
                        number_format = section_format(config, SECTION_NAMES[section])
                        found = value_of(words_of(number_format.bits))
                        is_outside = (
                            misfits(found, number_format.bits)
                            if number_format.signed
                            else found[number_format.bits :].any()
                        )
                        with m.Case(section):
                            m.d.comb += [
                                words.eq(words_of(number_format.bits)),
                                outside.eq(is_outside),
                                value.eq(found),
                                nonzero.eq(found.any()),
                            ]
                complete = taken & (part == words - 1)
                m.d.comb += column.eq(Mux(complete, following, present))
                with m.If(complete):
                    m.d.sync += job.values.eq(Cat(job.values.as_value()[width:], value))
                bad = outside | (nonzero & ~synapses.exists)
                accept_values(words, Mux(bad, Status.VALUE, Status.OK), lane, config.lanes, 1, "REQUEST")
            with m.State("NONCE"):
                with m.If(taken):
                    m.d.sync += job.nonce.eq(Cat(job.nonce[WORD_BITS:], word.data))
                accept_values(1, C(Status.OK, 8), quarter, NONCE_WORDS, 0, "OBSERVATIONS")
                if abilities.learns and config.spikes:
                    with m.If(taken & (quarter == NONCE_WORDS - 1) & ~word.last & (job.command == Command.LEARN)):
                        m.next = "MODULATOR"
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
                bad = misfits(value, config.obs_bits)
                if config.obs_spikes == "bernoulli" and config.spikes:
                    bad = (value.as_signed() < obs_range(config)[0]) | (value.as_signed() > obs_range(config)[1])
                wrong = Mux(bad, Status.VALUE, Status.OK)
                accept_values(words, wrong, index, config.inputs, ~wants_given, "GIVEN")
            with m.State("GIVEN"):
                m.d.comb += [put_given.en.eq(taken), put_given.addr.eq(group)]
                wrong = Mux(word.data >= config.group_size, Status.VALUE, Status.OK)
                accept_values(1, wrong, group, config.groups, 1, "REQUEST")
            if abilities.learns:
                with m.State("MODULATOR"):
                    words = words_of(config.modulator_bits)
                    modulator, low = value_of(words), 1 << config.modulator_bits - 1
                    with m.If(taken):
                        m.d.sync += [job.modulator.eq(modulator), part.eq(Mux(part == words - 1, 0, part + 1))]

                    def to_action() -> None:
                        with m.If(part == words - 1):
                            m.next = "ACTION"

                    # The smallest number of so many bits is no modulator.
                    bad = misfits(modulator, config.modulator_bits) | (modulator[: config.modulator_bits] == low)
                    accept(Mux((part == words - 1) & bad, Status.VALUE, Status.OK), 0, to_action)
                with m.State("ACTION"):
                    m.d.comb += [put_given.en.eq(taken), put_given.addr.eq(config.groups)]

                    def to_observations() -> None:
                        m.next = "OBSERVATIONS"

                    accept(Mux(word.data >= config.actions, Status.VALUE, Status.OK), 0, to_observations)
                with m.State("UPDATE"):
                    # By tables, because comparing takes carry chains.
                    misfit, allowed = misfits(word.data, UPDATE_BITS), Signal()
                    for name, number in OPTIMISERS.items():
                        for place, (low, high) in enumerate(apply_limits(config, name).values()):
                            table = sum(1 << (value % (1 << UPDATE_BITS)) for value in range(low, high + 1))
                            with m.If((job.flags == number) & (argument == place)):
                                m.d.comb += allowed.eq(
                                    C(table, 1 << UPDATE_BITS).bit_select(word.data[:UPDATE_BITS], 1)
                                )
                    bad = misfit | ~allowed
                    with m.If(taken):
                        m.d.sync += job.update.eq(Cat(job.update.as_value()[UPDATE_BITS:], word.data[:UPDATE_BITS]))
                    wrong = Mux(bad, Status.VALUE, Status.OK)
                    accept_values(1, wrong, argument, len(UPDATE_ARGUMENTS), 1, "REQUEST")
            with m.State("DROP"), m.If(taken & word.last):
                m.next = "REQUEST"
            with m.State("REQUEST"):
                m.d.comb += self.requests.valid.eq(1)
                with m.If(self.requests.ready):
                    m.next = "HEADER"
        return m
