"""The learning rules against exact gradients, by enumerating every winner of tiny networks in float64."""

import itertools

import numpy as np
import pytest
import torch

from golden.config import REMOVABLE, DeviceConfig
from golden.parameters import Parameters
from golden.reference import FloatNetwork

SIZES = {"inputs": 2, "groups": 2, "group_size": 2, "actions": 3}


def make_network(removed="none", seed=0, scale=0.5, **changes):
    config = DeviceConfig(**SIZES, removed=removed, **changes)
    rng = np.random.default_rng(seed)
    n = config.neurons
    block = np.triu(rng.normal(size=(n, n)) * scale)
    weight = np.vstack((block + block.T, rng.normal(size=(config.inputs, n)) * scale)) * config.mask
    sizes = {key: SIZES[key] for key in ("groups", "group_size", "actions", "inputs")}
    network = FloatNetwork(config, dtype=torch.float64)
    network.load(Parameters(weight, rng.normal(size=n) * scale, **sizes))
    return network, rng.normal(size=config.inputs)


def all_winners(config):
    """Every outcome, int64 (K**G * A, G+1)."""
    ranges = [range(config.group_size)] * config.groups + [range(config.actions)]
    return np.array(list(itertools.product(*ranges)))


def spikes(config, winners):
    v = np.zeros((len(winners), config.neurons))
    v[np.arange(len(winners))[:, None], winners + config.group_start[:-1]] = 1.0
    return v


def softmax(u):
    e = np.exp(u - u.max())
    return e / e.sum()


def joint(config, weight, bias, s):
    """Gibbs distribution of all outcomes, ``-E = v W v + s W v + b v``; the first term counts each pair twice."""
    n = config.neurons
    v = spikes(config, all_winners(config))
    return softmax(np.einsum("ki,ij,kj->k", v, weight[:n], v) + v @ (s @ weight[n:] + bias))


def action_marginal(config, probability):
    winners = all_winners(config)
    return np.bincount(winners[:, -1], weights=probability, minlength=config.actions)


def gradient(config, function, weight, bias, step=1e-5):
    """Central differences; the two entries of a recurrent synapse move together. (P, N) and (N,)."""
    n = config.neurons

    def slope(array, *entries):
        values = []
        for sign in (1, -1):
            moved = array.copy()
            for entry in entries:
                moved[entry] += sign * step
            values.append(function(moved, bias) if array is weight else function(weight, moved))
        return (values[0] - values[1]) / (2 * step)

    by_weight = np.zeros_like(weight)
    for i, j in np.argwhere(config.mask):
        by_weight[i, j] = slope(weight, *({(i, j), (j, i)} if i < n else {(i, j)}))
    return by_weight, np.array([slope(bias, j) for j in range(n)])


def numpy_parameters(network):
    return network.weight.numpy().copy(), network.bias.numpy().copy()


def repeat(s, count):
    return torch.from_numpy(np.tile(s, (count, 1)))


def hidden_part(config, weight, bias):
    """All updates that only the hidden layer has: columns of hidden neurons without the action rows."""
    h, n = config.hidden, config.neurons
    return np.concatenate([weight[:h, :h].ravel(), weight[n:, :h].ravel(), bias[:h]])


def flat(config, weight, bias):
    return np.concatenate([weight[config.mask], bias])


def cosine(a, b):
    return a @ b / (np.linalg.norm(a) * np.linalg.norm(b))


def expected_direction(network, rule, s, probability, reward):
    """E[reward(action) * e] over all outcomes of the given probabilities."""
    winners = all_winners(network.config)
    modulator = probability * reward[winners[:, -1]]
    total = network.direction(rule, repeat(s, len(winners)), torch.from_numpy(winners), torch.from_numpy(modulator))
    return total.weight.numpy(), total.bias.numpy()


# --- energy and inference ------------------------------------------------------------------------------
def test_mean_field_potentials_are_the_gibbs_conditionals_of_the_energy():
    network, s = make_network()
    config = network.config
    weight, bias = numpy_parameters(network)
    winners, p = all_winners(config), joint(config, weight, bias, s)
    v = spikes(config, winners)
    drive = network.drive(repeat(s, 1))
    for k, outcome in enumerate(winners):
        # One mean-field pass from a one-hot state gives every group its distribution given all other groups.
        _, q = network.settle(drive, q0=torch.from_numpy(v[k : k + 1]), iterations=1)
        for group in range(config.groups + 1):
            others = np.delete(np.arange(config.groups + 1), group)
            same = np.flatnonzero((winners[:, others] == outcome[others]).all(axis=1))
            low, high = config.group_start[group : group + 2]
            np.testing.assert_allclose(q[0, low:high].numpy(), p[same] / p[same].sum(), atol=1e-12)


