"""The trained models of the evaluation as ONNX files and folders.

The reader is tried on clips of the test split first, and says in its file how often it was right. The judge
of whole faces gets its threshold from faces judged by eye, see `train.measure.whole_faces`.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from concat_id.evaluation.wholeness import CROP_PX
from train.export.perception import OPSET, Exports, export_recognizer, store_in_half
from train.measure.whole_faces import choose_threshold, split_held_out, write_threshold
from train.perception.recognizer import Recognizer
from train.scoring.clip_cache import CLIP_SIZE, NUM_FRAMES, TOPICS, load_clips
from train.scoring.reader import ClipReader, Reader, read_clips
from train.scoring.video_clip import VideoClipTraining, start_tokenizer
from train.scoring.whole_faces import WholeFaceNetwork, WholeFaces

LOGGER = logging.getLogger(__name__)
TEST_CHUNKS = 1


class ReaderOutputs(nn.Module):
    """The reader with its topics in order."""

    def __init__(self, reader: ClipReader) -> None:
        super().__init__()
        self.reader = reader

    def forward(self, clip: Tensor) -> tuple[Tensor, ...]:
        """(1, T, 3, 96, 96) in [0, 1] -> (1, categories) by topic."""
        logits = self.reader(clip)
        return tuple(logits[topic] for topic in TOPICS)


def export_reader(reader: ClipReader, path: Path, *, accuracy: dict[str, float]) -> None:
    """Write reader.onnx with the categories and the accuracy in its metadata."""
    torch.onnx.export(
        ReaderOutputs(reader).eval().float(),
        (torch.zeros(1, NUM_FRAMES, 3, CLIP_SIZE, CLIP_SIZE),),
        str(path),
        input_names=["clip"],
        output_names=list(TOPICS),
        opset_version=OPSET,
        dynamo=False,
    )
    model = onnx.load(path)
    facts = {"categories": json.dumps(TOPICS), "accuracy": json.dumps(accuracy)}
    onnx.helper.set_model_props(model, facts)
    onnx.save(model, path)
    store_in_half(path)


def measure_and_export_reader(module: Reader, path: Path) -> None:
    """Try the reader on clips that it has never seen, and write it."""
    right = read_clips(module.reader.eval(), load_clips(Path(".train/clips"), "test", TEST_CHUNKS))
    accuracy = {topic: round(hits.float().mean().item(), 3) for topic, hits in right.items()}
    LOGGER.info("right on rendered clips: %s", accuracy)
    export_reader(module.reader, path, accuracy=accuracy)


class WholeFaceOutputs(nn.Module):
    """The judge of whole faces, mirrored and not: probabilities (N,) of crops (N, 3, 112, 112) in [0, 1]."""

    def __init__(self, network: WholeFaceNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, crops: Tensor) -> Tensor:
        return ((self.network(crops) + self.network(crops.flip(3))) / 2).sigmoid()


def export_whole_faces(network: WholeFaceNetwork, path: Path, *, threshold: float) -> None:
    """Write whole.onnx with the threshold in its metadata: the number of crops is free."""
    torch.onnx.export(
        WholeFaceOutputs(network).eval().float(),
        (torch.zeros(1, 3, CROP_PX, CROP_PX),),
        str(path),
        input_names=["crops"],
        output_names=["whole"],
        dynamic_axes={"crops": {0: "faces"}, "whole": {0: "faces"}},
        opset_version=OPSET,
        dynamo=False,
    )
    write_threshold(path, threshold)
    store_in_half(path)


@torch.inference_mode()
def choose_and_export_whole_faces(module: WholeFaces, path: Path) -> None:
    """Choose the threshold on faces that were judged by eye, and write the judge."""
    judged, _, chosen = split_held_out()
    probabilities = WholeFaceOutputs(module.network.eval())(judged["crops"][chosen].float() / 255)
    threshold = choose_threshold(probabilities.numpy(), judged["whole"][chosen].numpy() > 0)
    LOGGER.info("threshold: %.4f", threshold)
    export_whole_faces(module.network, path, threshold=threshold)


def export_video_clip(module: VideoClipTraining, path: Path) -> None:
    """Write the video-text model and its tokenizer; in half precision, it is computed with in single."""
    module.video_clip.half().save_pretrained(path)
    start_tokenizer().save_pretrained(path)


EXPORTS: Exports = {
    "curricular": (Recognizer, lambda module, path: export_recognizer(module.recognizer, path)),
    "video_clip": (VideoClipTraining, export_video_clip),
    "reader": (Reader, measure_and_export_reader),
    "whole_faces": (WholeFaces, choose_and_export_whole_faces),
}
