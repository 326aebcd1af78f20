from astra_jax.costs.chips import CHIPS, chip_of_kind


def test_kinds_are_those_that_jax_reports():
    assert chip_of_kind("TPU v5").name == "v5p"
    assert chip_of_kind("NVIDIA H200").flops == 989.5e12
    assert chip_of_kind("cpu") is None
    assert len({chip.kind for chip in CHIPS}) == len(CHIPS)
