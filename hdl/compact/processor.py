"""The compact core's processor (docs/compact.md)."""

from __future__ import annotations

from collections.abc import Set

from amaranth import C, Cat, Module, Mux, Signal, signed
from amaranth.hdl import Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hdl.compact.assembler import REGISTERS, Program
from hdl.compact.instructions import (
    COMPARES,
    INSTRUCTION,
    LOADS,
    MULTIPLIES,
    TARGET_BITS,
    WORD_BITS,
    WRITES,
    Op,
)
from hdl.compact.places import TABLE_BITS
from hdl.compact.rows import RowAdder
from hdl.compact.store import Store
from hdl.layouts import WORD
from hdl.memory import NO_COLLISION

SHIFTS = (Op.SHL, Op.SHR, Op.SAR, Op.ROL)


class Processor(wiring.Component):
    """Runs one program, an instruction after the other, from its first one after every reset.

    Golden twin: :class:`sim.processor.ProcessorTwin`, cycles included (:data:`hdl.compact.instructions.CYCLES`).

    The first cycle of an instruction reads its registers, the second computes; memories and what compares take a third,
    products two more, and rows their columns. A reset leaves registers and memories as they are.

    Parameters
    ----------
    program: what it runs.
    table: its table.
    store, potentials: words of its memories.

    Members
    -------
    commands: In(stream of :data:`hdl.layouts.WORD`), what ``IN`` takes.
    responses: Out(stream of the same), what ``OUT`` sends.
    """

    def __init__(self, program: Program, table: tuple[int, ...], store: int, potentials: int) -> None:
        self._program, self._table = program, table
        self._store, self._potentials = store, max(potentials, 2)
        super().__init__({"commands": In(stream.Signature(WORD)), "responses": Out(stream.Signature(WORD))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.instructions = instructions = Memory(
            shape=INSTRUCTION.size, depth=len(self._program.instructions), init=self._program.instructions
        )
        # What an instruction reads has been written before it begins.
        m.submodules.registers = registers = Memory(
            shape=WORD_BITS, depth=REGISTERS, init=self._program.registers, attrs={NO_COLLISION: 1}
        )
        m.submodules.table = table = Memory(shape=TABLE_BITS, depth=len(self._table), init=self._table)
        m.submodules.potentials = potentials = Memory(
            shape=WORD_BITS, depth=self._potentials, init=[], attrs={NO_COLLISION: 1}
        )
        m.submodules.store = store = Store(self._store)
        m.submodules.rows = rows = RowAdder(self._store, self._potentials)
        fetch, read_a, read_b = instructions.read_port(), registers.read_port(), registers.read_port()
        write = registers.write_port()
        read_table, read_potential = table.read_port(), potentials.read_port(domain="comb")
        write_potential = potentials.write_port()

        potential = Signal(WORD_BITS)
        m.d.sync += potential.eq(read_potential.data)

        # --- which instruction -----------------------------------------------------------------------------
        instruction = data.View(INSTRUCTION, fetch.data)
        op, a, b = instruction.op, read_a.data, read_b.data
        is_op = {which: op == which for which in Op}
        at, following, counter = Signal(TARGET_BITS), Signal(TARGET_BITS), Signal(WORD_BITS)
        reads, computes, second, third = Signal(), Signal(), Signal(), Signal()
        begins, ends, jumps = Signal(init=1), Signal(), Signal()
        m.d.sync += [begins.eq(0), counter.eq(counter + 1)]
        m.d.comb += [
            fetch.en.eq(begins | ends),
            fetch.addr.eq(Mux(begins, 0, following)),
            read_a.en.eq(reads),
            read_b.en.eq(reads),
            read_a.addr.eq(instruction.a),
            read_b.addr.eq(instruction.b),
            following.eq(Mux(is_op[Op.RETURN], a, Mux(jumps, instruction.d, at + 1))),
        ]
        m.d.sync += reads.eq(fetch.en)
        with m.If(fetch.en):
            m.d.sync += at.eq(fetch.addr)

        # --- what it computes --------------------------------------------------------------------------------
        subtracts = ~any_of(is_op, LOADS | {Op.ADD})
        both = Signal(WORD_BITS + 2)
        # One chain of carries for sum and difference: the first bit carries the one that completes the complement.
        m.d.comb += both.eq(Cat(C(1, 1), a) + Cat(subtracts, b ^ subtracts.replicate(WORD_BITS)))
        total = Signal(WORD_BITS)
        # The comparison of the cycle before.
        less, equal = Signal(), Signal()
        m.d.sync += [equal.eq(a == b), less.eq(Mux(a[-1] == b[-1], total[-1], a[-1]))]
        m.d.comb += [
            total.eq(both[1 : WORD_BITS + 1]),
            jumps.eq(
                is_op[Op.JUMP]
                | is_op[Op.CALL]
                | (is_op[Op.BEQ] & equal)
                | (is_op[Op.BNE] & ~equal)
                | (is_op[Op.BLT] & less)
                | (is_op[Op.BGE] & ~less)
            ),
        ]
        logic = Mux(is_op[Op.AND], a & b, Mux(is_op[Op.OR], a | b, a ^ b))
        extreme = Mux(less ^ is_op[Op.MAX], a, b)
        result = Signal(WORD_BITS)
        with m.Switch(op):
            with m.Case(Op.ADD, Op.SUB):
                m.d.comb += result.eq(total)
            with m.Case(Op.AND, Op.OR, Op.XOR):
                m.d.comb += result.eq(logic)
            with m.Case(Op.MIN, Op.MAX):
                m.d.comb += result.eq(extreme)
            with m.Case(*SHIFTS):
                m.d.comb += result.eq(shifted(m, is_op, a, b[:5]))
            with m.Case(Op.LEN):
                m.d.comb += result.eq(length(m, a))
            with m.Case(Op.MUL, Op.MULH):
                low, high = product(m, a, b)
                m.d.comb += result.eq(Mux(is_op[Op.MUL], low, high))
            with m.Case(Op.LOAD):
                m.d.comb += result.eq(store.read)
            with m.Case(Op.LOADP):
                m.d.comb += result.eq(potential)
            with m.Case(Op.LOADT):
                m.d.comb += result.eq(read_table.data)
            with m.Case(Op.IN):
                m.d.comb += result.eq(self.commands.payload.as_value())
            with m.Case(Op.CYCLES):
                m.d.comb += result.eq(counter)
            with m.Case(Op.CALL):
                m.d.comb += result.eq(at + 1)
        m.d.comb += [
            write.en.eq(ends & any_of(is_op, WRITES | {Op.CALL})),
            write.addr.eq(Mux(is_op[Op.CALL], instruction.a, instruction.d)),
            write.data.eq(result),
        ]

        # --- when it ends ------------------------------------------------------------------------------------
        long, longer = any_of(is_op, MULTIPLIES), any_of(is_op, LOADS | COMPARES)
        waits = (is_op[Op.IN] & ~self.commands.valid) | (is_op[Op.OUT] & ~self.responses.ready) | is_op[Op.ROW]
        working = Signal()
        m.d.comb += ends.eq((computes & ~waits & ~long & ~longer) | (second & longer) | third | rows.done)
        # IN and OUT stay in their second cycle while they wait.
        stays = computes & waits & ~is_op[Op.ROW]
        m.d.sync += [
            computes.eq(reads | stays),
            second.eq(computes & (long | longer)),
            third.eq(second & long),
            working.eq((working | (computes & is_op[Op.ROW])) & ~rows.done),
        ]

        # --- memories and streams ----------------------------------------------------------------------------
        first, size = Signal.like(rows.first), Signal.like(rows.size)
        with m.If(computes & is_op[Op.SPAN]):
            m.d.sync += [first.eq(a), size.eq(b)]
        stores = is_op[Op.STORE] | is_op[Op.STOREP]
        address = Mux(stores, a, total)
        m.d.comb += [
            store.en.eq(rows.fetch | (computes & (is_op[Op.LOAD] | is_op[Op.STORE]))),
            store.write.eq(~working & is_op[Op.STORE]),
            store.address.eq(Mux(working, rows.fetch_address, address)),
            store.data.eq(b),
            read_table.addr.eq(total),
            read_table.en.eq(computes),
            read_potential.addr.eq(Mux(working, rows.read_address, total)),
            write_potential.en.eq(rows.write | (computes & is_op[Op.STOREP])),
            write_potential.addr.eq(Mux(working, rows.write_address, a)),
            write_potential.data.eq(Mux(working, rows.sum, b)),
            rows.start.eq(computes & is_op[Op.ROW]),
            rows.address.eq(a),
            rows.value.eq(b),
            rows.first.eq(first),
            rows.size.eq(size),
            rows.weight.eq(store.read),
            rows.potential.eq(potential),
            self.commands.ready.eq(computes & is_op[Op.IN]),
            self.responses.valid.eq(computes & is_op[Op.OUT]),
            self.responses.payload.eq((a | b)[: WORD.size]),
        ]
        return m


def any_of(is_op: dict[Op, Value], which: Set[Op]) -> Value:
    """Whether the instruction is one of some."""
    return Cat(*(is_op[op] for op in sorted(which))).any()


def shifted(m: Module, is_op: dict[Op, Value], a: Value, by: Value) -> Value:
    """A rotation to the left, of which a mask leaves what a shift leaves."""
    right = is_op[Op.SHR] | is_op[Op.SAR]
    turns = Signal(5)
    m.d.comb += turns.eq(Mux(right, -by, by))
    rotated = a
    for bit in range(5):
        step = Signal(WORD_BITS, name=f"rotated{bit}")
        m.d.comb += step.eq(Mux(turns[bit], rotated.rotate_left(1 << bit), rotated))
        rotated = step
    # Bits below ``by`` have come round in a shift to the left; from 32 - by on in one to the right.
    kept, result = Signal(WORD_BITS), Signal(WORD_BITS)
    below = Cat(*(C(i, 5) < by for i in range(WORD_BITS - 1)), C(0, 1))
    with m.If(is_op[Op.ROL]):
        m.d.comb += kept.eq(-1)
    with m.Elif(right):
        m.d.comb += kept.eq(~below[::-1])
    with m.Else():
        m.d.comb += kept.eq(~below)
    fill = is_op[Op.SAR] & a[-1]
    m.d.comb += result.eq((rotated & kept) | (fill.replicate(WORD_BITS) & ~kept))
    return result


def length(m: Module, a: Value) -> Value:
    """Bits of a value, unsigned."""
    result = Signal(range(WORD_BITS + 1))
    for bit in range(WORD_BITS):
        # The last statement that applies counts.
        with m.If(a[bit]):
            m.d.comb += result.eq(bit + 1)
    return result


def product(m: Module, a: Value, b: Value) -> tuple[Value, Value]:
    """Bits 31 to 0, and 47 to 16, of a product two cycles later, of four products of half words."""
    half = WORD_BITS // 2
    low_a, high_a, low_b, high_b = a[:half], a[half:].as_signed(), b[:half], b[half:].as_signed()
    parts = [Signal(signed(WORD_BITS + 2), name=f"part{i}") for i in range(4)]
    crossed = Signal(WORD_BITS)
    high = Signal(WORD_BITS)
    m.d.sync += [
        parts[0].eq(low_a * low_b),
        parts[1].eq(high_a * low_b),
        parts[2].eq(low_a * high_b),
        parts[3].eq(high_a * high_b),
        crossed.eq(parts[1] + parts[2]),
    ]
    # The lowest and the highest part do not overlap; they wait a cycle for the other two.
    m.d.comb += high.eq(crossed + Cat(parts[0][half:WORD_BITS], parts[3][:half]))
    return Cat(parts[0][:half], high[:half]), high
