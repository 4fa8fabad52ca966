"""The reward modulators against the published code's numbers and against derivatives of the objectives."""

from pathlib import Path

import numpy as np
import pytest

from golden.modulator import ppo, ppo_authors, reinforce

DATA = Path(__file__).parent / "data"
ORACLES = ("net_s4_h2x3_a3.npz", "net_s4_h8x8_a5.npz")


def softmax(u):
    e = np.exp(u - u.max())
    return e / e.sum()


def entropy_of(pi):
    return -np.sum(pi * np.log(pi))


def slope(function, x, step=1e-6):
    return (function(x + step) - function(x - step)) / (2 * step)


@pytest.fixture(params=ORACLES)
def oracle(request):
    with np.load(DATA / request.param) as archive:
        return {key: archive[key] for key in archive.files}


def test_authors_form_reproduces_the_published_code(oracle):
    low = int(oracle["H_groups"]) * int(oracle["H_size"])
    pi = oracle["final_q_has"][:, low : low + int(oracle["A"])]
    old = np.exp(oracle["old_logprob"].astype(np.float64))
    eps, beta = float(oracle["eps_clip"]), float(oracle["entropy_ratio"])
    modulator = ppo_authors(pi, oracle["action"], old, oracle["advantage"], eps, beta)
    # Both oracle arrays are M / B, from automatic differentiation and from the closed form.
    np.testing.assert_allclose(modulator / len(pi), oracle["gradient"], atol=1e-6)
    np.testing.assert_allclose(modulator / len(pi), oracle["gradient_closed_form"], atol=1e-6)


def test_oracle_holds_clipped_and_unclipped_samples(oracle):
    ratio = np.exp(oracle["logprob"] - oracle["old_logprob"].astype(np.float64))
    advantage, eps = oracle["advantage"], float(oracle["eps_clip"])
    clipped = ((advantage > 0) & (ratio > 1 + eps)) | ((advantage < 0) & (ratio < 1 - eps))
    assert 0 < clipped.sum() < len(clipped)


@pytest.mark.parametrize("advantage", [-1.7, 0.6])
@pytest.mark.parametrize("ratio", [0.3, 0.75, 0.85, 1.0, 1.15, 1.25, 3.0])
def test_ppo_is_the_slope_of_the_clipped_objective_in_ln_pi(ratio, advantage):
    clip, old = 0.2, 0.2

    def objective(log_pi):
        r = np.exp(log_pi) / old
        return np.minimum(r * advantage, np.clip(r, 1 - clip, 1 + clip) * advantage)

    pi_a = ratio * old
    got = ppo([[pi_a, 1 - pi_a]], [0], [old], [advantage], clip, 0.0)
    np.testing.assert_allclose(got, slope(objective, np.log(pi_a)), atol=1e-8)


@pytest.mark.parametrize("actions", [2, 5])
def test_entropy_term_of_ppo_is_unbiased_for_actions_of_the_old_policy(actions):
    rng = np.random.default_rng(actions)
    potentials, beta = rng.normal(size=actions), 0.7
    old, pi = softmax(rng.normal(size=actions)), softmax(potentials)
    every = np.arange(actions)
    modulator = ppo(np.tile(pi, (actions, 1)), every, old, np.zeros(actions), 0.2, beta)
    score = np.eye(actions) - pi  # d ln(pi_a) / d u_j, one row per action
    expected = [
        slope(lambda x, j=j: beta * entropy_of(softmax(np.where(every == j, x, potentials))), potentials[j])
        for j in every
    ]
    np.testing.assert_allclose((old * modulator) @ score, expected, atol=1e-8)


def test_ppo_at_the_old_policy_is_the_policy_gradient_of_expected_advantage():
    rng = np.random.default_rng(1)
    potentials, advantage = rng.normal(size=4), rng.normal(size=4)
    pi, every = softmax(potentials), np.arange(4)
    modulator = ppo(np.tile(pi, (4, 1)), every, pi, advantage, 0.2, 0.0)
    expected = [
        slope(lambda x, j=j: softmax(np.where(every == j, x, potentials)) @ advantage, potentials[j]) for j in every
    ]
    np.testing.assert_allclose((pi * modulator) @ (np.eye(4) - pi), expected, atol=1e-8)


