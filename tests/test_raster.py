"""Potentials computed from spikes are those that the spikes were drawn from, and the picture of them is drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from golden.client import FrameDevice
from golden.config import DeviceConfig
from golden.errors import SvpgError
from golden.parameters import Parameters, to_octaves
from golden.raster import Course, device_course, float_course, in_nats, traces
from golden.server import FrameServer
from golden.spike_reference import RESPONSES
from golden.start import random_start
from host.agent import Agent
from host.backends.float import FloatBackend
from host.backends.golden import GoldenBackend
from host.backends.rtl import RtlBackend
from host.raster import check_raster, decide, raster_figure, save_raster
from sim.pool import Pool
from tests.oracle import Oracle, draw

CONFIG = DeviceConfig(inputs=5, groups=3, group_size=4, actions=3, mode="spike", steps=20, window=8)
CONFIGS = [
    CONFIG,
    CONFIG.replace(obs_spikes="bernoulli"),
    CONFIG.replace(obs_frac=10, obs_bits=14, activity_frac=6, steps=8, obs_spikes="bernoulli"),
    CONFIG.replace(window=1, activity_frac=12, removed="sa"),
]
IDS = ["analog", "bernoulli", "coarse", "window of one"]
DECISIONS = 6


def parameters(config: DeviceConfig) -> Parameters:
    return random_start(config, 3, 0.7, 1.5)


def observations(config: DeviceConfig) -> NDArray[np.float64]:
    obs = np.random.default_rng(2).random((DECISIONS, config.inputs))
    obs[:, 1] = 0
    return obs


def course_of_device(config: DeviceConfig) -> tuple[list[Course], NDArray[np.uint64], GoldenBackend]:
    backend = GoldenBackend(config)
    backend.load(parameters(config))
    obs, nonce = observations(config), np.arange(DECISIONS, dtype=np.uint64) + np.uint64(2**40)
    spikes = backend.infer(obs, nonce, "greedy", spikes=True).spikes
    assert spikes is not None and spikes.shape == (DECISIONS, config.steps, config.groups + 1)
    raw, memories = config.obs.quantise(obs), to_octaves(config, backend.read())
    return [device_course(config, *memories, raw[b], nonce[b], spikes[b]) for b in range(DECISIONS)], nonce, backend


@pytest.mark.parametrize("config", CONFIGS, ids=IDS)
def test_the_spikes_of_a_device_are_drawn_from_the_potentials(config: DeviceConfig) -> None:
    """By the second implementation of the softmax and of the draws."""
    oracle, distinct = Oracle(config), set()
    courses, nonce, _ = course_of_device(config)
    for b, course in enumerate(courses):
        for step in range(config.steps):
            first = step * 4 * -(-(config.groups + 1) // 4)
            for group in range(config.groups + 1):
                term = oracle.group_softmax(course.potential[step].tolist(), group)
                assert term.pick(draw(int(nonce[b]), first + group, 2)) == course.spikes[step, group]
        distinct |= {tuple(row) for row in course.spikes.tolist()}
    assert len(distinct) > 10, "the spikes are not all alike"


@pytest.mark.parametrize("config", CONFIGS, ids=IDS)
def test_the_last_traces_are_those_that_the_device_reports(config: DeviceConfig) -> None:
    courses, nonce, backend = course_of_device(config)
    reported = backend.device.infer(config.obs.quantise(observations(config)), nonce, "greedy").q_raw
    assert np.array_equal([course.trace[-1] for course in courses], reported)
    assert all((course.trace[0] == 0).all() for course in courses)


@pytest.mark.parametrize("obs_spikes", ["analog", "bernoulli"])
@pytest.mark.parametrize("kind", RESPONSES)
def test_the_spikes_of_the_float_reference_are_drawn_from_the_potentials(kind: str, obs_spikes: str) -> None:
    config = CONFIG.replace(obs_spikes=obs_spikes)
    backend = FloatBackend(config, dtype=torch.float64, response=kind)
    backend.load(parameters(config))
    obs, nonce = observations(config), np.arange(DECISIONS, dtype=np.uint64)
    spikes = backend.infer(obs, nonce, spikes=True).spikes
    assert spikes is not None
    for b in range(DECISIONS):
        course = float_course(config, backend.read(), obs[b], nonce[b], spikes[b], kind)
        for step in range(config.steps):
            for group in range(config.groups + 1):
                low, high = config.group_start[group : group + 2]
                terms = np.exp(course.potential[step, low:high] - course.potential[step, low:high].max())
                first = step * 4 * -(-(config.groups + 1) // 4)
                uniform = (draw(int(nonce[b]), first + group, 2) + 0.5) / (1 << 16)
                drawn = int((np.cumsum(terms) / terms.sum() <= uniform).sum())
                assert drawn == spikes[b, step, group]


def test_a_wrong_spike_is_noticed() -> None:
    """What the tests above compare would differ."""
    courses, nonce, backend = course_of_device(CONFIG)
    changed = courses[0].spikes.copy()
    changed[0, 0] = (changed[0, 0] + 1) % CONFIG.group_size
    memories, raw = to_octaves(CONFIG, backend.read()), CONFIG.obs.quantise(observations(CONFIG))
    other = device_course(CONFIG, *memories, raw[0], nonce[0], changed)
    assert (other.potential[1] != courses[0].potential[1]).any()


def test_traces_weigh_spikes_by_their_age() -> None:
    config = CONFIG.replace(groups=1, group_size=2, actions=2, steps=4, window=2)
    spikes = np.array([[0, 1], [1, 1], [1, 0], [0, 0]])
    found = traces(config, spikes, np.array([0.75, 0.25]))
    assert found.tolist() == [[0, 0, 0, 0], [1, 0, 0, 1], [0.25, 0.75, 0, 1], [0, 1, 0.75, 0.25]]


def test_nats_and_shares_of_a_device() -> None:
    (course, *_), _, _ = course_of_device(CONFIG)
    real = in_nats(CONFIG, course)
    assert np.allclose(real.potential, course.potential * np.log(2) / 2.0 ** (CONFIG.weight_frac + CONFIG.drive_frac))
    assert np.isclose(real.trace[1:].sum(axis=1), CONFIG.groups + 1).all()


# --- the picture -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("make", [GoldenBackend, FloatBackend])
def test_the_picture_shows_every_spike_and_the_group_asked_for(make: type) -> None:
    agent = Agent(make(CONFIG), seed=4)
    agent.load(parameters(CONFIG))
    decided = decide(agent, observations(CONFIG)[0], "greedy")
    raster, potential, trace = raster_figure(decided, "a title", 1).axes
    drawn = {(x, round(float(y + 0.42))) for lines in raster.collections for ((x, y), _) in _segments(lines)}
    starts = CONFIG.group_start[:-1]
    expected = {(t, int(n)) for t, row in enumerate(decided.course.spikes) for n in starts + row}
    assert drawn == expected
    shown = np.array([line.get_ydata() for line in potential.lines if len(line.get_xdata()) == CONFIG.steps])
    assert np.array_equal(shown, decided.course.potential[:, 4:8].T)
    assert "potentials of\ngroup 1" in potential.get_ylabel()
    assert f"action {decided.action} chosen" in raster.get_title("right")
    assert len(trace.lines) == 1 + 4
    *_, actions = (axes.get_ylabel() for axes in raster_figure(decided, "a title").axes[:2])
    assert actions == "potentials of\nactions, nats"


def test_hardware_gives_the_picture_of_golden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "host.backends.rtl.core_pool", lambda config, *_, **__: Pool([FrameDevice(config, FrameServer(config))])
    )
    found = []
    for make in (GoldenBackend, RtlBackend):
        agent = Agent(make(CONFIG), seed=4)
        agent.load(parameters(CONFIG))
        found.append(decide(agent, observations(CONFIG)[0], "sample"))
    golden, hardware = (vars(decided.course) for decided in found)
    assert all(np.array_equal(values, hardware[name]) for name, values in golden.items())


def _segments(lines: object) -> list[list[tuple[float, float]]]:
    """Ends of the strokes of spikes; bands have none."""
    return [segment.tolist() for segment in lines.get_segments()] if hasattr(lines, "get_segments") else []


@pytest.mark.parametrize(("kind", "magic"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_equal_decisions_give_equal_files(tmp_path: Path, kind: str, magic: bytes) -> None:
    agent = Agent(GoldenBackend(CONFIG), seed=4)
    agent.load(parameters(CONFIG))
    contents = []
    for name in ("a", "b"):
        path = tmp_path / f"{name}.{kind}"
        save_raster(decide(agent, observations(CONFIG)[0], "sample"), "a title", path)
        contents.append(path.read_bytes())
    assert contents[0].startswith(magic)
    # Matplotlib names clipping paths in SVG files by their place in memory.
    assert contents[0] == contents[1] or kind == "svg"
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"a.{kind}", f"b.{kind}"]


@pytest.mark.parametrize(
    ("config", "name", "group", "message"),
    [
        (CONFIG.replace(mode="rate"), "x.png", None, "--raster draws spikes, and rate mode has none; add --mode spike"),
        (CONFIG, "x.jpg", None, r"x\.jpg: pictures of spikes end in \.png, \.svg, \.pdf; choose one"),
        (CONFIG, "x.png", 4, "--raster-group 4 does not exist; give 0 to 3, the last for the actions"),
        (CONFIG, "x.png", -1, "--raster-group -1 does not exist"),
    ],
)
def test_what_cannot_be_drawn_is_refused(config: DeviceConfig, name: str, group: int | None, message: str) -> None:
    with pytest.raises(SvpgError, match=message):
        check_raster(config, Path(name), group)
