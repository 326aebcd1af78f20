import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from astra_jax import config as c
from astra_jax.errors import UserError
from astra_jax.inputs.example import Example
from astra_jax.inputs.pipeline import make_dataset
from astra_jax.models.heatmaps import gaussian_targets
from astra_jax.params import flatten
from astra_jax.training.keypoint_objective import KeypointObjective, joint_loss, wave_positions
from astra_jax.training.loop import train
from astra_jax.training.mesh import check_axes, make_mesh
from astra_jax.vit_config import KeypointsConfig, VitConfig, VitPoseConfig
from astra_jax.weights.pretrained import load_pretrained
from configs.puppet_keypoints import STAGES, get_config

GRID = (8, 8)
VIT = VitConfig((32, 32), patch=8, width=16, layers=1, heads=2, mlp_dim=16, class_token=False)
CONFIG = c.Config(
    model=c.ModelConfig(dtype="float32"),
    keypoints=KeypointsConfig(
        joints=VitPoseConfig(VIT, stem=(8,), channels=()), people=VitPoseConfig(VIT, channels=(), maps=5)
    ),
    train=c.TrainConfig(
        objective="keypoints", batch_size=4, steps=20, log_every=5, sample_every=0, checkpoint_every=0,
        optimizer=c.OptimizerConfig(learning_rate=3e-3, warmup_steps=2),
    ),
)  # fmt: skip


class Dots:
    """People who are seventeen dots of one colour on grey."""

    def __len__(self):
        return 8

    def __getitem__(self, index):
        rng = np.random.default_rng(index)
        people = np.full((1, 17, 3), 2, np.float32)
        people[..., :2] = rng.uniform(10, 50, (1, 17, 2))
        picture = np.full((64, 64, 3), 90, np.uint8)
        for x, y, _ in people[0]:
            picture[int(y) - 2 : int(y) + 3, int(x) - 2 : int(x) + 3] = (250, 40, 40)
        return Example("", (), people, (64, 64), picture)


def logits(shares):
    """Maps whose softmax is `shares`."""
    return jnp.log(jnp.maximum(shares, 1e-12)).swapaxes(1, 2).reshape(len(shares), *GRID, -1)


def loss(maps, places, labelled=True, somebody=True):
    shape = places.shape[:2]
    return joint_loss(
        maps, places, jnp.full(shape, labelled), jnp.full(shape, 0.5), jnp.full(shape[:1], somebody)
    )  # fmt: skip


def test_a_right_map_costs_nothing():
    places = jnp.array([[[3.0, 4.0], [3.5, 3.5]]])
    entropy, error, oks = loss(logits(gaussian_targets(places, GRID)), places)
    np.testing.assert_allclose(entropy, 0, atol=1e-5)
    np.testing.assert_allclose(error, 0, atol=0.02)  # the grid cuts the tails of the Gaussians
    np.testing.assert_allclose(oks, 1, atol=0.02)


def test_a_map_that_is_a_cell_off_by_hand():
    """Expectation (4, 4) of a joint at (3, 4) with a tolerance of half a cell: d = 2."""
    one = jnp.zeros((1, 1, 64)).at[0, 0, 4 * 8 + 4].set(1.0)
    places = jnp.array([[[3.0, 4.0]]])
    entropy, error, oks = loss(logits(one), places)
    np.testing.assert_allclose(error, np.sqrt(5) - 1, rtol=1e-4)
    np.testing.assert_allclose(oks, np.exp(-2), rtol=1e-4)
    target = np.asarray(gaussian_targets(places, GRID))[0, 0]
    log = np.where(np.arange(64) == 36, 0, np.log(1e-12))
    np.testing.assert_allclose(entropy, (target * (np.log(np.maximum(target, 1e-12)) - log)).sum(), rtol=1e-4)


def test_where_nobody_is_the_map_ought_to_be_flat():
    places = jnp.array([[[3.0, 4.0]]])
    flat, peak = jnp.zeros((1, *GRID, 1)), logits(gaussian_targets(places, GRID))
    assert loss(flat, places, somebody=False)[0] < 1e-5 < 1 < loss(peak, places, somebody=False)[0]
    assert loss(peak, places, somebody=False)[1] == 0