@pytest.mark.parametrize("advantage", [-0.9, 1.3])
def test_authors_form_is_the_slope_in_the_potential_of_the_chosen_action(advantage):
    rng = np.random.default_rng(2)
    potentials, beta, clip, chosen = rng.normal(size=5), 0.3, 0.2, 3
    pi = softmax(potentials)
    old = pi[chosen] / 1.05

    def objective(u):
        now = softmax(np.where(np.arange(5) == chosen, u, potentials))
        r = now[chosen] / old
        return np.minimum(r * advantage, np.clip(r, 1 - clip, 1 + clip) * advantage) + beta * entropy_of(now)

    got = ppo_authors([pi], [chosen], [old], [advantage], clip, beta)
    np.testing.assert_allclose(got, slope(objective, potentials[chosen]), atol=1e-8)


def test_reinforce_is_ppo_at_ratio_one():
    rng = np.random.default_rng(3)
    pi = rng.dirichlet(np.ones(4), size=16)
    action = rng.integers(0, 4, 16)
    advantage = rng.normal(size=16)
    own = pi[np.arange(16), action]
    np.testing.assert_allclose(reinforce(pi, action, advantage, 0.2), ppo(pi, action, own, advantage, 0.2, 0.2))


def test_reinforce_without_entropy_is_the_advantage():
    np.testing.assert_array_equal(reinforce([[0.25, 0.75]], [0], [-1.5], 0.0), [-1.5])


@pytest.mark.parametrize("form", [ppo, ppo_authors])
def test_floor_bounds_logarithms_and_ratios_of_vanished_probabilities(form):
    floor = 2.0**-15
    modulator = form([[0.0, 1.0]] * 2, [0, 1], [0.0, 0.0], [-1.0, -1.0], 0.2, 1.0, floor)
    same = form([[0.0, 1.0]] * 2, [0, 1], [floor, floor], [-1.0, -1.0], 0.2, 1.0, floor)
    assert np.isfinite(modulator).all()
    np.testing.assert_array_equal(modulator, same)


def test_ratio_of_two_vanished_probabilities_is_one():
    floor = 2.0**-15
    np.testing.assert_allclose(ppo([[0.0, 1.0]], [0], [0.0], [-3.0], 0.2, 0.0, floor), [-3.0])
    np.testing.assert_allclose(ppo_authors([[0.0, 1.0]], [0], [0.0], [-3.0], 0.2, 0.0, floor), [-3.0 * (1 - floor)])


def test_quantised_probabilities_above_the_floor_are_left_alone():
    pi = np.array([[0.125, 0.875]])
    assert ppo(pi, [0], [0.125], [1.0], 0.2, 0.5, 2.0**-15) == ppo(pi, [0], [0.125], [1.0], 0.2, 0.5, 1e-300)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"probabilities": [0.5, 0.5]}, "expected \\(B, A\\)"),
        ({"action": [[0]]}, "expected \\(1,\\) integers"),
        ({"action": [0.0]}, "expected \\(1,\\) integers"),
        ({"action": [2]}, "0 ... 1"),
        ({"action": [-1]}, "0 ... 1"),
        ({"advantage": [[1.0]]}, "advantage has shape"),
        ({"old_probability": [0.5, 0.5]}, "old_probability has shape"),
        ({"floor": 0.0}, "must be positive"),
    ],
)
@pytest.mark.parametrize("form", [ppo, ppo_authors])
def test_wrong_arguments_are_refused(form, change, message):
    arguments = {
        "probabilities": [[0.5, 0.5]],
        "action": [0],
        "old_probability": [0.5],
        "advantage": [1.0],
        "clip": 0.2,
        "entropy": 0.1,
    }
    with pytest.raises(ValueError, match=message):
        form(**(arguments | change))
