"""docs/architecture.md states the widths, memories and costs of the code, and shows what the code draws."""

from __future__ import annotations

import itertools
import math
import re
from pathlib import Path

import numpy as np
import pytest
from amaranth import Shape

from golden.config import DeviceConfig
from golden.protocol import Section
from hdl import layouts
from hdl.core import Core
from hdl.observations import observation, queued_observation
from hdl.options import CoreOptions
from hdl.potentials import MOST_REGISTER_WORDS
from hdl.sampler import CHOICE
from hdl.softmax import softmax_latency
from hdl.verilog import convert
from host.interface import memories
from host.tasks import get_task
from sim.cost import UNITS, bound, ceiling, courses, draw_wait, latencies, predict
from sim.spike_cost import spike_latencies
from tests.test_cost import HASTY, HASTY_OPTIONS, PENDULUM, PENDULUM_OPTIONS, SMALL, SMALL_OPTIONS, golden_with, trained
from tests.test_cost import visited as visited_observations
from tools.diagrams import MULTIPLIERS, example, example_cost, pictures

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "architecture.md").read_text()
MNIST = get_task("mnist").defaults("golden", "ppo").network
EXAMPLES = {
    "pendulum": (PENDULUM, PENDULUM_OPTIONS),
    "MNIST 20×10": (MNIST, CoreOptions.within(MNIST, MULTIPLIERS)),
}
BUILDS = [*EXAMPLES.values(), (SMALL, SMALL_OPTIONS), (HASTY, HASTY_OPTIONS), (PENDULUM, CoreOptions(8))]


def table(name: str) -> list[dict[str, str]]:
    """Rows of a table between its marks, by the heads of the columns."""
    body = TEXT.split(f"<!-- {name} -->")[1].split(f"<!-- /{name} -->")[0]
    head, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in body.strip().splitlines()]
    return [dict(zip(head, row, strict=True)) for row in rows]


def value(formula: str, config: DeviceConfig, options: CoreOptions, **more: int) -> int:
    """A formula of the document."""
    sizes = {
        "S": config.inputs,
        "G": config.groups,
        "K": config.group_size,
        "A": config.actions,
        "N": config.neurons,
        "P": config.sources,
        "L": config.lanes,
        "C": options.softmax_lanes,
        "D": config.drive_frac,
    }
    functions = {"bits": int.bit_length, "ceil": math.ceil, "max": max}
    fields = {**config.to_dict(), "potential_bits": config.potential_bits}
    beats = config.groups * math.ceil(config.group_size / options.softmax_lanes)
    sizes["B"] = beats + math.ceil(config.actions / options.softmax_lanes)
    return int(eval(formula, {"__builtins__": {}}, {**fields, **sizes, **functions, **more}))


def widths(config: DeviceConfig, options: CoreOptions) -> dict[str, int]:
    """The widths table for a build, by symbol."""
    return {
        symbol: value(row["bits"], config, options) for row in table("widths") for symbol in row["symbol"].split(", ")
    }


@pytest.mark.parametrize(("config", "options"), BUILDS)
def test_streams_are_as_wide_as_stated(config: DeviceConfig, options: CoreOptions) -> None:
    lanes = options.softmax_lanes
    payloads = {
        "`commands`, `responses`": layouts.WORD,
        "`put`": observation(config),
        "`entries`": queued_observation(config),
        "`fetch`": layouts.row_values(config, Section.WEIGHT),
        "`events`": layouts.event(config),
        "`EventEngine.beats`": layouts.potential_beat(config, lanes),
        "`Softmax.results`": layouts.softmax_beat(config, lanes),
        "`Mover.beats`": layouts.activity_beat(config, lanes),
        "`choices`": CHOICE,
        "`winners`": layouts.winner_bits(config),
    }
    stated = {row["stream"]: row["bits"] for row in table("streams")}
    assert stated.keys() == payloads.keys()
    symbols = widths(config, options)
    for stream, formula in stated.items():
        assert value(formula, config, options, **symbols) == Shape.cast(payloads[stream]).width, stream


