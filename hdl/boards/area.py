"""What a build takes of a device, from its sizes."""

from __future__ import annotations

import math
from collections.abc import Mapping

from golden.config import DRAW_BITS, EXP_FRAC, DeviceConfig
from golden.protocol import Section
from hdl.boards.catalogue import ECP5, ICE40, Board, Resources
from hdl.compact.assembler import REGISTERS
from hdl.compact.firmware import firmware
from hdl.compact.instructions import WORD_BITS
from hdl.compact.places import TABLE_BITS, Places
from hdl.compact.store import BANK_WORDS, HALVES
from hdl.engine import scan_beats
from hdl.layouts import all_beats, column_bits, event_bits, factor_bits, row_values, total_bits
from hdl.memory import ROW_BLOCK, row_addresses
from hdl.observations import observation
from hdl.options import MULTIPLICATIONS_PER_ROW, CoreOptions
from hdl.potentials import MOST_REGISTER_WORDS
from hdl.softmax import queue_depth

ECP5_BLOCKS = {512: 36, 1024: 18, 2048: 9, 4096: 4}
"""Words and bits of a block memory of an ECP5."""

ICE40_BLOCKS = {256: 16, 512: 8, 1024: 4, 2048: 2}
"""The same of an iCE40."""

MOST_IN_TABLES = 32 * 128
"""Yosys makes a memory of tables where those cost less than blocks; for an ECP5 that is at about so many bits."""


def blocks(shapes: dict[int, int], words: int, bits: int) -> int:
    """Block memories of the cheapest shape."""
    return min(math.ceil(words / depth) * math.ceil(bits / width) for depth, width in shapes.items())


ECP5_TABLES = {
    "fixed": 4160.0,
    "softmax": 1222.0,
    "scan": 0.514,
    "sums": 0.85,
    "small": 2.48,
    "depth": 2.12,
    "read": 1.0,
    "learning": 3389.0,
    "learning_lanes": 322.0,
    "descent_lanes": 246.0,
    "moment_lanes": 608.0,
}
ECP5_REGISTERS = {
    "fixed": 1828.0,
    "softmax": 501.0,
    "lanes": 1.218,
    "within": -1.1,
    "potentials": 1.0,
    "learning": 1054.0,
    "learning_lanes": 230.0,
    "second_lanes": 72.0,
    "descent_lanes": 150.0,
    "moment_lanes": 283.0,
}
"""Tables and flip-flops of an ECP5 per unit of :func:`_amounts`: fitted to twelve builds, the last three of the
flip-flops to two more, and what is within multipliers to three with that."""

SMALL_WORDS, SMALL_BITS = 16, 4
"""A memory of tables of an ECP5."""

ECP5_LINK_BLOCKS, ICE40_LINK_BLOCKS = 2, 8
"""Block memories of the link's buffers."""

ICE40_LOGIC = {
    "fixed": 3500.0,
    "sums": 4.0,
    "scan": 1.0,
    "softmax": 500.0,
    "learning": 2000.0,
    "learning_lanes": 354.0,
    "descent_lanes": 246.0,
    "moment_lanes": 400.0,
}
"""Cells of an iCE40, its memories left out."""

COMPACT_LOGIC = {ECP5.name: (2965, 867), ICE40.name: (2650, 2650)}
"""Tables and flip-flops of a compact core with link and UART, which hardly depend on the device it is."""

COMPACT_MULTIPLIERS = 5
"""Four of the product, one of the rows."""

TREE_SHARE = 2 / 3
"""Tables per bit of the tree behind a read port."""


def area(board: Board, config: DeviceConfig, options: CoreOptions) -> Resources:
    """What a build takes of a board.

    Multipliers and block memories follow from how Yosys maps them. Tables and flip-flops are sums over the parts, with
    constants that have been fitted to builds.

    Raises
    ------
    SvpgError: a compact core cannot be this device.
    """
    if options.compact:
        return _compact(board, config, options)
    return _ecp5(config, options) if board.family is ECP5 else _ice40(config, options)


def _products(width: int, left: int, right: int) -> int:
    """Multipliers of ``width`` × ``width`` bits that a product takes."""
    return math.ceil(left / width) * math.ceil(right / width)


