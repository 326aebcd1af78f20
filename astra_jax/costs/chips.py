"""What vendors publish of the chips that runs use: memory, arithmetic and links. None of it was measured here."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Chip:
    """One kind of chip. Rates are peaks in bytes/s and FLOP/s; bandwidths of links are one way."""

    name: str
    kind: str  # jax's `device_kind`
    platform: str  # "tpu" or "gpu"
    hbm_gib: float  # memory that a program can have
    flops: float  # dense bfloat16
    hbm_bandwidth: float
    link: float  # TPU: of one of the links to a neighbour in the torus; GPU: of all links into the node's switch
    network: float  # between nodes or slices, a chip
    wraps: int  # TPU: a torus dimension of a multiple of this many chips is closed to a ring; GPU: chips of a node


# TPU: the pages "TPU v5p", "TPU v5e" and "TPU v6e" of Google Cloud's documentation (docs.cloud.google.com/tpu/docs).
# "Bidirectional ICI bandwidth per chip" (1200, 400, 800 GBps) is that of 6, 4 and 4 links, both ways. Data centre
# network: 50 Gbps a chip (v5p), 6.4 and 25.6 Tbps for 256 chips (v5e, v6e). v5e and v6e have 16 and 32 GB, of which the
# TPU compiler gives a program 15.75 and 31.25 GiB.
# GPU: NVIDIA's data sheets "H100 Tensor Core GPU" and "H200 Tensor Core GPU", SXM columns: half of the bfloat16 rate,
# which they state with sparsity; NVLink 900 GB/s both ways; capacities are read as decimal, which leaves room for the
# runtime. Nodes of eight with a 400 Gb/s adapter a GPU: data sheet "DGX H100/H200".
CHIPS = (
    Chip("v5p", "TPU v5", "tpu", 95.0, 459e12, 2765e9, 100e9, 6.25e9, 4),
    Chip("v5e", "TPU v5 lite", "tpu", 15.75, 197e12, 800e9, 50e9, 3.125e9, 16),
    Chip("v6e", "TPU v6 lite", "tpu", 31.25, 918e12, 1600e9, 100e9, 12.5e9, 16),
    Chip("h100", "NVIDIA H100 80GB HBM3", "gpu", 80e9 / 2**30, 989.5e12, 3350e9, 450e9, 50e9, 8),
    Chip("h200", "NVIDIA H200", "gpu", 141e9 / 2**30, 989.5e12, 4800e9, 450e9, 50e9, 8),
)


# Chips that no plan is made for, by jax's `device_kind`: the dense bfloat16 peak alone. TPU: the page "TPU v4" of the
# same documentation. GPU: NVIDIA's data sheets "A100 Tensor Core GPU" (which states the dense rate, one for all forms),
# "H100 Tensor Core GPU" (PCIe and NVL), "H200 Tensor Core GPU" (NVL), "GH200 Grace Hopper Superchip" and "DGX B200"
# (eight GPUs); those of H100 and later state the rate with sparsity, of which this is half.
_FURTHER_FLOPS = {
    "TPU v4": 275e12,
    "NVIDIA A100-SXM4-40GB": 312e12,
    "NVIDIA A100-SXM4-80GB": 312e12,
    "NVIDIA A100-PCIE-40GB": 312e12,
    "NVIDIA A100 80GB PCIe": 312e12,
    "NVIDIA H100 PCIe": 756.5e12,
    "NVIDIA H100 NVL": 835.5e12,
    "NVIDIA H200 NVL": 835.5e12,
    "NVIDIA GH200 480GB": 989.5e12,
    "NVIDIA GH200 144G HBM3e": 989.5e12,
    "NVIDIA B200": 2250e12,
}
# Names that jax, too, takes for the same chip (jax/_src/pallas/mosaic/tpu_info.py).
_SAME = {"TPU v5p": "TPU v5", "TPU v5e": "TPU v5 lite", "TPU v6e": "TPU v6 lite"}


def peak_flops(kind: str) -> float | None:
    """Dense bfloat16 FLOP/s of the chip whose `device_kind` jax reports as `kind`; None: unknown, as for all CPUs.

    A part of a GPU (MIG) has a kind of its own and is unknown.
    """
    known = {chip.kind: chip.flops for chip in CHIPS} | _FURTHER_FLOPS
    return known.get(_SAME.get(kind, kind))
