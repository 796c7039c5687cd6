"""Pictures of every kind come out upright, opaque, 8-bit RGB, or are refused by name."""

from __future__ import annotations

import io
import random
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from profiles import ADOBE_RGB, DISPLAY_P3, WIDE, cmyk_profile, columns, profile, to_profile

from concat_id.errors import PictureTooLarge, PictureTooSmall, UnreadablePicture
from concat_id.limits import DEFAULTS
from concat_id.references.pictures import BACKDROP, load_picture

CASES = Path(__file__).parents[1] / "cases"
EXAMPLES = Path(__file__).parents[2] / "assets" / "examples"
SIZE = (64, 48)


def ramp(width: int = SIZE[0], height: int = SIZE[1]) -> np.ndarray:
    """A picture in which every corner differs, (H, W, 3) uint8."""
    rows, columns = np.mgrid[0:height, 0:width]
    return np.stack([columns * 3, rows * 4, (columns + rows) * 2], axis=-1).astype(np.uint8)


def encode(image: Image.Image, file_format: str, **options: object) -> bytes:
    """The bytes of a picture file."""
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to no pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 99))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("file_format", ["PNG", "BMP", "TIFF", "WEBP", "GIF", "JPEG"])
def test_raster_formats_load_from_paths_and_bytes(tmp_path: Path, file_format: str) -> None:
    data = encode(Image.fromarray(ramp()), file_format)
    path = tmp_path / "picture.bin"
    path.write_bytes(data)
    for source in (data, path, str(path)):
        picture = load_picture(source)
        assert (picture.mode, picture.size) == ("RGB", SIZE)
        assert np.abs(np.asarray(picture).astype(int) - ramp()).mean() < 12