@pytest.mark.parametrize(("config", "options"), BUILDS)
def test_widths_are_those_of_the_payloads(config: DeviceConfig, options: CoreOptions) -> None:
    symbols = widths(config, options)
    fields = {
        "W": layouts.row_values(config, Section.WEIGHT).elem_shape,
        "s": observation(config)["value"].shape,
        "x": layouts.event(config)["value"].shape,
        "U": layouts.potential_beat(config, 1)["potential"].shape.elem_shape,
        "e": layouts.softmax_beat(config, 1)["term"].shape.elem_shape,
        "Σ": layouts.softmax_beat(config, 1)["total"].shape,
        "r": layouts.softmax_beat(config, 1)["reciprocal"].shape,
        "q": layouts.softmax_beat(config, 1)["activity"].shape.elem_shape,
        "π": layouts.softmax_beat(config, 1)["probability"].shape.elem_shape,
        "draw": CHOICE["draw"].shape,
        "winner": layouts.softmax_beat(config, 1)["best"].shape,
        "index": observation(config)["index"].shape,
        "source": layouts.event(config)["source"].shape,
        "row": layouts.row_place(config)["row"].shape,
        "word": layouts.row_place(config)["word"].shape,
    }
    assert symbols == {name: Shape.cast(shape).width for name, shape in fields.items()}


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_of_widths_memories_and_latencies_follow_from_the_formulas(name: str) -> None:
    config, options = EXAMPLES[name]
    symbols = widths(config, options)
    for row in table("widths"):
        assert int(row[name]) == symbols[row["symbol"].split(", ")[0]], row
    for row in (*table("memories"), *table("learning memories")):
        words, bits = memory(row, config, options)
        assert int(row[name]) == words * bits, row
    for term, cycles in stated_latencies(config, options).items():
        assert int(next(row[name] for row in table("latencies") if row["term"] == term)) == cycles, term


def memory(row: dict[str, str], config: DeviceConfig, options: CoreOptions) -> tuple[int, int]:
    """Words and bits of a word of a row of the memories table."""
    queue = value(re.search(r"queue = ([^:]+):", TEXT).group(1), config, options)
    symbols = {**widths(config, options), "queue": queue}
    return value(row["words"], config, options, **symbols), value(row["bits of a word"], config, options, **symbols)


@pytest.mark.parametrize(("config", "options"), [(PENDULUM, PENDULUM_OPTIONS), (SMALL, SMALL_OPTIONS)])
def test_memories_are_those_of_the_verilog(config: DeviceConfig, options: CoreOptions) -> None:
    found = {
        re.sub(r"\$\d+$|\.storage$", "", store["name"]): (store["words"], store["bits"])
        for store in memories(convert(Core(config, options), "top"))
    }
    for row in table("memories"):
        name = re.match(r"`(.+?)`", row["memory"]).group(1)
        words, bits = memory(row, config, options)
        # What a build has none of, it has in registers.
        assert [found.pop(place) for place in list(found) if place.endswith(f".{name}")] == [(words, bits)] * (
            words > 0
        )
    assert sum(words * bits for words, bits in found.values()) < 2048


@pytest.mark.parametrize(
    ("config", "options"),
    [pytest.param(PENDULUM, PENDULUM_OPTIONS, marks=pytest.mark.slow), (SMALL, SMALL_OPTIONS)],
)
def test_learning_adds_the_memories_stated(config: DeviceConfig, options: CoreOptions) -> None:
    without, learns = (
        {
            re.sub(r"\$\d+$|\.storage$", "", store["name"]): (store["words"], store["bits"])
            for store in memories(convert(Core(config, build), "top"))
        }
        for build in (options, options.learning())
    )
    added = {place: size for place, size in learns.items() if place not in without}
    for row in table("learning memories"):
        stated = re.match(r"`(.+?)`", row["memory"]).group(1)
        (place,) = [place for place in added if place.endswith(f".{stated}")]
        assert added.pop(place) == memory(row, config, options), stated
    columns = (config.row_words, config.modulator_bits + config.activity_frac)
    in_memories = config.row_words > MOST_REGISTER_WORDS
    assert list(added.values()) == [columns] * (2 * config.lanes * in_memories)


# --- cost --------------------------------------------------------------------------------------------------
def stated_latencies(config: DeviceConfig, options: CoreOptions) -> dict[str, int]:
    """The latencies table for a build."""
    stated: dict[str, int] = {}
    for row in table("latencies"):
        stated[row["term"]] = value(row["formula"], options.wide(config), options, **stated)
    return stated


@pytest.mark.parametrize(("config", "options"), [*BUILDS, *((PENDULUM, CoreOptions(lanes)) for lanes in range(1, 9))])
def test_latencies_are_as_stated(config: DeviceConfig, options: CoreOptions) -> None:
    stated = stated_latencies(config, options)
    assert stated.pop("softmax") == softmax_latency(options.softmax_lanes)
    assert stated == vars(latencies(config, options))


