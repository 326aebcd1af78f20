"""`Conditions`: all that steers one batch of pictures, made once per picture and read by every step."""

from __future__ import annotations

import flax.struct
from jaxtyping import Array, Bool, Float


@flax.struct.dataclass
class Conditions:
    """What the velocity depends on besides x_t and t.

    The sequence is [text | canvas | pose | references], L = Lt + canvas tokens + Lc tokens. S phrase tokens carry
    identity offsets, one for each of the K double blocks.
    """

    text: Float[Array, "B Lt Ct"]  # T5 features of the prompt
    pooled: Float[Array, "B Cp"]  # CLIP's feature of the prompt
    guidance: Float[Array, " B"]  # the guidance-distilled model's scale
    images: Float[Array, "B Lc Cl"]  # patchified latents of the pose and the references
    cos: Float[Array, "B L D"]  # rotary tables of the whole sequence
    sin: Float[Array, "B L D"]
    mask: Bool[Array, "B L"]  # which tokens exist
    offsets: Float[Array, "K B S Dm"]  # of the text stream's modulation vector
    place: Float[Array, "B S Lt"]  # one-hot: the text token each offset belongs to; a zero row: none
