"""An independent forward pass: loops over layers and heads, one example at a time, one sequence, float64 NumPy."""

import jax
import numpy as np


def dense(p, x):
    return x @ p["kernel"] + p["bias"]


def silu(x):
    return x / (1 + np.exp(-x))


def gelu(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def norm(x):
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6)


def embed(value):
    k = np.arange(128)
    angles = 1000 * value * np.exp(-np.log(1e4) * k / 128)
    return np.concatenate([np.cos(angles), np.sin(angles)])


def mlp_embed(p, x):
    return dense(p["out_layer"], silu(dense(p["in_layer"], x)))


def rotate(x, cos, sin):
    out = np.empty_like(x)
    out[:, 0::2] = x[:, 0::2] * cos - x[:, 1::2] * sin
    out[:, 1::2] = x[:, 0::2] * sin + x[:, 1::2] * cos
    return out


def heads_of(config, norms, qkv, head):
    width, size = config.width, config.width // config.heads
    parts = [qkv[:, i * width + head * size : i * width + (head + 1) * size] for i in range(3)]
    for i, name in enumerate(("query_norm", "key_norm")):
        x = parts[i]
        parts[i] = x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6) * norms[name]["scale"]
    return parts


def attention(q, k, v, cos, sin, sees):
    logits = rotate(q, cos, sin) @ rotate(k, cos, sin).T / np.sqrt(q.shape[-1])
    logits[~sees] = -np.inf
    weights = np.exp(logits - logits.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True) @ v


def numpy_velocity(config, params, x, t, c, sees=None, at_zero=None):
    """Velocity of one joint sequence.

    `sees` [B, L, L] tells which tokens (rows) see which; by default all see those of the conditions' mask. `at_zero`
    [L] marks the image tokens that are modulated by the vector of time 0.
    """
    p = jax.tree.map(lambda a: np.asarray(a, np.float64), params)
    mask = np.asarray(c.mask)
    sees = np.repeat(mask[:, None], mask.shape[1], 1) if sees is None else sees
    at_zero = np.zeros(mask.shape[1], bool) if at_zero is None else at_zero
    return np.stack([_example(config, p, x[b], t[b], c, b, sees[b], at_zero) for b in range(len(x))])


def _vector(config, p, t, c, b):
    y = mlp_embed(p["time_in"], embed(float(t))) + mlp_embed(p["vector_in"], np.asarray(c.pooled[b], np.float64))
    return y + mlp_embed(p["guidance_in"], embed(float(c.guidance[b]))) if config.guidance_embed else y


def _example(config, p, x, t, c, b, sees, at_zero):
    heads = range(config.heads)
    y, zero = _vector(config, p, t, c, b), _vector(config, p, 0.0, c, b)
    vectors = np.where(at_zero[:, None], zero, y)
    img = dense(p["img_in"], np.concatenate([x, c.images[b]]).astype(np.float64))
    txt = dense(p["txt_in"], np.asarray(c.text[b], np.float64))
    cos, sin, length = np.asarray(c.cos[b]), np.asarray(c.sin[b]), len(txt)
    for i in range(config.double_blocks):
        layer = jax.tree.map(lambda a, i=i: a[i], p["double_blocks"])
        m_i = np.split(dense(layer["img_mod"], silu(vectors[length:])), 6, -1)
        rows = vectors[:length].copy()
        for s in range(c.place.shape[1]):
            for token in np.flatnonzero(c.place[b, s]):
                rows[token] = y + c.offsets[i, b, s]
        m_t = np.split(dense(layer["txt_mod"], silu(rows)), 6, -1)
        qkv_t = dense(layer["txt_qkv"], (1 + m_t[1]) * norm(txt) + m_t[0])
        qkv_i = dense(layer["img_qkv"], (1 + m_i[1]) * norm(img) + m_i[0])
        attended = []
        for h in heads:
            of_text = heads_of(config, layer["txt_norm"], qkv_t, h)
            of_images = heads_of(config, layer["img_norm"], qkv_i, h)
            joined = (np.concatenate(pair) for pair in zip(of_text, of_images, strict=True))
            attended.append(attention(*joined, cos, sin, sees))
        attended = np.concatenate(attended, -1)
        txt = txt + m_t[2] * dense(layer["txt_proj"], attended[:length])
        img = img + m_i[2] * dense(layer["img_proj"], attended[length:])
        hidden = gelu(dense(layer["txt_mlp_in"], (1 + m_t[4]) * norm(txt) + m_t[3]))
        txt = txt + m_t[5] * dense(layer["txt_mlp_out"], hidden)
        hidden = gelu(dense(layer["img_mlp_in"], (1 + m_i[4]) * norm(img) + m_i[3]))
        img = img + m_i[5] * dense(layer["img_mlp_out"], hidden)
    both = np.concatenate([txt, img])
    for i in range(config.single_blocks):
        layer = jax.tree.map(lambda a, i=i: a[i], p["single_blocks"])
        shift, scale, gate = np.split(dense(layer["modulation"], silu(vectors)), 3, -1)
        fused = dense(layer["linear1"], (1 + scale) * norm(both) + shift)
        width = config.width
        qkv = fused[:, : 3 * width]
        attended = [attention(*heads_of(config, layer["norm"], qkv, h), cos, sin, sees) for h in heads]
        joined = np.concatenate([*attended, gelu(fused[:, 3 * width :])], -1)
        both = both + gate * dense(layer["linear2"], joined)
    shift, scale = np.split(dense(p["final_mod"], silu(y)), 2)
    return dense(p["final_linear"], (1 + scale) * norm(both[length : length + len(x)]) + shift)
