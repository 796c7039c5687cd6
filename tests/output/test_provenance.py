"""Every video is marked and signed; `verify` tells it from a foreign, a changed and a copied one."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from c2pa import C2paError
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from PIL import Image
from toys import clip_of

from concat_id.__main__ import main
from concat_id.errors import InvalidCredentials, UnreadableVideo
from concat_id.job import Job
from concat_id.output.credentials import load_credentials
from concat_id.output.provenance import read_manifest, sign_video, verify
from concat_id.output.video import read_metadata, read_video, write_video
from concat_id.output.video_files import describe_run, write_result
from concat_id.output.watermark import detect, mark
from concat_id.references.reference import Reference
from concat_id.settings import Settings


@pytest.fixture(scope="module")
def clip() -> np.ndarray:
    """A clip as the embedded model makes them."""
    return clip_of(50, num_frames=9)


@pytest.fixture(scope="module")
def made(clip: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished video, with all that lies beside it; nobody may change it."""
    folder = tmp_path_factory.mktemp("made")
    pictures = [Image.fromarray(clip[0])]
    job = Job("single", (Reference("face", folder / "face.png"),), "A person waves.", Settings(seed=7))
    facts = describe_run(pictures, [()], None, "A model", "0" * 64)
    return write_result(folder / "out.mp4", job.resolve(), clip, pictures, facts, 0.0).video


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Path:
    """The same file, to change."""
    return Path(shutil.copy(made, tmp_path / "copy.mp4"))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder, and nothing given."""
    monkeypatch.setenv("CONCAT_ID_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("CONCAT_ID_SIGNING", raising=False)
    return tmp_path / "cache"


def encode_again(source: Path, target: Path, *options: str) -> Path:
    """Encode a video again as others do, metadata included."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-i", str(source), "-c:v", "libx264"]
    subprocess.run([*command, "-threads", "1", *options, str(target)], check=True, input=b"")
    return target


def test_what_is_written_is_ours_and_intact(made: Path) -> None:
    report = verify(made)
    assert report.is_ours and report.manifest.is_signed_here and not report.manifest.faults
    assert (report.manifest.generator, report.manifest.model) == ("Concat-ID Studio", "A model")
    assert report.manifest.source_type.endswith("/trainedAlgorithmicMedia")
    assert report.settings["job"]["prompt"] == "A person waves."
    assert stat.S_IMODE(made.stat().st_mode) == 0o644
    assert {file.name for file in made.parent.iterdir()} == {"out.mp4", "out.json", "out-reference-1.png"}


def test_signing_leaves_frames_and_settings_as_they_are(clip: np.ndarray, tmp_path: Path) -> None:
    path = write_video(clip, 8, tmp_path / "out.mp4", {"prompt": "été; 笑"})
    before = path.read_bytes()
    frames = read_video(path).frames
    sign_video(path, "A model")
    assert path.read_bytes() != before and read_metadata(path) == {"prompt": "été; 笑"}
    assert np.array_equal(read_video(path).frames, frames)
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    assert [file.name for file in tmp_path.iterdir()] == ["out.mp4"]


def test_a_failed_signature_leaves_the_file_and_nothing_else(copy: Path, tmp_path: Path) -> None:
    copy.write_bytes(b"not a video")
    with pytest.raises(C2paError, match="could not be parsed"):
        sign_video(copy, "A model")
    assert [file.name for file in tmp_path.iterdir()] == ["copy.mp4"]
    assert copy.read_bytes() == b"not a video"


@pytest.mark.parametrize("where, offset", [(b"mdat", 3000), (b"A person waves", 2)])
def test_one_changed_byte_is_noticed(copy: Path, where: bytes, offset: int) -> None:
    data = bytearray(copy.read_bytes())
    data[data.rindex(where) + offset] ^= 1
    copy.write_bytes(data)
    report = verify(copy)
    assert report.manifest.state == "broken" and not report.is_ours
    assert report.manifest.faults == ("assertion.bmffHash.mismatch",)


def test_a_forged_claim_is_noticed(copy: Path) -> None:
    copy.write_bytes(copy.read_bytes().replace(b"A model", b"B model"))
    report = verify(copy)
    assert report.manifest.state == "broken" and report.manifest.faults and not report.is_ours


def test_encoding_again_loses_the_manifest_and_keeps_the_mark(made: Path, tmp_path: Path) -> None:
    report = verify(encode_again(made, tmp_path / "again.mp4", "-crf", "23"))
    assert report.manifest.state == "missing" and report.watermark.is_found and not report.is_ours


