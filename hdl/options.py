"""What a build chooses freely: speed against area. No option changes an output bit."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from golden.arguments import OPTIMISERS, RULES
from golden.config import DeviceConfig
from golden.errors import SvpgError
from golden.protocol import Abilities

MULTIPLICATIONS_PER_GROUP = 2
"""The reciprocal's and the draw's."""

MULTIPLICATIONS_PER_ROW = 2
"""Of the modulator, with an activity and with its change."""

MOST_SOFTMAX_LANES = 8
"""More than this many neurons per cycle only help where moves are rare."""


@dataclass(frozen=True)
class CoreOptions:
    """Options of a build; ``DeviceConfig.lanes``, the synapses per row word, belongs to the contract instead.

    Parameters
    ----------
    softmax_lanes: neurons per cycle of scan, softmax, mover, sampler and traces; at most the lanes of a row word.
    rounds_per_cycle: of the random generator; 1, 2, 4 or 20.
    pipelined: a generator with a stage for every round instead, which has a block of draws in every cycle; spike mode
        only.
    in_logic: make the two multiplications per group, reciprocal and draw, of adders, which saves two multipliers.
    rules, optimisers: what the build learns with, names with commas between; none of either: it does not learn.
    shared: learning borrows the multipliers of inference; without, it has others, and what chooses between the two is
        saved.
    products: multipliers per lane when it learns; with 1 instead of 2, a row that has changed takes two cycles a word.
    banked: what decisions fetch weights from lies in banks as deep as a block, with registers behind them: a fetch
        takes a cycle more, and no way from a block goes far (:mod:`hdl.memory`).
    words: row words that inference takes per cycle, a power of two; learning, loading and reading take one, so that
        a fast decision does not need as many lanes that learn.
    compact: the core that takes one step after the other (docs/compact.md); all above but what it learns with do not
        apply.

    Raises
    ------
    SvpgError: an unknown rule or optimiser, or one without the other.
    """

    softmax_lanes: int = 4
    rounds_per_cycle: int = 1
    pipelined: bool = False
    in_logic: bool = False
    rules: str = ""
    optimisers: str = ""
    shared: bool = True
    products: int = 2
    banked: bool = False
    words: int = 1
    compact: bool = False

    def __post_init__(self) -> None:
        for what, known in (("rules", RULES), ("optimisers", OPTIMISERS)):
            unknown = names(getattr(self, what)) - frozenset(known)
            if unknown:
                raise SvpgError(
                    f"core.{what} = {getattr(self, what)!r}: {', '.join(sorted(unknown))} is unknown; "
                    f"choose among {', '.join(known)}"
                )
        if bool(self.rules) != bool(self.optimisers):
            raise SvpgError("core.rules and core.optimisers go together; give some of both, or none")
        if self.products not in (1, 2):
            raise SvpgError(f"core.products = {self.products} is not possible; give 1 or 2")
        if self.words < 1 or self.words & (self.words - 1):
            raise SvpgError(f"core.words = {self.words} is not possible; give a power of two")
        if self.words > 1 and self.learns and self.shared:
            raise SvpgError("core.words needs multipliers for learning alone; give core.shared=false as well")

    @classmethod
    def usual(cls, config: DeviceConfig, **options: Any) -> CoreOptions:
        """The build for a device of which no more is said: spikes need so many draws that it pays to pipeline them."""
        return cls(**{"pipelined": config.spikes, **options})

    @property
    def abilities(self) -> Abilities:
        """What the build learns with."""
        return Abilities(names(self.rules), names(self.optimisers))

    @property
    def learns(self) -> bool:
        """Whether the build learns."""
        return self.abilities.learns

    def wide(self, config: DeviceConfig) -> DeviceConfig:
        """A device as its inference sees it: a row word has the lanes of ``words`` of them.

        Raises
        ------
        SvpgError: ``words`` are not a share of the words of a row, or spikes are to go through more than one.
        """
        if self.words == 1:
            return config
        if config.spikes:
            raise SvpgError(f"core.words = {self.words} is for rate mode only; give 1")
        if config.row_words % self.words:
            raise SvpgError(
                f"core.words = {self.words} is no share of the {config.row_words} words of a row; set network.lanes so "
                f"that it is, or core.words=1"
            )
        return config.replace(lanes=config.lanes * self.words)

    def learning(self, rules: Iterable[str] = RULES, optimisers: Iterable[str] = OPTIMISERS) -> CoreOptions:
        """The same build with all rules and optimisers, or some."""
        return dataclasses.replace(self, rules=",".join(rules), optimisers=",".join(optimisers))

    @classmethod
    def within(cls, config: DeviceConfig, multipliers: int, **options: Any) -> CoreOptions:
        """The build of fewest cycles with a number of multipliers, other options given.

        Raises
        ------
        SvpgError: the lanes of a row word leave none for the softmax.
        """
        build = cls.usual(config, softmax_lanes=1, in_logic=True, **options)
        left = multipliers - build.multipliers(config) + 1
        if left < 1:
            raise SvpgError(
                f"{config.lanes} lanes do not fit {multipliers} multipliers; set lanes to {multipliers - 1} at most"
                if not build.learns
                else f"{config.lanes} lanes that learn do not fit {multipliers} multipliers; set lanes to "
                f"{(multipliers - MULTIPLICATIONS_PER_ROW - 1) // build.products} at most"
            )
        return dataclasses.replace(build, softmax_lanes=min(left, config.lanes, MOST_SOFTMAX_LANES))

    def multipliers(self, config: DeviceConfig) -> int:
        """Multipliers of a build: of the lanes of the engine and of the softmax, and those per group and per row.

        In spike mode the lanes have some for learning only.
        """
        per_group = 0 if self.in_logic else MULTIPLICATIONS_PER_GROUP
        learning = self.products if self.learns else 0
        inference = 0 if config.spikes else 1
        inference *= self.words
        lanes = config.lanes * (max(learning, inference) if self.shared else learning + inference)
        return lanes + self.softmax_lanes + per_group + (MULTIPLICATIONS_PER_ROW if self.learns else 0)


def names(text: str) -> frozenset[str]:
    """Names with commas between."""
    return frozenset(name.strip() for name in text.split(",") if name.strip())
