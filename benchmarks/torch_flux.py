"""FLUX.1's transformer in PyTorch, to compare ours with: diffusers' module, or the same written out.

Both have diffusers' names, so that weights in that naming load into either. Import this module inside functions:
PyTorch is no dependency of the package.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from astra_jax.config import TransformerConfig

Velocity = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]  # (tokens, times) to the velocity of all image tokens


def build(config: TransformerConfig, diffusers: bool | None = None) -> nn.Module:
    """The module, in torch's default dtype and device; `diffusers` says whose, else its own where it is installed."""
    if importlib.util.find_spec("diffusers") is None if diffusers is None else not diffusers:
        return Flux(config)
    from diffusers import FluxTransformer2DModel

    return FluxTransformer2DModel(
        in_channels=config.latent_dim,
        num_layers=config.double_blocks,
        num_single_layers=config.single_blocks,
        attention_head_dim=config.width // config.heads,
        num_attention_heads=config.heads,
        joint_attention_dim=config.context_dim,
        pooled_projection_dim=config.pooled_dim,
        guidance_embeds=config.guidance_embed,
        axes_dims_rope=config.axes_dim,
    )


def load(module: nn.Module, published: Mapping[str, np.ndarray]) -> None:
    """Copies float32 weights in diffusers' naming into the module; raises RuntimeError where names differ."""
    module.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in published.items()})


def randomize(module: nn.Module) -> None:
    """Random weights of the scale that keeps activations' size, where the module lies."""
    with torch.no_grad():
        for weight in module.parameters():
            weight.normal_(0, weight.shape[-1] ** -0.5) if weight.ndim == 2 else weight.fill_(1)