def test_a_foreign_video_is_not_ours(clip: np.ndarray, tmp_path: Path) -> None:
    report = verify(write_video(clip, 8, tmp_path / "foreign.mp4"))
    assert report.manifest.state == "missing" and not report.watermark.is_found and not report.settings
    other = encode_again(tmp_path / "foreign.mp4", tmp_path / "foreign.mkv")
    assert read_manifest(other).state == "missing"


def test_a_signed_video_without_the_mark_is_not_ours(clip: np.ndarray, tmp_path: Path) -> None:
    path = write_video(clip, 8, tmp_path / "unmarked.mp4")
    sign_video(path, "A model")
    report = verify(path)
    assert report.manifest.state == "intact" and not report.watermark.is_found and not report.is_ours


def test_what_is_no_video_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out.mp4").write_bytes(b"not a video")
    with pytest.raises(UnreadableVideo):
        verify(tmp_path / "out.mp4")


def test_another_machine_s_signature_is_valid_and_unknown(made: Path, cache: Path) -> None:
    report = verify(made)
    assert report.is_ours and not report.manifest.is_signed_here
    assert any("nobody known vouches" in line for line in report.describe())
    assert not cache.exists()  # looking needs no key


def test_the_key_is_made_once_for_its_owner_alone(cache: Path) -> None:
    first = load_credentials()
    path = cache / "signing" / "credentials.pem"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and list(path.parent.iterdir()) == [path]
    assert load_credentials().chain == first.chain and first.chain.count("BEGIN CERTIFICATE") == 2
    assert "PRIVATE" not in first.chain


@pytest.mark.parametrize("as_text", [False, True])
def test_a_service_s_own_key_is_used(
    as_text: bool, cache: Path, copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_credentials()
    given = (cache / "signing" / "credentials.pem").rename(tmp_path / "given.pem")
    monkeypatch.setenv("CONCAT_ID_SIGNING", given.read_text() if as_text else str(given))
    sign_video(copy, "A model")
    assert verify(copy).manifest.is_signed_here and not (cache / "signing" / "credentials.pem").exists()


def test_bad_credentials_are_refused(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def pem(key: ec.EllipticCurvePrivateKey) -> str:
        return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

    chain = load_credentials().chain
    other, long = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP384R1())
    for text, message in (
        (chain, "holds no private key"),
        (pem(other), "followed by certificates"),
        (pem(other) + chain, "is not the key's"),
        (pem(long) + chain, "not on the curve P-256"),
        ("no-such-file.pem", "'no-such-file.pem' cannot be read"),
    ):
        monkeypatch.setenv("CONCAT_ID_SIGNING", text)
        with pytest.raises(InvalidCredentials, match=message):
            load_credentials()


def test_a_folder_that_cannot_be_written_is_said(cache: Path) -> None:
    cache.write_text("in the way")
    with pytest.raises(InvalidCredentials, match="no signing key can be kept at"):
        load_credentials()


def test_the_mark_is_faint_and_found_with_its_key_alone(clip: np.ndarray) -> None:
    marked = mark(clip)
    error = np.square(marked.astype(float) - clip).mean()
    assert 10 * np.log10(255**2 / error) > 42
    assert not np.array_equal(marked[-1], clip[-1])
    for frame in marked:
        assert detect(frame[None]).is_found
    assert not detect(clip).is_found and not detect(marked, b"another key").is_found


@pytest.mark.parametrize("height, width", [(480, 832), (136, 2056), (132, 190)])
def test_the_mark_fits_all_sizes(height: int, width: int) -> None:
    frames = np.full((2, height, width, 3), 128, np.uint8)
    marked = mark(frames)
    assert detect(marked).is_found and not detect(frames).is_found
    # Of the same key in a smaller frame: the part that both have is the same.
    assert np.array_equal(mark(frames[:, :128, :128]), marked[:, :128, :128])


def test_frames_smaller_than_a_block_hold_no_mark() -> None:
    frames = np.full((1, 6, 6, 3), 128, np.uint8)
    assert np.array_equal(mark(frames), frames) and detect(frames).z == 0


def test_verify_on_the_command_line(
    made: Path, copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", str(made), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["ours"] and report["manifest"]["state"] == "intact" and report["watermark"]["found"]
    assert report["settings"]["job"]["settings"]["seed"] == 7
    assert main(["verify", str(made)]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("made here and unchanged: yes\n") and "Concat-ID Studio with A model" in printed
    copy.write_bytes(copy.read_bytes().replace(b"waves.", b"sings."))
    assert main(["verify", str(copy)]) == 1
    assert "C2PA manifest: broken (assertion.bmffHash.mismatch)" in capsys.readouterr().out
    assert main(["verify", str(tmp_path / "none.mp4")]) == 2
    error = capsys.readouterr().err
    assert "there is no video file" in error and error.count("\n") == 1
