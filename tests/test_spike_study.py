"""The study of spikes: exact scores are exact, variants differ where they should, the report holds every case."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from golden.config import DeviceConfig
from golden.parameters import Parameters
from golden.rng import STREAM_SPIKES, draws, first_draw
from host.study import spike_inference, spike_report, spikes
from host.study.mnist import train_case
from host.study.runner import Case, Finished
from host.study.spike_estimates import (
    CLAMPS,
    COMMON,
    FRESH,
    LONG,
    REPLAYED,
    STEPWISE,
    ClampVariant,
    cosine,
    enumerated_score,
    estimate_small_case,
    exact_score,
)

NO_LINKS = DeviceConfig(inputs=3, groups=2, group_size=3, actions=3, removed="hhsa")


def random_parameters(config: DeviceConfig, seed: int = 0, deviation: float = 0.7) -> Parameters:
    rng = np.random.default_rng(seed)
    n = config.neurons
    weight = rng.normal(0, deviation, (config.sources, n)) * config.mask
    weight[:n] = np.triu(weight[:n]) + np.triu(weight[:n]).T
    return Parameters(weight, rng.normal(0, 1, n), config.groups, config.group_size, config.actions, config.inputs)


def log_policy(config: DeviceConfig, parameters: Parameters, obs: np.ndarray, action: int) -> float:
    """ln pi(action | obs) of the energy's policy, state by state."""
    n, w = config.neurons, parameters.weight
    weights = np.zeros(config.actions)
    for state in np.ndindex(*np.diff(config.group_start)):
        v = np.zeros(n)
        v[config.group_start[:-1] + np.array(state)] = 1
        weights[state[-1]] += np.exp(v @ w[:n] @ v + obs @ w[n:] @ v + parameters.bias @ v)
    return float(np.log(weights[action] / weights.sum()))


@pytest.mark.parametrize("links", [False, True])
def test_exact_scores_are_the_gradient_of_the_log_policy(links: bool) -> None:
    config = NO_LINKS.replace(removed="sa") if links else NO_LINKS
    parameters, h, n = random_parameters(config), config.hidden, config.neurons
    rng = np.random.default_rng(1)
    obs, action, modulator = rng.random((4, 3)), np.array([0, 2, 1, 2]), rng.normal(size=4)
    score = (enumerated_score if links else exact_score)(config, parameters, obs, action, modulator)

    def objective(i: int, j: int, by: float) -> float:
        moved = Parameters(parameters.weight.copy(), parameters.bias, 2, 3, 3, 3)
        moved.weight[i, j] += by
        if i < n:
            moved.weight[j, i] += by
        return sum(m * log_policy(config, moved, s, a) for s, a, m in zip(obs, action, modulator, strict=True))

    def slope(i: int, j: int) -> float:
        return (objective(i, j, 1e-5) - objective(i, j, -1e-5)) / 2e-5

    assert score["obs"][1, 2] == pytest.approx(slope(n + 1, 2), abs=1e-7)
    assert score["policy"][0, 1] == pytest.approx(np.exp(log_policy(config, parameters, obs[0], 1)))
    if links:
        assert score["recurrent"][1, h + 2] == pytest.approx(slope(1, h + 2), abs=1e-7)
        assert score["recurrent"][0, 4] == pytest.approx(slope(0, 4), abs=1e-7)
        assert score["recurrent"][0, 1] == 0
    else:
        assert score["recurrent"][1, 2] == pytest.approx(slope(1, h + 2), abs=1e-7)


def directions(config: DeviceConfig) -> dict[str, np.ndarray]:
    config = config.replace(mode="spike", steps=16, window=8)
    parameters = random_parameters(config)
    rng = np.random.default_rng(2)
    obs, winners = rng.random((5, config.inputs)), rng.integers(0, 3, (5, config.groups + 1))
    result = {}
    for clamp in CLAMPS:
        backend = ClampVariant(config, clamp)
        backend.load(parameters)
        backend.learn(obs, winners, rng.normal(size=5) * 0 + 1, "contrastive", np.arange(5, dtype=np.uint64))
        result[clamp] = backend.state()["acc_weight"]
    return result


def test_where_the_clamped_phase_starts_matters_only_with_hidden_links() -> None:
    without, links = directions(NO_LINKS), directions(NO_LINKS.replace(removed="sa"))
    assert np.array_equal(without[COMMON], without[REPLAYED])
    assert np.array_equal(without[COMMON], without[LONG])
    for clamp in (FRESH, REPLAYED, LONG, STEPWISE):
        assert not np.allclose(links[COMMON], links[clamp])
    for direction in (*without.values(), *links.values()):
        n = NO_LINKS.neurons
        assert np.allclose(direction[:n], direction[:n].T)


def test_fresh_numbers_are_those_of_the_steps_that_follow() -> None:
    config = NO_LINKS.replace(mode="spike", steps=16, window=8)
    nonce = np.arange(3, dtype=np.uint64)
    later = ClampVariant(config, FRESH)._later_draws(nonce).numpy()
    each = first_draw(1, config.groups + 1)
    device = draws(nonce, 24 * each, STREAM_SPIKES).reshape(3, 24, each)
    assert np.allclose(later[5], (device[:, 21, : config.groups + 1] + 0.5) / 65536)


def test_common_random_numbers_estimate_better_than_fresh_ones() -> None:
    result = estimate_small_case(1, 0.1, 3, ["rate", "16/8/common", "16/8/fresh"])
    assert result["rate"]["obs"] > 0.99
    assert result["16/8/common"]["obs"] > result["16/8/fresh"]["obs"] + 0.1
    assert all(-1 <= value <= 1 for value in result["16/8/fresh"].values())
    assert cosine(np.array([1.0, 0]), np.array([1.0, 1])) == pytest.approx(0.5**0.5)


