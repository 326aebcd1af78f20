"""From work, bytes and traffic to seconds: the slowest of arithmetic, memory and network, and what the others add."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from astra_jax.config import Config
from astra_jax.costs.chips import Chip
from astra_jax.costs.products import Product

# Assumptions, none of them measured by us.
MATMUL_EFFICIENCY = 0.7  # of the peak rate, for large bfloat16 products
BANDWIDTH_EFFICIENCY = 0.8  # of the peak rates of memory and links
OVERLAP = 0.9  # of the two shorter times that hides behind the longest
STATE_PASSES = 9  # times that AdamW and the average read or write an array of the size of the trained weights

ASSUMPTIONS = (
    f"products run at {MATMUL_EFFICIENCY:.0%} of the peak rate, memory and links at {BANDWIDTH_EFFICIENCY:.0%}",
    "every product reads its operands and writes its result once; norms and activations ride along",
    f"{OVERLAP:.0%} of the two shorter times hides behind the longest; collectives of a step follow one another",
    "every hop of a collective costs a microsecond, every exchange between slices 50; data, checkpoints and failures"
    " cost nothing",
    "MFU counts needed work alone: no recomputation, no gradient of frozen weights",
)


@dataclasses.dataclass(frozen=True)
class Work:
    """FLOPs and bytes of one chip in one step."""

    needed: float  # FLOPs
    executed: float  # FLOPs, recomputation included
    traffic: float  # bytes between memory and arithmetic


@dataclasses.dataclass(frozen=True)
class Roofline:
    """Seconds of a step, by what they are spent on, and altogether."""

    compute: float
    memory: float
    network: float
    step: float
    mfu: float

    @property
    def bound(self) -> str:
        """What takes longest."""
        return max(("compute", "memory", "network"), key=lambda name: getattr(self, name))


def is_block(product: Product) -> bool:
    """Whether a product belongs to the scanned blocks, which are recomputed and split over context and tensor."""
    return product.name.startswith(("transformer/double_", "transformer/single_", "lora/"))


def recomputed(product: Product, remat: str) -> float:
    """Forward passes that the backward pass makes a second time, 1 or 0 (`transformer.remat`)."""
    if not is_block(product):
        return 0.0
    return {"full": 1.0, "dots": float(not product.weights), "none": 0.0}[remat]


def chip_work(config: Config, products: Sequence[Product], sizes: dict[str, int], state_bytes: float) -> Work:
    """What one chip does in a step.

    Blocks are split over all axes of the mesh. The encoders run on the examples of a data x fsdp place, and all the
    chips of its context and tensor axes do the same. `state_bytes`: of the trained weights of a chip.
    """
    examples = config.train.batch_size / (sizes["data"] * sizes["fsdp"])
    split = sizes["context"] * sizes["tensor"]
    needed = executed = traffic = 0.0
    for product in products:
        share = examples / split if is_block(product) else examples
        again = recomputed(product, config.model.transformer.remat)
        needed += examples / split * (product.forward + product.backward)
        executed += share * (product.forward * (1 + again) + product.backward)
        passes = 1 + again + product.left_gradient + product.right_gradient
        one = product.bytes(1)
        weights = 2.0 * product.inner * product.columns * product.repeats if product.weights else 0.0
        traffic += passes * (share * (one - weights) + weights / sizes["tensor"])
    return Work(needed, executed, traffic + STATE_PASSES * state_bytes)


def roofline(chip: Chip, work: Work, network: float) -> Roofline:
    """The step's time; `network` is in seconds at the full rate of the links."""
    compute = work.executed / (chip.flops * MATMUL_EFFICIENCY)
    memory = work.traffic / (chip.hbm_bandwidth * BANDWIDTH_EFFICIENCY)
    network = network / BANDWIDTH_EFFICIENCY
    longest = max(compute, memory, network)
    step = longest + (1 - OVERLAP) * (compute + memory + network - longest)
    return Roofline(compute, memory, network, step, work.needed / (step * chip.flops))
