"""PyTorch models with random weights, and our trees read from them under the tables of names."""

import re

import jax
import numpy as np
import pytest

from astra_jax.params import flatten, unflatten
from astra_jax.weights.mapping import load_leaf, published_shapes, save_leaf

torch = pytest.importorskip("torch")

TOLERANCE = 1e-4


def spread(model, seed, spread=0.3):
    """Random weights wide enough that every path shows: matrices keep the size of their inputs, norms are near one."""
    generator = torch.Generator().manual_seed(seed)
    norms = {f"{name}.weight" for name, module in model.named_modules() if "Norm" in type(module).__name__}
    with torch.no_grad():
        for name, weight in model.named_parameters():
            noise = torch.randn(weight.shape, generator=generator)
            if weight.ndim >= 2 and "embedding" not in name and name != "shared.weight":
                weight.copy_(noise / weight[0].numel() ** 0.5)
            else:
                weight.copy_(spread * noise + (1.0 if name in norms else 0.0))
    return model.eval()


def tensors(model, prefix=""):
    """The model's weights by name, as numpy arrays, tied copies left out."""
    return {prefix + name: weight.detach().numpy() for name, weight in model.named_parameters()}


def read(naming, published, unread=None):
    """Our tree; every published tensor must be used once or be named by the pattern `unread`.

    The way back must give what was read, bit for bit.
    """
    used = []

    def fetch(name):
        used.append(name)
        return published[name]

    tree = {path: load_leaf(leaf, fetch) for path, leaf in naming.items()}
    left = [name for name in published if name not in used]
    assert all(unread and re.fullmatch(unread, name) for name in left), left
    assert len(used) == len(set(used))
    assert not any(unread and re.fullmatch(unread, name) for name in used)
    back = {name: tensor for path, leaf in naming.items() for name, tensor in save_leaf(leaf, tree[path]).items()}
    assert back.keys() == set(used)
    for name, tensor in back.items():
        np.testing.assert_array_equal(tensor, published[name], err_msg=name)
    return unflatten(tree)


def assert_close(ours, theirs, tolerance=TOLERANCE):
    """Equal within `tolerance` of the largest value and in norm."""
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    assert ours.shape == theirs.shape
    worst = np.abs(ours - theirs).max() / np.abs(theirs).max()
    norm = np.linalg.norm(ours - theirs) / np.linalg.norm(theirs)
    print(f"{norm:.1e} in norm, {worst:.1e} of the largest value")
    assert worst < tolerance
    assert norm < tolerance


def assert_full_size(model, example, naming, reference, prefix="", unread=None):
    """Every tensor of a full-size PyTorch model, made on the meta device, has our leaf's shape under its name."""
    abstract = jax.eval_shape(model.init, jax.random.key(0), example)["params"]
    ours = {}
    for path, leaf in flatten(abstract).items():
        ours |= published_shapes(naming[path], leaf.shape)
    theirs = {prefix + name: tuple(weight.shape) for name, weight in reference.named_parameters()}
    theirs = {name: shape for name, shape in theirs.items() if not (unread and re.fullmatch(unread, name))}
    assert ours == theirs
