"""Pure: text files from the templates. A template holds no decisions, only `{{names}}` to fill in."""

from __future__ import annotations

import hashlib
import re
import shlex
from functools import cache
from pathlib import Path

from images.bundle import Bundle, Service
from images.engines.common.arguments import refused_variables
from images.remote.errors import InvalidBundle
from images.remote.host import Host
from images.tokens import environment_folder, resolve, secret_path
from images.vehicles.ssh.layout.effects import used_by

TEMPLATES = Path(__file__).resolve().with_name("templates")
LONGEST_SOCKET_PATH = 107 - len(".4194304")
"""sun_path holds 108 bytes with its terminator (unix(7)); supervisord first binds `<path>.<pid>`, and a pid has up to
seven digits (/proc/sys/kernel/pid_max is at most 4194304)."""

CREDENTIALS = "${CREDENTIALS_DIRECTORY:?systemd 247 or newer is needed}"
"""Where systemd puts what it hands a service, in sh (systemd.exec(5), LoadCredential=)."""

IMAGE_VARIABLES = (
    "PATH", "LD_LIBRARY_PATH", "LIBRARY_PATH", "LANG", "LC_[A-Z]+", "TZ",
    "(CUDA|CUDNN|NV|NVIDIA|NVSHMEM|UV|NCCL|VLLM|HF|TORCH|PYTORCH|TRITON|FLASHINFER|UCX|OMP|PYTHON)[A-Z0-9]*(_[A-Z0-9_]*)?",
)  # fmt: skip
"""What a service takes from the image that its container was made of: expressions for names of variables."""
NOT_FROM_IMAGE = (
    ".*(TOKEN|SECRET|PASSWORD|CREDENTIAL).*", ".*_KEY", "VLLM_ALLOW_.*", "VLLM_(USE_)?RUST_FRONTEND.*",
    "PYTHON(HOME|PATH|STARTUP|INSPECT)",
)  # fmt: skip
"""And what not, besides the variables that images/engines/vllm.toml refuses: keys, and what opens vLLM to its clients
or loads code."""
IMAGES_OWN = ("LD_", "PYTHON", "CUDA_HOME", "CUDA_PATH", "VLLM_USAGE_SOURCE")
"""Refused of a user, and the image's to say: where its libraries and its compiler lie, and that it is an image."""

_NAME = re.compile(r"\{\{([a-z_]+)\}\}")
_ENVIRONMENT = re.compile(r"@ENV:([^@]+)@/")


@cache
def template(name: str) -> str:
    """The text of a template, by its name."""
    return (TEMPLATES / name).read_text()


def fill(name: str, **values: str) -> str:
    """A template with its names filled in. Raises KeyError for a name without a value."""
    return _NAME.sub(lambda m: values[m[1]], template(name))


def launcher(service: Service, host: Host, bundle: Bundle) -> str:
    """The sh script that becomes the service: exports its environment, reads its secrets, replaces itself by it."""
    where = f"service {service.name}"
    lines = [
        f"export {name}={shlex.quote(resolve(value, host, bundle, where=f'{where}, variable {name}'))}\n"
        for name, value in sorted(service.environment.items())
    ]
    for name, secret in sorted(service.secret_environment.items()):
        handed = f'"{CREDENTIALS}"/{secret}' if lives_apart(service, host) else shlex.quote(secret_path(secret, host))
        lines.append(f"{name}=$(cat {handed})\nexport {name}\n")
    command = [resolve(word, host, bundle, where=f"{where}, command") for word in service.command]
    # systemd ends all that its control group holds before it starts a service again; supervisord does not.
    sweeps = service.has_workers and host.supervision == "supervisor"
    return fill(
        "launcher.sh",
        service=service.name,
        root=shlex.quote(host.root),
        workers=fill("workers.sh", mark=shlex.quote(f"{host.root}/run/{service.name}")) if sweeps else "",
        image=_from_image() if bundle.runtime is not None and bundle.runtime.kind == "image" else "",
        environment="".join(lines),
        command=shlex.join(command),
    )


