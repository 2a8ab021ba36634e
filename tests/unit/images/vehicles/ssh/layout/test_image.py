"""What a service takes from the image that its container was made of."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from images.bundle import Runtime, RuntimeKind
from images.engines.common.arguments import refused_variables
from images.vehicles.ssh.layout.rendering import IMAGES_OWN
from tests.unit.images.samples import BUNDLE, layout

TAKEN = {
    "PATH": "/opt/an environment/bin:/usr/bin:/bin",
    "LD_LIBRARY_PATH": "it's $(exit 1) `exit 1` \\ \"q\"\nand a second line'",
    "CUDA_VERSION": "13.0.2",
    "NVIDIA_VISIBLE_DEVICES": "all",
    "VLLM_USAGE_SOURCE": "production-docker-image",
    "NCCL_VERSION": "",
    "UV_SYSTEM_PYTHON": "1",
    "CUDA_HOME": "/usr/local/cuda",
    "PYTHONUNBUFFERED": "1",
}
"""Like those of images with CUDA and vLLM, made up; and one that a shell could stumble over."""
LEFT = {
    "HF_TOKEN": "hf_x",
    "VLLM_API_KEY": "x",
    "VLLM_SERVER_DEV_MODE": "1",
    "CROSSOVER_HOST_KEY": "x",
    "RUNPOD_POD_ID": "x",
    "PYTHONPATH": "/x",
    **{name: "x" for name in refused_variables()[0] if name not in IMAGES_OWN},
    "VLLM_DP_MASTER_IP": "x",
    "VLLM_P2P_SOMETHING": "x",
}
"""Also all that a user may not set."""


def launcher(kind: RuntimeKind) -> str:
    bundle = replace(BUNDLE, runtime=Runtime(kind, "vllm", "vllm"))
    [file] = [f for f in layout(bundle).files if f.path == "run/web"]
    return file.content.decode()


def test_only_the_launcher_of_an_image_s_service_reads_process_1() -> None:
    assert "/proc/1/environ" in launcher("image")
    assert "/proc/1/environ" not in launcher("machine")
    assert "/proc/1/environ" not in launcher("environment")


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_what_the_image_sets_reaches_the_service_but_keys_and_open_doors(tmp_path: Path, shell: str) -> None:
    """Whatever stands in a value, a quote, a command or a new line; the bundle's own variables win."""
    given = {**TAKEN, **LEFT, "NOTE": "the image's"}
    (tmp_path / "environ").write_bytes(b"".join(f"{name}={value}\0".encode() for name, value in given.items()))
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "key").write_text("ours")
    text = launcher("image").replace("/proc/1/environ", f"{tmp_path}/environ").replace("/opt/crossover", str(tmp_path))
    head, _, _ = text.rpartition("exec ")
    done = subprocess.run(
        [shell, "-c", f"{head}exec /usr/bin/env -0"], capture_output=True, text=True, check=False, env={"PATH": "/bin"}
    )
    assert (done.returncode, done.stderr) == (0, "")
    reached = dict(item.split("=", 1) for item in done.stdout.split("\0") if item)
    path = reached.pop("PATH")
    assert path.startswith(f"{TAKEN['PATH']}:")
    assert {name: reached.get(name) for name in TAKEN if name != "PATH"} == {
        name: value for name, value in TAKEN.items() if name != "PATH"
    }
    assert set(reached) & set(LEFT) - {"PYTHONPATH"} == set()
    assert reached["NOTE"] == "it's $HOME"
    assert reached["PYTHONPATH"] == f"{tmp_path}/lib"


@pytest.mark.parametrize(
    "name",
    ["VLLM_MEDIA_CONNECTOR", "VLLM_LOGGING_CONFIG_PATH", "VLLM_NCCL_SO_PATH", "VLLM_CONFIGURE_LOGGING", "VLLM_PLUGINS",
     "VLLM_DEBUG_LOG_API_SERVER_RESPONSE", "VLLM_SERVER_DEV_MODE", "VLLM_ALLOW_RUNTIME_LORA_UPDATING"],
)  # fmt: skip
def test_what_a_user_may_not_set_an_image_may_not_either(name: str) -> None:
    assert name in LEFT


def test_who_may_not_read_process_1_is_told_so(tmp_path: Path) -> None:
    text = launcher("image").replace("/proc/1/environ", f"{tmp_path}/none").replace("cd /opt/crossover", "cd /")
    done = subprocess.run(["sh", "-c", text], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "the variables of the image cannot be read" in done.stderr
