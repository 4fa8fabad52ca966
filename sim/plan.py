"""What a build will take of a board, how fast it will be, and which lanes suit the board, before any tool has run."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass

from golden.config import DeviceConfig
from golden.errors import SvpgError
from hdl.boards.area import area
from hdl.boards.catalogue import Board, Resources, excess, excesses
from hdl.options import MOST_SOFTMAX_LANES, CoreOptions
from sim.traffic import Traffic, decision_cycles, sample_cycles

MOST_LANES = 7
"""More lanes to a row word decide faster, but take longer to place and route, and not every placement meets the clock
(docs/results/boards.md); ``network.lanes`` asks for them. Their weights come from banks."""

CHOOSING = 4
"""Decisions by which candidates are compared."""


@dataclass(frozen=True)
class Plan:
    """A build for a board.

    Parameters
    ----------
    board, config, options: what would be built.
    needs: what it takes of the device.
    problems: why it does not fit, in words; empty if it does.
    decision_cycles: of a decision, mean.
    sample_cycles: of a learned sample, mean, by rule; empty if the build does not learn.
    """

    board: Board
    config: DeviceConfig
    options: CoreOptions
    needs: Resources
    problems: tuple[str, ...]
    decision_cycles: float
    sample_cycles: dict[str, float]

    @property
    def memory_kbit(self) -> int:
        """Block memory, whole blocks."""
        return self.needs.block_rams * self.board.family.block_kbit

    @property
    def core(self) -> str:
        """Which core, for people."""
        if self.options.compact:
            return "the compact core"
        words = f", {self.options.words} row words of them at once" if self.options.words > 1 else ""
        banks = ", weights in banks" if self.options.banked else ""
        return f"{self.config.lanes} lanes{words}{banks}, {self.options.softmax_lanes} softmax lanes"


@dataclass(frozen=True)
class Freedom:
    """What the planner may choose; the rest is given.

    Parameters
    ----------
    lanes: of a row word, which belongs to the contract.
    softmax_lanes: of the softmax.
    products: multipliers per lane of a build that learns, whether it borrows those of inference, and whether products
        per group are made in logic.
    banked: whether weights lie in banks.
    compact: which core.
    """

    lanes: bool = True
    softmax_lanes: bool = True
    products: bool = True
    banked: bool = True
    compact: bool = True


def plan(board: Board, traffic: Traffic, config: DeviceConfig, options: CoreOptions, freedom: Freedom) -> Plan:
    """The fastest build that fits or, if none does, the one that misses by least."""
    fitting: list[tuple[float, Plan]] = []
    missing: list[tuple[float, Plan]] = []
    for one_config, one_options in candidates(board, config, options, freedom):
        needs = area(board, one_config, one_options)
        problems = tuple(excesses(board, needs))
        if one_options.compact and fitting:
            continue
        cycles = 0.0 if problems else decision_cycles(traffic, one_config, one_options, CHOOSING)
        found = Plan(board, one_config, one_options, needs, problems, cycles, {})
        if problems:
            missing.append((excess(board, needs), found))
        else:
            fitting.append((cycles, found))
    best = min(fitting or missing, key=lambda entry: entry[0])[1]
    return dataclasses.replace(
        best,
        decision_cycles=decision_cycles(traffic, best.config, best.options),
        sample_cycles={
            rule: sample_cycles(traffic, best.config, best.options, rule)
            for rule in sorted(best.options.abilities.rules)
        },
    )


def candidates(
    board: Board, config: DeviceConfig, options: CoreOptions, freedom: Freedom
) -> Iterator[tuple[DeviceConfig, CoreOptions]]:
    """Builds worth a look: for each number of words in a row, the ways to spend the multipliers; and the compact core.

    That is the slowest of all by far, so it is looked at last, and asked for where nothing else fits.
    """
    if not options.compact:
        yield from _fast(board, config, options, freedom)
    if options.compact or freedom.compact:
        build = dataclasses.replace(options, compact=True)
        # A device of other widths is no candidate, unless it is asked for.
        with contextlib.nullcontext() if options.compact else contextlib.suppress(SvpgError):
            area(board, config, build)
            yield config, build


def _lanes_worth_it(config: DeviceConfig, words: int) -> list[int]:
    """The fewest lanes for each number of words in a row of which ``words`` are a share."""
    choices = sorted({math.ceil(config.neurons / number) for number in range(1, config.neurons + 1)})
    return [lanes for lanes in choices if not config.replace(lanes=lanes).row_words % words]


def _fast(
    board: Board, config: DeviceConfig, options: CoreOptions, freedom: Freedom
) -> Iterator[tuple[DeviceConfig, CoreOptions]]:
    """The candidates with the fast core."""
    lanes_choices = [config.lanes]
    if freedom.lanes:
        # Who asks for several words at once asks for more lanes than meet the clock of the board.
        most = min(board.resources.multipliers, MOST_LANES if options.words == 1 else config.neurons)
        lanes_choices = [lanes for lanes in _lanes_worth_it(config, options.words) if lanes <= most] or lanes_choices
    ways = [(options.shared, options.products, options.in_logic)]
    if freedom.products:
        # Of equal builds the first is taken: multipliers of their own make shorter paths, and only
        # they go with several words.
        shared_choices = (True,) if not options.learns else (False,) if options.words > 1 else (False, True)
        ways = [
            (shared, products, in_logic)
            for shared in shared_choices
            for products in ((2, 1) if options.learns else (2,))
            for in_logic in (False, True)
        ]
    for lanes in lanes_choices:
        for shared, products, in_logic in ways:
            build = dataclasses.replace(options, shared=shared, products=products, in_logic=in_logic)
            softmax_lanes = min(options.softmax_lanes, lanes)
            if freedom.softmax_lanes:
                rest = dataclasses.replace(build, softmax_lanes=0).multipliers(config.replace(lanes=lanes))
                softmax_lanes = max(1, min(board.resources.multipliers - rest, lanes, MOST_SOFTMAX_LANES))
            build = dataclasses.replace(build, softmax_lanes=softmax_lanes)
            if freedom.banked:
                build = dataclasses.replace(build, banked=lanes * build.words > MOST_LANES)
            yield config.replace(lanes=lanes), build
