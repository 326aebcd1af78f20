import ml_collections
import pytest

from astra_jax import config as config_lib
from astra_jax.errors import UserError


def test_defaults_survive_the_round_trip():
    config = config_lib.Config()
    assert config_lib.from_config_dict(config_lib.as_config_dict(config)) == config
    assert hash(config) == hash(config_lib.Config())


def test_unknown_key_names_the_nearest():
    with pytest.raises(UserError, match="config has no key 'modle': did you mean 'model'?"):
        config_lib.from_config_dict({"modle": {}})
    with pytest.raises(UserError, match=r"config.train has no key 'learning'"):
        config_lib.from_config_dict({"train": {"learning": 1.0}})


def test_wrong_types_are_refused_with_their_path():
    with pytest.raises(UserError, match=r"config.model.transformer.width must be int, not 'wide'"):
        config_lib.from_config_dict({"model": {"transformer": {"width": "wide"}}})
    with pytest.raises(UserError, match=r"config.model must be a group of settings"):
        config_lib.from_config_dict({"model": 3})
    with pytest.raises(UserError, match=r"axes_dim must be a list"):
        config_lib.from_config_dict({"model": {"transformer": {"axes_dim": 8}}})
    with pytest.raises(UserError, match=r"must be int, not True"):
        config_lib.from_config_dict({"train": {"steps": True}})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"width": 100}, "24 heads of 128 channels"),
        ({"heads": 0}, "0 heads"),
        ({"width": 24, "heads": 2, "axes_dim": [3, 9]}, "even numbers"),
        ({"remat": "some"}, "'none', 'dots' or 'full'"),
    ],
)
def test_transformers_that_cannot_be(fields, message):
    with pytest.raises(UserError, match=message):
        config_lib.from_config_dict({"model": {"transformer": fields}})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model": {"t5": {"width": 8}}}, "context_dim and t5.width must be equal, not 4096 and 8"),
        ({"model": {"clip_text": {"width": 8}}}, "pooled_dim and clip_text.width"),
        ({"model": {"autoencoder": {"latent_channels": 4}}}, "4 x autoencoder.latent_channels"),
        ({"model": {"dsm": {"heads": 7}}}, "7 heads do not divide"),
        ({"model": {"condition_attention": "reused"}}, "condition_attention must be 'full' or 'cached', not 'reused'"),
        ({"model": {"condition_scope": "pose"}}, "condition_scope must be 'all' or 'image', not 'pose'"),
        ({"train": {"timesteps": "beta"}}, "'uniform' or 'logit_normal'"),
        ({"sample": {"shift": "dynamic"}}, "sample.shift must be 'resolution' or 'none', not 'dynamic'"),
        ({"sample": {"solver": "rk4"}}, "sample.solver must be one of 'euler', 'heun', 'dpmpp', not 'rk4'"),
        ({"sample": {"cache_threshold": -0.1}}, "sample.cache_threshold must be 0"),
        ({"sample": {"cache_threshold": float("inf")}}, "sample.cache_threshold must be 0"),
        ({"sample": {"cache_threshold": float("nan")}}, "sample.cache_threshold must be 0"),
    ],
)
def test_parts_that_do_not_fit(fields, message):
    with pytest.raises(UserError, match=message):
        config_lib.from_config_dict(fields)


def test_unknown_positions_and_dtype():
    with pytest.raises(UserError, match="'europe', 'unope' or 'rope'"):
        config_lib.from_config_dict({"model": {"positions": "learned"}})
    with pytest.raises(UserError, match="model.dtype"):
        config_lib.from_config_dict({"model": {"dtype": "int8"}})


def test_whole_numbers_become_floats():
    config = config_lib.from_config_dict({"train": {"optimizer": {"learning_rate": 1}}})
    assert config.train.optimizer.learning_rate == 1.0
    assert isinstance(config.train.optimizer.learning_rate, float)


def test_config_dict_is_locked():
    tree = config_lib.as_config_dict(config_lib.Config())
    assert isinstance(tree, ml_collections.ConfigDict)
    with pytest.raises(AttributeError, match="steps"):
        tree.train.step = 3
