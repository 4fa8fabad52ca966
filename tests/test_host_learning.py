"""Sums over time, seeds, critic, baseline and the solving criterion against their definitions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete
from hypothesis import given, settings
from hypothesis import strategies as st

from golden.config import DeviceConfig
from golden.errors import SvpgError
from golden.start import random_start
from host.agent import Agent, initial_parameters, update_of
from host.backends.registry import check_backend, make_backend
from host.critic import MlpCritic
from host.learner import discount, generalised_advantage, pack_generator, standardise, unpack_generator
from host.plots import smoothed
from host.ppo import ReplayPpo
from host.reinforce import RunningBaseline
from host.seeds import COUNTER_BITS, Purpose, environment_seed, generator, nonces
from host.settings import SEED_BITS, Critic, Learning, Ppo, RunConfig
from host.tasks import TASKS, Task, get_task
from host.training import Progress, train

CONFIG = DeviceConfig(inputs=2, groups=2, group_size=3, actions=2)


# --- returns and advantages -------------------------------------------------------------------------
@settings(deadline=None)  # the first call compiles
@given(st.lists(st.floats(-5, 5), min_size=1, max_size=30), st.floats(0, 1), st.floats(-5, 5))
def test_discounted_returns_are_the_sum_of_their_definition(rewards: list[float], gamma: float, tail: float) -> None:
    length = len(rewards)
    expected = [
        sum(gamma ** (k - t) * rewards[k] for k in range(t, length)) + gamma ** (length - t) * tail
        for t in range(length)
    ]
    np.testing.assert_allclose(discount(np.array(rewards), gamma, tail), expected, atol=1e-9)


def test_generalised_advantage_with_lambda_one_is_return_less_value() -> None:
    rng = np.random.default_rng(0)
    rewards, values = rng.normal(size=(6, 3)), rng.normal(size=(6, 3))
    bootstrap = rng.normal(size=3)
    following = np.vstack([values[1:], bootstrap])
    ended = np.zeros((6, 3), dtype=bool)
    advantage = generalised_advantage(rewards, values, following, ended, 0.9, 1.0)
    for e in range(3):
        np.testing.assert_allclose(advantage[:, e], discount(rewards[:, e].copy(), 0.9, bootstrap[e]) - values[:, e])


def test_generalised_advantage_with_lambda_zero_is_one_step() -> None:
    rng = np.random.default_rng(1)
    rewards, values, following = rng.normal(size=(3, 6, 2))
    advantage = generalised_advantage(rewards, values, following, np.zeros((6, 2), dtype=bool), 0.9, 0.0)
    np.testing.assert_allclose(advantage, rewards + 0.9 * following - values)


def test_generalised_advantage_does_not_look_past_the_end_of_an_episode() -> None:
    values = following = np.zeros((4, 1))
    ended = np.array([[False], [True], [False], [False]])
    before = generalised_advantage(np.array([[1.0], [1], [1], [1]]), values, following, ended, 0.9, 0.8)
    after = generalised_advantage(np.array([[1.0], [1], [7], [7]]), values, following, ended, 0.9, 0.8)
    assert np.array_equal(before[:2], after[:2]) and (before[2:] != after[2:]).all()


def test_standardised_values_have_mean_zero_and_deviation_one() -> None:
    values = standardise(np.array([1.0, 2.0, 4.0]))
    assert values.mean() == pytest.approx(0) and values.std() == pytest.approx(1)
    assert np.array_equal(standardise(np.full(3, 2.0)), np.zeros(3))


class Corridor(gymnasium.Env[Any, Any]):
    """Three steps of reward 1; ``terminates`` says which of the two ends it is."""

    observation_space = Box(0.0, 1.0, (2,), np.float32)
    action_space = Discrete(2)

    def __init__(self, terminates: bool) -> None:
        self.terminates, self.at = terminates, 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        self.at = 0
        return np.full(2, 0.5, np.float32), {}

    def step(self, action: int) -> Any:
        self.at += 1
        done = self.at == 3
        return np.full(2, 0.5, np.float32), 1.0, done and self.terminates, done and not self.terminates, {}


@pytest.mark.parametrize("terminates", [True, False])
def test_targets_end_in_zero_where_the_episode_terminated_and_in_the_critic_where_it_was_cut(terminates: bool) -> None:
    task = Task("corridor", "", 2, 2, TASKS["cartpole"].defaults, environment="corridor")
    object.__setattr__(task, "make", lambda: Corridor(terminates))
    agent = Agent(make_backend("golden", CONFIG), Learning(), seed=1)
    learner = ReplayPpo(task, agent, Ppo(batch=8, buffer=8, gamma=0.5), Critic(hidden=4))
    learner.advance()
    obs = np.full((1, 2), 0.5)
    value = float((agent.decide(obs, Purpose.ACT, 0, "greedy").action_prob * learner._critic.predict(obs)).sum())
    assert value != 0
    tail = 0.0 if terminates else value
    expected = [1 + 0.5 * (1 + 0.5 * (1 + 0.5 * tail)), 1 + 0.5 * (1 + 0.5 * tail), 1 + 0.5 * tail]
    np.testing.assert_allclose(learner.state()["window.target"][:3], expected, rtol=1e-6)


# --- seeds ------------------------------------------------------------------------------------------
@given(st.integers(0, (1 << SEED_BITS) - 1), st.sampled_from(list(Purpose)), st.integers(0, (1 << COUNTER_BITS) - 8))
def test_a_nonce_holds_seed_purpose_and_counter(seed: int, purpose: Purpose, first: int) -> None:
    for offset, nonce in enumerate(nonces(seed, purpose, first, 4)):
        value = int(nonce)
        assert value >> (64 - SEED_BITS) == seed
        assert (value >> COUNTER_BITS) & 15 == purpose
        assert value & ((1 << COUNTER_BITS) - 1) == first + offset


def test_episodes_start_from_different_seeds() -> None:
    seeds = {
        environment_seed(seed, purpose, environment, episode)
        for seed in (0, 1)
        for purpose in (Purpose.ACT, Purpose.VALIDATE, Purpose.PLAY)
        for environment in range(3)
        for episode in range(20)
    }
    assert len(seeds) == 2 * 3 * 3 * 20


def test_a_generator_continues_from_its_packed_state() -> None:
    rng = generator(5, Purpose.SAMPLES)
    rng.integers(0, 10, 3, dtype=np.int32)  # leaves half a 64-bit word behind
    packed = pack_generator(rng)
    other = generator(6, Purpose.CRITIC)
    unpack_generator(other, packed)
    assert np.array_equal(rng.integers(0, 1000, 50, dtype=np.int32), other.integers(0, 1000, 50, dtype=np.int32))


# --- critic and baseline ----------------------------------------------------------------------------
def test_the_critic_learns_the_value_of_the_action_taken() -> None:
    rng = np.random.default_rng(2)
    obs, action = rng.random((256, 2)), rng.integers(0, 2, 256)
    target = np.where(action == 0, obs[:, 0], 1 - obs[:, 1])
    critic = MlpCritic(2, 2, 16, 1e-2, seed=0)
    first = critic.fit(obs, target, action)
    assert critic.fit(obs, target, action, steps=400) < 0.05 * first
    np.testing.assert_allclose(critic.predict(obs), np.stack([obs[:, 0], 1 - obs[:, 1]], 1), atol=0.25)


def test_the_critic_continues_from_its_state() -> None:
    rng = np.random.default_rng(3)
    obs, target = rng.random((32, 2)), rng.random(32)
    critic, copy = MlpCritic(2, 1, 8, 1e-2, seed=0), MlpCritic(2, 1, 8, 1e-2, seed=1)
    assert not np.array_equal(critic.predict(obs), copy.predict(obs))
    critic.fit(obs, target, steps=5)
    copy.restore(critic.state())
    for each in (critic, copy):
        each.fit(obs, target, steps=5)
    assert np.array_equal(critic.predict(obs), copy.predict(obs))


def test_the_running_baseline_starts_with_its_first_batch() -> None:
    baseline = RunningBaseline(0.9)
    assert (baseline.mean, baseline.deviation) == (0.0, 1.0)
    baseline.update(np.array([1.0, 3.0]))
    assert (baseline.mean, baseline.deviation) == (2.0, 1.0)
    baseline.update(np.array([12.0, 12.0]))
    assert baseline.mean == pytest.approx(3.0)


# --- agent ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("rule", ["published", "conditional", "contrastive"])
@pytest.mark.parametrize("backend", ["golden", "float"])
def test_training_makes_a_rewarded_action_more_likely(backend: str, rule: str) -> None:
    learning = Learning(rule=rule, entropy=0.0, rate=2.0**-6, obs_rate=2.0**-6)
    agent = Agent(make_backend(backend, CONFIG), learning, seed=1)
    agent.load(initial_parameters(CONFIG, learning, 1))
    obs = np.full((64, 2), 0.5)
    before = agent.decide(obs, Purpose.PLAY, 0, "greedy").action_prob[0, 1]
    for step in range(30):
        decision = agent.decide(obs, Purpose.ACT, 64 * step, agent.policy)
        decided = np.arange(64 * step, 64 * (step + 1))
        agent.train(obs, decision.winners, decided, np.where(decision.action == 1, 1.0, -1.0))
    assert agent.decide(obs, Purpose.PLAY, 0, "greedy").action_prob[0, 1] > before + 0.2


def test_rates_are_halved_over_a_training() -> None:
    learning = Learning(rate=2.0**-9, obs_rate=2.0**-11, halve=10)
    rates = [update_of(learning, 8, before) for before in (0, 9, 10, 29, 80, 1000)]
    assert [update.rate for update in rates] == [2.0**-power for power in (9, 9, 10, 11, 17, 17)]
    assert [update.obs_rate for update in rates] == [2.0**-power for power in (11, 11, 12, 13, 19, 19)]
    assert update_of(Learning(rate=2.0**-9), 8, 1000).rate == 2.0**-9


def test_an_agent_halves_the_rates_of_its_own_updates(monkeypatch: pytest.MonkeyPatch) -> None:
    agent = Agent(make_backend("golden", CONFIG), Learning(rate=2.0**-6, halve=2), seed=1)
    rates: list[float] = []
    monkeypatch.setattr(agent.backend, "apply", lambda update: rates.append(update.rate))
    obs, winners = np.full((4, 2), 0.5), np.zeros((4, CONFIG.groups + 1), dtype=np.int64)
    for _ in range(3):
        agent.train(obs, winners, np.arange(4), np.ones(4))
    assert rates == [2.0**-6, 2.0**-6, 2.0**-7]


def test_centring_happens_on_the_host_and_is_saved_with_the_parameters() -> None:
    parameters = random_start(CONFIG, 3, 0.5, 1.0)
    plain, centred = (Agent(make_backend("golden", CONFIG)) for _ in range(2))
    plain.load(parameters)
    parameters.obs_mean, parameters.obs_scale = np.array([0.25, 0.5]), 0.5
    centred.load(parameters)
    obs = np.random.default_rng(0).integers(0, 9, (20, 2)) / 8
    assert np.array_equal(
        centred.decide(obs, Purpose.PLAY, 0, "sample").q,
        plain.decide((obs - [0.25, 0.5]) / 0.5, Purpose.PLAY, 0, "sample").q,
    )
    assert np.array_equal(centred.read().obs_mean, [0.25, 0.5]) and centred.read().obs_scale == 0.5


# --- training ---------------------------------------------------------------------------------------
def test_solved_counts_validations_in_a_row() -> None:
    progress = Progress()
    for episode, mean in ((10, 200.0), (20, 100.0), (30, 196.0), (40, 195.0), (50, 200.0)):
        progress.episodes = episode
        progress.record(mean, threshold=195.0)
    assert (progress.streak, progress.streak_start, progress.best) == (3, 30, 200.0)


def test_record_prefers_the_later_of_equal_validations() -> None:
    progress = Progress()
    assert [progress.record(mean, 195.0) for mean in (5.0, 4.0, 5.0, 6.0)] == [True, False, True, True]


def test_smoothing_keeps_a_constant_and_averages_a_step() -> None:
    assert np.allclose(smoothed(np.full(20, 3.0), 5), 3.0)
    assert smoothed(np.array([0.0, 0.0, 0.0, 5.0, 5.0, 5.0]), 3)[2] == pytest.approx(5 / 3)


def test_unknown_names_say_what_there_is() -> None:
    with pytest.raises(SvpgError, match="choose one of inverted-pendulum, cartpole, doom"):
        get_task("chess")
    with pytest.raises(SvpgError, match="choose one of float, golden"):
        make_backend("gpu", CONFIG)
    with pytest.raises(SvpgError, match="no 'morse' mode"):
        check_backend("golden", "morse")


@pytest.mark.slow
def test_the_pendulum_is_solved_on_golden(tmp_path: Path) -> None:
    task = get_task("inverted-pendulum")
    config = RunConfig(task.name, "golden", "ppo", 2, task.defaults("golden", "ppo"))
    result = train(config, tmp_path / "run")
    assert result.solved and result.best_validation >= 195.0
