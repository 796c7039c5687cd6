"""ConsisID's face encoder computes what the authors' package does, and takes its checkpoint alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from toys import TOY_EVA_CLIP

from concat_id.errors import WeightsUnavailable
from concat_id.models.eva_clip import EvaClipVisionModel, load_eva_clip

# Of `EVAVisionTransformer` in consisid_eva_clip 1.0.2, with the weights and the picture below.
EMBEDDING = [0.21798751, -0.39210245, -0.30372525, 0.15029246, 0.11003128, -0.37675554]
HIDDEN = [-2.16633, -4.17948, -7.33445, -9.62407, -12.91313]


def test_it_computes_what_the_authors_package_does() -> None:
    encoder = EvaClipVisionModel(**TOY_EVA_CLIP).eval()
    for number, (_, parameter) in enumerate(sorted(encoder.named_parameters())):
        waves = torch.sin(torch.arange(parameter.numel()) * 0.7 + number)
        parameter.data = waves.reshape(parameter.shape) / 4
    picture = torch.cos(torch.arange(3 * 28 * 28) * 0.01).reshape(1, 3, 28, 28)
    with torch.no_grad():
        embedding, hidden = encoder(picture)
    assert embedding[0, :6].tolist() == pytest.approx(EMBEDDING, abs=1e-5)
    assert [state[0, 3, 5].item() for state in hidden] == pytest.approx(HIDDEN, abs=1e-4)


def test_a_checkpoint_of_something_else_is_refused(tmp_path: Path) -> None:
    weights = {
        f"visual.{name}": value for name, value in EvaClipVisionModel(**TOY_EVA_CLIP).state_dict().items()
    }
    whole = tmp_path / "eva_clip.pt"
    torch.save(weights | {"visual.rope.freqs_cos": torch.ones(4, 8), "text.x": torch.ones(1)}, whole)
    loaded = load_eva_clip(whole, **TOY_EVA_CLIP).state_dict()
    assert all(torch.equal(value, weights[f"visual.{name}"]) for name, value in loaded.items())
    weights.pop("visual.blocks.3.attn.q_bias")
    torch.save(weights, whole)
    with pytest.raises(WeightsUnavailable, match="does not hold EVA-02-CLIP's weights"):
        load_eva_clip(whole, **TOY_EVA_CLIP)