def velocity(
    module: nn.Module, text: torch.Tensor, pooled: torch.Tensor, guidance: torch.Tensor, ids: np.ndarray
) -> Velocity:
    """The module, bound to all but the image tokens and the times; `ids` are the positions of [text | images]."""
    length = text.shape[1]
    positions = torch.from_numpy(ids).to(text.device)
    if isinstance(module, Flux) or isinstance(getattr(module, "_orig_mod", None), Flux):
        tables = rotary_tables(positions, getattr(module, "_orig_mod", module).config)
        return lambda x, t: module(x, text, pooled, t, guidance, *tables)

    def by_diffusers(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return module(
            hidden_states=x,
            encoder_hidden_states=text,
            pooled_projections=pooled,
            timestep=t,
            guidance=guidance,
            txt_ids=positions[:length],
            img_ids=positions[length:],
            return_dict=False,
        )[0]

    return by_diffusers


def rotary_tables(ids: torch.Tensor, config: TransformerConfig) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosine and sine [L, D/2] of every token's angles."""
    angles = []
    for axis, width in enumerate(config.axes_dim):
        steps = torch.arange(0, width, 2, dtype=torch.float64, device=ids.device) / width
        angles.append(ids[:, axis, None].float() * (config.theta**-steps).float())
    whole = torch.cat(angles, -1)
    return whole.cos(), whole.sin()


def _rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    even, odd = x.float().unflatten(-1, (-1, 2)).unbind(-1)
    return torch.stack([even * cos - odd * sin, even * sin + odd * cos], -1).flatten(-2).type_as(x)


def _sinusoids(t: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    frequencies = torch.exp(-np.log(10_000.0) * torch.arange(128, dtype=torch.float32, device=t.device) / 128)
    angles = 1000 * t.float()[:, None] * frequencies
    return torch.cat([angles.cos(), angles.sin()], -1).to(like.dtype)


def _modulate(x: torch.Tensor, shift: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    return (1 + scale) * functional.layer_norm(x, x.shape[-1:], eps=1e-6) + shift


class _Linear(nn.Module):
    """A linear map behind SiLU, under the name `linear`."""

    def __init__(self, inner: int, columns: int):
        super().__init__()
        self.linear = nn.Linear(inner, columns)

    def forward(self, y: torch.Tensor, parts: int) -> tuple[torch.Tensor, ...]:
        """`parts` modulations [B 1 D]."""
        return self.linear(functional.silu(y))[:, None].chunk(parts, -1)


class _Embedder(nn.Module):
    def __init__(self, inner: int, width: int):
        super().__init__()
        self.linear_1, self.linear_2 = nn.Linear(inner, width), nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Embeds a vector."""
        return self.linear_2(functional.silu(self.linear_1(x)))


class _Projections(nn.Module):
    """Queries, keys and values of a stream; with `output`, what comes behind the attention, too."""

    def __init__(self, config: TransformerConfig, added: bool = False, output: bool = True):
        super().__init__()
        width, self.heads, self.streams = config.width, config.heads, ("image", "text") if added else ("image",)
        names = {"image": ("to_q", "to_k", "to_v", "norm_q", "norm_k")}
        names["text"] = ("add_q_proj", "add_k_proj", "add_v_proj", "norm_added_q", "norm_added_k")
        self.names = names
        for stream in self.streams:
            for name in names[stream][:3]:
                setattr(self, name, nn.Linear(width, width))
            for name in names[stream][3:]:
                setattr(self, name, nn.RMSNorm(width // self.heads, eps=1e-6))
        if output:
            self.to_out = nn.ModuleList([nn.Linear(width, width)])
        if added:
            self.to_add_out = nn.Linear(width, width)

    def forward(self, x: torch.Tensor, stream: str = "image") -> list[torch.Tensor]:
        """[B H L D] each, normed."""
        to_q, to_k, to_v, norm_q, norm_k = (getattr(self, name) for name in self.names[stream])
        q, k, v = (to(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for to in (to_q, to_k, to_v))
        return [norm_q(q), norm_k(k), v]


def _attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    out = functional.scaled_dot_product_attention(_rotate(q, cos, sin), _rotate(k, cos, sin), v)
    return out.transpose(1, 2).flatten(2)


class _FeedForward(nn.Module):
    def __init__(self, width: int, hidden: int):
        super().__init__()
        first = nn.Module()
        first.proj = nn.Linear(width, hidden)
        self.net = nn.ModuleList([first, nn.Identity(), nn.Linear(hidden, width)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The MLP."""
        return self.net[2](functional.gelu(self.net[0].proj(x), approximate="tanh"))


class _Double(nn.Module):
    def __init__(self, config: TransformerConfig):
        super().__init__()
        hidden = int(config.width * config.mlp_ratio)
        self.norm1, self.norm1_context = (_Linear(config.width, 6 * config.width) for _ in range(2))
        self.attn = _Projections(config, added=True)
        self.ff, self.ff_context = (_FeedForward(config.width, hidden) for _ in range(2))

    def forward(self, x: torch.Tensor, text: torch.Tensor, y: torch.Tensor, *tables: torch.Tensor) -> Any:
        """The two streams."""
        mod, mod_text = self.norm1(y, 6), self.norm1_context(y, 6)
        ours, theirs = self.attn(_modulate(x, *mod[:2])), self.attn(_modulate(text, *mod_text[:2]), "text")
        joined = (torch.cat([b, a], 2) for a, b in zip(ours, theirs, strict=True))
        attended = _attend(*joined, *tables).split([text.shape[1], x.shape[1]], 1)
        x = x + mod[2] * self.attn.to_out[0](attended[1])
        text = text + mod_text[2] * self.attn.to_add_out(attended[0])
        x = x + mod[5] * self.ff(_modulate(x, *mod[3:5]))
        return x, text + mod_text[5] * self.ff_context(_modulate(text, *mod_text[3:5]))


class _Single(nn.Module):
    def __init__(self, config: TransformerConfig):
        super().__init__()
        hidden = int(config.width * config.mlp_ratio)
        self.norm = _Linear(config.width, 3 * config.width)
        self.attn = _Projections(config, output=False)
        self.proj_mlp = nn.Linear(config.width, hidden)
        self.proj_out = nn.Linear(config.width + hidden, config.width)

    def forward(self, x: torch.Tensor, y: torch.Tensor, *tables: torch.Tensor) -> torch.Tensor:
        """The joined sequence."""
        shift, scale, gate = self.norm(y, 3)
        normed = _modulate(x, shift, scale)
        attended = _attend(*self.attn(normed), *tables)
        mlp = functional.gelu(self.proj_mlp(normed), approximate="tanh")
        return x + gate * self.proj_out(torch.cat([attended, mlp], -1))


class Flux(nn.Module):
    """The whole transformer."""

    def __init__(self, config: TransformerConfig):
        super().__init__()
        self.config, width = config, config.width
        embedders = {"timestep_embedder": 256, "text_embedder": config.pooled_dim}
        embedders |= {"guidance_embedder": 256} if config.guidance_embed else {}
        self.time_text_embed = nn.ModuleDict({name: _Embedder(inner, width) for name, inner in embedders.items()})
        self.x_embedder = nn.Linear(config.latent_dim, width)
        self.context_embedder = nn.Linear(config.context_dim, width)
        self.transformer_blocks = nn.ModuleList([_Double(config) for _ in range(config.double_blocks)])
        self.single_transformer_blocks = nn.ModuleList([_Single(config) for _ in range(config.single_blocks)])
        self.norm_out = _Linear(width, 2 * width)
        self.proj_out = nn.Linear(width, config.latent_dim)

    def forward(
        self,
        x: torch.Tensor,
        text: torch.Tensor,
        pooled: torch.Tensor,
        t: torch.Tensor,
        guidance: torch.Tensor,
        cos: torch.Tensor,
        sin: torch.Tensor,
    ) -> torch.Tensor:
        """Velocity of all image tokens."""
        embed = self.time_text_embed
        y = embed["timestep_embedder"](_sinusoids(t, pooled)) + embed["text_embedder"](pooled)
        if self.config.guidance_embed:
            y = y + embed["guidance_embedder"](_sinusoids(guidance, pooled))
        x, text = self.x_embedder(x), self.context_embedder(text)
        for block in self.transformer_blocks:
            x, text = block(x, text, y, cos, sin)
        joined = torch.cat([text, x], 1)
        for block in self.single_transformer_blocks:
            joined = block(joined, y, cos, sin)
        scale, shift = self.norm_out(y, 2)
        return self.proj_out(_modulate(joined[:, text.shape[1] :], shift, scale))
