"""What a build of the core offers to whoever puts it into a design: files, ports, streams, commands, resources."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Sequence
from typing import Any

from amaranth.hdl import Shape
from amaranth.lib.wiring import In

from golden.arguments import OPTIMISERS, POLICIES, RULES, policies
from golden.client import FrameDevice
from golden.config import CONTRACT_VERSION, DeviceConfig
from golden.device import Ints
from golden.protocol import (
    FLAG_ACTIVITY,
    FLAG_COUNTERS,
    FLAG_GIVEN,
    FLAG_SPIKES,
    MEANINGS,
    PROTOCOL_VERSION,
    Abilities,
    Command,
    Field,
    Status,
    Words,
    command_fields,
    frame_words,
    info_values,
    response_fields,
)
from golden.server import FrameServer
from hdl.core import Core

MODULE = "svpg"
"""Name of the exported module."""

CLOCK = {
    "clk": "clock; everything happens at its rising edge",
    "rst": "synchronous reset, active high; parameters stay",
}

STREAMS = {
    "commands": "command frames into the device",
    "responses": "response frames out of the device, one for each command, in order",
}

PARTS = {
    "payload": "a word in bits 15 to 0; bit 16 marks the last of a frame",
    "valid": "a word is offered, and stays until it is taken",
    "ready": "the word that is offered is taken in this cycle",
}

DOES = {
    Command.INFO: "tells versions and configuration",
    Command.LOAD: "writes one row word of a memory",
    Command.READ: "reads one row word of a memory",
    Command.INFER: "one decision",
    Command.LEARN: "adds the modulated eligibility of one sample to the accumulators",
    Command.APPLY: "updates all parameters from the accumulators and clears these",
    Command.CLEAR: "clears accumulators and second moments",
}

CONDITIONS = {
    Command.LOAD: "The values are those of the weights; other memories have values of their own formats.",
    Command.READ: "The values are those of the weights; other memories have values of their own formats.",
    Command.INFER: "`given` is there with its flag only, `q_raw` with that of the activity.",
    Command.LEARN: "`given` is there for the rules but the contrastive one, its results with their flag only.",
}
"""What the flags of a command change in its frames."""

SPIKE_CONDITIONS = {
    Command.INFER: "`q_raw` is there with the flag of the activity only, `spikes` with its own.",
    Command.LEARN: "Its results are there with their flag only.",
}
"""The same where spike mode differs."""

FORMATS = ("weight", "obs", "activity", "probability")
"""Number formats that cross the interface; those of learning come to it in :func:`formats`."""

LEARNING_FORMATS = ("modulator", "accumulator", "moment")


def ports(core: Core) -> list[dict[str, Any]]:
    """Every port of the module."""
    found: list[dict[str, Any]] = [
        {"name": name, "direction": "input", "bits": 1, "is": text} for name, text in CLOCK.items()
    ]
    for path, member, _ in core.signature.flatten(core):
        stream, part = path
        found.append(
            {
                "name": "__".join(path),
                "direction": "input" if member.flow is In else "output",
                "bits": Shape.cast(member.shape).width,
                "is": f"{stream}: {PARTS[part]}",
            }
        )
    return found


def formats(config: DeviceConfig, abilities: Abilities) -> dict[str, dict[str, Any]]:
    """Number formats that cross the interface of a build."""
    more = LEARNING_FORMATS[: 2 + abilities.has_moments] if abilities.learns else ()
    return {
        name: {"bits": form.bits, "frac": form.frac, "signed": form.signed}
        for name, form in ((name, getattr(config, name)) for name in (*FORMATS, *more))
    }


def flags(config: DeviceConfig, command: Command, abilities: Abilities) -> dict[str, int]:
    """Flags of a command by name."""
    match command:
        case Command.LOAD | Command.READ:
            return {f"section {section.name.lower()}": int(section) for section in abilities.sections}
        case Command.INFER:
            choices = {f"policy {name}": POLICIES[name] for name in policies(config)}
            special = {"spikes": FLAG_SPIKES} if config.spikes else {"given": FLAG_GIVEN}
            return {**choices, "activity": FLAG_ACTIVITY, **special}
        case Command.LEARN:
            known = abilities.within(config).rules
            rules = {f"rule {name}": number for name, number in RULES.items() if name in known}
            return {**rules, "counters": FLAG_COUNTERS}
        case Command.APPLY:
            return {f"optimiser {name}": n for name, n in OPTIMISERS.items() if name in abilities.optimisers}
    return {}


def layout(fields: Sequence[Field]) -> list[dict[str, Any]]:
    """Where the values of a frame are: words of each from which word on."""
    rows: list[dict[str, Any]] = [
        {"name": "header", "first_word": 0, "words": 1, "count": 1, "bits": 16, "signed": False}
    ]
    at = 1
    for field in fields:
        rows.append(
            {
                "name": field.name,
                "first_word": at,
                "words": field.words,
                "count": field.count,
                "bits": field.bits,
                "signed": field.signed,
            }
        )
        at += field.words
    return rows


def commands(config: DeviceConfig, abilities: Abilities) -> list[dict[str, Any]]:
    """Every command with the words of its frames, with all flags that add words."""
    longest = {
        Command.INFER: FLAG_ACTIVITY | (FLAG_SPIKES if config.spikes else FLAG_GIVEN | POLICIES["conditional"]),
        Command.LEARN: FLAG_COUNTERS | min(RULES[name] for name in abilities.rules or RULES),
    }
    found = []
    for command in abilities.commands:
        every = longest.get(command, 0)
        asked, answered = command_fields(config, command, every), response_fields(config, command, every)
        found.append(
            {
                "name": command.name,
                "code": int(command),
                "does": DOES[command],
                "flags": flags(config, command, abilities),
                "command": layout(asked),
                "command_words": frame_words(asked),
                "response": layout(answered),
                "response_words": frame_words(answered),
            }
        )
    return found


_MODULE = re.compile(r"^module \\?([^\s(]+)", re.MULTILINE)
_MEMORY = re.compile(
    r"^ *reg (?:signed )?\[(?P<high>\d+):0\] \\?(?P<array>\S+) +?\[(?P<last>\d+):0\];"
    # The large ones are instances of a module of their own (hdl/verilog.py).
    r"|^ *zeroed_memory #\((?P<sizes>[^;]*?)\) \\?(?P<instance>\S+) +\(",
    re.MULTILINE,
)


def memories(verilog: str) -> list[dict[str, Any]]:
    """Memories of a Verilog text, the largest first; their names say which module they are in."""
    modules = [(match.start(), match[1]) for match in _MODULE.finditer(verilog)]
    found = []
    for match in _MEMORY.finditer(verilog):
        module = [name for start, name in modules if start < match.start()][-1]
        if match["sizes"] is None:
            name, bits, words = match["array"], int(match["high"]) + 1, int(match["last"]) + 1
        else:
            sizes = dict(re.findall(r"\.(\w+)\(32'd(\d+)\)", match["sizes"]))
            name, bits, words = match["instance"], int(sizes["WIDTH"]), int(sizes["DEPTH"])
        found.append({"name": f"{module}.{name}", "bits": bits, "words": words})
    return sorted(found, key=lambda memory: -memory["bits"] * memory["words"])


def describe(core: Core, verilog: str) -> dict[str, Any]:
    """The interface of a build, as plain values.

    Parameters
    ----------
    verilog: its text, from which the memories are taken.
    """
    config, options = core.config, core.options
    abilities = options.abilities
    stores = memories(verilog)
    return {
        "module": MODULE,
        "protocol": PROTOCOL_VERSION,
        "contract": CONTRACT_VERSION,
        "digest": f"{config.digest:08x}",
        "configuration": config.to_dict(),
        "options": dataclasses.asdict(options),
        "sizes": {"neurons": config.neurons, "sources": config.sources, "row_words": config.row_words},
        "formats": formats(config, abilities),
        "ports": ports(core),
        "streams": STREAMS,
        "commands": commands(config, abilities),
        "statuses": [{"name": status.name, "code": int(status), "is": MEANINGS[status]} for status in Status],
        "info": info_values(config, options.softmax_lanes, abilities),
        "resources": {
            "multipliers": options.multipliers(config),
            "memory_kbit": round(sum(memory["bits"] * memory["words"] for memory in stores) / 1024, 2),
            "memories": stores,
        },
    }


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(str(cell) for cell in row) + " |"
    yield ""


def _frame(title: str, rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    cells = []
    for row in rows:
        first, last = row["first_word"], row["first_word"] + row["words"] - 1
        place = f"{first}…{last}" if last > first else str(first)
        cells.append((place, f"`{row['name']}`", row["count"], row["bits"], "yes" if row["signed"] else "no"))
    yield from (f"{title}:", "")
    yield from _table(("words", "values", "count", "bits", "signed"), cells)


def markdown(data: dict[str, Any]) -> str:
    """The description for people, from :func:`describe`."""
    resources = data["resources"]
    lines = [
        f"# Module `{data['module']}`",
        "",
        f"Configuration {data['digest']}, protocol version {data['protocol']}, numeric contract version "
        f"{data['contract']}.",
        "",
        "## Ports",
        "",
        *_table(
            ("port", "direction", "bits", "is"),
            [(f"`{port['name']}`", port["direction"], port["bits"], port["is"]) for port in data["ports"]],
        ),
        "## Streams",
        "",
        *(f"- `{name}`: {text}" for name, text in data["streams"].items()),
        "",
        "A word passes at a rising edge at which `valid` and `ready` are both high. A run of words of which the last",
        "carries the mark is a frame; values wider than a word take several, the lowest first, signed ones extended to",
        "whole words. The first word, the header, has the command in bits 7 to 0 and in bits 15 to 8 the flags, in the",
        "response the status. The device waits as long as it takes for the rest of a frame, and for its response to be",
        "taken.",
        "",
        "## Commands",
        "",
    ]
    conditions = CONDITIONS | (SPIKE_CONDITIONS if data["configuration"]["mode"] == "spike" else {})
    for command in data["commands"]:
        given = ", ".join(f"{name} {value}" for name, value in command["flags"].items()) or "none"
        lines += [f"### `{command['name']}` ({command['code']}): {command['does']}", "", f"Flags: {given}.", ""]
        condition = conditions.get(Command(command["code"]))
        if condition:
            lines += [condition, ""]
        lines += [*_frame("Command", command["command"]), *_frame("Response", command["response"])]
    lines += [
        "### Statuses",
        "",
        "Anything but `OK` comes alone, and nothing has changed.",
        "",
        *_table(
            ("status", "code", "meaning"),
            [(f"`{status['name']}`", status["code"], status["is"]) for status in data["statuses"]],
        ),
        "## Formats",
        "",
        *_table(
            ("numbers", "bits", "fraction bits", "signed"),
            [
                (name, form["bits"], form["frac"], "yes" if form["signed"] else "no")
                for name, form in data["formats"].items()
            ],
        ),
        "## Configuration",
        "",
        *_table(("field", "value"), [(f"`{name}`", value) for name, value in data["configuration"].items()]),
        "Build options:",
        "",
        *_table(("option", "value"), [(f"`{name}`", value) for name, value in data["options"].items()]),
        "## Resources",
        "",
        f"{resources['multipliers']} multipliers, {resources['memory_kbit']} kbit of memory:",
        "",
        *_table(
            ("memory", "bits of a word", "words", "kbit"),
            [
                (f"`{store['name']}`", store["bits"], store["words"], f"{store['bits'] * store['words'] / 1024:.2f}")
                for store in resources["memories"]
            ],
        ),
    ]
    return "\n".join(lines)


class _Recorder:
    """A link to a golden device that keeps the commands that go over it."""

    def __init__(self, config: DeviceConfig) -> None:
        self._server = FrameServer(config)
        self.words: list[int] = []

    def exchange(self, words: Words, responses: int) -> Words:
        """Answer as golden does."""
        self.words += words.tolist()
        return self._server.exchange(words, responses)


def load_frames(config: DeviceConfig, weight: Ints, bias: Ints) -> list[int]:
    """Command words that load raw parameters, last words marked in bit 16."""
    recorder = _Recorder(config)
    device = FrameDevice(config, recorder)
    recorder.words.clear()
    device.load("weight", weight)
    device.load("bias", bias)
    return recorder.words
