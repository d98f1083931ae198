"""Tests in Chromium that the pictures in the page look like the files for papers."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser

from lab.figures import FIGURES, Tables, save
from lab.report.embedded_svg import data_uri

pytestmark = pytest.mark.browser


def pixels(chromium: Browser, source: str, scheme: str, folder: Path) -> np.ndarray:
    """Return an image as the browser shows it: rows, columns, and three colours of 0 to 255."""
    page = folder / "picture.html"
    page.write_text(f'<img src="{source}">', encoding="utf-8")
    context = chromium.new_context(offline=True, color_scheme=scheme)  # type: ignore[arg-type]
    try:
        tab = context.new_page()
        tab.goto(page.as_uri())
        shot = tab.locator("img").screenshot()
    finally:
        context.close()
    return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB"), dtype="float64")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["scaling", "memory"])
def test_a_picture_in_the_page_looks_like_its_file(
    name: str, scheme: str, synthetic: Tables, chromium: Browser, tmp_path: Path
) -> None:
    """Coordinates are rounded, so that the edges of shapes may differ by a shade."""
    picture = save(FIGURES[name], synthetic, tmp_path / "figures")
    assert picture is not None
    file = picture.stem.with_suffix(".svg")
    paper = pixels(chromium, file.as_uri(), scheme, tmp_path)
    page = pixels(chromium, data_uri(file.read_text(encoding="utf-8")), scheme, tmp_path)
    assert np.ptp(paper) > 200
    assert paper.shape == page.shape
    assert (np.abs(paper - page).max(axis=2) > 128).mean() < 1e-4
    assert np.abs(paper - page).mean() < 0.3
