import pytest
from jax._src.pallas.mosaic.tpu_info import ChipVersion, chip_version_from_device_kind

from astra_jax.costs.chips import CHIPS, peak_flops


def test_kinds_are_those_that_jax_reports():
    assert {chip.kind: chip.name for chip in CHIPS}["TPU v5"] == "v5p"
    assert len({chip.kind for chip in CHIPS}) == len(CHIPS)
    for chip in CHIPS:
        assert peak_flops(chip.kind) == chip.flops
        if chip.platform == "tpu":
            assert chip_version_from_device_kind(chip.kind) == getattr(ChipVersion, f"TPU_{chip.name.upper()}")


@pytest.mark.parametrize(("other", "kind"), [("v5p", "v5"), ("v5e", "v5 lite"), ("v6e", "v6 lite")])
def test_a_tpu_by_another_name_is_the_same(other, kind):
    assert chip_version_from_device_kind(f"TPU {other}") == chip_version_from_device_kind(f"TPU {kind}")
    assert peak_flops(f"TPU {other}") == peak_flops(f"TPU {kind}") is not None


def test_peaks_are_dense_and_of_whole_chips():
    assert peak_flops("TPU v4") == 275e12
    assert peak_flops("NVIDIA A100-SXM4-40GB") == peak_flops("NVIDIA A100-SXM4-80GB") == 312e12
    assert peak_flops("NVIDIA H100 PCIe") < peak_flops("NVIDIA H100 NVL") < peak_flops("NVIDIA H100 80GB HBM3")
    assert peak_flops("NVIDIA GH200 480GB") == peak_flops("NVIDIA H200") == 989.5e12
    assert peak_flops("NVIDIA B200") == 2250e12
    for unknown in ("cpu", "TPU v99", "NVIDIA H100 80GB HBM3 MIG 1g.10gb"):
        assert peak_flops(unknown) is None
