"""AWS's API on this machine: moto_server in an environment of its own, and a stand-in for what moto lacks. Instances
are names alone, or sandbox machines that boot what RunInstances carries."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Protocol

from tests.clouds.server import Boot, Booted
from tests.support.background import in_background

REPOSITORY = Path(__file__).resolve().parents[2]
LOCK = REPOSITORY / "requirements" / "testbed.txt"
INSTALL = """
    source scripts/bootstrap && export_index_settings
    "$venv/bin/uv" venv --python "$venv/bin/python" "$1"
    VIRTUAL_ENV=$1 "$venv/bin/uv" pip sync --python "$1/bin/python" --only-binary :all: --require-hashes "$2"
    "$venv/bin/uv" pip check --python "$1/bin/python"
"""

SERVER = Path(__file__).with_name("moto_server.py")


def environment(locked: Path = LOCK) -> Path:
    """The environment of a requirements file below the user's cache, made once for each content of that file."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "crossover"
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / f"{locked.stem}-{hashlib.sha256(locked.read_bytes()).hexdigest()[:16]}"
    done = folder / "complete"
    with (cache / f"{locked.stem}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several test processes may come at once
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            command = ["bash", "-euc", INSTALL, "install", str(folder), str(locked)]
            made = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=400)
            assert made.returncode == 0, made.stdout + made.stderr
            done.touch()
    return folder


class Instances(Protocol):
    """Where the machines of instances run: `Sandboxes` is one."""

    def boot(self, order: Boot, *, systemd: bool) -> Booted:
        """Starts it."""

    def end(self, machine_id: str) -> None:
        """Ends it; fine if there is none."""


@dataclass
class StandIn:
    """Answers GetServiceQuota, the public SSM parameters of images, and what moto_server.py asks for. Tests set `vcpus`
    and `image`."""

    vcpus: dict[str, float] = field(default_factory=dict)
    """Quota code → limit."""
    image: str = ""
    """What it says that the newest image of every name is."""
    host: Instances | None = None
    """Where the machines of instances run."""
    url: str = ""

    def answer(self, action: str, request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        # The provider asks for the default first, then for the account's own.
        asked = ("ServiceQuotasV20190624.GetServiceQuota", "ServiceQuotasV20190624.GetAWSDefaultServiceQuota")
        if action in asked and (code := request["QuotaCode"]) in self.vcpus:
            described = {"ServiceCode": "ec2", "QuotaCode": code, "QuotaArn": f"arn:aws:servicequotas:::ec2/{code}"}
            return 200, {"Quota": {**described, "QuotaName": code, "Value": self.vcpus[code]}}
        if action == "AmazonSSM.GetParameter" and request["Name"].startswith("/aws/service/"):
            described = {"Name": request["Name"], "Type": "String", "DataType": "aws:ec2:image", "Version": 1}
            arn = f"arn:aws:ssm:us-east-1::parameter{request['Name']}"
            return 200, {"Parameter": {**described, "ARN": arn, "Value": self.image}}
        if self.host is not None and action == "Machines.Boot":
            keys, ports = tuple(request["PublicKeys"]), tuple(request["Ports"])
            order = Boot(request["InstanceId"], keys, request["UserData"], ports=ports)
            return 200, {"Address": self.host.boot(order, systemd=True).address}
        if self.host is not None and action == "Machines.End":
            self.host.end(request["InstanceId"])
            return 200, {}
        return 400, {"__type": "NoSuchResourceException", "message": f"the stand-in knows no {action} {request}"}


@dataclass(frozen=True)
class Moto:
    """A running API. `environment` leads the AWS provider to it by AWS's own variables."""

    url: str
    stand_in: StandIn
    python: Path

    @property
    def environment(self) -> dict[str, str]:
        """Variables that the provider and boto3 read."""
        return {
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ENDPOINT_URL_SERVICE_QUOTAS": self.stand_in.url,
            "AWS_ENDPOINT_URL_SSM": self.stand_in.url,
        }

    def call(self, service: str, operation: str, *, region: str = "us-east-1", **arguments: Any) -> Any:
        """The API's own answer, by boto3 of moto's environment."""
        script = (
            "import boto3, json, sys\n"
            "service, region, operation, arguments = sys.argv[1:]\n"
            "answer = getattr(boto3.client(service, region), operation)(**json.loads(arguments))\n"
            "print(json.dumps(answer, default=str))\n"
        )
        command = [str(self.python), "-c", script, service, region, operation, json.dumps(arguments)]
        variables = {**os.environ, **self.environment}
        return json.loads(subprocess.check_output(command, env=variables, text=True, timeout=60))


@contextmanager
def running(host: Instances | None = None) -> Iterator[Moto]:
    """An empty account, whose API ends with the block. Free ports on loopback. With `host`, every instance is a machine
    there, with systemd, and has its address."""
    python = environment() / "bin" / "python"
    with _stand_in(host) as stand_in:
        process = subprocess.Popen(
            [str(python), "-P", str(SERVER), stand_in.url if host else ""],
            # With -P, `import moto` does not find this file; with the variable, moto knows AWS's own policies.
            env={**os.environ, "MOTO_IAM_LOAD_MANAGED_POLICIES": "true", "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            yield Moto(_url(process), stand_in, python)
        finally:
            process.kill()
            process.wait()


def _url(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if "Running on " in line:
            threading.Thread(target=process.stdout.read, daemon=True).start()  # so that its pipe never fills
            return line.split("Running on ")[1].split()[0]
    raise AssertionError(f"moto_server ended:\n{said}")


@contextmanager
def _stand_in(host: Instances | None) -> Iterator[StandIn]:
    known = StandIn(host=host)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, answer = known.answer(self.headers["X-Amz-Target"], body)
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            """Says nothing."""

    with in_background(Handler) as port:
        known.url = f"http://127.0.0.1:{port}"
        yield known
