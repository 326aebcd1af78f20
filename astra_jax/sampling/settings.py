"""How one picture is sampled: the numbers of a run, and what a request wants otherwise."""

from __future__ import annotations

import dataclasses
import math

from astra_jax.config import Config, check_solver
from astra_jax.errors import UserError
from astra_jax.inputs.requests import OVERRIDES, Request, named
from astra_jax.inputs.transforms import check_sizes, check_subjects


@dataclasses.dataclass(frozen=True)
class Settings:
    """Sizes in pixels; `pose_start` and `pose_end` are fractions of the schedule, 0 its first step and 1 its end."""

    height: int
    width: int
    steps: int
    guidance: float  # the guidance input of a guidance-distilled model
    cfg_scale: float = 1.0  # classifier-free guidance; 1: off
    pose_start: float = 0.0  # the pose is seen from here on ...
    pose_end: float = 1.0  # ... until here
    dsm_scale: float = 1.0  # of the identity offsets
    strength: float = 0.6  # how much of the schedule a start picture goes through; 1: nothing of it is left
    solver: str = "euler"
    cache_threshold: float = 0.0  # of the first block's change, below which the other blocks' result is used again

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the canvas."""
        return self.height, self.width


def defaults(config: Config) -> Settings:
    """What a model's config says."""
    sample = config.sample
    return Settings(
        height=sample.height,
        width=sample.width,
        steps=sample.steps,
        guidance=sample.guidance,
        cfg_scale=sample.cfg_scale,
        solver=sample.solver,
        cache_threshold=sample.cache_threshold,
    )


def settings_of(request: Request, run: Settings, config: Config) -> Settings:
    """The settings of a request: its own where it has them, else the run's.

    Raises `UserError`, naming the request, for what is out of range, for a `guidance` of its own where the model takes
    none, and for more subjects than it takes.
    """
    own = {key: value for key in OVERRIDES if (value := getattr(request, key)) is not None}
    with named(request):
        if "guidance" in own and not config.model.transformer.guidance_embed:
            raise UserError("these weights have no guidance input (guidance_embed is off): leave 'guidance' out")
        # Told here already, as the number of subjects is part of the shape that a request is drawn in with others.
        check_subjects(len(request.subjects), config)
        chosen = dataclasses.replace(run, **own)
        check(chosen, config)
    return chosen


def check(settings: Settings, config: Config) -> None:
    """Raises `UserError` for a value out of range, saying which and what it may be."""
    check_sizes(config, settings.size)
    if settings.steps < 1:
        raise UserError(f"steps must be at least 1, not {settings.steps}")
    if not 0 < settings.cfg_scale < math.inf:
        raise UserError(
            f"cfg_scale must be a positive number (1: no classifier-free guidance), not {settings.cfg_scale}"
        )
    check_solver(settings.solver, settings.cache_threshold)
    if not math.isfinite(settings.guidance):
        raise UserError(f"guidance must be a finite number, not {settings.guidance}")
    if not 0 <= settings.pose_start <= settings.pose_end <= 1:
        raise UserError(
            "pose_start and pose_end must be fractions of the schedule, 0 <= pose_start <= pose_end <= 1, not"
            f" {settings.pose_start} and {settings.pose_end}"
        )
    if not 0 <= settings.dsm_scale < math.inf:
        raise UserError(f"dsm_scale must be 0 (no identity offsets) or more, not {settings.dsm_scale}")
    if not 0 < settings.strength <= 1:
        raise UserError(
            f"strength must be above 0 and at most 1 (nothing of the start picture), not {settings.strength}"
        )
