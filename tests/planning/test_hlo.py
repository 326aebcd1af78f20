import pytest

from astra_jax.planning.hlo import elements, parse, shape_bytes

NESTED = """HloModule m

%inner_body (p: (s32[], f32[4])) -> (s32[], f32[4]) {
  %p = (s32[], f32[4]{0}) parameter(0)
  ROOT %t = (s32[], f32[4]{0}) tuple(%p)
}

%inner_condition (p: (s32[], f32[4])) -> pred[] {
  %p.1 = (s32[]{:T(128)}, f32[4]{0:T(4)S(1)}) parameter(0)
  %limit = s32[]{:T(128)} constant(3)
  %i = s32[] get-tuple-element(%p.1), index=0
  ROOT %less = pred[]{:T(512)} compare(%i, %limit), direction=LT
}

%wrapped (x: f32[4]) -> f32[4] {
  %x = f32[4]{0} parameter(0)
  ROOT %s = f32[4]{0} sine(%x)
}

%outer_body (p: f32[4]) -> f32[4] {
  %p.2 = f32[4]{0} parameter(0)
  %inner = (s32[], f32[4]{0}) while(%p.2), condition=%inner_condition, body=%inner_body
  ROOT %f = f32[4]{0} fusion(%p.2), kind=kLoop, calls=%wrapped
}

%outer_condition (p: f32[4]) -> pred[] {
  %p.3 = f32[4]{0} parameter(0)
  ROOT %c = pred[] constant(true)
}

ENTRY %main (a: f32[4]) -> f32[4] {
  %a = f32[4]{0} parameter(0)
  ROOT %outer = f32[4]{0} while(%a), condition=%outer_condition, body=%outer_body, backend_config={"known_trip_count":{"n":"5"}}
}
"""  # noqa: E501


def test_loops_multiply_what_is_inside_them():
    runs = {instruction.name: times for _, instruction, times in parse(NESTED).runs()}
    assert runs["outer"] == 1
    assert runs["f"] == runs["s"] == runs["inner"] == 5  # as the compiler noted
    assert runs["t"] == 15  # as the condition compares


def test_instructions_are_taken_apart():
    inner = next(i for _, i, _ in parse(NESTED).runs() if i.name == "inner")
    assert (inner.opcode, inner.shape) == ("while", "(s32[], f32[4]{0})")
    assert inner.called("body") == ["inner_body"]
    assert inner.called("calls") == []


def test_shapes():
    assert shape_bytes("(bf16[2,3]{1,0:T(8,128)(2,1)S(1)}, /*index=1*/f32[], u32[4])") == 12 + 4 + 16
    assert shape_bytes("pred[8]{0}") == 8
    assert shape_bytes("s4[3]{0}") == 1
    assert shape_bytes("f8e4m3fn[6]") == 6
    assert elements("((f32[2]{0}, f32[1]), bf16[2,3]{1,0:T(8,128)})") == [
        "(f32[2]{0}, f32[1])",
        "bf16[2,3]{1,0:T(8,128)}",
    ]
    assert elements("f32[2]{0}") == ["f32[2]{0}"]


def test_other_texts_are_refused():
    with pytest.raises(ValueError, match="no ENTRY computation"):
        parse("module @jit_step {}")
