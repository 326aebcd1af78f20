"""What a pose and two references cost: a picture with them against the same model's plain text-to-image, equal steps.

    python -m benchmarks.conditioning                                  # both sizes
    python -m benchmarks.conditioning --sizes puppets --repeats 20
    python -m benchmarks.conditioning --sizes flux_form --width 1024 --blocks 1 2
    python -m benchmarks.conditioning --sizes flux_form --timed 5      # where time is short: 5 of the 25 steps

"plain" has no condition token at all; "full" has them in the sequence; "cached" computes them once a picture
(`model.condition_attention`). A picture is encode + 25 Euler steps + decode, without classifier-free guidance. The
variants take turns at every program, so that other work on the machine meets all of them alike; a picture's seconds are
the sum of its own, figures are medians over repeats, ratios are of medians.

Sizes: "puppets", the shipped config and weights at 128 pixels, all steps in one program; and "flux_form", the headline:
FLUX.1's own blocks (3,072 channels, 24 heads), one of each kind, random weights, FLUX.1's token counts at 512 pixels
(512 text, 1,024 canvas, 1,024 pose, 2 x 400 of references), smaller encoders, a program a step. Narrower blocks
(--width) fit a smaller machine and weigh attention, to which conditions add, more than FLUX.1 does. For both sizes, and
for the whole of FLUX.1, the FLOPs of the products (`astra_jax/costs`) say what ratios would be were all equally fast.

The last line is one JSON object; its `cached_ratio` and `full_ratio` are those of a whole picture at "flux_form".
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import math
import pathlib
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from astra_jax import cli
from astra_jax import config as c
from astra_jax.costs.sampling import sampling_products
from astra_jax.errors import UserError
from astra_jax.flow.sampler import integrate
from astra_jax.flow.schedule import schedule, shift_of
from astra_jax.models.astra import PATCH, Astra, Inputs, unpatchify
from astra_jax.params import Params
from astra_jax.weights.pretrained import load_pretrained

SUBJECTS = 2
STAGES = ("encode", "steps", "decode")
RATIOS = ("picture", "steps")
VARIANTS = ("plain", "full", "cached")
PUPPETS = "pretrained/puppets"

FLUX = c.Config()


def flux_form(width: int, double: int, single: int) -> c.Config:
    """FLUX.1 with fewer blocks, of `width` channels in heads of 128, and encoders smaller in proportion."""
    channels = 8 * max(1, round(width / 768))
    model = c.ModelConfig(
        transformer=c.TransformerConfig(
            width=width, heads=width // 128, double_blocks=double, single_blocks=single, context_dim=width // 4,
            pooled_dim=256, remat="none",
        ),
        autoencoder=c.AutoencoderConfig(channels=channels, norm_groups=8),
        t5=c.T5Config(vocab_size=2048, width=width // 4, layers=6, heads=4, mlp_dim=width // 2),
        clip_text=c.ClipTextConfig(vocab_size=2048, width=256, layers=3, heads=4, mlp_dim=1024),
        clip_vision=c.ClipVisionConfig(width=width // 8, layers=6, heads=4, mlp_dim=width // 2),
        dsm=c.DsmConfig(width=width // 8, layers=3, heads=4),
        dtype="float32",
    )  # fmt: skip
    return c.Config(model=model)


class Programs(NamedTuple):
    """The compiled programs of one variant."""

    encode: Callable[[], Any]
    steps: Callable[[Any, jax.Array, jax.Array], jax.Array]  # conditions, x, times
    decode: Callable[[jax.Array], jax.Array]


def with_attention(config: c.Config, variant: str) -> c.Config:
    """The config in which the conditions of "full" or "cached" attend so; of "plain" it does not matter."""
    attention = "cached" if variant == "cached" else "full"
    return dataclasses.replace(config, model=dataclasses.replace(config.model, condition_attention=attention))


def make_inputs(config: c.Config, size: tuple[int, int], conditioned: bool) -> Inputs:
    """One request of random words and pictures, with a pose and two subjects or with neither."""
    rng, model = np.random.default_rng(0), config.model
    subjects, side = SUBJECTS if conditioned else 0, model.image_encoder.image_size
    reference, words = config.data.reference_size, model.phrase_length

    def pictures(*shape: int) -> np.ndarray:
        return rng.integers(0, 256, (1, *shape, 3)).astype(np.uint8)

    def ids(*shape: int) -> np.ndarray:
        return rng.integers(2, min(model.t5.vocab_size, model.clip_text.vocab_size) - 1, (1, *shape)).astype(np.int32)

    return Inputs(
        text_tokens=ids(model.text_length),
        pooled_tokens=ids(model.clip_text.length),
        guidance=np.full(1, config.sample.guidance, np.float32),
        references=pictures(subjects, reference, reference),
        has_reference=np.ones((1, subjects), bool),
        portraits=pictures(subjects, side, side),
        phrase_tokens=ids(subjects, words),
        placement=np.arange(subjects * words, dtype=np.int32).reshape(1, subjects, words),
        has_identity=np.ones((1, subjects), bool),
        pose=pictures(*size) if conditioned else None,
        has_pose=np.ones(1, bool) if conditioned else None,
    )


def programs(config: c.Config, params: Params, variant: str, size: tuple[int, int], times: jax.Array) -> Programs:
    """The three programs of a variant, compiled; `times` are those of one program of steps."""
    config = with_attention(config, variant)
    model, inputs = Astra(config.model), make_inputs(config, size, variant != "plain")
    canvas = (size[0] // model.downsampling, size[1] // model.downsampling)

    def follow(params: Params, conditions: Any, x: jax.Array, times: jax.Array) -> jax.Array:
        return integrate(lambda x, t: model.velocity(params, x, t, conditions), x, times)

    encode: Any = jax.jit(lambda params, inputs: model.encode(params, inputs, canvas)).lower(params, inputs)
    x = jax.ShapeDtypeStruct((1, math.prod(canvas) // PATCH**2, config.model.transformer.latent_dim), jnp.float32)
    steps: Any = jax.jit(follow).lower(params, encode.out_info, x, times)
    decode: Any = jax.jit(lambda params, x: model.decode(params, unpatchify(x, *canvas))).lower(params, x)
    compiled = encode.compile(), steps.compile(), decode.compile()
    return Programs(lambda: compiled[0](params, inputs), *(functools.partial(one, params) for one in compiled[1:]))


def draw(made: dict[str, Programs], noise: jax.Array, parts: list[jax.Array]) -> dict[str, dict[str, float]]:
    """A picture of each variant, in turns; the seconds of its stages."""
    rows: dict[str, dict[str, float]] = {variant: dict.fromkeys(STAGES, 0.0) for variant in made}

    def timed(variant: str, stage: str, *arguments: Any) -> Any:
        start = time.perf_counter()
        value = jax.block_until_ready(getattr(made[variant], stage)(*arguments))
        rows[variant][stage] += time.perf_counter() - start
        return value

    conditions = {variant: timed(variant, "encode") for variant in made}
    x = dict.fromkeys(made, noise)
    for times in parts:
        x = {variant: timed(variant, "steps", conditions[variant], x[variant], times) for variant in made}
    for variant in made:
        timed(variant, "decode", x[variant])
    return rows


def measure(
    config: c.Config, params: Params, size: tuple[int, int], steps: int, repeats: int, together: int, timed: int
) -> dict[str, Any]:
    """Medians of the stages' seconds by variant, and the ratios to "plain".

    `together`: steps in one program. With `timed` programs of steps fewer than there are, these stand for all.
    """
    factor = config.model.autoencoder.downsampling * PATCH
    tokens = (size[0] // factor) * (size[1] // factor)
    noise = jax.random.normal(jax.random.key(0), (1, tokens, config.model.transformer.latent_dim))
    times = jnp.asarray(schedule(steps, shift_of(tokens, config.sample.shift)))
    parts = [times[start : start + together + 1] for start in range(0, steps, together)]
    made = {variant: programs(config, params, variant, size, parts[0]) for variant in VARIANTS}
    draw(made, noise, parts[:1])  # what runs first finds no warm caches
    taken = [draw(made, noise, parts[:timed]) for _ in range(repeats)]
    for row in (row for rows in taken for row in rows.values()):
        row["steps"] *= len(parts) / min(timed, len(parts))
        row["picture"] = sum(row[stage] for stage in STAGES)
    seconds = {
        variant: {name: statistics.median(row[variant][name] for row in taken) for name in (*STAGES, "picture")}
        for variant in VARIANTS
    }
    return {"seconds": seconds, **_ratios(seconds)}


def count(config: c.Config, size: tuple[int, int], steps: int) -> dict[str, Any]:
    """TFLOPs of the stages' products by variant, and the ratios to "plain"."""
    flops = {}
    for variant in VARIANTS:
        conditioned = variant != "plain"
        made = sampling_products(with_attention(config, variant), size, conditioned, SUBJECTS * conditioned)
        stages = {
            stage: times * sum(product.forward for product in products) / 1e12
            for stage, products, times in (
                ("encode", made.encode, 1), ("steps", made.step, steps), ("decode", made.decode, 1)
            )
        }  # fmt: skip
        flops[variant] = {**stages, "picture": made.flops(steps) / 1e12}
    return {"tflops": flops, **_ratios(flops)}


