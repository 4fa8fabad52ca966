"""Draws the pictures of docs/architecture.md; ``python -m tools.diagrams`` writes them anew."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from golden.config import DeviceConfig
from golden.device import Device
from golden.files import write_atomically
from golden.parameters import Parameters, to_octaves
from hdl.options import CoreOptions
from host.tasks import get_task
from sim.cost import Cost, courses, predict

ROOT = Path(__file__).resolve().parents[1]
POLICY = ROOT / "tests" / "data" / "pendulum_policy.npz"
MULTIPLIERS = 72

STYLE = """
text{font:12px sans-serif;fill:#1c2430}.title{font-weight:bold;font-size:13px}.small{font-size:11px;fill:#4a5565}
.middle{text-anchor:middle}.end{text-anchor:end}
.works{fill:#e4edfb;stroke:#3b6cb3}.stores{fill:#fbf0d9;stroke:#b07d2b}
.frame{fill:none;stroke:#8a94a3;stroke-dasharray:6 4}
.wire{fill:none;stroke:#4a5565;stroke-width:1.5;marker-end:url(#tip)}.tip{fill:#4a5565}
.page{fill:#ffffff}.tick{stroke:#c3cad4}
.a{fill:#3b6cb3}.b{fill:#c0622d}.c{fill:#2f8f6b}
@media (prefers-color-scheme:dark){
text{fill:#e6eaf0}.small{fill:#a9b4c2}.works{fill:#1d2c45;stroke:#6f9be0}.stores{fill:#3a2f18;stroke:#d3a24d}
.frame{stroke:#77818f}.wire{stroke:#a9b4c2}.tip{fill:#a9b4c2}.page{fill:#0d1117}.tick{stroke:#3a434f}
.a{fill:#6f9be0}.b{fill:#e08a54}.c{fill:#4fbf93}}
"""
"""Colours follow the reader's light or dark theme."""


def drawing(width: int, height: int, title: str, parts: Sequence[str]) -> str:
    """A whole SVG document."""
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
            f"<title>{title}</title>",
            f"<style>{STYLE}</style>",
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="6" markerHeight="6" orient="auto">'
            '<path class="tip" d="M0 0L8 4L0 8z"/></marker></defs>',
            f'<rect class="page" width="{width}" height="{height}"/>',
            *parts,
            "</svg>\n",
        )
    )


def label(x: float, y: float, text: str, kind: str = "small") -> str:
    """Text, its baseline at y."""
    return f'<text class="{kind}" x="{x:g}" y="{y:g}">{text}</text>'


def box(kind: str, x: int, y: int, width: int, height: int, name: str, *lines: str) -> Iterator[str]:
    """A part with its name and some lines of text."""
    yield f'<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="{height}" rx="5"/>'
    middle, top = x + width / 2, y + height / 2 - 7.5 * len(lines) + 4
    yield label(middle, top, name, "title middle")
    for number, line in enumerate(lines, 1):
        yield label(middle, top + 15 * number, line, "small middle")


def wire(path: str, text: str, x: int, y: int, side: str = "") -> Iterator[str]:
    """A stream along a path, and its payload."""
    yield f'<path class="wire" d="{path}"/>'
    yield label(x, y, text, f"small {side}".strip())


def block_diagram() -> str:
    """The core: parts, streams, and the widths of their payloads in the symbols of the document."""
    parts: list[str] = ['<rect class="frame" x="277" y="124" width="713" height="404" rx="8"/>']
    parts.append(label(290, 144, "Decision"))
    for drawn in (
        box("works", 20, 44, 202, 60, "CommandReader", "checks every word", "with the SynapseTable"),
        box("stores", 64, 170, 158, 56, "ObservationQueue", "S × {index, s}"),
        box("stores", 20, 300, 202, 72, "RowMemory", "(P + 1)·⌈N/L⌉ row words", "of L·W bits"),
        box("works", 20, 566, 202, 56, "Core", "headers, INFO, READ, results"),
        box(
            "works",
            290,
            156,
            212,
            70,
            "sequence of a decision",
            "passes; picks the events:",
            "biases, observations, moves",
        ),
        box("works", 290, 290, 212, 84, "EventEngine", "L multipliers", "potentials: ⌈N/L⌉ words of L·U,", "two banks"),
        box("stores", 290, 440, 212, 56, "DrawStore", "Threefry-2x32, G + 1 draws"),
        box("works", 650, 156, 180, 70, "Mover", "N activities", "changes become events"),
        box("works", 650, 290, 180, 84, "Softmax", "maximum | terms | activities", "C + 1 multipliers"),
        box("works", 650, 440, 180, 56, "Sampler", "1 multiplier"),
        box("works", 884, 156, 92, 70, "Assigner", "one-hot or", "uniform"),
        box("stores", 884, 440, 92, 56, "Results"),
        wire("M40 8V42", "commands: data 16, last 1", 48, 24),
        wire("M143 104V168", "put: index, s", 149, 142),
        wire("M40 104V298", "load: row, word, L·W", 46, 270),
        wire("M222 74H396V154", "starts: nonce 64, policy 2, given 1, activity 1", 230, 66),
        wire("M222 198H288", "entries", 230, 191),
        wire("M290 320H224", "address", 230, 313),
        wire("M222 350H288", "L·W", 240, 343),
        wire("M121 372V564", "words: L·W", 127, 470),
        wire("M396 226V288", "events: source, x, scan 2", 402, 262),
        wire("M650 191H504", "events: source, x, scan 2", 512, 184),
        wire("M502 332H648", "beats: C·U, keep C, last", 512, 325),
        wire("M740 290V228", "C·q, keep C", 746, 264),
        wire("M740 374V438", "C·e, Σ, best", 746, 412),
        wire("M502 468H648", "choices: draw, greedy", 512, 461),
        wire("M830 474H882", "winner", 838, 489),
        wire("M830 332H916V438", "C·π", 838, 325),
        wire("M830 214H858V454H882", "C·q", 838, 207),
        wire("M954 440V228", "winner", 950, 262, "end"),
        wire("M884 180H832", "C·q", 848, 173),
        wire("M930 496V594H224", "words: data 16, last 1", 512, 587),
        wire("M121 622V656", "responses: data 16, last 1", 129, 645),
    ):
        parts += drawn
    return drawing(1004, 664, "Block diagram of the core", parts)


def example() -> tuple[DeviceConfig, CoreOptions, Device]:
    """The trained pendulum: its device, its build, and golden with its parameters."""
    config = get_task("inverted-pendulum").defaults("golden", "ppo").network
    device = Device(config)
    weight, bias = to_octaves(config, Parameters.load(POLICY))
    device.load("weight", weight)
    device.load("bias", bias)
    return config, CoreOptions.within(config, MULTIPLIERS), device


def example_cost() -> Cost:
    """Its decision on the first visited observation with nonce 0."""
    config, options, device = example()
    with np.load(POLICY) as archive:
        obs = config.obs.quantise(archive["visited_obs"][:1])
    (course,) = courses(device, options, obs, np.zeros(1, dtype=np.uint64))
    return predict(config, options, course)


ROWS = (
    ("row words", (("biases", "b"), ("observations", "c"), ("moves", "a"))),
    ("scan", (("scan", "a"),)),
    ("terms", (("terms", "a"),)),
    ("activities", (("activities", "a"),)),
    ("mover", (("mover", "a"),)),
    ("winners", (("winners", "b"),)),
)
"""Lines of the timeline: the units of :data:`sim.cost.UNITS` in each, and their colours."""


def runs(cycles: Sequence[int]) -> Iterator[tuple[int, int]]:
    """First and last of each run of consecutive numbers."""
    for _, group in itertools.groupby(enumerate(sorted(cycles)), lambda pair: pair[1] - pair[0]):
        run = [cycle for _, cycle in group]
        yield run[0], run[-1]


def timeline(cost: Cost) -> str:
    """Which unit works in which cycle of a decision."""
    left, top, pitch, bar, scale = 84, 34, 30, 18, 3
    height = top + pitch * len(ROWS)
    parts = []
    for cycle in range(0, cost.cycles + 1, 20):
        x = left + scale * cycle
        parts += [
            f'<path class="tick" d="M{x} {top - 6}V{height}"/>',
            label(x, top - 12, str(cycle), "small middle"),
        ]
    for number, (name, units) in enumerate(ROWS):
        y = top + pitch * number
        parts.append(label(left - 10, y + 14, name, "end"))
        for unit, colour in units:
            parts += [
                f'<rect class="{colour}" x="{left + scale * first}" y="{y}" '
                f'width="{scale * (last - first + 1) - 0.5:g}" height="{bar}"/>'
                for first, last in runs(cost.busy[unit])
            ]
    foot = height + 18
    for x, (colour, text) in zip(
        (left, left + 120, left + 270),
        (("b", "biases, winners"), ("c", "observations"), ("a", "all else")),
        strict=True,
    ):
        parts += [f'<rect class="{colour}" x="{x}" y="{foot - 10}" width="12" height="12"/>', label(x + 18, foot, text)]
    parts.append(label(left + scale * cost.cycles, foot, f"cycles; the decision ends in {cost.cycles}", "small end"))
    return drawing(left + scale * cost.cycles + 16, foot + 12, "Which unit works in which cycle of a decision", parts)


def pictures() -> dict[Path, str]:
    """Every picture and its file."""
    return {
        ROOT / "docs" / "core.svg": block_diagram(),
        ROOT / "docs" / "decision.svg": timeline(example_cost()),
    }


def write(path: Path, text: str) -> None:
    """Write a picture."""
    write_atomically(path, lambda file: file.write(text.encode()))


if __name__ == "__main__":
    for path, text in pictures().items():
        write(path, text)