def _multipliers(width: int, config: DeviceConfig, options: CoreOptions) -> int:
    """Multipliers of a build."""
    lane = factor_bits(config) if options.learns and options.shared else config.weight_bits
    # Of the reciprocal and of the draw, whose sum may be a bit wider than a multiplier without costing another.
    group = 0 if options.in_logic else 1 + _products(width, total_bits(config) - 1, DRAW_BITS)
    learning = 0
    if options.learns:
        learning = MULTIPLICATIONS_PER_ROW
        if not options.shared:
            learning += config.lanes * _products(width, factor_bits(config), 12)
        if options.products == 2:
            learning += config.lanes * _products(width, column_bits(config), 12)
    return (
        options.wide(config).lanes * _products(width, lane, 12)
        + options.softmax_lanes * _products(width, 17, 18)
        + group
        + learning
    )


def _row_memories(config: DeviceConfig, options: CoreOptions) -> list[tuple[int, int]]:
    """Rows and bits of the memories of row words; those of which several are taken at once lie there once more."""
    rows = len(row_addresses(config))
    memories = [(rows, row_values(config, section).size) for section in options.abilities.sections]
    if options.words > 1:
        wide = len(row_addresses(options.wide(config)))
        memories += [(wide, row_values(config, Section.WEIGHT).size)] * options.words
    return memories


def _amounts(config: DeviceConfig, options: CoreOptions) -> dict[str, float]:
    """What there is of each part of a build.

    ``fixed``: link, command reader, random generator, courses; ``softmax``: its lanes; ``scan``: bits of potentials at
    the places that its lanes choose among; ``sums``: bits of potentials that products enter at once; ``small``:
    memories of tables; ``depth``: bits of rows, per block memory that lies behind the first; ``read``: bits that are
    read back lane by lane; ``lanes``: bits of registers behind the weights, and of the product, at each lane of
    inference; ``within``: those of them that multipliers take in (:mod:`hdl.boards.absorb`); ``potentials``: those
    that lie in registers; ``learning``: whether it does; and its lanes, those with a second product, those of an
    optimiser that needs the mean gradient, and those of one with second moments.
    """
    wide, softmax, bits = options.wide(config), options.softmax_lanes, config.potential_bits
    beats, learns = scan_beats(wide, softmax), options.learns
    in_registers = wide.row_words <= MOST_REGISTER_WORDS
    # Read by what enters, and by a scan in one word or two.
    ports = 2 + any(beat.offset + beat.size > wide.lanes for beat in beats)
    small = 0 if in_registers else ports * wide.lanes * _small(_banked_words(wide), bits)
    small += (5 if learns else 2) * _small(all_beats(config, softmax), softmax * config.activity.bits)
    if learns and config.row_words > MOST_REGISTER_WORDS:
        small += 2 * config.lanes * _small(config.row_words, column_bits(config))
    product = config.weight_bits + event_bits(config)
    lane = 2 * config.weight_bits + product + (0 if in_registers else bits)
    within = (0 if learns and options.shared else product) + (config.weight_bits if options.words > 1 else 0)
    return {
        "fixed": 1,
        "softmax": softmax,
        "scan": softmax * bits * len({beat.offset for beat in beats}),
        "sums": wide.lanes * bits,
        "small": small,
        "depth": sum(width * (math.ceil(rows / ROW_BLOCK) - 1) for rows, width in _row_memories(config, options)),
        "read": row_values(config, Section.WEIGHT).size,
        "lanes": wide.lanes * lane,
        "within": wide.lanes * within,
        "potentials": 2 * bits * wide.lanes * wide.row_words if in_registers else 0,
        "learning": learns,
        "learning_lanes": config.lanes * learns,
        "second_lanes": config.lanes * (learns and options.products == 2),
        "descent_lanes": config.lanes * options.abilities.has_descent,
        "moment_lanes": config.lanes * options.abilities.has_moments,
    }


def _total(terms: Mapping[str, float], config: DeviceConfig, options: CoreOptions) -> int:
    """Cells of a build, from those per unit of each part."""
    amounts = _amounts(config, options)
    return round(sum(each * amounts[part] for part, each in terms.items()))


