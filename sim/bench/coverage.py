"""Functional coverage: what a bench of the core has to have seen, and a report of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from golden.arguments import OPTIMISERS, POLICIES, RULES, policies
from golden.config import DeviceConfig
from golden.kernels import OBSERVATION
from golden.protocol import (
    FLAG_ACTIVITY,
    FLAG_COUNTERS,
    FLAG_GIVEN,
    FLAG_SPIKES,
    HEADER_BITS,
    LAST,
    POLICY_FLAGS,
    ROW_WORDS,
    RULE_FLAGS,
    WORD_BITS,
    Abilities,
    Command,
    Section,
    Status,
    command_fields,
    response_fields,
    unpack,
)
from hdl.decision import first_sampled_pass

REFUSALS = {
    Command.INFO: (Status.FLAGS, Status.LENGTH),
    Command.LOAD: (Status.FLAGS, Status.LENGTH, Status.ADDRESS, Status.VALUE),
    Command.READ: (Status.FLAGS, Status.LENGTH, Status.ADDRESS),
    Command.INFER: (Status.FLAGS, Status.LENGTH, Status.VALUE),
    Command.LEARN: (Status.FLAGS, Status.LENGTH, Status.VALUE),
    Command.APPLY: (Status.FLAGS, Status.LENGTH, Status.VALUE),
    Command.CLEAR: (Status.FLAGS, Status.LENGTH),
}
"""What each command can be refused for."""

RESETS = ("a command", "the work", "a response")
"""What a reset can interrupt."""


class Coverage:
    """Counts how often each point has been seen.

    Parameters
    ----------
    config, abilities: the device; decides which points there are.

    Attributes
    ----------
    points: names of all points, in order.
    """

    def __init__(self, config: DeviceConfig, abilities: Abilities) -> None:
        self.config, self.abilities = config, abilities.within(config)
        self.points = list(self._declared())
        self.seen: Counter[str] = Counter()

    def _declared(self) -> Iterator[str]:
        yield "unknown command"
        for command in self.abilities.commands:
            yield f"{command.name} {Status.OK.name}"
            for status in REFUSALS[command]:
                yield f"{command.name} {status.name}"
        if self.abilities.learns:
            for rule in sorted(self.abilities.rules):
                yield f"rule {rule}"
            for optimiser in sorted(self.abilities.optimisers):
                yield f"optimiser {optimiser}"
            yield from (
                "modulator 0",
                "modulator at its ends",
                "a sample changes nothing",
                "a sample changes something",
            )
            yield from (
                f"{command} {section.name}" for section in self.abilities.sections for command in ("LOAD", "READ")
            )
        for kind in ("hidden", "action", "observation", "bias"):
            yield f"LOAD {kind} row"
        for policy in policies(self.config):
            yield f"policy {policy}"
        yield from ("spikes asked for", "spikes not asked for") if self.config.spikes else ("winners given",)
        yield from ("activity asked for", "activity not asked for")
        yield "no observation"
        if self.config.spans[OBSERVATION, 0] < self.config.spans[OBSERVATION, 1]:
            yield "every observation"
        yield "passes: all"
        if not self.config.spikes and self.config.iterations > first_sampled_pass(self.config):
            yield "passes: fixed point earlier"
        yield from ("winner first in its group", "winner last in its group")
        yield from ("activity 0", "activity 1", "action probability 1")
        yield from (f"reset in {state}" for state in RESETS)

    def sees_reset(self, left: int, answered: int, answer: int) -> None:
        """Note a reset: words of the command that are left, words of its response that have come and all there are."""
        if left:
            self.seen[f"reset in {RESETS[0]}"] += 1
        elif not answered:
            self.seen[f"reset in {RESETS[1]}"] += 1
        elif answered < answer:
            self.seen[f"reset in {RESETS[2]}"] += 1

    def sees(self, command: list[int], answer: list[int]) -> None:
        """Note a command frame and golden's answer, words with marks."""
        for point in self._points(command, answer):
            assert point in self.points or point == "every observation", point
            self.seen[point] += 1

    def _points(self, command: list[int], answer: list[int]) -> Iterator[str]:
        config = self.config
        code, flags = command[0] & 0xFF, (command[0] & (LAST - 1)) >> HEADER_BITS
        status = Status((answer[0] & (LAST - 1)) >> HEADER_BITS)
        if status == Status.COMMAND:
            yield "unknown command"
            return
        yield f"{Command(code).name} {status.name}"
        if status != Status.OK:
            return
        if code in (Command.LOAD, Command.READ) and self.abilities.learns:
            yield f"{Command(code).name} {Section(flags).name}"
        if code == Command.APPLY:
            yield f"optimiser {next(name for name, number in OPTIMISERS.items() if number == flags)}"
        if code == Command.LEARN:
            yield f"rule {next(name for name, number in RULES.items() if number == flags & RULE_FLAGS)}"
            words = np.array([command], dtype=np.uint32)
            modulator = int(unpack(command_fields(config, Command.LEARN, flags), words)["modulator"][0, 0])
            if modulator == 0:
                yield "modulator 0"
            if modulator in (config.modulator.low, config.modulator.high):
                yield "modulator at its ends"
            if flags & FLAG_COUNTERS:
                fields = response_fields(config, Command.LEARN, flags)
                touched = unpack(fields, np.array([answer], dtype=np.uint32))["learn_words"][0, 0]
                yield "a sample changes something" if touched else "a sample changes nothing"
        if code == Command.LOAD:
            row = sum((word & (LAST - 1)) << (WORD_BITS * i) for i, word in enumerate(command[1 : 1 + ROW_WORDS]))
            ends = {"hidden": config.hidden, "action": config.neurons, "observation": config.sources}
            yield f"LOAD {next((kind for kind, end in ends.items() if row < end), 'bias')} row"
        if code == Command.INFER:
            yield f"policy {next(name for name, number in POLICIES.items() if number == flags & POLICY_FLAGS)}"
            if flags & FLAG_GIVEN:
                yield "winners given"
            yield "activity asked for" if flags & FLAG_ACTIVITY else "activity not asked for"
            if config.spikes:
                yield "spikes asked for" if flags & FLAG_SPIKES else "spikes not asked for"
            fields = response_fields(config, Command.INFER, flags)
            result = unpack(fields, np.array([answer], dtype=np.uint32))
            observations = np.array(command[5 : 5 + config.inputs]) & (LAST - 1)
            if not observations.any():
                yield "no observation"
            if observations.all():
                yield "every observation"
            passes = int(result["iterations"][0, 0])
            most = config.steps if config.spikes else config.iterations
            if passes == most:
                yield "passes: all"
            elif passes < most:
                yield "passes: fixed point earlier"
            sizes = np.append(np.full(config.groups, config.group_size), config.actions)
            if (result["winners"][0] == 0).any():
                yield "winner first in its group"
            if (result["winners"][0] == sizes - 1).any():
                yield "winner last in its group"
            if (result["prob_raw"] == 1 << config.prob_frac).any():
                yield "action probability 1"
            if flags & FLAG_ACTIVITY:
                if (result["q_raw"] == 0).any():
                    yield "activity 0"
                if (result["q_raw"] == 1 << config.activity_frac).any():
                    yield "activity 1"

    def missing(self) -> list[str]:
        """Points that have not been seen."""
        return [point for point in self.points if not self.seen[point]]

    def report(self) -> str:
        """A line per point: how often it was seen."""
        return "\n".join(f"{self.seen[point]:8d}  {point}" for point in self.points)
