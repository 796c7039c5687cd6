"""The transformer: exact, references in, references out, and everything diffusers does to a transformer."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from diffusers import WanTransformer3DModel
from einops import rearrange
from forward import VIDEO, make_inputs, predict
from torch.profiler import ProfilerActivity, profile

from concat_id import ConcatIDWanTransformer3DModel
from concat_id.models.blocks_wan import ConcatIDWanRotaryPosEmbed


@pytest.mark.parametrize("references", ["none", "empty"])
def test_without_references_equals_stock_model(
    transformer: ConcatIDWanTransformer3DModel, references: str
) -> None:
    config = {name: value for name, value in transformer.config.items() if name != "reference_adaln"}
    stock = WanTransformer3DModel.from_config(config).eval()
    stock.load_state_dict({name: transformer.state_dict()[name] for name in stock.state_dict()})
    inputs = make_inputs(num_references=0)
    empty = inputs.pop("reference_latents")
    expected = predict(stock, inputs)
    ours = inputs if references == "none" else inputs | {"reference_latents": empty}
    assert torch.equal(predict(transformer, ours), expected)


@pytest.mark.parametrize("num_references", [1, 2, 5])
def test_references_are_stripped(transformer: ConcatIDWanTransformer3DModel, num_references: int) -> None:
    inputs, seen = make_inputs(num_references), []
    transformer.proj_out.register_forward_hook(lambda *call: seen.append(call[2]))
    sample = predict(transformer, inputs)
    everything = rearrange(
        seen[0], "b (f h w) (p q c) -> b c f (h p) (w q)", f=VIDEO[2] + num_references, h=2, p=2, q=2
    )
    assert torch.equal(sample, everything[:, :, : VIDEO[2]])
    assert torch.equal(transformer(**inputs, return_dict=False)[0], sample)


def test_references_are_concatenated_behind_the_video(transformer: ConcatIDWanTransformer3DModel) -> None:
    inputs, seen = make_inputs(), []
    transformer.patch_embedding.register_forward_hook(lambda *call: seen.append(call[1][0]))
    predict(transformer, inputs)
    assert torch.equal(seen[0], torch.cat([inputs["hidden_states"], inputs["reference_latents"]], dim=2))


def test_each_reference_and_their_order_matter(transformer: ConcatIDWanTransformer3DModel) -> None:
    inputs = make_inputs()
    prediction = predict(transformer, inputs)
    first, second = inputs["reference_latents"].split(1, dim=2)
    for changed in (first, torch.cat([second, first], dim=2), torch.cat([first, -second], dim=2)):
        assert not torch.allclose(predict(transformer, inputs | {"reference_latents": changed}), prediction)


def test_skipped_layers_are_left_out(transformer: ConcatIDWanTransformer3DModel) -> None:
    inputs = make_inputs()
    skipping = predict(transformer, inputs | {"skip_layers": (1,)})
    assert not torch.allclose(skipping, predict(transformer, inputs))
    del transformer.blocks[1]
    assert torch.equal(predict(transformer, inputs), skipping)


def test_samples_of_a_batch_do_not_see_each_other(transformer: ConcatIDWanTransformer3DModel) -> None:
    inputs = make_inputs()
    both = predict(transformer, inputs)
    for index in range(2):
        alone = predict(transformer, {name: tensor[index : index + 1] for name, tensor in inputs.items()})
        torch.testing.assert_close(alone, both[index : index + 1])


def test_text_reaches_video_tokens_only(transformer: ConcatIDWanTransformer3DModel) -> None:
    lengths = []
    for block in transformer.blocks:
        block.attn2.register_forward_pre_hook(lambda _, inputs: lengths.append(inputs[0].shape[1]))
    predict(transformer, make_inputs(num_references=3))
    assert lengths == [3 * 2 * 3] * len(transformer.blocks)


@pytest.mark.parametrize(("frames", "height", "width"), [(1, 2, 2), (3, 4, 6), (5, 16, 16), (21, 8, 4)])
@pytest.mark.parametrize("num_references", [1, 3])
def test_reference_positions_are_no_video_positions(
    frames: int, height: int, width: int, num_references: int
) -> None:
    rope = ConcatIDWanRotaryPosEmbed(attention_head_dim=24, patch_size=(1, 2, 2), max_seq_len=64)
    latents = torch.empty(1, 4, frames, height, width)
    cosines, sines, is_video = rope(latents, num_references)
    rows = torch.cat([cosines, sines], dim=-1)[0, :, 0]
    assert len(rows.unique(dim=0)) == len(rows) == (frames + num_references) * height * width // 4
    assert is_video.sum() == frames * height * width // 4 and is_video.diff().sum() == 1

    # As if the video went on to the right and beyond its end: frame F + k, columns w..2w-1.
    wider = torch.empty(1, 4, frames + num_references, height, 2 * width)
    for table, found in zip(rope(wider)[:2], (cosines, sines), strict=True):
        grid = table.unflatten(1, (frames + num_references, height // 2, width))
        assert torch.equal(grid[:, frames:, :, width // 2 :].flatten(1, 3), found[:, ~is_video])


def test_gradient_checkpointing_changes_nothing(transformer: ConcatIDWanTransformer3DModel) -> None:
    transformer.train()
    gradients = []
    for is_checkpointing in (False, True):
        (transformer.enable_gradient_checkpointing if is_checkpointing else lambda: None)()
        transformer.zero_grad()
        transformer(**make_inputs()).sample.square().mean().backward()
        gradients.append({name: p.grad.clone() for name, p in transformer.named_parameters()})
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, msg=name)
    assert all(gradient.abs().sum() > 0 for gradient in gradients[0].values())


def test_layerwise_casting_stores_small_and_computes_alike(
    transformer: ConcatIDWanTransformer3DModel,
) -> None:
    expected = predict(transformer, make_inputs())
    transformer.enable_layerwise_casting(storage_dtype=torch.bfloat16, compute_dtype=torch.float32)
    assert transformer.blocks[0].ffn.net[2].weight.dtype == torch.bfloat16
    if transformer.config.reference_adaln:
        assert transformer.reference_time_proj.weight.dtype == torch.float32
    torch.testing.assert_close(predict(transformer, make_inputs()), expected, atol=0.05, rtol=0.05)


@pytest.mark.parametrize("offload_type", ["block_level", "leaf_level"])
def test_group_offload_changes_nothing(transformer: ConcatIDWanTransformer3DModel, offload_type: str) -> None:
    expected = predict(transformer, make_inputs())
    transformer.enable_group_offload(
        onload_device=torch.device("cpu"),
        offload_device=torch.device("cpu"),
        offload_type=offload_type,
        num_blocks_per_group=1 if offload_type == "block_level" else None,
    )
    assert torch.equal(predict(transformer, make_inputs()), expected)


def test_half_precision_keeps_sensitive_parameters(
    transformer: ConcatIDWanTransformer3DModel, tmp_path: Path
) -> None:
    transformer.save_pretrained(tmp_path)
    loaded = ConcatIDWanTransformer3DModel.from_pretrained(tmp_path, torch_dtype=torch.bfloat16)
    dtypes = {name: parameter.dtype for name, parameter in loaded.named_parameters()}
    tables = [dtype for name, dtype in dtypes.items() if name.endswith("scale_shift_table")]
    assert loaded.dtype == dtypes["blocks.0.attn1.to_q.weight"] == torch.bfloat16
    assert set(tables) == {torch.float32}
    inputs = {name: t if name == "timestep" else t.bfloat16() for name, t in make_inputs().items()}
    torch.testing.assert_close(
        predict(loaded, inputs).float(), predict(transformer, make_inputs()), atol=0.1, rtol=0.1
    )


def test_attention_is_diffusers_to_choose(transformer: ConcatIDWanTransformer3DModel) -> None:
    expected = predict(transformer, make_inputs())
    transformer.set_attention_backend("_native_math")
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        found = predict(transformer, make_inputs())
    names = {event.key for event in profiled.key_averages()}
    assert "aten::_scaled_dot_product_attention_math" in names and torch.allclose(found, expected, atol=1e-4)
    assert not any("flash_attention" in name for name in names)


def test_compiles_as_one_graph(transformer: ConcatIDWanTransformer3DModel) -> None:
    expected = predict(transformer, make_inputs())
    compiled = torch.compile(transformer, backend="eager", fullgraph=True)
    assert torch.equal(predict(compiled, make_inputs()), expected)


def test_save_and_load(transformer: ConcatIDWanTransformer3DModel, tmp_path: Path) -> None:
    transformer.save_pretrained(tmp_path)
    loaded = ConcatIDWanTransformer3DModel.from_pretrained(tmp_path)
    assert loaded.config.reference_adaln == transformer.config.reference_adaln
    assert loaded.config.num_layers == len(loaded.blocks) == 3
    assert torch.equal(predict(loaded, make_inputs()), predict(transformer, make_inputs()))


def test_stock_weights_load(tmp_path: Path) -> None:
    stock = WanTransformer3DModel(
        num_attention_heads=2, attention_head_dim=12, text_dim=16, freq_dim=16, ffn_dim=32, num_layers=1
    )
    stock.save_pretrained(tmp_path)
    loaded, report = ConcatIDWanTransformer3DModel.from_pretrained(tmp_path, output_loading_info=True)
    assert not loaded.config.reference_adaln
    assert not any(report.values()), report


def test_refuses_what_does_not_fit(transformer: ConcatIDWanTransformer3DModel) -> None:
    inputs = make_inputs()
    with pytest.raises(ValueError, match=r"must be \(2, 4, R, 4, 6\) .* got \(2, 4, 2, 4, 4\)"):
        transformer(**inputs | {"reference_latents": inputs["reference_latents"][..., :4]})
    with pytest.raises(ValueError, match="one value per sample"):
        transformer(**inputs | {"timestep": torch.zeros(2, 18)})
    with pytest.raises(ValueError, match="patch_size must start with 1"):
        ConcatIDWanTransformer3DModel(patch_size=(2, 2, 2), num_layers=0)
    with pytest.raises(ValueError, match="must be None"):
        ConcatIDWanTransformer3DModel(image_dim=8, num_layers=0)