def test_frozen_observation_weights_stay_as_they_are() -> None:
    from host.agent import Agent, initial_parameters
    from host.backends.golden import GoldenBackend
    from host.classify import OneStep
    from host.datasets import load_mnist
    from host.study.mnist import settings_of

    settings = settings_of("golden", [*spikes.spike(8, 8), *spikes.FROZEN])
    agent = Agent(GoldenBackend(settings.network), settings.learning, 1)
    agent.load(initial_parameters(settings.network, settings.learning, 1))
    before = agent.read()
    learner = OneStep(load_mnist(), agent, settings.classify, None)
    for _ in range(3):
        learner.advance()
    after, n = agent.read(), settings.network.neurons
    assert np.array_equal(before.weight[n:], after.weight[n:])
    assert not np.array_equal(before.weight[:n], after.weight[:n])


def test_a_few_batches_of_spikes_beat_chance() -> None:
    result = train_case("golden", seed=1, marks=[40], assignments=spikes.spike(8, 8))
    assert result["accuracy"][0] > 0.3
    assert result["zeroed"] < 0.2


def test_costs_of_modes_and_formats() -> None:
    config = DeviceConfig(inputs=4, groups=2, group_size=4, actions=3, lanes=8)
    parameters = random_parameters(config)
    obs = np.random.default_rng(0).random((6, 4))
    rate = spike_inference._cost(config, parameters, obs, 1)
    device = spike_inference.variant(config, "16/4/bernoulli")
    assert (device.mode, device.steps, device.window, device.obs_spikes) == ("spike", 16, 4, "bernoulli")
    spiking = spike_inference._cost(spike_inference.variant(config, "16/4/analog"), parameters, obs, 1)
    for cost in (rate, spiking):
        # Two words of up to eight synapses per row, eleven synapses at most.
        assert cost["events"] <= cost["row_words"] <= 2 * cost["events"]
        assert cost["row_words"] < cost["additions"] <= 11 * cost["events"]
    assert spiking["terms"] == 16 * 11
    assert spiking["products"] == 16 * 3 + 4 * (1 + 3)


def test_cosine_of_infinitely_many_updates() -> None:
    rng = np.random.default_rng(0)
    exact, biased = np.zeros(1000), np.zeros(1000)
    exact[0], biased[:2] = 1.0, (0.8, 0.6)
    updates = biased + rng.normal(0, 0.05, (300, 20, 1000))
    one = float(np.mean([cosine(update, exact) for update in updates[:, 0]]))
    mean = float(np.mean([cosine(update, exact) for update in updates.mean(axis=1)]))
    assert one < 0.5 < mean < 0.78
    assert spike_report.unlimited(one, mean, 20) == pytest.approx(0.8, abs=0.02)
    assert spike_report.unlimited(0.3, 0.3, 1) == 0.3


def pretended(case: Case) -> dict[str, Any]:
    arguments = case.arguments
    kind = case.name.split("|")[0]
    if kind == "play":
        return dict.fromkeys(arguments["variants"], 0.75)
    if kind == "cost":
        cost = {"events": 10.0, "row_words": 20.0, "additions": 1234.0, "terms": 5.0, "products": 6.0}
        return dict.fromkeys(arguments["variants"], cost)
    if kind == "estimate":
        return {
            v: {"obs": 0.25, "obs_mean": 0.5, "recurrent": 0.75, "recurrent_mean": 1.0} for v in arguments["variants"]
        }
    if kind == "mnist":
        return {"accuracy": [0.625] * len(arguments["marks"]), "zeroed": 0.125}
    solved = arguments["seed"] != 2
    validation = [[20, 50.0], [40, 196.0]][: 1 if not solved else 2]
    return {
        "solved": solved,
        "episodes": 40,
        "seconds": 1.0,
        "played": 190.0 + arguments["seed"],
        "validation": validation,
    }


def test_report_holds_every_case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def pretend(cases: list[Case], journal: Path, workers: int) -> list[Finished]:
        return [Finished(case, pretended(case)) for case in cases]

    monkeypatch.setattr(spikes, "run_cases", pretend)
    table = spikes.run(tmp_path, tmp_path / "journal.jsonl", seeds=5, quick=False, workers=1)
    text = (tmp_path / "spikes.md").read_text()
    assert table.splitlines()[0] in text
    for name, _, seeds in spikes.PENDULUM:
        # The second seed is the one that was not solved.
        rest = {5: "4 of 5 | 40 (40–40) | 50 | 1 | 193 (≥ 191)", 1: "1 of 1 | 40 (40–40) | 196 | 1 | 191 (≥ 191)"}
        assert f"| {name} | {rest[seeds]} |" in text
    for name, backend, *_ in spikes.MNIST:
        assert f"| {name} | {backend} |" in text
    for name in spikes.ESTIMATES:
        limit = "0.50" if name == "rate" else "0.54"
        assert f"| {name} | 0.25 / {limit} |" in text or f"| {name} |  |" in text
    assert "| rate | 10 | 20 | 1,234 | 1,234 | 5 | 6 |" in text
    assert "| 32/16/analog | 10 | 20 | 1,234 | 0 | 5 | 6 |" in text
    for picture in ("spikes.png", "spikes-mnist.png", "spikes-steps.png"):
        assert (tmp_path / picture).stat().st_size > 10_000
        assert f"({picture})" in text