def _from_image() -> str:
    # [^=] for any sign of a name: behind it stands the value.
    names, families = refused_variables()
    refused = [name for name in names if name not in IMAGES_OWN]
    refused += [f"{family}.*" for family in families if family not in IMAGES_OWN]
    left = [expression.replace(".", "[^=]") for expression in (*NOT_FROM_IMAGE, *refused)]
    return fill("image.sh", taken="|".join(IMAGE_VARIABLES), left="|".join(left))


def supervisord_configuration(host: Host, environment: str) -> str:
    """supervisord's own configuration; `environment` is the folder of the environment that it runs from."""
    values = {"root": host.root, "socket": supervisor_socket(host), "environment": environment}
    return fill("supervisord.conf", **{name: _in_ini(value) for name, value in values.items()})


def supervisor_program(service: Service, host: Host, position: int) -> str:
    """One service for supervisord; services start in the order of their positions."""
    return fill(
        "supervisor-program.conf",
        service=service.name,
        root=_in_ini(host.root),
        logs=_in_ini(_in_ini(host.root)),  # supervisor 4 fills names into this value twice
        priority=str(100 + position),
        stop_timeout_s=str(service.stop_timeout_s),
    )


def _in_ini(value: str) -> str:
    """A percent sign begins a name that supervisor fills in, and systemd (systemd.unit(5))."""
    return value.replace("%", "%%")


def lives_apart(service: Service, host: Host) -> bool:
    """Whether the service is run by a user of its own there."""
    return service.own_user and host.supervision == "systemd"


def systemd_unit(service: Service, host: Host, bundle: Bundle) -> str:
    """One service as a systemd unit, run by the user that installs it or by one of its own."""
    apart = lives_apart(service, host)
    return fill(
        "systemd.service",
        service=service.name,
        role=bundle.role,
        root=_in_ini(host.root),
        user="" if apart else f"User={host.ssh_user}\n",
        rights=_rights_apart(service, host, bundle) if apart else "AmbientCapabilities=CAP_NET_BIND_SERVICE\n",
        after="".join(f" {unit}" for unit in service.after),
        limits="LimitMEMLOCK=infinity\n" if service.locks_memory else "",
        stop_timeout_s=str(service.stop_timeout_s),
    )


def environment_of(service: Service) -> str:
    """Name of the Python environment that it is started from, "" if it is from none."""
    found = _ENVIRONMENT.match(service.command[0])
    return found[1] if found else ""


def _rights_apart(service: Service, host: Host, bundle: Bundle) -> str:
    files = [f"run/{service.name}", *(p for p in used_by(service, bundle) if not p.startswith("secrets/"))]
    started = [e for e in bundle.environments if e.name == environment_of(service)]
    shown = [*(f"{host.root}/{path}" for path in files), *(environment_folder(e.requirements, host) for e in started)]
    if ":" in "".join(shown):
        raise InvalidBundle(
            f"service {service.name} has a user of its own, and systemd reads a colon as the end of a path: "
            f"choose another root and cache for {host.where} than {host.root} and {host.cache}"
        )
    secrets = {name: secret_path(name, host) for name in sorted({*service.secret_environment.values()})}
    return fill(
        "own-user.service",
        root=_in_ini(host.root),
        files="".join(f'BindReadOnlyPaths="{_in_ini(path)}"\n' for path in shown),
        secrets="".join(f"LoadCredential={name}:{_in_ini(path)}\n" for name, path in secrets.items()),
    )


def unit_name(role: str, service: str) -> str:
    """The unit's name; the role is in it because two roles may share a machine."""
    return f"crossover-{role}-{service}.service"


def supervised_name(host: Host, role: str, service: str) -> str:
    """What the machine's keeper of services calls that service: its unit, or its own name."""
    return unit_name(role, service) if host.supervision == "systemd" else service


def supervisor_socket(host: Host) -> str:
    """Where supervisord listens: below the root, or in /tmp where that path is too long for a Unix socket."""
    usual = f"{host.root}/run/supervisor.sock"
    if len(usual.encode()) <= LONGEST_SOCKET_PATH:
        return usual
    return f"/tmp/crossover-{hashlib.sha256(host.root.encode()).hexdigest()[:16]}/supervisor.sock"
