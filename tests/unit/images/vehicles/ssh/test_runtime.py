"""What a machine's engine turned out to be: told, and refused where it cannot serve."""

from __future__ import annotations

from dataclasses import replace

import pytest

from images.bundle import Runtime, RuntimeKind
from images.remote.errors import MissingProgram, UnsuitableMachine
from images.vehicles.ssh.steps.runtime import found, other_version, refusal

RUNTIME = Runtime("image", "vllm", "vllm", least="0.29.0", usual="0.32.0", shared_memory_bytes=1 << 30)
ANSWERS = {
    "program": "/usr/local/bin/vllm",
    "version": "0.32.0",
    "python": "3.12.3",
    "shared_memory": str(16 << 30),
}


def test_what_the_machine_has_is_told_by_name() -> None:
    assert found(RUNTIME, ANSWERS) == {
        "runtime": "image", "vllm": "0.32.0", "python": "3.12.3", "shared memory": "16384 MiB",
    }  # fmt: skip
    assert found(replace(RUNTIME, kind="machine", shared_memory_bytes=0), ANSWERS) == {
        "runtime": "machine", "vllm": "0.32.0", "python": "3.12.3",
    }  # fmt: skip


def test_the_usual_engine_is_neither_refused_nor_remarked() -> None:
    assert refusal(RUNTIME, ANSWERS) is None
    assert other_version(RUNTIME, ANSWERS) == ""


@pytest.mark.parametrize(
    ("kind", "remedy"),
    [("environment", "see what the build"), ("image", "serving.image"), ("machine", "serving.runtime: environment")],
)
def test_an_engine_that_is_not_there_is_refused_with_what_to_do(kind: RuntimeKind, remedy: str) -> None:
    problem = refusal(replace(RUNTIME, kind=kind), {"shared_memory": "0"})
    assert isinstance(problem, MissingProgram)
    assert "vllm is not there" in str(problem)
    assert remedy in str(problem)


@pytest.mark.parametrize("version", ["0.28.1", "0.9.2", "0.28.0+cu129", "0.28.0.post1"])
def test_an_engine_that_is_too_old_is_refused(version: str) -> None:
    """--max-num-queued-reqs is there from 0.29.0 (images/gpu/versions.toml)."""
    problem = refusal(RUNTIME, {**ANSWERS, "version": version})
    assert isinstance(problem, UnsuitableMachine)
    assert f"its vllm is {version}, and 0.29.0 or newer is needed" in str(problem)


@pytest.mark.parametrize("version", ["0.29.0", "0.33.0", "0.32.1+cu129", "0.1.dev1+g8a3f2c", ""])
def test_another_version_that_may_do_is_told(version: str) -> None:
    """A build of somebody's own sources does not say how old it is."""
    assert refusal(RUNTIME, {**ANSWERS, "version": version}) is None
    assert "0.32.0 was expected" in other_version(RUNTIME, {**ANSWERS, "version": version})


def test_the_pinned_version_built_for_another_cuda_is_the_pinned_one() -> None:
    assert other_version(RUNTIME, {**ANSWERS, "version": "0.32.0+cu129"}) == ""


def test_a_container_with_docker_s_default_of_shared_memory_is_refused() -> None:
    """64 MiB (docker run --shm-size); NVIDIA's guide to NCCL asks for 1 GiB."""
    problem = refusal(RUNTIME, {**ANSWERS, "shared_memory": str(64 << 20)})
    assert isinstance(problem, UnsuitableMachine)
    assert "/dev/shm holds 64 MiB, and the GPUs of one model need 1024 MiB" in str(problem)
    assert refusal(replace(RUNTIME, shared_memory_bytes=0), {**ANSWERS, "shared_memory": str(64 << 20)}) is None
    assert refusal(RUNTIME, {**ANSWERS, "shared_memory": str(1 << 30)}) is None
