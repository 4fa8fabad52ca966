"""``svpg rtl``."""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

from golden.files import make_folder, write_atomically
from golden.parameters import to_octaves
from hdl.boards.xilinx import DEVICES, Estimate, estimate
from hdl.device import device
from hdl.verilog import convert
from host.commands.report import Report, two_columns
from host.commands.subject import get_subject
from host.interface import MODULE, describe, load_frames, markdown
from host.settings import in_mode


def run(arguments: argparse.Namespace) -> Report:
    """``svpg rtl``: the core as Verilog, a description of its interface, and a run's parameters as words."""
    subject = get_subject(arguments.target, in_mode(arguments.mode, arguments.assignments), arguments.multipliers)
    config, options, folder = subject.config, subject.options, arguments.out
    frames = load_frames(config, *to_octaves(config, subject.parameters)) if subject.has_run else None
    core = device(config, options)
    verilog = convert(core, MODULE)
    data = describe(core, verilog)
    make_folder(folder)
    build = json.dumps({key: data[key] for key in ("digest", "configuration", "options")})
    texts = {
        f"{MODULE}.v": f"// {build}\n{verilog}",
        "interface.md": markdown(data),
        "interface.json": json.dumps(data, indent=2) + "\n",
    }
    if frames is not None:
        texts["load.hex"] = "".join(f"{word:05x}\n" for word in frames)
    for name, text in texts.items():
        _write(folder / name, text)
    files = {name: str(folder / name) for name in texts}
    estimates = {}
    if arguments.estimate:
        found = estimate(verilog, MODULE)
        estimates = {"estimate": dataclasses.asdict(found)}
    resources = data["resources"]
    rows = {
        "task": subject.task.name,
        "digest": data["digest"],
        "multipliers": resources["multipliers"],
        "memory": f"{resources['memory_kbit']} kbit",
        "Verilog": f"{files[f'{MODULE}.v']}, module {MODULE}",
        "interface": f"{files['interface.md']}, {files['interface.json']}",
    }
    if frames is not None:
        rows["parameters"] = f"{files['load.hex']}, {len(frames)} command words that load them"
    text = two_columns(rows)
    if arguments.estimate:
        text += "\n\n" + _comparison(found)
    return Report({"task": subject.task.name, "files": files, **data, **estimates}, text)


def _comparison(found: Estimate) -> str:
    """A table of what the core takes, and of what the devices have."""
    lines = [f"{'':<20}{'LUT':>9}{'FF':>9}{'DSP':>6}{'BRAM':>7}"]
    for name, one in {"this core": found, **DEVICES}.items():
        lines.append(f"{name:<20}{one.luts:>9,}{one.registers:>9,}{one.dsps:>6}{one.block_rams:>7g}")
    return "\n".join(lines)


def _write(path: Path, text: str) -> None:
    write_atomically(path, lambda stream: stream.write(text.encode()))
