import numpy as np

from astra_jax.inputs.damage import CLEAN, damage


def test_damage_is_a_function_of_the_seed_and_leaves_some_clean():
    picture = np.random.default_rng(0).integers(0, 256, (40, 30, 3), np.uint8)
    damaged = [damage(picture, np.random.default_rng(seed)) for seed in range(200)]
    again = [damage(picture, np.random.default_rng(seed)) for seed in range(200)]
    for first, second in zip(damaged, again, strict=True):
        np.testing.assert_array_equal(first, second)
    assert {(cut.shape, cut.dtype) for cut in damaged} == {((40, 30, 3), np.dtype(np.uint8))}
    clean = np.mean([np.array_equal(cut, picture) for cut in damaged])
    assert abs(clean - CLEAN) < 0.1


def test_what_is_shown_stays_where_it_is():
    """A white disc on grey is still brightest in its middle."""
    y, x = np.mgrid[0:48, 0:48]
    disc = np.where((y - 30) ** 2 + (x - 20) ** 2 < 64, 255, 90).astype(np.uint8)[..., None].repeat(3, axis=2)
    for seed in range(60):
        levels = damage(disc, np.random.default_rng(seed)).astype(float).mean(axis=2)
        weights = np.clip(levels - np.percentile(levels, 88), 0, None)
        middle = np.array([(weights * x).sum(), (weights * y).sum()]) / weights.sum()
        np.testing.assert_allclose(middle, [20, 30], atol=1.5)
