"""CogVideoX's transformer with references: the stock model on frames that follow the video's."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import forward
import pytest
import torch
from diffusers import CogVideoXTransformer3DModel
from diffusers.models.embeddings import get_3d_rotary_pos_embed
from einops import rearrange
from forward import predict
from torch import Tensor
from toys import TEXT_DIM, make_cogvideox_transformer

from concat_id import ConcatIDCogVideoXTransformer3DModel

VIDEO = (2, 4, 3, 8, 8)  # (B, C, F, H, W)
make_inputs = partial(forward.make_inputs, video=VIDEO)


@pytest.fixture
def transformer() -> ConcatIDCogVideoXTransformer3DModel:
    return make_cogvideox_transformer()


@torch.no_grad()
def predict_as_stock(transformer: ConcatIDCogVideoXTransformer3DModel, inputs: dict[str, Tensor]) -> Tensor:
    """What the stock model makes of all frames, at positions 0 to F + R - 1; of the video's frames."""
    stock = CogVideoXTransformer3DModel.from_config(transformer.config).eval()
    stock.load_state_dict(transformer.state_dict())
    frames = torch.cat([inputs["hidden_states"], inputs["reference_latents"]], dim=2)
    sample = stock(
        frames.transpose(1, 2),
        inputs["encoder_hidden_states"],
        inputs["timestep"],
        image_rotary_emb=get_3d_rotary_pos_embed(16, ((0, 0), (4, 4)), (4, 4), frames.shape[2]),
    ).sample
    return sample[:, : VIDEO[2]].transpose(1, 2)


@pytest.mark.parametrize("num_references", [0, 1, 3])
def test_references_are_frames_after_the_video_s(
    transformer: ConcatIDCogVideoXTransformer3DModel, num_references: int
) -> None:
    inputs = make_inputs(num_references)
    found = predict(transformer, inputs)
    assert found.shape == VIDEO
    torch.testing.assert_close(found, predict_as_stock(transformer, inputs), atol=1e-6, rtol=1e-6)
    if num_references == 0:
        del inputs["reference_latents"]
        assert torch.equal(predict(transformer, inputs), found)


@pytest.mark.parametrize("num_references", [1, 2])
def test_references_are_stripped(
    transformer: ConcatIDCogVideoXTransformer3DModel, num_references: int
) -> None:
    inputs, seen = make_inputs(num_references), []
    transformer.proj_out.register_forward_hook(lambda *call: seen.append(call[2]))
    sample = predict(transformer, inputs)
    rows, columns = VIDEO[3] // 2, VIDEO[4] // 2
    everything = rearrange(seen[0], "b (f h w) (c p q) -> b c f (h p) (w q)", h=rows, w=columns, p=2, q=2)
    assert everything.shape[2] == VIDEO[2] + num_references
    assert torch.equal(sample, everything[:, :, : VIDEO[2]])


def test_references_are_concatenated_behind_the_video(
    transformer: ConcatIDCogVideoXTransformer3DModel,
) -> None:
    inputs, seen = make_inputs(), []
    transformer.patch_embed.register_forward_hook(lambda *call: seen.append(call[1][1]))
    predict(transformer, inputs)
    joined = torch.cat([inputs["hidden_states"], inputs["reference_latents"]], dim=2)
    assert torch.equal(seen[0], joined.transpose(1, 2))


def test_each_reference_and_their_order_matter(transformer: ConcatIDCogVideoXTransformer3DModel) -> None:
    inputs = make_inputs()
    prediction = predict(transformer, inputs)
    first, second = inputs["reference_latents"].split(1, dim=2)
    for changed in (first, torch.cat([second, first], dim=2), torch.cat([first, -second], dim=2)):
        assert not torch.allclose(predict(transformer, inputs | {"reference_latents": changed}), prediction)


def test_sines_go_on_along_time_too() -> None:
    config = {**make_cogvideox_transformer().config, "use_rotary_positional_embeddings": False}
    transformer = ConcatIDCogVideoXTransformer3DModel.from_config(config).eval()
    inputs = make_inputs() | {"encoder_hidden_states": torch.randn(2, 32, TEXT_DIM)}
    found = predict(transformer, inputs)
    longer = torch.cat([inputs["hidden_states"], inputs.pop("reference_latents")], dim=2)
    expected = predict(transformer, inputs | {"hidden_states": longer})[:, :, : VIDEO[2]]
    assert torch.equal(found, expected)


def test_skipped_layers_are_left_out(transformer: ConcatIDCogVideoXTransformer3DModel) -> None:
    inputs = make_inputs()
    skipping = predict(transformer, inputs | {"skip_layers": (1,)})
    assert not torch.allclose(skipping, predict(transformer, inputs))
    del transformer.transformer_blocks[1]
    assert torch.equal(predict(transformer, inputs), skipping)


def test_gradient_checkpointing_changes_nothing(transformer: ConcatIDCogVideoXTransformer3DModel) -> None:
    transformer.train()
    gradients = []
    for is_checkpointing in (False, True):
        (transformer.enable_gradient_checkpointing if is_checkpointing else lambda: None)()
        transformer.zero_grad()
        transformer(**make_inputs()).sample.square().mean().backward()
        gradients.append({name: p.grad.clone() for name, p in transformer.named_parameters()})
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, msg=name)


def test_save_and_load(transformer: ConcatIDCogVideoXTransformer3DModel, tmp_path: Path) -> None:
    transformer.save_pretrained(tmp_path)
    loaded = ConcatIDCogVideoXTransformer3DModel.from_pretrained(tmp_path)
    assert torch.equal(predict(loaded, make_inputs()), predict(transformer, make_inputs()))


def test_compiles_as_one_graph(transformer: ConcatIDCogVideoXTransformer3DModel) -> None:
    expected = predict(transformer, make_inputs())
    compiled = torch.compile(transformer, backend="eager", fullgraph=True)
    torch.testing.assert_close(predict(compiled, make_inputs()), expected)


def test_refuses_what_does_not_fit(transformer: ConcatIDCogVideoXTransformer3DModel) -> None:
    inputs = make_inputs()
    with pytest.raises(ValueError, match=r"must be \(2, 4, R, 8, 8\) .* got \(2, 4, 2, 8, 4\)"):
        transformer(**inputs | {"reference_latents": inputs["reference_latents"][..., :4]})
    with pytest.raises(ValueError, match="patch_size_t must be None"):
        ConcatIDCogVideoXTransformer3DModel(patch_size_t=2, num_layers=0)
    with pytest.raises(ValueError, match="image-to-video"):
        ConcatIDCogVideoXTransformer3DModel(ofs_embed_dim=8, num_layers=0)
