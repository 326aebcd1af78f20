"""UNO, written in PyTorch from its formulae, against our model with the same published tensors.

The formulae (UNO, arXiv 2504.02160, on FLUX.1): the sequence is [text | noise | reference 1 | ...], all
attending to all; token (r, c) of reference n has the position (0, r + H + sum of h_m, c + W + sum of w_m) over the
references before it; every block adds up(down(x)) to the projections of queries, keys and values and to the output
projections; the velocity is that of the noise tokens. Our side is `Astra.encode` with `europe` positions and no pose.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from astra_jax import config as c
from astra_jax.models.astra import Astra, Inputs, patchify

torch = pytest.importorskip("torch")
save_file = pytest.importorskip("safetensors.numpy").save_file
functional = torch.nn.functional

from astra_jax.params import unflatten  # noqa: E402
from astra_jax.weights.adapters import load_adapter  # noqa: E402
from astra_jax.weights.flux import bfl_naming  # noqa: E402
from astra_jax.weights.mapping import load_leaf  # noqa: E402

WIDTH, HEADS, AXES, DOUBLES, SINGLES, RANK, HIDDEN = 48, 2, (4, 10, 10), 2, 3, 5, 192
MODEL = c.ModelConfig(
    transformer=c.TransformerConfig(
        width=WIDTH, heads=HEADS, axes_dim=AXES, double_blocks=DOUBLES, single_blocks=SINGLES, latent_dim=16,
        context_dim=12, pooled_dim=10, remat="full",
    ),
    autoencoder=c.AutoencoderConfig(channels=4, channel_mult=(1, 2), res_blocks=1, latent_channels=4, norm_groups=2),
    t5=c.T5Config(vocab_size=32, width=12, layers=1, heads=2, head_dim=4, mlp_dim=16),
    clip_text=c.ClipTextConfig(vocab_size=32, width=10, layers=1, heads=2, mlp_dim=16, length=6),
    clip_vision=c.ClipVisionConfig(image_size=8, patch=4, width=8, layers=2, heads=2, mlp_dim=16),
    dsm=c.DsmConfig(width=8, layers=1, heads=2),
    lora=c.LoraConfig(rank=RANK),
    text_length=5, phrase_length=2, max_subjects=2, dtype="float32",
)  # fmt: skip
CANVAS, REFERENCE = (8, 6), (4, 4)  # latents (height, width): 4 x 3 and 2 x 2 tokens


def weights(seed=0):
    """Random tensors under black-forest-labs' names, and a LoRA's under UNO's."""
    rng, base, lora = np.random.default_rng(seed), {}, {}

    def linear(name, width_in, width_out):
        base[f"{name}.weight"] = rng.normal(size=(width_out, width_in)) / width_in**0.5
        base[f"{name}.bias"] = 0.3 * rng.normal(size=width_out)

    def low_rank(name, width_in, width_out):
        lora[f"{name}.down.weight"] = rng.normal(size=(RANK, width_in)) / width_in**0.5
        lora[f"{name}.up.weight"] = rng.normal(size=(width_out, RANK)) / RANK**0.5

    for name, width in (("time_in", 256), ("guidance_in", 256), ("vector_in", 10)):
        linear(f"{name}.in_layer", width, WIDTH)
        linear(f"{name}.out_layer", WIDTH, WIDTH)
    linear("img_in", 16, WIDTH)
    linear("txt_in", 12, WIDTH)
    linear("final_layer.adaLN_modulation.1", WIDTH, 2 * WIDTH)
    linear("final_layer.linear", WIDTH, 16)
    for i in range(DOUBLES):
        for number, stream in ((1, "img"), (2, "txt")):
            block = f"double_blocks.{i}.{stream}"
            linear(f"{block}_mod.lin", WIDTH, 6 * WIDTH)
            linear(f"{block}_attn.qkv", WIDTH, 3 * WIDTH)
            linear(f"{block}_attn.proj", WIDTH, WIDTH)
            linear(f"{block}_mlp.0", WIDTH, HIDDEN)
            linear(f"{block}_mlp.2", HIDDEN, WIDTH)
            for norm in ("query_norm", "key_norm"):
                base[f"{block}_attn.norm.{norm}.scale"] = 1 + 0.3 * rng.normal(size=WIDTH // HEADS)
            low_rank(f"double_blocks.{i}.processor.qkv_lora{number}", WIDTH, 3 * WIDTH)
            low_rank(f"double_blocks.{i}.processor.proj_lora{number}", WIDTH, WIDTH)
    for i in range(SINGLES):
        block = f"single_blocks.{i}"
        linear(f"{block}.modulation.lin", WIDTH, 3 * WIDTH)
        linear(f"{block}.linear1", WIDTH, 3 * WIDTH + HIDDEN)
        linear(f"{block}.linear2", WIDTH + HIDDEN, WIDTH)
        for norm in ("query_norm", "key_norm"):
            base[f"{block}.norm.{norm}.scale"] = 1 + 0.3 * rng.normal(size=WIDTH // HEADS)
        low_rank(f"{block}.processor.qkv_lora", WIDTH, 3 * WIDTH)
        low_rank(f"{block}.processor.proj_lora", WIDTH + HIDDEN, WIDTH)
    return tuple({k: v.astype(np.float32) for k, v in tensors.items()} for tensors in (base, lora))


def grid(rows, columns, row, column):
    return [(0, row + r, column + c) for r in range(rows) for c in range(columns)]


def uno_ids(text, canvas, references):
    """UnoPE: text at the origin, the canvas as in FLUX.1, references down the diagonal behind it."""
    ids, row, column = [(0, 0, 0)] * text + grid(*canvas, 0, 0), *canvas
    for rows, columns in references:
        ids += grid(rows, columns, row, column)
        row, column = row + rows, column + columns
    return torch.tensor(ids, dtype=torch.float64)


def rotate(x, ids):
    """Adjacent pairs of channels turned by the axes' angles; x [batch, heads, length, channels]."""
    angles = [ids[:, a, None] * 10_000.0 ** (-torch.arange(0, d, 2, dtype=torch.float64) / d) for a, d in
              enumerate(AXES)]  # fmt: skip
    angles = torch.cat(angles, -1)
    pairs = torch.view_as_complex(x.reshape(*x.shape[:-1], -1, 2).contiguous())
    return torch.view_as_real(pairs * torch.polar(torch.ones_like(angles), angles)).flatten(-2)


class Uno:
    """The forward pass over tensors by name, float64; without `lora` it is FLUX.1's."""

    def __init__(self, base, lora):
        self.p = {name: torch.tensor(x, dtype=torch.float64) for name, x in {**base, **lora}.items()}

    def dense(self, name, x, lora=""):
        y = functional.linear(x, self.p[f"{name}.weight"], self.p[f"{name}.bias"])
        return y + self.low_rank(lora, x) if lora and f"{lora}.up.weight" in self.p else y

    def low_rank(self, name, x):
        return x @ self.p[f"{name}.down.weight"].T @ self.p[f"{name}.up.weight"].T

    def embed(self, name, x):
        return self.dense(f"{name}.out_layer", functional.silu(self.dense(f"{name}.in_layer", x)))

    def heads(self, norm, qkv):
        q, k, v = qkv.unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)

        def rms(x, name):
            return x / torch.sqrt((x**2).mean(-1, keepdim=True) + 1e-6) * self.p[f"{norm}.{name}.scale"]

        return rms(q, "query_norm"), rms(k, "key_norm"), v

    def attend(self, q, k, v, ids):
        out = functional.scaled_dot_product_attention(rotate(q, ids), rotate(k, ids), v)
        return out.transpose(1, 2).flatten(-2)

    def __call__(self, x, references, text, pooled, t, guidance, ids):
        def sinusoids(value):
            # In float32, as FLUX.1: angles reach thousands, where the last bit of a frequency shows in the cosine.
            frequencies = torch.exp(-np.log(1e4) * torch.arange(128, dtype=torch.float32) / 128)
            angles = 1000 * value[:, None].float() * frequencies
            return torch.cat([angles.cos(), angles.sin()], -1).double()

        def norm(value):
            return functional.layer_norm(value, value.shape[-1:], eps=1e-6)

        y = self.embed("time_in", sinusoids(t)) + self.embed("guidance_in", sinusoids(guidance))
        y = functional.silu(y + self.embed("vector_in", pooled))[:, None]
        streams = {"txt": self.dense("txt_in", text), "img": self.dense("img_in", torch.cat([x, *references], 1))}
        length = text.shape[1]
        for i in range(DOUBLES):
            block, parts, mods = f"double_blocks.{i}", {}, {}
            for number, stream in ((2, "txt"), (1, "img")):
                mods[stream] = self.dense(f"{block}.{stream}_mod.lin", y).chunk(6, -1)
                shift, scale, *_ = mods[stream]
                qkv = self.dense(f"{block}.{stream}_attn.qkv", (1 + scale) * norm(streams[stream]) + shift,
                                 f"{block}.processor.qkv_lora{number}")  # fmt: skip
                parts[stream] = self.heads(f"{block}.{stream}_attn.norm", qkv)
            joint = [torch.cat(pair, 2) for pair in zip(parts["txt"], parts["img"], strict=True)]
            attended = self.attend(*joint, ids)
            for number, stream, mine in ((2, "txt", attended[:, :length]), (1, "img", attended[:, length:])):
                _, _, gate, shift, scale, gate2 = mods[stream]
                z = streams[stream] + gate * self.dense(
                    f"{block}.{stream}_attn.proj", mine, f"{block}.processor.proj_lora{number}"
                )
                hidden = self.dense(f"{block}.{stream}_mlp.0", (1 + scale) * norm(z) + shift)
                hidden = functional.gelu(hidden, approximate="tanh")
                streams[stream] = z + gate2 * self.dense(f"{block}.{stream}_mlp.2", hidden)
        z = torch.cat([streams["txt"], streams["img"]], 1)
        for i in range(SINGLES):
            block = f"single_blocks.{i}"
            shift, scale, gate = self.dense(f"{block}.modulation.lin", y).chunk(3, -1)
            u = (1 + scale) * norm(z) + shift
            qkv, hidden = self.dense(f"{block}.linear1", u).split([3 * WIDTH, HIDDEN], -1)
            if f"{block}.processor.qkv_lora.up.weight" in self.p:
                qkv = qkv + self.low_rank(f"{block}.processor.qkv_lora", u)
            attended = self.attend(*self.heads(f"{block}.norm", qkv), ids)
            both = torch.cat([attended, functional.gelu(hidden, approximate="tanh")], -1)
            z = z + gate * self.dense(f"{block}.linear2", both, f"{block}.processor.proj_lora")
        z = z[:, length : length + x.shape[1]]
        shift, scale = self.dense("final_layer.adaLN_modulation.1", y).chunk(2, -1)
        return self.dense("final_layer.linear", (1 + scale) * norm(z) + shift)


def make_inputs(references):
    rng = np.random.default_rng(2)
    there = np.arange(2)[None] < np.array(references)[:, None]

    def moments(*shape):
        return rng.normal(size=(2, *shape, 8)).astype(np.float32)

    return Inputs(
        text_tokens=rng.integers(2, 30, (2, 5)).astype(np.int32),
        pooled_tokens=np.full((2, 6), 31, np.int32),
        guidance=np.array([4.0, 1.0], np.float32),
        pose=moments(*CANVAS),
        has_pose=np.zeros(2, bool),
        references=moments(2, *REFERENCE),
        has_reference=there,
        portraits=rng.integers(0, 256, (2, 2, 8, 8, 3)).astype(np.uint8),
        phrase_tokens=rng.integers(2, 30, (2, 2, 2)).astype(np.int32),
        placement=np.full((2, 2, 2), -1, np.int32),
        has_identity=np.zeros((2, 2), bool),
    )


@pytest.fixture(scope="module")
def ours(tmp_path_factory, random_params):
    """Our model and its parameters, transformer and LoRA from the published tensors, and these."""
    base, lora = weights()
    folder = tmp_path_factory.mktemp("uno")
    save_file(lora, folder / "dit_lora.safetensors")
    model = Astra(MODEL)
    abstract = jax.eval_shape(model.init, jax.random.key(0))
    params = random_params({name: part for name, part in abstract.items() if name not in ("transformer", "lora")})
    naming = bfl_naming(MODEL.transformer)
    params["transformer"] = unflatten({p: jnp.asarray(load_leaf(leaf, base.__getitem__)) for p, leaf in naming.items()})
    params["lora"] = jax.tree.map(jnp.asarray, load_adapter(folder, "lora", MODEL, abstract["lora"]))
    return model, params, base, lora


@functools.partial(jax.jit, static_argnums=0)
def run_ours(model, params, inputs, x, t):
    conditions = model.encode(params, inputs, CANVAS)
    latents = model.latents(params, inputs.references)
    return model.velocity(params, x, t, conditions), conditions, patchify(latents)


@pytest.mark.parametrize("with_lora", [True, False])
@pytest.mark.parametrize("references", [(2, 2), (1, 0)])
def test_velocity_equals_unos(ours, references, with_lora):
    model, params, base, lora = ours
    if not with_lora:
        params = {name: part for name, part in params.items() if name != "lora"}
    rng = np.random.default_rng(3)
    x, t = rng.normal(size=(2, 12, 16)).astype(np.float32), np.array([0.9, 0.25], np.float32)
    velocity, conditions, tokens = run_ours(model, params, make_inputs(references), x, t)
    uno = Uno(base, lora if with_lora else {})
    for b, count in enumerate(references):
        ids = uno_ids(5, (4, 3), [(2, 2)] * count)
        # Our sequence holds UNO's and, masked, the place of the pose and of absent references.
        mask = np.asarray(conditions.mask[b])
        assert mask.sum() == len(ids)
        assert not mask[17:29].any()  # 12 pose tokens behind text and canvas
        angles = torch.cat(
            [ids[:, a, None] * 10_000.0 ** (-torch.arange(0, d, 2, dtype=torch.float64) / d) for a, d in
             enumerate(AXES)], -1)  # fmt: skip
        np.testing.assert_allclose(np.asarray(conditions.cos[b])[mask], angles.cos().numpy(), atol=2e-6)
        np.testing.assert_allclose(np.asarray(conditions.sin[b])[mask], angles.sin().numpy(), atol=2e-6)

        def tensor(value):
            return torch.tensor(np.array(value)[None], dtype=torch.float64)

        expected = uno(
            tensor(x[b]),
            [tensor(tokens[b, n]) for n in range(count)],
            tensor(conditions.text[b]),
            tensor(conditions.pooled[b]),
            tensor(t[b]),
            tensor(conditions.guidance[b]),
            ids,
        )[0].numpy()
        error = np.linalg.norm(velocity[b] - expected) / np.linalg.norm(expected)
        print(f"{count} references, LoRA {with_lora}: {error:.1e} in norm")
        assert error < 2e-5
        assert np.abs(velocity[b] - expected).max() < 2e-5 * np.abs(expected).max()


def test_the_lora_counts(ours):
    model, params, *_ = ours
    inputs, x, t = make_inputs((2, 2)), np.ones((2, 12, 16), np.float32), np.full(2, 0.5, np.float32)
    without = {name: part for name, part in params.items() if name != "lora"}
    first, second = (np.asarray(run_ours(model, p, inputs, x, t)[0]) for p in (params, without))
    assert np.linalg.norm(first - second) > 0.1 * np.linalg.norm(second)


def test_positions_by_hand():
    """Two references of 2 x 2 tokens behind a canvas of 4 x 3: corners (4, 3) and (6, 5)."""
    ids = uno_ids(1, (4, 3), [(2, 2), (2, 2)])
    assert ids[13].tolist() == [0, 4, 3]
    assert ids[17].tolist() == [0, 6, 5]
