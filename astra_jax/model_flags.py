"""The flags of programs that draw: which model, on which devices, with which settings; and what they open."""

from __future__ import annotations

import dataclasses
import pathlib

import jax
from absl import flags
from jax.sharding import Mesh
from ml_collections import config_flags

from astra_jax import cli
from astra_jax.config import SOLVERS, MeshConfig
from astra_jax.errors import UserError
from astra_jax.pipeline import AstraPipeline
from astra_jax.pose.database import PoseBank
from astra_jax.pose.embedders import BUILT_IN, open_embedder
from astra_jax.sampling.settings import Settings, check
from astra_jax.training.mesh import make_mesh


class ModelFlags:
    """The flags, defined once by a program, and the pipeline they name."""

    def __init__(self, checkpoint: pathlib.Path, pose_bank: pathlib.Path):
        """Defines the flags; `checkpoint` and `pose_bank` are the defaults of the flags of these names."""
        self._opened: PoseBank | None = None  # what `bank` has loaded
        self._checkpoint = flags.DEFINE_string(
            "checkpoint", str(checkpoint), "A folder of pretrained weights or a training run's workdir."
        )
        self._weights = flags.DEFINE_string(
            "weights", None, "In place of --checkpoint: a folder with FLUX.1 in its published layout; needs --config."
        )
        self._config = config_flags.DEFINE_config_file("config", None, "The model of --weights: a file of configs/.")
        self._lora = flags.DEFINE_string(
            "lora", None, "A LoRA for --weights: a file or its folder, UNO's, diffusers' or ours."
        )
        self._lora_scale = flags.DEFINE_float("lora_scale", 1.0, "Strength of the LoRA.")
        self._dsm = flags.DEFINE_string(
            "dsm", None, "An identity adapter for --weights: a file or its folder, XVerse's or ours."
        )
        self._bank = flags.DEFINE_string("pose_bank", str(pose_bank), "A folder with a pose bank.")
        self._embedder = flags.DEFINE_string(
            "pose_embedder", BUILT_IN, "'tfidf', or the folder of the text encoder that the pose bank was built with."
        )
        self._batch = flags.DEFINE_integer(
            "batch_size", 4, "Pictures drawn together; rounded up to what the devices divide."
        )

        # How pictures are sampled, where a request does not say it itself; None: as the model's config says.
        self._settings = {
            flag.name: flag
            for flag in (
                flags.DEFINE_integer("height", None, "Pixels."),
                flags.DEFINE_integer("width", None, "Pixels."),
                flags.DEFINE_integer("steps", None, "Sampler steps."),
                flags.DEFINE_enum(
                    "solver", None, SOLVERS, "Rule of the sampler: order 1, 2 (twice the cost a step), 2."
                ),
                flags.DEFINE_float(
                    "cache_threshold", None, "Reuse the blocks behind the first while that changes less; 0: off."
                ),
                flags.DEFINE_float("guidance", None, "Guidance of a guidance-distilled model such as FLUX.1-dev."),
                flags.DEFINE_float(
                    "cfg_scale",
                    None,
                    "Classifier-free guidance: above 1 follows words, photos and pose more closely, at a higher cost.",
                ),
                flags.DEFINE_float("pose_start", None, "Fraction of the schedule from which on the pose is seen."),
                flags.DEFINE_float("pose_end", None, "Fraction of the schedule until which the pose is seen."),
                flags.DEFINE_float("dsm_scale", None, "Strength of the identity adapter."),
                flags.DEFINE_float(
                    "strength", None, "With a start picture: the share of the schedule it goes through."
                ),
            )
        }
        self._mesh = {
            axis: flags.DEFINE_integer(f"mesh_{axis}", 1, f"Devices that share the {what} of a picture.")
            for axis, what in (("fsdp", "weights"), ("context", "tokens"), ("tensor", "heads"))
        }

    @property
    def names(self) -> list[str]:
        """The flags' names."""
        single = (self._checkpoint, self._weights, self._config, self._lora, self._lora_scale, self._dsm, self._bank)
        single += (self._embedder, self._batch, *self._settings.values(), *self._mesh.values())
        return [flag.name for flag in single]

    @property
    def given(self) -> list[str]:
        """Those of the flags that the command line has, as "--name"."""
        return [f"--{name}" for name in self.names if flags.FLAGS[name].present]

    @property
    def batch_size(self) -> int:
        """Pictures drawn together. Raises `UserError` below 1."""
        if self._batch.value < 1:
            raise UserError(f"--batch_size must be at least 1, not {self._batch.value}")
        return self._batch.value

    def size(self, default: tuple[int, int]) -> tuple[int, int]:
        """Height and width of the pictures in pixels, as far as the flags say it."""
        height, width = (self._settings[name].value for name in ("height", "width"))
        return int(default[0] if height is None else height), int(default[1] if width is None else width)

    def bank(self) -> PoseBank:
        """The pose bank, for a program that needs it before `pipeline`. Raises `UserError` if it cannot be opened."""
        if self._opened is None:
            self._opened = PoseBank.load(pathlib.Path(self._bank.value), embedder=open_embedder(self._embedder.value))
        return self._opened

    def mesh(self) -> Mesh | None:
        """All devices of this process; None for a single one."""
        devices = jax.local_devices()
        sizes = {axis: flag.value for axis, flag in self._mesh.items()}
        if len(devices) == 1 and set(sizes.values()) == {1}:
            return None
        return make_mesh(MeshConfig(data=-1, **sizes), devices)

    def pipeline(self, needs_bank: bool, mesh: Mesh | None, programs: pathlib.Path) -> AstraPipeline:
        """The model of --checkpoint, or of --weights with its adapters, and the pose bank where it is needed.

        Args:
            needs_bank: whether poses are retrieved.
            mesh: as `mesh` gives it.
            programs: the folder of lowered programs (`cli.keep_compiled_programs`).

        Raises `UserError` for flags that do not go together and for files that are missing or wrong.
        """
        bank = (self._opened or self._bank.value) if needs_bank else None
        if not self._weights.value:
            if given := [f"--{flag.name}" for flag in (self._config, self._lora, self._dsm) if flag.value is not None]:
                raise UserError(f"{given[0]} needs --weights: a folder with FLUX.1 in its published layout")
            return AstraPipeline.from_pretrained(
                self._checkpoint.value,
                bank,
                self._embedder.value,
                mesh=mesh,
                programs=programs,
                lora_scale=self._lora_scale.value,
            )
        if self._checkpoint.present:
            raise UserError("--checkpoint and --weights exclude each other: leave one out")
        adapters = {part: flag.value for part, flag in (("lora", self._lora), ("dsm", self._dsm)) if flag.value}
        return AstraPipeline.from_published(
            cli.read_config(self._config.value),
            self._weights.value,
            bank,
            adapters,
            self._embedder.value,
            mesh=mesh,
            programs=programs,
            lora_scale=self._lora_scale.value,
        )

    def run_settings(self, pipe: AstraPipeline) -> Settings:
        """How pictures are sampled: as the flags say, else the model's config. Raises `UserError` for what is wrong."""
        given = {name: flag.value for name, flag in self._settings.items() if flag.value is not None}
        if "guidance" in given and not pipe.config.model.transformer.guidance_embed:
            raise UserError(
                "--guidance: these weights have no guidance input (guidance_embed is off): leave the flag out"
            )
        run = dataclasses.replace(pipe.defaults, **given)
        check(run, pipe.config)
        return run
