"""A picture from the webcam shows the person as others see them, not as a mirror does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from playwright.sync_api import Browser, expect
from served import launch
from studio import Studio, wait_for_video

from concat_id.references.pictures import load_picture

WIDTH, HEIGHT = 320, 240


def write_camera(path: Path) -> Path:
    """What a fake camera films: red on the left, blue on the right, as YUV4MPEG2."""
    half = np.ones((HEIGHT, WIDTH // 2), np.uint8)
    luma = np.hstack([82 * half, 41 * half])
    blue = np.hstack([90 * half, 240 * half])[::2, ::2]
    red = np.hstack([240 * half, 110 * half])[::2, ::2]
    frame = b"FRAME\n" + b"".join(plane.tobytes() for plane in (luma, blue, red))
    path.write_bytes(b"YUV4MPEG2 W%d H%d F30:1 Ip A1:1 C420jpeg\n" % (WIDTH, HEIGHT) + frame * 30)
    return path


def test_what_is_on_the_left_stays_there(studio: Studio, browser: Browser, tmp_path: Path) -> None:
    camera = (
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={write_camera(tmp_path / 'camera.y4m')}",
    )
    with launch(browser.browser_type, *camera) as filming:
        context = filming.new_context(permissions=["camera"])
        page = context.new_page()
        page.goto(studio.url)
        page.click("#picture button[aria-label='Capture from camera']")
        page.click("#picture [title='grant webcam access']")
        video = page.locator("#picture video")
        expect(video).to_be_visible(timeout=30_000)
        page.wait_for_function("document.querySelector('#picture video').videoWidth > 0")
        # Oneself one sees as in a mirror.
        assert video.evaluate("video => new DOMMatrix(getComputedStyle(video).transform).a") == -1
        page.click("#picture button[aria-label='capture photo']")
        page.wait_for_selector("#picture img")
        page.fill("#prompt textarea", "waving")
        page.click("#generate")
        wait_for_video(page)
    (job,) = studio.runs.started
    pixels = np.asarray(load_picture(job.references[0].picture)).astype(int)
    left, right = pixels[:, : pixels.shape[1] // 4], pixels[:, -pixels.shape[1] // 4 :]
    assert left[..., 0].mean() > left[..., 2].mean() + 50, "red is on the left"
    assert right[..., 2].mean() > right[..., 0].mean() + 50, "blue is on the right"