def _banked_words(config: DeviceConfig) -> int:
    """Words of a memory of potentials, which has two banks."""
    return 2 << (max(config.row_words, 2) - 1).bit_length()


def _small(words: int, bits: int) -> int:
    """Memories of tables for one with a read port."""
    return math.ceil(words / SMALL_WORDS) * math.ceil(bits / SMALL_BITS)


def _ecp5(config: DeviceConfig, options: CoreOptions) -> Resources:
    memories = [*_row_memories(config, options), (config.inputs, observation(config).size)]
    block_rams = sum(blocks(ECP5_BLOCKS, words, bits) for words, bits in memories if words * bits > MOST_IN_TABLES)
    # Two read ports of the table of exponents share a block.
    block_rams += math.ceil(options.softmax_lanes / 2) * blocks({1024: 18}, 1 << config.exp_index_bits, EXP_FRAC + 1)
    return Resources(
        luts=_total(ECP5_TABLES, config, options),
        registers=_total(ECP5_REGISTERS, config, options),
        multipliers=_multipliers(18, config, options),
        block_rams=block_rams + ECP5_LINK_BLOCKS,
    )


def _ice40(config: DeviceConfig, options: CoreOptions) -> Resources:
    """An iCE40 has no small memories: what is read without a clock becomes flip-flops, and a tree behind each port."""
    wide, softmax = options.wide(config), options.softmax_lanes
    block_rams = sum(blocks(ICE40_BLOCKS, rows, bits) for rows, bits in _row_memories(config, options))
    block_rams += softmax * blocks(ICE40_BLOCKS, 1 << config.exp_index_bits, EXP_FRAC + 1)
    beats, depth = all_beats(config, softmax), queue_depth(config, softmax)
    queue_bits = (softmax + 1) * config.potential_bits + softmax * (EXP_FRAC + 1) + 2 * total_bits(config) + 24
    activity_bits = beats * softmax * config.activity.bits
    # Bits of each memory and its read ports.
    memories = [
        (_banked_words(wide) * wide.lanes * config.potential_bits, 2 + (softmax > 1)),
        (depth * queue_bits, 1),
        (activity_bits * (2 if options.learns else 1), 1),
    ]
    if options.learns:
        memories.append((2 * max(config.row_words, 2) * config.lanes * column_bits(config), 1))
    stored = sum(bits for bits, _ in memories)
    read = sum(bits * ports for bits, ports in memories)
    logic = _total(ICE40_LOGIC, config, options)
    return Resources(
        luts=round(logic + stored + TREE_SHARE * read),
        registers=round(logic + stored + TREE_SHARE * read),
        multipliers=_multipliers(16, config, options),
        block_rams=block_rams + ICE40_LINK_BLOCKS,
    )


def _compact(board: Board, config: DeviceConfig, options: CoreOptions) -> Resources:
    """A compact core: memories of its program, registers, table and potentials, and the store."""
    places = Places(config, options.abilities, options.softmax_lanes)
    is_ecp5 = board.family is ECP5
    shapes = ECP5_BLOCKS if is_ecp5 else ICE40_BLOCKS
    instructions = len(firmware(places).instructions)
    # Two copies of the registers, one for each that an instruction reads.
    memories = [(instructions, WORD_BITS), *[(REGISTERS, WORD_BITS)] * 2, (len(places.table), TABLE_BITS)]
    memories.append((config.neurons, WORD_BITS))
    stores = 0 if is_ecp5 else HALVES * math.ceil(places.size / BANK_WORDS)
    if is_ecp5:
        memories.append((places.size, WORD_BITS))
    blocks_of_link = ECP5_LINK_BLOCKS if is_ecp5 else ICE40_LINK_BLOCKS
    tables, registers = COMPACT_LOGIC[board.family.name]
    return Resources(
        luts=tables,
        registers=registers,
        multipliers=COMPACT_MULTIPLIERS,
        block_rams=sum(blocks(shapes, words, bits) for words, bits in memories) + blocks_of_link,
        big_rams=stores,
    )
