"""docs/protocol.md states the frames that the code speaks."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from golden.arguments import POLICIES
from golden.config import DeviceConfig
from golden.protocol import (
    FLAG_ACTIVITY,
    FLAG_GIVEN,
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
    info_values,
    response_fields,
)
from golden.server import FrameServer

TEXT = (Path(__file__).parent.parent / "docs" / "protocol.md").read_text(encoding="utf-8")
# Sizes that differ from each other, so that no symbol can stand for another.
CONFIG = DeviceConfig(inputs=11, groups=3, group_size=5, actions=4, lanes=7, weight_bits=17, obs_bits=18, prob_frac=13)
SYMBOLS = {"S": 11, "G": 3, "K": 5, "A": 4, "N": 19, "P": 30, "lanes": 7}
EXAMPLE = DeviceConfig(inputs=1, groups=1, group_size=2, actions=2, lanes=2)


def table(name: str) -> list[list[str]]:
    """Cells of a table between its marks, without its head."""
    body = TEXT.split(f"<!-- {name} -->")[1].split(f"<!-- /{name} -->")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in body.strip().splitlines()[2:]]


def number(cell: str) -> int:
    """Value of a symbol, a field of the configuration, or either and one."""
    symbol, *more = cell.split(" + ")
    value = int(symbol) if symbol.isdigit() else SYMBOLS.get(symbol) or int(getattr(CONFIG, symbol))
    return value + sum(int(part) for part in more)


def stated_fields(command: Command, kind: str, flags: tuple[str, ...]) -> tuple[Field, ...]:
    """Rows of the frames table that make one frame."""
    fields = []
    for frames, name, count, bits, signed, _ in table("frames"):
        for frame in frames.split(", "):
            if frame == f"`{command.name}` {kind}":
                condition = re.search(r", if (\w+)", frames)
                if condition is None or condition[1] in flags:
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
    }[command]
    assert {flags for flags in range(1 << HEADER_BITS) if flags_exist(command, flags)} == allowed


@pytest.mark.parametrize("command", Command)
@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("activity", [False, True])
def test_frames_hold_the_fields_listed(command: Command, given: bool, activity: bool) -> None:
    flags = FLAG_GIVEN * given | FLAG_ACTIVITY * activity
    conditions = ("given",) * given + ("activity",) * activity
    assert stated_fields(command, "command", conditions) == command_fields(CONFIG, command, flags)
    assert stated_fields(command, "response", conditions) == response_fields(CONFIG, command, flags)


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
        assert server.exchange(np.array(words(command))).tolist() == words(response)
    assert {name: getattr(EXAMPLE, name) for name in ("neurons", "sources", "row_words")} == {
        "neurons": 4,
        "sources": 5,
        "row_words": 2,
    }
