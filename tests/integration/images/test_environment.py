"""environment.sh against an index that has gone on since the lock was made: younger versions of everything.

The index is a server on loopback, whose packages the tests make. pip and uv are real.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler
from pathlib import Path

import pytest

from images.vehicles.ssh.scripts import read_script
from images.vehicles.ssh.steps.environments import FULL_STATUS
from tests.support.background import in_background
from tests.support.eventually import eventually

UV = Path(sys.executable).with_name("uv")
SSO = "Requires-Dist: xo-model[email]>=1\n"
MODEL = 'Provides-Extra: email\nRequires-Dist: xo-mail>=1; extra == "email"\n'
"""As fastapi-sso asks for pydantic[email], which asks for email-validator."""


def wheel(name: str, version: str, metadata: str) -> bytes:
    """An empty package."""
    folder = f"{name.replace('-', '_')}-{version}.dist-info"
    files = {
        f"{name.replace('-', '_')}.py": f"version = {version!r}\n",
        f"{folder}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{metadata}",
        f"{folder}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = ""
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
        record += f"{path},sha256={digest},{len(text)}\n"
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for path, text in {**files, f"{folder}/RECORD": f"{record}{folder}/RECORD,,\n"}.items():
            archive.writestr(path, text)
    return content.getvalue()


def source(name: str, version: str) -> bytes:
    """A package that has to be built, with whatever setuptools the index has."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for path, text in {
            "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
            "pyproject.toml": '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n',
        }.items():
            info = tarfile.TarInfo(f"{name.replace('-', '_')}-{version}/{path}")
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    return content.getvalue()


