"""The trained perception models and CLIP as the product loads them: ONNX files and transformers folders."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor, nn
from transformers import CLIPImageProcessorPil, CLIPTokenizer, SegformerImageProcessorPil

from train.perception import parser
from train.perception.clothes_parser import ClothesParser
from train.perception.detector import Detector, FaceDetector
from train.perception.face_parser import FaceParser
from train.perception.recognizer import CROP_SIZE, FaceRecognizer, Recognizer
from train.scoring import clip

# By name: the training module, and what writes a trained one to a path.
Exports = dict[str, tuple[type, Callable[..., None]]]
OPSET = 17
# Values of a weight from which on it is kept in half: small ones are biases and scales.
SMALLEST_IN_HALF = 1024
STRIDES = (8, 16, 32)
# The detector's score that becomes .5, where insightface's threshold lies.
#
# Chosen on the validation split: of the faces 2 in 500 score less, of the false finds nearly all do.
OPERATING_POINT = 0.66


class ScrfdOutputs(nn.Module):
    """The detector with insightface's nine outputs: scores, boxes, key points, each at strides 8, 16, 32."""

    def __init__(self, detector: FaceDetector) -> None:
        super().__init__()
        self.detector = detector
        self.shift = math.log(OPERATING_POINT / (1 - OPERATING_POINT))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """(1, 3, H, W) -> three (cells x 2, 1), three (cells x 2, 4), three (cells x 2, 10)."""
        levels = [self.detector.read_level(level) for level in self.detector.features(x)]
        logits, boxes, points = zip(*levels, strict=True)
        scores = [(part - self.shift).sigmoid() for part in logits]
        return tuple(part.reshape(-1, part.shape[-1]) for part in (*scores, *boxes, *points))


def export_detector(detector: FaceDetector, path: Path) -> None:
    """Write det.onnx: height and width are free."""
    names = [f"{kind}_{stride}" for kind in ("score", "box", "landmarks") for stride in STRIDES]
    axes = {name: {0: f"anchors_{name[name.index('_') + 1 :]}"} for name in names}
    torch.onnx.export(
        ScrfdOutputs(detector).eval().float(),
        (torch.zeros(1, 3, 128, 128),),
        str(path),
        input_names=["input.1"],
        output_names=names,
        dynamic_axes={"input.1": {2: "height", 3: "width"}, **axes},
        opset_version=OPSET,
        dynamo=False,
    )
    store_in_half(path)


def export_recognizer(recognizer: FaceRecognizer, path: Path) -> None:
    """Write rec.onnx: the number of crops is free."""
    torch.onnx.export(
        recognizer.eval().float(),
        (torch.zeros(1, 3, CROP_SIZE, CROP_SIZE),),
        str(path),
        input_names=["input.1"],
        output_names=["embedding"],
        dynamic_axes={"input.1": {0: "faces"}, "embedding": {0: "faces"}},
        opset_version=OPSET,
        dynamo=False,
    )
    store_in_half(path)


def store_in_half(path: Path) -> None:
    """Let an ONNX file keep its weights in float16; it computes in float32 all the same."""
    model = onnx.load(path)
    graph, casts, stored = model.graph, [], []
    for weight in graph.initializer:
        values = onnx.numpy_helper.to_array(weight)
        if values.dtype != np.float32 or values.size < SMALLEST_IN_HALF:
            stored.append(weight)
            continue
        name = f"{weight.name}_half"
        stored.append(onnx.numpy_helper.from_array(values.astype(np.float16), name))
        casts.append(onnx.helper.make_node("Cast", [name], [weight.name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend(stored)
    graph.node.extend(nodes)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def export_parser(module: parser.Parser, path: Path) -> None:
    """Write the SegFormer and its image processor as a transformers folder."""
    module.parser.save_pretrained(path)
    size = {"height": parser.INPUT_SIZE, "width": parser.INPUT_SIZE}
    mean, std = list(parser.IMAGE_MEAN), list(parser.IMAGE_STD)
    SegformerImageProcessorPil(size=size, image_mean=mean, image_std=std).save_pretrained(path)


def export_clip(module: clip.Clip, path: Path, *, tokenizer: Path = clip.TOKENIZER) -> None:
    """Write the CLIP model, its tokenizer and its image processor as a transformers folder.

    Args:
        tokenizer: the folder of a fresh model's tokenizer; one that was trained on keeps its own.
    """
    kept = CLIPTokenizer.from_pretrained(module.hparams.start_from or tokenizer)
    module.clip.save_pretrained(path)
    kept.save_pretrained(path)
    CLIPImageProcessorPil(
        size={"shortest_edge": clip.INPUT_SIZE},
        crop_size={"height": clip.INPUT_SIZE, "width": clip.INPUT_SIZE},
        image_mean=list(clip.IMAGE_MEAN),
        image_std=list(clip.IMAGE_STD),
    ).save_pretrained(path)


EXPORTS: Exports = {
    "detector": (Detector, lambda module, path: export_detector(module.detector, path)),
    "recognizer": (Recognizer, lambda module, path: export_recognizer(module.recognizer, path)),
    "face_parser": (FaceParser, export_parser),
    "clothes_parser": (ClothesParser, export_parser),
    "clip": (clip.Clip, export_clip),
}
