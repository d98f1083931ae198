"""Tests which releases of a package are found, in a package index on this disk."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import pytest
from packaging.version import Version

from lab.core.errors import ExitCode, LabError, UsageError
from lab.environments import releases

# Release -> attributes of its link in the index.
INDEX = {
    "1.8.0": "",
    "1.9.0": "",
    "1.10.0": "",
    "1.10.1": "",
    "1.10.2": 'data-yanked="broken"',
    "1.11.0": "",
    "1.12.0": 'data-requires-python="&gt;=3.14"',
    "2.0.0rc1": "",
}


@pytest.fixture(autouse=True)
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write an index with the releases of a made-up package, and let uv read no other."""
    folder = tmp_path / "simple" / "made-up"
    folder.mkdir(parents=True)
    links = []
    for version, attributes in INDEX.items():
        name = f"made_up-{version}-py3-none-any.whl"
        with zipfile.ZipFile(folder / name, "w") as wheel:
            about = f"Metadata-Version: 2.1\nName: made-up\nVersion: {version}\n"
            info = f"made_up-{version}.dist-info"
            wheel.writestr(f"{info}/METADATA", about)
            wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
            wheel.writestr(f"{info}/RECORD", "")
        links.append(f'<a href="{name}" {attributes}>{name}</a>')
    (folder / "index.html").write_text(f"<!DOCTYPE html><body>{''.join(links)}</body>")
    monkeypatch.setenv("UV_DEFAULT_INDEX", folder.parent.as_uri())
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))


def texts_of(count: int, within: str = "") -> tuple[list[str], list[str]]:
    """Return the releases and those that are left out, as text."""
    both = releases.newest_of_minors("made-up", count, within)
    return [str(each) for each in both.fitting], [str(each) for each in both.left_out]


def test_the_newest_release_of_each_minor_series_is_found() -> None:
    """By numbers, and without a withdrawn one, a pre-release, or one for another Python."""
    others = ["1.11.0", "1.10.1", "1.9.0", "1.8.0"]
    if sys.version_info >= (3, 14):
        assert texts_of(2) == (["1.12.0", "1.11.0"], [])
    else:
        assert texts_of(6) == (others, ["1.12.0"])
        assert texts_of(2) == (others[:2], ["1.12.0"])


def test_a_range_limits_the_releases() -> None:
    """Both ends of it, also within a minor series."""
    assert texts_of(6, ">=1.9,<1.10.1") == (["1.10.0", "1.9.0"], [])
    assert texts_of(6, "!=1.10.*,<1.12") == (["1.11.0", "1.9.0", "1.8.0"], [])


@pytest.mark.parametrize(
    ("package", "within", "message"),
    [
        ("made-up", ">=3", r"no release of made-up in >=3 for Python 3\..* Choose another --range"),
        ("no-such", "", "no release of no-such for Python"),
        ("made-up", "newer", "--range 'newer' is not a range of versions. Write one"),
    ],
)
def test_without_a_release_the_sentence_has_the_next_step(
    package: str, within: str, message: str
) -> None:
    """It is an error of the command line."""
    with pytest.raises(UsageError, match=message):
        releases.newest_of_minors(package, 3, within)


def test_an_index_that_does_not_answer_is_an_error_of_the_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The releases may exist, so the sentence says how to go on without the index."""
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    with pytest.raises(LabError, match="did not answer, .* --release") as error:
        releases.newest_of_minors("made-up", 3)
    assert error.value.exit_code == ExitCode.MACHINE_FAILED


def test_a_version_is_checked() -> None:
    """The sentence shows what to write."""
    assert releases.version_of("5.6.0") == Version("5.6")
    with pytest.raises(UsageError, match="--release 'latest' is not a version. Write one"):
        releases.version_of("latest")