@dataclass
class Index:
    """A package index, and a machine that knows no other."""

    folder: Path
    url: str = ""
    asked: list[str] = field(default_factory=list)
    """Paths, in order."""
    lacks: str = ""
    """What it has not, though it says so: told once `until` is true."""
    until: Callable[[], bool] = lambda: True

    def add(self, name: str, version: str, content: bytes, suffix: str = "-py3-none-any.whl") -> str:
        """Publishes a file; its line for a lock."""
        page = self.folder / name / "index.html"
        page.parent.mkdir(exist_ok=True)
        file = f"{name.replace('-', '_')}-{version}{suffix}"
        (page.parent / file).write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        with page.open("a") as text:
            text.write(f'<a href="{file}#sha256={digest}">{file}</a>\n')
        return f"{name}=={version} --hash=sha256:{digest}\n"

    def publish(self, name: str, metadata: str = "") -> str:
        """A version and a younger one; the older one's line for a lock."""
        line = self.add(name, "1.0", wheel(name, "1.0", metadata))
        self.add(name, "2.0", wheel(name, "2.0", metadata))
        return line

    def build(
        self, lock: str, uv: bool, path: str = "", disk_bytes: int = 0
    ) -> tuple[subprocess.CompletedProcess[str], Path]:
        """Runs the script; how it ended, and the environment's folder."""
        folder = self.folder.parent / "venvs" / hashlib.sha256(lock.encode()).hexdigest()[:16]
        ours = {"PIP_INDEX_URL": self.url, "PIP_CONFIG_FILE": os.devnull, "PIP_NO_CACHE_DIR": "1"}
        ours |= {"UV_DEFAULT_INDEX": self.url, "UV_NO_CONFIG": "1", "UV_CACHE_DIR": str(self.folder.parent / "cache")}
        passed_on = {k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "UV_", "PYTHON", "VIRTUAL_"))}
        environment = {**passed_on, **ours, "NO_PROXY": "127.0.0.1", "PATH": f"{path}{os.environ['PATH']}"}
        words = [str(folder), sys.executable, str(UV) if uv else "", str(disk_bytes)]
        done = subprocess.run(
            ["sh", "-c", read_script("environment"), "crossover", *words],
            input=lock, env=environment, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        return done, folder


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    made = Index(tmp_path / "index")
    made.folder.mkdir()

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            if made.lacks and made.lacks in self.path:
                eventually(made.until, "what comes before is there")
                self.send_error(404)
            else:
                super().do_GET()

        def log_message(self, format: str, *args: object) -> None:
            made.asked.append(self.path)

    with in_background(partial(Handler, directory=str(made.folder))) as port:
        made.url = f"http://127.0.0.1:{port}"
        yield made


def installed(folder: Path) -> dict[str, str]:
    """Package → version, of those that an index of the tests has."""
    names = (p.name.removesuffix(".dist-info").rpartition("-") for p in folder.glob("lib/python*/site-packages/xo_*"))
    return {name: version for name, dash, version in names if dash}


def left(folder: Path) -> list[str]:
    """What a build has left, but for its lock."""
    return [p.name for p in folder.parent.iterdir() if p.suffix != ".lock"]


tools = pytest.mark.parametrize("uv", [True, False], ids=["uv", "pip"])


@tools
def test_an_environment_has_the_versions_of_its_lock_whatever_is_younger(index: Index, uv: bool) -> None:
    """Also where one package asks for an extra of another, which pip would resolve to the youngest."""
    lock = index.publish("xo-sso", SSO) + index.publish("xo-model", MODEL) + index.publish("xo-mail")
    done, folder = index.build(lock, uv)
    assert done.returncode == 0, done.stdout
    assert installed(folder) == {"xo_sso": "1.0", "xo_model": "1.0", "xo_mail": "1.0"}
    assert "trying pip" not in done.stdout
    assert not [path for path in index.asked if "-2.0" in path]


@tools
def test_an_environment_comes_compiled_for_who_may_write_nothing_there(index: Index, uv: bool) -> None:
    done, folder = index.build(index.publish("xo-model"), uv)
    assert done.returncode == 0, done.stdout
    assert list(folder.glob("lib/python*/site-packages/__pycache__/xo_model.*.pyc")), done.stdout


@tools
def test_a_lock_that_lacks_a_dependency_fails_and_names_it(index: Index, uv: bool) -> None:
    """It is not filled up from the index, and uv's finding is not tried again with pip."""
    lock = index.publish("xo-sso", SSO)
    index.publish("xo-model", MODEL)
    done, folder = index.build(lock, uv)
    assert done.returncode == 1
    assert "xo-model" in done.stdout
    assert "the locked requirements do not fit together" in done.stdout
    assert "trying pip" not in done.stdout
    assert left(folder) == []


@tools
def test_a_lock_of_versions_that_contradict_one_another_fails(index: Index, uv: bool) -> None:
    lock = index.publish("xo-sso", "Requires-Dist: xo-model>=2\n") + index.publish("xo-model")
    done, folder = index.build(lock, uv)
    assert done.returncode == 1
    assert "the locked requirements do not fit together" in done.stdout
    assert left(folder) == []


@tools
def test_nothing_is_built_from_source_with_the_build_tools_of_the_day(index: Index, uv: bool) -> None:
    index.publish("setuptools")
    done, folder = index.build(index.add("xo-old", "1.0", source("xo-old", "1.0"), ".tar.gz"), uv)
    assert done.returncode == 1
    assert "xo-old" in done.stdout
    assert not [path for path in index.asked if "setuptools" in path]
    assert left(folder) == []


@pytest.mark.parametrize(
    ("told", "status"),
    [
        ("0 4096 1000 500", FULL_STATUS),
        ("4095 4096 1000 500", FULL_STATUS),
        ("4096 4096 1000 500", 1),
        ("100000 4096 1000 0", FULL_STATUS),
        ("100000 4096 0 0", 1),  # e.g. btrfs, which counts no files
        ("", 1),
    ],
)
def test_a_failed_build_is_a_full_disk_by_what_is_free_without_a_word_of_it(
    index: Index, told: str, status: int
) -> None:
    """Free blocks, their size, all files, free files."""
    (tools := index.folder.parent / "bin").mkdir()
    (tools / "stat").write_text(f"#!/bin/sh\necho {told}\n")
    (tools / "stat").chmod(0o755)
    done, folder = index.build("xo-gone==1.0 --hash=sha256:" + "0" * 64 + "\n", True, f"{tools}:")
    assert done.returncode == status, done.stdout
    assert "No space" not in done.stdout
    assert left(folder) == []


LARGE = 1_000_000
"""Bytes: what an environment is said to take, where a build has to care."""


@tools
def test_a_large_environment_leaves_no_second_copy_of_what_it_downloaded(index: Index, uv: bool) -> None:
    done, folder = index.build(index.publish("xo-model"), uv, disk_bytes=LARGE)
    assert done.returncode == 0, done.stdout
    assert installed(folder) == {"xo_model": "1.0"}
    assert [name for name in left(folder) if name.endswith(".downloads")] == []


@tools
def test_a_large_environment_is_refused_before_a_download_where_it_has_no_room(index: Index, uv: bool) -> None:
    """With what is needed and what is free; a small one is not asked."""
    everything = 1 << 60
    done, folder = index.build(index.publish("xo-model"), uv, disk_bytes=everything)
    assert done.returncode == FULL_STATUS
    assert f"{everything // 1_000_000} MB are needed" in done.stdout
    assert "Nothing was downloaded" in done.stdout
    assert index.asked == []
    assert not folder.exists()


def test_a_large_build_that_is_cut_goes_on_with_what_it_had_downloaded(index: Index) -> None:
    """Of two wheels the second cannot be had until the first is there: uv's next run asks the index for it alone."""
    lock = index.publish("xo-model") + index.publish("xo-mail")
    index.lacks = "xo_mail-1.0"
    downloads = index.folder.parent / "venvs"
    index.until = lambda: bool([*downloads.glob("*.downloads/wheels-v*/**/xo-model/**/*.http")])
    done, folder = index.build(lock, True, disk_bytes=LARGE)
    assert done.returncode == 1
    assert not folder.exists()
    assert "trying pip" not in done.stdout  # which would download gigabytes again
    assert [path for path in index.asked if "xo_model-1.0" in path]
    index.asked.clear()
    index.lacks = ""
    done, folder = index.build(lock, True, disk_bytes=LARGE)
    assert done.returncode == 0, done.stdout
    assert installed(folder) == {"xo_model": "1.0", "xo_mail": "1.0"}
    assert not [path for path in index.asked if "xo_model-1.0" in path]