def _ratios(table: dict[str, dict[str, float]]) -> dict[str, float]:
    return {
        f"{variant}_{name}_ratio": table[variant][name] / table["plain"][name]
        for variant in VARIANTS[1:]
        for name in RATIOS
    }


def random_params(config: c.Config) -> Params:
    """Small random parameters of the whole model."""
    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(Astra(config.model).init, jax.random.key(0))
    return jax.tree.map(lambda leaf: 0.02 * rng.standard_normal(leaf.shape, np.float32), shapes)


def report(title: str, table: dict[str, dict[str, float]], row: dict[str, Any], unit: str) -> None:
    """Prints one table, a variant a line."""
    print(f"{title}\n  {'':8}" + "".join(f"{name:>12}" for name in (*STAGES, "picture")) + f"  {unit}")
    for variant, values in table.items():
        cells = "".join(f"{values[name]:12.4g}" for name in (*STAGES, "picture"))
        ratios = [f"  {name} x{row[f'{variant}_{name}_ratio']:.3f}" for name in RATIOS if variant != "plain"]
        print(f"  {variant:8}{cells}{''.join(ratios)}", flush=True)


def run(argv: Sequence[str] | None = None) -> None:
    """Measures; the last line printed is the JSON object. Raises `UserError` for settings that make no sense."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = ("puppets", "flux_form")
    parser.add_argument("--sizes", nargs="+", default=names, choices=names, help="(default: both)")
    parser.add_argument("--width", type=int, default=3072, help="of flux_form: a multiple of 128")
    parser.add_argument("--blocks", type=int, nargs=2, default=(1, 1), help="of flux_form: double and single ones")
    parser.add_argument("--steps", type=int, default=25, help="(default: %(default)s)")
    parser.add_argument(
        "--timed", type=int, default=0, help="steps of flux_form that are run, and stand for all (default: all)"
    )
    parser.add_argument("--repeats", type=int, default=5, help="pictures of each variant (default: %(default)s)")
    arguments = parser.parse_args(argv)
    steps, timed, rows = arguments.steps, arguments.timed or arguments.steps, {}
    if min(steps, timed, arguments.repeats, arguments.width, *arguments.blocks) < 1 or arguments.width % 128:
        raise UserError("numbers must be at least 1, and --width a multiple of 128")
    counted = {"flux": count(FLUX, (512, 512), steps)}
    for name in arguments.sizes:
        if name == "puppets":
            config, params = load_pretrained(pathlib.Path(PUPPETS))
            together = steps
        else:
            config = flux_form(arguments.width, *arguments.blocks)
            params, together = random_params(config), 1
        size = (config.sample.height, config.sample.width)
        counted[name] = count(config, size, steps)
        params = jax.tree.map(jnp.asarray, params)
        rows[name] = measure(config, params, size, steps, arguments.repeats, together, timed)
        report(f"{name}: seconds", rows[name]["seconds"], rows[name], "s")
    for name, row in counted.items():
        report(f"{name}: FLOPs of the products", row["tflops"], row, "TFLOP")
    headline = rows.get("flux_form", {})
    result = {
        "headline": f"flux_form of {arguments.width} channels, {arguments.blocks} blocks, whole picture",
        "cached_ratio": headline.get("cached_picture_ratio"),
        "full_ratio": headline.get("full_picture_ratio"),
        "steps": steps,
        "timed": min(steps, timed),
        "repeats": arguments.repeats,
        "device": jax.devices()[0].device_kind,
        "measured": rows,
        "counted": counted,
    }
    print(json.dumps(_rounded(result)))


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    return float(f"{value:.4g}") if isinstance(value, float) else value


if __name__ == "__main__":
    cli.guard(run)