def test_unlabelled_joints_cost_nothing():
    places = jnp.array([[[3.0, 4.0]]])
    assert [float(value) for value in loss(jnp.zeros((1, *GRID, 1)), places, labelled=False)] == [0, 0, 0]


def test_waves_tell_places_apart():
    table = np.asarray(wave_positions(4, 6, 16))
    assert table.shape == (24, 16)
    np.testing.assert_allclose(table[0], [0] * 4 + [1] * 4 + [0] * 4 + [1] * 4, atol=1e-6)
    np.testing.assert_allclose(table[1, [0, 4]], [np.sin(1), np.cos(1)], rtol=1e-5)  # one place to the right
    np.testing.assert_allclose(table[6, [8, 12]], [np.sin(1), np.cos(1)], rtol=1e-5)  # one row down
    assert np.linalg.norm(table[:, None] - table, axis=-1)[~np.eye(24, dtype=bool)].min() > 0.5
    with pytest.raises(ValueError, match="not 6"):
        wave_positions(2, 2, 6)


def test_a_short_run_through_the_loop_learns_and_leaves_both_networks(tmp_path):
    data = make_dataset(CONFIG, training=True, source=Dots())
    train(CONFIG, tmp_path, KeypointObjective(CONFIG), data, devices=jax.devices()[:1])
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["loss"] < 0.75 * lines[0]["loss"]
    assert {"entropy", "place", "oks", "heads", "boxes"} <= lines[-1].keys()
    config, params = load_pretrained(tmp_path)
    assert config == CONFIG
    assert sorted(params) == ["joints", "people"]


def test_the_weight_of_places_is_the_configs():
    batch = jax.tree.map(jnp.asarray, next(iter(make_dataset(CONFIG, training=False, source=Dots()))))
    params = KeypointObjective(CONFIG).init(jax.random.key(0))
    costs = []
    for weight in (0.0, 0.5):
        config = dataclasses.replace(CONFIG, keypoints=dataclasses.replace(CONFIG.keypoints, place_weight=weight))
        costs.append(jax.jit(KeypointObjective(config).loss)(params, batch, jax.random.key(1)))
    (without, metrics), (with_half, _) = costs
    assert metrics["place"] > 0
    np.testing.assert_allclose(with_half - without, 0.5 * metrics["place"], rtol=1e-4)


def test_previews_show_cuts_beside_their_maps():
    objective = KeypointObjective(CONFIG)
    batch = next(iter(make_dataset(CONFIG, training=False, source=Dots())))
    shapes = jax.eval_shape(objective.init, jax.random.key(0))
    picture = jax.eval_shape(objective.preview, shapes, batch, jax.random.key(0))
    assert picture.shape == (4 * 36, 2 * 36, 3)
    assert picture.dtype == jnp.uint8


def test_small_networks_are_not_split_over_tokens_or_heads():
    config = dataclasses.replace(CONFIG, mesh=c.MeshConfig(data=1, tensor=2))
    with pytest.raises(UserError, match="must be 1 for keypoints"):
        check_axes(config, make_mesh(config.mesh, jax.devices()[:2]))


@pytest.mark.parametrize("stage", ["", *STAGES])
def test_the_puppets_config_makes_both_networks(stage):
    config = c.from_config_dict(get_config(stage))
    shapes = flatten(jax.eval_shape(KeypointObjective(config).init, jax.random.key(0)))
    assert config.keypoints.joints.grid == (48, 48)
    assert config.keypoints.people.grid == (16, 16)
    assert sum(leaf.size for leaf in shapes.values()) < 6e6  # 12 MB in bfloat16
    assert bool(config.train.initialize_from) == (stage not in ("", "constant"))


def test_an_unknown_stage_is_refused():
    with pytest.raises(ValueError, match="not 'last'"):
        get_config("last")
