"""docs/protocol.md states the frames that the code speaks."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest

from golden.arguments import OPTIMISERS, POLICIES, RULES, apply_limits
from golden.config import DeviceConfig
from golden.protocol import (
    FLAG_ACTIVITY,
    FLAG_COUNTERS,
    FLAG_GIVEN,
    FLAG_SPIKES,
    HEADER_BITS,
    INFO_ENUMS,
    INFO_HEAD,
    LAST,
    MEANINGS,
    PROTOCOL_VERSION,
    WORD_BITS,
    Command,
    Field,
    Section,
    Status,
    command_fields,
    flags_exist,
    frame_words,
    info_values,
    response_fields,
)
from golden.server import FrameServer

TEXT = (Path(__file__).parent.parent / "docs" / "protocol.md").read_text(encoding="utf-8")
# Sizes that differ from each other, so that no symbol can stand for another.
CONFIG = DeviceConfig(inputs=11, groups=3, group_size=5, actions=4, lanes=7, weight_bits=17, obs_bits=18, prob_frac=13)
SPIKING = CONFIG.replace(mode="spike", steps=37, window=4)
SYMBOLS = {"S": 11, "G": 3, "K": 5, "A": 4, "N": 19, "P": 30, "lanes": 7}
EXAMPLE = DeviceConfig(inputs=1, groups=1, group_size=2, actions=2, lanes=2)


def table(name: str) -> list[list[str]]:
    """Cells of a table between its marks, without its head."""
    body = TEXT.split(f"<!-- {name} -->")[1].split(f"<!-- /{name} -->")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in body.strip().splitlines()[2:]]


def number(cell: str) -> int:
    """Value of a symbol, a field of the configuration, either and one, or a product."""
    if " × " in cell:
        return math.prod(number(factor.strip("()")) for factor in cell.split(" × "))
    symbol, *more = cell.split(" + ")
    value = int(symbol) if symbol.isdigit() else SYMBOLS.get(symbol) or int(getattr(SPIKING, symbol))
    return value + sum(int(part) for part in more)


def stated_fields(command: Command, kind: str, flags: tuple[str, ...]) -> tuple[Field, ...]:
    """Rows of the frames table that make one frame."""
    fields = []
    for frames, name, count, bits, signed, _ in table("frames"):
        for frame in frames.split(", "):
            if frame == f"`{command.name}` {kind}":
                condition = re.search(r", if ([\w ]+?)(?: in (\w+ mode))?$", frames)
                alternatives = [set(part.split(" or ")) for part in condition.groups() if part] if condition else []
                if all(alternative & set(flags) for alternative in alternatives):
                    fields.append(Field(name.strip("`"), number(count), number(bits), signed == "yes"))
    return tuple(fields)


def test_the_version_and_the_form_of_words_and_headers() -> None:
    assert re.findall(r"# Device protocol, version (\d+)", TEXT) == [str(PROTOCOL_VERSION)]
    assert f"streams of {WORD_BITS}-bit **words**" in TEXT
    assert f"`payload` ({WORD_BITS + 1} bits" in TEXT
    assert f"{LAST} added to a marked word" in TEXT
    assert f"command in bits {HEADER_BITS - 1}…0, in bits {WORD_BITS - 1}…{HEADER_BITS} the flags" in TEXT


def test_commands_and_statuses_are_those_of_the_code() -> None:
    assert {(name.strip("`"), int(code)) for name, code, *_ in table("commands")} == {
        (c.name, c.value) for c in Command
    }
    stated = [(name.strip("`"), int(code), meaning) for name, code, meaning in table("statuses")]
    assert stated == [(status.name, status.value, MEANINGS[status]) for status in Status]


def test_flags_are_those_of_the_code() -> None:
    rows = [(name.strip("`"), int(value)) for _, name, value, _ in table("flags")]
    assert rows == [
        *((section.name, section.value) for section in Section),
        *POLICIES.items(),
        ("given", FLAG_GIVEN),
        ("activity", FLAG_ACTIVITY),
        ("spikes", FLAG_SPIKES),
        *RULES.items(),
        ("counters", FLAG_COUNTERS),
        *OPTIMISERS.items(),
    ]


@pytest.mark.parametrize("command", Command)
def test_a_command_takes_exactly_the_flags_listed(command: Command) -> None:
    allowed = {
        Command.INFO: {0},
        Command.LOAD: set(Section),
        Command.READ: set(Section),
        Command.INFER: {
            policy | given | activity
            for policy in POLICIES.values()
            for given in (0, FLAG_GIVEN)
            for activity in (0, FLAG_ACTIVITY)
            if not given or policy == POLICIES["conditional"]
        },
        Command.LEARN: {rule | counters for rule in RULES.values() for counters in (0, FLAG_COUNTERS)},
        Command.APPLY: set(OPTIMISERS.values()),
        Command.CLEAR: {0},
    }
    spiking = {
        Command.INFER: {
            POLICIES[policy] | activity | spikes
            for policy in ("sample", "greedy")
            for activity in (0, FLAG_ACTIVITY)
            for spikes in (0, FLAG_SPIKES)
        },
        Command.LEARN: {
            RULES[rule] | counters for rule in ("published", "contrastive") for counters in (0, FLAG_COUNTERS)
        },
    }
    for config, flags_of in ((CONFIG, allowed), (SPIKING, allowed | spiking)):
        taken = {flags for flags in range(1 << HEADER_BITS) if flags_exist(config, command, flags)}
        assert taken == flags_of[command], config.mode


def named_flags(command: Command, flags: int) -> tuple[str, ...]:
    """Names that the table has for the flags of a command."""
    numbered = {name: value for of, name, value in flag_rows() if command.name in of}
    exclusive = {
        Command.LOAD: [section.name for section in Section],
        Command.READ: [section.name for section in Section],
        Command.INFER: list(POLICIES),
        Command.LEARN: list(RULES),
        Command.APPLY: list(OPTIMISERS),
    }.get(command, [])
    chosen = [name for name in exclusive if numbered[name] == flags & 3]
    return (*chosen, *(name for name, value in numbered.items() if name not in exclusive and flags & value))


def flag_rows() -> list[tuple[str, str, int]]:
    """Commands, name and value of each row of the flags table."""
    return [(of, name.strip("`"), int(value)) for of, name, value, _ in table("flags")]


EVERY_FRAME = [
    (config, command, flags)
    for config in (CONFIG, SPIKING)
    for command in Command
    for flags in range(256)
    if flags_exist(config, command, flags)
]


@pytest.mark.parametrize(("config", "command", "flags"), EVERY_FRAME)
def test_frames_hold_the_fields_listed(config: DeviceConfig, command: Command, flags: int) -> None:
    names = named_flags(command, flags)
    mode = (f"{config.mode} mode",)
    assert stated_fields(command, "command", names + mode) == command_fields(config, command, flags)
    assert stated_fields(command, "response", names + mode) == response_fields(config, command, flags)


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_arguments_of_an_update_have_the_limits_listed(optimiser: str) -> None:
    allowed = {name.strip("`"): cell for frames, name, *_, cell in table("frames") if frames == "`APPLY` command"}
    cell = ""
    for name, limits in apply_limits(CONFIG, optimiser).items():
        cell = cell if allowed[name] == "the same" else allowed[name].replace("−", "-")
        general, _, special = cell.partition(", of `sign` ")
        low, high = (special if special and optimiser == "sign" else general).split("…")
        assert (int(low), number(high)) == limits, name


def test_words_over_a_link_are_those_of_the_frames() -> None:
    pendulum = DeviceConfig(inputs=4, groups=8, group_size=8, actions=5, lanes=69)
    frames = {
        "`INFER`": (Command.INFER, 0),
        "`INFER` with activity": (Command.INFER, FLAG_ACTIVITY),
        "`LEARN`, contrastive, without counters": (Command.LEARN, RULES["contrastive"]),
        "`LEARN`, published or conditional, without counters": (Command.LEARN, RULES["published"]),
        "`LEARN`, contrastive, with counters": (Command.LEARN, RULES["contrastive"] | FLAG_COUNTERS),
        "`APPLY`": (Command.APPLY, 0),
    }
    stated = {name: (int(down), int(up)) for name, down, up in table("link")}
    assert stated == {
        name: (
            frame_words(command_fields(pendulum, command, flags)),
            frame_words(response_fields(pendulum, command, flags)),
        )
        for name, (command, flags) in frames.items()
    }


def test_the_values_of_info_come_in_the_order_listed() -> None:
    names = [name for cells in table("info") for name in re.findall(r"`(\w+)`", cells[0])]
    assert names == list(info_values(CONFIG, 0))
    assert tuple(names[: len(INFO_HEAD)]) == INFO_HEAD


@pytest.mark.parametrize("name", INFO_ENUMS)
def test_names_have_the_numbers_listed(name: str) -> None:
    (meaning,) = (cells[1] for cells in table("info") if f"`{name}`" in cells[0])
    assert [(int(n), value) for n, value in re.findall(r"(\d) `(\w+)`", meaning)] == list(enumerate(INFO_ENUMS[name]))


def words(line: str) -> list[int]:
    """Words of a line of the example."""
    return [int(word.strip("/"), 16) + LAST * word.endswith("/") for word in line.split()]


def test_the_model_answers_the_example_word_by_word() -> None:
    server = FrameServer(EXAMPLE)
    exchanges = re.findall(r"^    > (.*)\n    < (.*)$", TEXT, re.MULTILINE)
    assert len(exchanges) == len(re.findall(r"^    [<>]", TEXT, re.MULTILINE)) / 2 >= 10
    for command, response in exchanges:
        answer = server.exchange(np.array(words(command))).tolist()
        assert answer == words(response), " ".join(f"{word % LAST:04x}" for word in answer)
    assert {name: getattr(EXAMPLE, name) for name in ("neurons", "sources", "row_words")} == {
        "neurons": 4,
        "sources": 5,
        "row_words": 2,
    }