def test_draws_are_late_as_stated() -> None:
    assert draw_wait(*EXAMPLES["pendulum"]) == 0
    assert f"unless they are fewer than {draw_wait(*EXAMPLES['MNIST 20×10'])}." in TEXT


def test_builds_cost_what_the_table_says() -> None:
    rows = table("builds")
    assert len(rows) > 3
    for row in rows:
        config, lanes = PENDULUM.replace(lanes=int(row["L"])), int(row["C"])
        for in_logic in (True, False):
            options = CoreOptions(lanes, in_logic=in_logic)
            if options.multipliers(config) == int(row["multipliers"]):
                break
        else:
            raise AssertionError(row)
        golden, obs = golden_with(config, *trained()), visited_observations(200)
        nonce = np.arange(len(obs), dtype=np.uint64)
        result = golden.infer(obs, nonce)
        work = list(zip(result.row_words.tolist(), result.iterations.tolist(), strict=True))
        costs = [predict(config, options, course) for course in courses(golden, options, obs, nonce)]
        means = {
            "row words": result.row_words.mean(),
            "bound": np.mean([bound(config, options, *each) for each in work]),
            "cycles": np.mean([cost.cycles for cost in costs]),
            "ceiling": np.mean([ceiling(config, options, *each) for each in work]),
            "stalls": np.mean([cost.stalls for cost in costs]),
        }
        assert {name: row[name] for name in means} == {name: f"{mean:.1f}" for name, mean in means.items()}


# --- spike mode --------------------------------------------------------------------------------------------
SPIKE_BUILDS = {
    name: (spiking, CoreOptions.within(spiking, MULTIPLIERS))
    for name, (config, _) in EXAMPLES.items()
    for spiking in (config.replace(mode="spike", obs_spikes="bernoulli"),)
}


@pytest.mark.parametrize("name", SPIKE_BUILDS)
def test_spike_mode_has_the_memories_and_latencies_stated(name: str) -> None:
    config, options = SPIKE_BUILDS[name]
    assert options.multipliers(config) == options.softmax_lanes == 8
    for row in table("spike memories"):
        words, bits = memory(row, config, options)
        assert int(row[name]) == words * bits, row
    stated = {"softmax": softmax_latency(options.softmax_lanes)}
    for row in table("spike latencies"):
        stated[row["term"]] = value(row["formula"], config, options, **stated)
        assert int(row[name]) == stated[row["term"]], row
    del stated["softmax"], stated["spike"]
    assert stated == vars(spike_latencies(config, options))


def test_memories_of_spikes_are_those_of_the_verilog() -> None:
    config, options = SPIKE_BUILDS["pendulum"]
    found = {
        re.sub(r"\$\d+$|\.storage$", "", store["name"]): (store["words"], store["bits"])
        for store in memories(convert(Core(config, options), "top"))
    }
    for row in (*table("memories"), *table("spike memories")):
        name = re.match(r"`(.+?)`", row["memory"]).group(1)
        words, bits = memory(row, config, options)
        stores = [found.pop(place) for place in list(found) if place.endswith(f".{name}")]
        assert stores == [(words, bits)] * (words > 0 and name != "draws.store"), name
    assert sum(words * bits for words, bits in found.values()) < 2048


# --- the example -------------------------------------------------------------------------------------------
def test_the_life_of_a_decision_is_as_told() -> None:
    cost = example_cost()
    told = {
        row.pop("unit"): [tuple(map(int, cell.split("–"))) for cell in row.values() if cell != "–"]
        for row in table("life")
    }
    assert told.keys() == UNITS.keys() - {"biases", "observations", "winners"}
    for unit, spans in told.items():
        busy = sorted(cost.busy[unit])
        # Between two passes a unit rests for longer than within one.
        cuts = [0, *(i + 1 for i, gap in enumerate(np.diff(busy)) if gap > 6), len(busy)]
        assert spans == [(busy[a], busy[b - 1]) for a, b in itertools.pairwise(cuts)], unit
    assert int(re.search(r"drawn, in cycle (\d+)", TEXT).group(1)) == cost.cycles
    assert (cost.busy["biases"], cost.busy["observations"]) == ([2], [3, 4, 5])
    assert f"L = {PENDULUM.lanes}, C = {PENDULUM_OPTIONS.softmax_lanes}, {MULTIPLIERS} multipliers" in TEXT


def test_the_pictures_are_those_of_the_code() -> None:
    assert example()[:2] == (PENDULUM, PENDULUM_OPTIONS)
    for path, text in pictures().items():
        assert path.read_text() == text, f"{path.name} is not what python -m tools.diagrams draws"
        assert f"({path.name})" in TEXT