def test_clamped_phase_is_exact_without_hidden_hidden_links():
    network, s = make_network("hh")
    config = network.config
    p = joint(config, *numpy_parameters(network), s)
    winners = all_winners(config)
    v = spikes(config, winners)
    drive = network.drive(repeat(s, config.actions))
    _, q = network.settle(drive)
    clamped = network.clamp(drive, q, torch.arange(config.actions)).numpy()
    for action in range(config.actions):
        given = winners[:, -1] == action
        np.testing.assert_allclose(clamped[action], p[given] @ v[given] / p[given].sum(), atol=1e-12)


# --- contrastive ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("removed", REMOVABLE)
def test_contrastive_rule_with_exact_correlations_is_the_gradient_of_ln_policy(removed):
    network, s = make_network(removed, seed=1)
    config = network.config
    weight, bias = numpy_parameters(network)
    winners, p = all_winners(config), joint(config, weight, bias, s)
    v, obs = torch.from_numpy(spikes(config, winners)), repeat(s, len(winners))
    silent = torch.zeros_like(v)

    def correlations(probability):  # the rule is linear in each phase's products, and zero for a silent network
        return network.contrastive(silent, v, obs, torch.from_numpy(probability))

    free = correlations(p)
    for action in range(config.actions):
        given = np.where(winners[:, -1] == action, p, 0.0)
        clamped = correlations(given / given.sum())

        def log_policy(w, b, action=action):
            return np.log(action_marginal(config, joint(config, w, b, s))[action])

        by_weight, by_bias = gradient(config, log_policy, weight, bias)
        np.testing.assert_allclose((clamped.weight - free.weight).numpy(), by_weight, atol=1e-8)
        np.testing.assert_allclose((clamped.bias - free.bias).numpy(), by_bias, atol=1e-8)


def contrastive_update(network, s, policy, reward):
    """E[reward * e] of the mean-field rule for actions drawn from ``policy``."""
    winners = np.zeros((network.config.actions, network.config.groups + 1), dtype=np.int64)
    winners[:, -1] = np.arange(network.config.actions)
    total = network.direction(
        "contrastive", repeat(s, len(winners)), torch.from_numpy(winners), torch.from_numpy(policy * reward)
    )
    return total.weight.numpy(), total.bias.numpy()


def exact_gradient(network, s, reward):
    """Gradient of the expected reward under the exact energy-based policy."""
    config = network.config

    def value(w, b):
        return action_marginal(config, joint(config, w, b, s)) @ reward

    return gradient(config, value, *numpy_parameters(network))


@pytest.mark.parametrize("scale", [0.5, 1.0])
@pytest.mark.parametrize("removed", ["hh", "hhsa"])
def test_contrastive_rule_is_exact_without_hidden_hidden_links_when_rewards_are_centred(removed, scale):
    # The free phase does not depend on the action, so centring cancels it; the clamped phase is exact here.
    network, s = make_network(removed, 4, scale)
    config = network.config
    reward = np.array([0.3, -1.0, 2.0])
    policy = action_marginal(config, joint(config, *numpy_parameters(network), s))
    by_weight, by_bias = exact_gradient(network, s, reward)
    weight, bias = contrastive_update(network, s, policy, reward - policy @ reward)
    np.testing.assert_allclose(weight, by_weight, atol=1e-8)
    np.testing.assert_allclose(bias, by_bias, atol=1e-8)


def contrastive_cosines(removed, scale, centred):
    """Cosine between mean-field update and exact gradient, whole and hidden part; actions from the mean field."""
    cosines = []
    for seed in range(12):
        network, s = make_network(removed, seed, scale, iterations=50, clamp_iterations=50)
        config = network.config
        reward = np.random.default_rng(seed + 100).normal(size=config.actions)
        policy = network.settle(network.drive(repeat(s, 1)))[1][0, config.hidden :].numpy()
        got = contrastive_update(network, s, policy, reward - policy @ reward if centred else reward)
        exact = exact_gradient(network, s, reward)
        cosines.append([cosine(part(config, *got), part(config, *exact)) for part in (flat, hidden_part)])
    return np.array(cosines)


@pytest.mark.parametrize(
    ("removed", "scale", "worst"), [("none", 0.05, 0.999), ("none", 0.2, 0.97), ("hhsa", 0.2, 0.99), ("hhsa", 1.0, 0.8)]
)
def test_mean_field_contrastive_rule_points_along_the_gradient(removed, scale, worst):
    assert contrastive_cosines(removed, scale, centred=True).min() > worst


def test_contrastive_rule_needs_centred_rewards_once_weights_are_large():
    # The mean-field free phase is a biased baseline; an uncentred reward can turn the hidden update around.
    assert contrastive_cosines("hhsa", 1.0, centred=False)[:, 1].min() < 0
    assert contrastive_cosines("hhsa", 1.0, centred=True)[:, 1].min() > 0.9


