"""Where a video comes from: a signed C2PA manifest in its MP4, and what a file proves by it.

    python -m concat_id verify out.mp4

The manifest says that a model made the video, and which. It breaks when the file is changed, and is lost when
it is encoded again. The watermark then still says that the video was made here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from concat_id.files.atomic import replacing
from concat_id.output.credentials import load_credentials, read_root
from concat_id.output.video import read_metadata, read_video
from concat_id.output.watermark import THRESHOLD, Detection, detect

GENERATOR = "Concat-ID Studio"
SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
# A root that is on no public list of trust. It is said of the signer, and no fault of the file.
_UNTRUSTED = "signingCredential.untrusted"
_UNKNOWN_SIGNER = "nobody known vouches for this name, as expected of a private root"


@dataclass(frozen=True)
class Manifest:
    """A file's C2PA manifest, and whether the file is still what was signed."""

    state: Literal["intact", "broken", "missing"]
    is_signed_here: bool = False  # by a chain whose root is that of this machine's credentials
    signer: str | None = None
    generator: str | None = None
    model: str | None = None
    source_type: str | None = None
    faults: tuple[str, ...] = ()  # C2PA's codes, or what kept it from being read


@dataclass(frozen=True)
class Report:
    """What a video's file says of where it comes from."""

    manifest: Manifest
    watermark: Detection
    settings: dict[str, Any]  # of the MP4's metadata; empty where they were lost

    @property
    def is_ours(self) -> bool:
        """Whether both proofs are there and the file is as it was written."""
        manifest = self.manifest
        says_so = manifest.generator == GENERATOR and manifest.source_type == SOURCE_TYPE
        return manifest.state == "intact" and says_so and self.watermark.is_found

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "ours": self.is_ours,
            "manifest": asdict(self.manifest),
            "watermark": {"found": self.watermark.is_found, "z": round(self.watermark.z, 2)},
            "settings": self.settings,
        }

    def describe(self) -> Iterator[str]:
        """One line for each thing that was looked at, for people."""
        manifest = self.manifest
        yield f"made here and unchanged: {'yes' if self.is_ours else 'no'}"
        yield f"C2PA manifest: {manifest.state}{_list_in_brackets(manifest.faults)}"
        if manifest.signer:
            trust = "the key is this machine's" if manifest.is_signed_here else _UNKNOWN_SIGNER
            yield f"signed by: {manifest.signer}; {trust}"
        if manifest.generator:
            yield f"it claims: made by {manifest.generator} with {manifest.model}, {manifest.source_type}"
        found = "found" if self.watermark.is_found else "not found"
        yield f"watermark: {found} (z = {self.watermark.z:.1f}, found above {THRESHOLD:.0f})"
        job = self.settings.get("job")
        yield f"settings: {json.dumps(job, ensure_ascii=False) if job else 'none'}"


def _list_in_brackets(items: tuple[str, ...]) -> str:
    """The items, if there are any."""
    return f" ({', '.join(items)})" if items else ""


def sign_video(path: Path, model: str) -> None:
    """Put a signed manifest into an MP4, in one step.

    Args:
        path: of the file; its metadata and frames stay as they are.
        model: title of the model that made the video.
    """
    from c2pa import Builder, C2paSigningAlg, Signer

    credentials = load_credentials()
    with (
        replacing(path) as unfinished,
        # No time stamp: it would take a network. The certificate's years bound the signature's time.
        Signer.from_callback(credentials.sign, C2paSigningAlg.ES256, credentials.chain) as signer,
        Builder.from_json(json.dumps(_claim(model))) as builder,
        path.open("rb") as source,
        unfinished.open("w+b") as target,
    ):
        builder.sign(signer, "video/mp4", source, target)


def _claim(model: str) -> dict[str, Any]:
    """What is signed, besides the file's hash."""
    created = {
        "action": "c2pa.created",
        "digitalSourceType": SOURCE_TYPE,
        "softwareAgent": {"name": model},
    }
    return {
        "claim_generator_info": [{"name": GENERATOR}],
        "format": "video/mp4",
        "assertions": [{"label": "c2pa.actions", "data": {"actions": [created]}}],
    }


def verify(path: Path) -> Report:
    """Read all that a video's file says of where it comes from."""
    frames = read_video(path).frames
    return Report(read_manifest(path), detect(frames), read_metadata(path))


def read_manifest(path: Path) -> Manifest:
    """Read and check the manifest of a video that can be read."""
    from c2pa import C2paError, Context, Reader

    # A file may name an address to fetch its manifest from: who verifies it does not want to be seen there.
    settings: dict[str, Any] = {"verify": {"remote_manifest_fetch": False}}
    if root := read_root():
        settings["trust"] = {"trust_anchors": root}
    try:
        with Context.from_dict(settings) as context, Reader(path, None, None, context) as reader:
            return _judge(json.loads(reader.json()))
    except (C2paError.ManifestNotFound, C2paError.NotSupported, C2paError.RemoteManifest):
        return Manifest("missing")
    except C2paError as error:
        return Manifest("broken", faults=(str(error),))


def _judge(store: dict[str, Any]) -> Manifest:
    """The active manifest among those that C2PA's library found and checked."""
    manifest = store["manifests"][store["active_manifest"]]
    created = next((action for action in _list_actions(manifest) if action["action"] == "c2pa.created"), {})
    agent = created.get("softwareAgent")
    signature = manifest.get("signature_info", {})
    faults = [status["code"] for status in store.get("validation_status", ())]
    return Manifest(
        "broken" if store["validation_state"] == "Invalid" else "intact",
        is_signed_here=store["validation_state"] == "Trusted",
        signer=signature.get("common_name") or signature.get("issuer"),
        generator=next((info["name"] for info in manifest.get("claim_generator_info", ())), None),
        # Older manifests of others name the software by a string.
        model=agent.get("name") if isinstance(agent, dict) else agent,
        source_type=created.get("digitalSourceType"),
        faults=tuple(code for code in faults if code != _UNTRUSTED),
    )


def _list_actions(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """What a manifest says was done."""
    assertions = manifest.get("assertions", ())
    return [
        action
        for assertion in assertions
        if assertion["label"].startswith("c2pa.actions")
        for action in assertion["data"]["actions"]
    ]