def test_an_rgb_picture_passes_unchanged_and_apart_from_its_source() -> None:
    source = Image.fromarray(ramp())
    source.info["comment"] = "where I live"
    picture = load_picture(source)
    assert np.array_equal(np.asarray(picture), ramp())
    assert picture is not source and not picture.info


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_undone(orientation: int) -> None:
    pixels = ramp()
    upright = {
        1: pixels,
        2: pixels[:, ::-1],
        3: pixels[::-1, ::-1],
        4: pixels[::-1],
        5: pixels.swapaxes(0, 1),
        6: np.rot90(pixels, -1),
        7: np.rot90(pixels, 2).swapaxes(0, 1),
        8: np.rot90(pixels, 1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = load_picture(encode(Image.fromarray(pixels), "PNG", exif=exif))
    assert np.array_equal(np.asarray(picture), upright)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_composited_on_grey(mode: str) -> None:
    alpha = np.where(ramp()[..., 0] > 90, 255, 0)
    image = Image.fromarray(np.dstack([np.zeros_like(ramp()), alpha]).astype(np.uint8)).convert(mode)
    picture = np.asarray(load_picture(image))
    assert tuple(picture[0, 0]) == BACKDROP
    assert tuple(picture[-1, -1]) == (0, 0, 0)


def test_palette_transparency_is_composited() -> None:
    image = Image.fromarray(np.zeros(SIZE[::-1], np.uint8)).convert("P")
    assert tuple(np.asarray(load_picture(encode(image, "PNG", transparency=0)))[5, 5]) == BACKDROP


@pytest.mark.parametrize("mode", ["L", "P", "1", "CMYK", "YCbCr", "LAB"])
def test_other_colour_modes_become_rgb(mode: str) -> None:
    picture = load_picture(Image.fromarray(ramp()).convert("L").convert("RGB").convert(mode))
    assert picture.mode == "RGB"
    assert np.asarray(picture).std() > 10


@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_sixteen_bit_grey_keeps_its_range(file_format: str) -> None:
    grey = ramp()[..., 0]
    data = encode(Image.fromarray(grey.astype(np.uint16) * 257), file_format)
    assert np.array_equal(np.asarray(load_picture(data))[..., 1], grey)


@pytest.mark.parametrize("peak", [1.0, 255.0])
def test_floating_point_grey_keeps_its_range(peak: float) -> None:
    grey = ramp()[..., 2]
    picture = load_picture(Image.fromarray((grey / 255.0 * peak).astype(np.float32)))
    assert np.abs(np.asarray(picture)[..., 0].astype(int) - grey).max() <= 1


def test_the_first_frame_of_an_animation_is_taken() -> None:
    frames = [Image.new("RGB", SIZE, colour) for colour in ("red", "blue")]
    data = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert np.asarray(load_picture(data))[0, 0, 0] > 200


def test_fifty_one_megapixels_are_refused_before_decoding() -> None:
    with pytest.raises(PictureTooLarge, match="51.0 megapixels, more than 50"):
        load_picture(png_header(10_000, 5_100))


def test_a_decompression_bomb_is_refused() -> None:
    with pytest.raises(PictureTooLarge, match="scale it down"):
        load_picture(png_header(100_000, 100_000))


def test_too_many_bytes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "big.png"
    with path.open("wb") as file:
        file.truncate(DEFAULTS.picture_bytes + 1)
    with pytest.raises(PictureTooLarge, match="more than 64 MB"):
        load_picture(path)


@pytest.mark.parametrize("size", [(31, 400), (2000, 40)])
def test_slivers_are_refused(size: tuple[int, int]) -> None:
    with pytest.raises(PictureTooSmall, match=f"{size[0]} x {size[1]} px"):
        load_picture(Image.new("RGB", size))


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP"])
def test_truncated_files_are_refused(file_format: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = encode(Image.fromarray(noise), file_format)
    with pytest.raises(UnreadablePicture):
        load_picture(data[: len(data) // 2])


@pytest.mark.parametrize(
    "data", [b"", b"not a picture", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%PDF-1.7\n"]
)
def test_other_files_are_refused(data: bytes) -> None:
    with pytest.raises(UnreadablePicture, match="give a JPEG, PNG"):
        load_picture(data)


def test_missing_files_and_folders_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "nothing.png", tmp_path, Path("/dev/zero"), "a\0b"):
        with pytest.raises(UnreadablePicture):
            load_picture(path)


def test_a_host_sets_the_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encode(Image.fromarray(ramp()), "PNG")
    monkeypatch.setenv("CONCAT_ID_PICTURE_PIXELS", "3000")
    with pytest.raises(PictureTooLarge, match="64 x 48, 0.0 megapixels, more than 0.003"):
        load_picture(data)
    monkeypatch.setenv("CONCAT_ID_PICTURE_BYTES", "100")
    with pytest.raises(PictureTooLarge, match="MB; save it smaller"):
        load_picture(data)


def difference(picture: Image.Image, pixels: np.ndarray) -> float:
    """Mean difference, of 255."""
    return float(np.abs(np.asarray(picture).astype(int) - pixels).mean())


def test_a_photo_in_adobe_rgb_is_the_same_photo() -> None:
    right = np.asarray(load_picture(EXAMPLES / "greta.png"))
    assert difference(load_picture(CASES / "profile-adobe-rgb.png"), right) < 0.3


@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("space", WIDE)
def test_profiles_are_followed(space: str, file_format: str) -> None:
    right = np.asarray(Image.open(EXAMPLES / "bruno.png").convert("RGB"))
    stored = Image.fromarray(to_profile(right, *WIDE[space]))
    options = {"lossless": True} if file_format == "WEBP" else {}
    data = encode(stored, file_format, icc_profile=profile(*WIDE[space]), **options)
    # Eight bits of a wide space are not quite enough for sRGB's.
    assert difference(load_picture(data), right) < 0.6 < 3 < difference(stored, right)


@pytest.mark.parametrize("mode", ["RGBA", "P", "PA"])
def test_profiles_are_followed_beside_transparency(mode: str) -> None:
    stored = Image.fromarray(to_profile(ramp(), *ADOBE_RGB)).quantize(256).convert(mode)
    stored.info["icc_profile"] = profile(*ADOBE_RGB)
    plain = Image.fromarray(np.asarray(stored.convert("RGB")))
    plain.info["icc_profile"] = profile(*ADOBE_RGB)
    assert difference(load_picture(stored), np.asarray(load_picture(plain))) == 0
    assert difference(load_picture(stored), np.asarray(stored.convert("RGB"))) > 1


def test_sixteen_bit_grey_follows_its_profile() -> None:
    grey = Image.fromarray(ramp()[..., 0].astype(np.uint16) * 257)
    grey.info["icc_profile"] = profile(*ADOBE_RGB)  # of colours: no profile of this picture
    assert np.array_equal(np.asarray(load_picture(grey))[..., 1], ramp()[..., 0])


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK", "1", "P", "LA"])
def test_a_broken_profile_is_no_reason_to_refuse(mode: str) -> None:
    sound, draw = profile(*ADOBE_RGB), random.Random(7)
    picture = Image.fromarray(ramp()).convert("L").convert(mode)
    for number in range(30):
        broken = bytearray(sound[: draw.randrange(len(sound))] if number % 2 else sound)
        for _ in range(8):
            broken[draw.randrange(len(broken)) if broken else 0 : 1] = draw.randbytes(1)
        picture.info["icc_profile"] = bytes(broken)
        assert load_picture(picture).mode == "RGB"


@pytest.mark.parametrize("file_format", ["JPEG", "TIFF"])
def test_the_colours_of_inks_are_those_of_their_profile(file_format: str) -> None:
    # What the table gives for each ink alone: L, a and b of CIELAB, at 8 bits, as sRGB.
    meant = {
        (0, 0, 0, 0): (255, 255, 255),
        (0, 0, 0, 255): (94, 94, 94),
        (255, 0, 0, 0): (0, 201, 255),
        (0, 255, 0, 0): (245, 110, 160),
        (0, 0, 255, 0): (250, 233, 110),
    }
    for ink, colour in meant.items():
        stored = Image.new("CMYK", (64, 48), ink)
        data = encode(stored, file_format, icc_profile=cmyk_profile())
        assert np.abs(np.subtract(load_picture(data).getpixel((20, 20)), colour)).max() <= 8
    plain = load_picture(encode(Image.new("CMYK", (64, 48), (0, 0, 0, 255)), file_format))
    assert plain.getpixel((20, 20)) == (0, 0, 0)  # without a profile


def with_chunks(picture: Image.Image, **chunks: bytes) -> bytes:
    """A PNG with more chunks before its pixels."""
    data = encode(picture, "PNG")
    added = b""
    for name, value in chunks.items():
        body = name.encode() + value
        added += struct.pack(">I", len(value)) + body + struct.pack(">I", zlib.crc32(body))
    return data[:33] + added + data[33:]


def test_a_png_that_gives_its_colours_in_numbers_is_read_as_browsers_do() -> None:
    right = np.asarray(Image.open(EXAMPLES / "bruno.png").convert("RGB"))
    primaries, white, exponent = ADOBE_RGB
    xy = [(0.3127, 0.3290), *primaries]
    tags = {
        "gAMA": struct.pack(">I", round(100_000 / exponent)),
        "cHRM": struct.pack(">8I", *(round(100_000 * value) for pair in xy for value in pair)),
    }
    stored = Image.fromarray(to_profile(right, *ADOBE_RGB))
    assert difference(load_picture(with_chunks(stored, **tags)), right) < 0.9 < 3 < difference(stored, right)
    # Linear light, as renderers write it.
    srgb = right / 255
    light = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    linear = Image.fromarray(np.rint(255 * light).astype(np.uint8))
    gamma = {"gAMA": struct.pack(">I", 100_000)}
    assert difference(load_picture(with_chunks(linear, **gamma)), right) < 1 < 30 < difference(linear, right)
    grey = load_picture(with_chunks(linear.convert("L"), **gamma))
    assert difference(grey, np.asarray(load_picture(with_chunks(linear.convert("L"))))) > 10
    # What says sRGB, goes before; what cannot be is ignored.
    same = Image.fromarray(right)
    for chunks in (
        {"sRGB": b"\0", **tags},
        {"gAMA": struct.pack(">I", 45_455)},
        {"gAMA": struct.pack(">I", 0)},
        {"gAMA": struct.pack(">I", 2**31)},
        {"cHRM": bytes(32)},
        {"cHRM": b"\xff" * 32},
        {"cHRM": struct.pack(">8I", *[33_333] * 8)},
    ):
        assert difference(load_picture(with_chunks(same, **chunks)), right) == 0
    assert load_picture(encode(stored, "PNG", icc_profile=profile(*ADOBE_RGB))).mode == "RGB"


def test_a_heic_in_display_p3_without_a_profile_is_the_same_photo() -> None:
    pytest.importorskip("pillow_heif").register_heif_opener()
    right = np.asarray(Image.open(EXAMPLES / "bruno.png").convert("RGB"))
    # P3's primaries with sRGB's curve, as phones film; saved almost without loss.
    primaries, white, _ = DISPLAY_P3
    light = np.where(right <= 0.04045 * 255, right / 255 / 12.92, ((right / 255 + 0.055) / 1.055) ** 2.4)
    rec709 = columns(((0.64, 0.33), (0.30, 0.60), (0.15, 0.06)), white)
    meant = (light @ np.linalg.solve(columns(primaries, white), rec709).T).clip(0, 1)
    stored = np.where(meant <= 0.0031308, 12.92 * meant, 1.055 * meant ** (1 / 2.4) - 0.055)
    picture = Image.fromarray(np.rint(255 * stored).astype(np.uint8))
    nclx = {"color_primaries": 12, "transfer_characteristics": 13, "matrix_coefficients": 6}
    data = encode(picture, "HEIF", quality=98, chroma=444, **nclx)
    assert difference(load_picture(data), right) < 1.5 < 2.5 < difference(picture, right)


def odd_exif() -> list[bytes]:
    """EXIF blocks of a photo that is turned by 90 degrees, each wrong somewhere."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x011A], exif[0x0132] = 6, "Maker", 72.0, "2020:01:01 00:00:00"
    exif.get_ifd(0x8769)[0x829A] = 0.01
    exif.get_ifd(0x8825)[2] = (1.0, 2.0, 3.0)
    sound, draw = exif.tobytes(), random.Random(7)
    blocks = [b"", b"Exif\0\0", sound[:20], sound.removeprefix(b"Exif\0\0")]
    for _ in range(200):
        block = bytearray(sound)
        for _ in range(draw.choice((1, 1, 2, 4, 9))):
            block[draw.randrange(6, len(block))] = draw.randrange(256)
        blocks.append(bytes(block))
    return blocks


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
def test_a_good_photo_with_odd_exif_passes(file_format: str) -> None:
    turned = 0
    for block in odd_exif():
        picture = load_picture(encode(Image.fromarray(ramp()), file_format, exif=block))
        assert sorted(picture.size) == sorted(SIZE)
        turned += picture.size != SIZE
    assert turned > 100  # what is wrong elsewhere takes nothing from the orientation


def test_the_photo_whose_maker_is_a_number_is_turned() -> None:
    with Image.open(CASES / "exif-make-is-a-number.jpg") as image:
        as_stored = np.asarray(image.convert("RGB"))
    assert np.array_equal(
        np.asarray(load_picture(CASES / "exif-make-is-a-number.jpg")), np.rot90(as_stored, -1)
    )


def test_what_phones_write_is_read() -> None:
    data = encode(Image.fromarray(ramp()), "AVIF", quality=95)
    assert load_picture(data).size == SIZE


def test_heic_is_read(tmp_path: Path) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    file = pillow_heif.from_pillow(Image.fromarray(ramp()))
    file.save(tmp_path / "photo.heic", quality=95)
    assert difference(load_picture(tmp_path / "photo.heic"), ramp()) < 12


def test_transparency_is_kept_where_it_is_asked_for() -> None:
    alpha = np.where(ramp()[..., 0] > 90, 255, 0).astype(np.uint8)
    cut_out = Image.fromarray(np.dstack([ramp(), alpha]))
    assert np.array_equal(np.asarray(load_picture(cut_out, keep_alpha=True)), np.asarray(cut_out))
    assert load_picture(Image.fromarray(ramp()), keep_alpha=True).mode == "RGB"
    opaque = Image.fromarray(ramp()).convert("RGBA")
    assert load_picture(opaque, keep_alpha=True).mode == "RGB"