# --- published -----------------------------------------------------------------------------------------
def test_published_rule_has_no_expected_hidden_update():
    network, s = make_network(iterations=100)
    config = network.config
    _, q = network.settle(network.drive(repeat(s, 1)))
    reward = np.array([1.0, -2.0, 0.5])
    probability = (q.numpy() * spikes(config, all_winners(config))).reshape(-1, config.neurons)
    probability = np.prod(probability, axis=1, where=probability > 0)
    assert probability.sum() == pytest.approx(1.0)
    weight, bias = expected_direction(network, "published", s, probability, reward)
    np.testing.assert_allclose(hidden_part(config, weight, bias), 0.0, atol=1e-15)
    assert np.abs(weight[config.neurons :, config.hidden :]).max() > 1e-2  # observation-action does learn
    assert np.abs(weight[: config.hidden, config.hidden : config.neurons]).max() > 1e-2  # and hidden-action


# --- conditional ---------------------------------------------------------------------------------------
def conditional_outcomes(network, weight, bias, s, held=None):
    """P(h, a) of conditional sampling: h from the mean field, a from P(a | s, h).

    ``held`` (N,) is the activity the hidden groups see; by default they settle anew with the given weights.
    """
    config = network.config
    h, n = config.hidden, config.neurons
    drive = s @ weight[n:] + bias
    if held is None:
        moved = FloatNetwork(config, dtype=torch.float64)
        moved.weight.copy_(torch.from_numpy(weight))
        moved.bias.copy_(torch.from_numpy(bias))
        _, settled = moved.settle(moved.drive(repeat(s, 1)))
        q = settled[0, :h].numpy()
    else:
        u = (2 * held @ weight[:n] + drive)[:h].reshape(config.groups, -1)
        q = np.concatenate([softmax(row) for row in u])
    winners = all_winners(config)
    v = spikes(config, winners)
    of_hidden = np.prod(q[winners[:, :-1] + config.group_start[:-2]], axis=1)
    of_action = [softmax(2 * row[:h] @ weight[:h, h:] + drive[h:]) for row in v]
    return of_hidden * np.array([p[a] for p, a in zip(of_action, winners[:, -1], strict=True)])


@pytest.mark.parametrize("removed", REMOVABLE)
def test_conditional_rule_is_unbiased_where_the_last_pass_is_all_there_is(removed):
    network, s = make_network(removed, seed=2, iterations=200)
    config = network.config
    weight, bias = numpy_parameters(network)
    _, settled = network.settle(network.drive(repeat(s, 1)))
    held = settled[0].numpy()
    reward = np.array([0.3, -1.0, 2.0])

    def value(w, b):
        return action_marginal(config, conditional_outcomes(network, w, b, s, held)) @ reward

    by_weight, by_bias = gradient(config, value, weight, bias)
    probability = conditional_outcomes(network, weight, bias, s)
    got_weight, got_bias = expected_direction(network, "conditional", s, probability, reward)
    n = config.neurons
    # The rule takes recurrent activity at weight one where the potential has 2 q W: half the gradient, as published.
    np.testing.assert_allclose(2 * got_weight[:n], by_weight[:n], atol=1e-8)
    np.testing.assert_allclose(got_weight[n:], by_weight[n:], atol=1e-8)
    np.testing.assert_allclose(got_bias, by_bias, atol=1e-8)
    if "ha" not in REMOVABLE[removed]:
        assert np.abs(hidden_part(config, got_weight, got_bias)).max() > 1e-2


def test_conditional_rule_is_the_whole_gradient_of_feed_forward_parameters_after_one_silent_pass():
    network, s = make_network(seed=3, iterations=1, start="silent")
    config = network.config
    weight, bias = numpy_parameters(network)
    reward = np.array([0.3, -1.0, 2.0])

    def value(w, b):
        return action_marginal(config, conditional_outcomes(network, w, b, s)) @ reward

    by_weight, by_bias = gradient(config, value, weight, bias)
    probability = conditional_outcomes(network, weight, bias, s)
    got_weight, got_bias = expected_direction(network, "conditional", s, probability, reward)
    np.testing.assert_allclose(got_weight[config.neurons :], by_weight[config.neurons :], atol=1e-8)
    np.testing.assert_allclose(got_bias, by_bias, atol=1e-8)


@pytest.mark.parametrize(("scale", "worst"), [(0.05, 0.99), (0.2, 0.93), (0.5, 0.8)])
def test_conditional_rule_points_along_the_gradient_through_all_passes(scale, worst):
    for seed in range(10):
        network, s = make_network("sa", seed, scale, iterations=6)
        config = network.config
        weight, bias = numpy_parameters(network)
        reward = np.random.default_rng(seed + 100).normal(size=config.actions)

        def value(w, b, network=network, s=s, reward=reward):
            return action_marginal(network.config, conditional_outcomes(network, w, b, s)) @ reward

        exact = gradient(config, value, weight, bias)
        probability = conditional_outcomes(network, weight, bias, s)
        got_weight, got_bias = expected_direction(network, "conditional", s, probability, reward)
        got_weight[: config.neurons] *= 2
        for part in (flat, hidden_part):
            assert cosine(part(config, got_weight, got_bias), part(config, *exact)) > worst
