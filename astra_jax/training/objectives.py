"""The objectives by their names in the config."""

from __future__ import annotations

from astra_jax.config import Config
from astra_jax.errors import UserError
from astra_jax.training.astra_objective import AstraObjective
from astra_jax.training.autoencoder_objective import AutoencoderObjective
from astra_jax.training.keypoint_objective import KeypointObjective
from astra_jax.training.objective import Objective

OBJECTIVES = {"astra": AstraObjective, "autoencoder": AutoencoderObjective, "keypoints": KeypointObjective}


def make_objective(config: Config) -> Objective:
    """The objective that `train.objective` names; raises `UserError` for an unknown name."""
    name = config.train.objective
    if name not in OBJECTIVES:
        raise UserError(f"train.objective must be {' or '.join(OBJECTIVES)}, not {name!r}")
    return OBJECTIVES[name](config)
