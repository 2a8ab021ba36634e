"""A bundle: everything one role needs on a machine, as data, without knowing which machine.

A bundle is rendered once for a role and installed on any machine of that role, baked into an image or built into a
container. What differs between machines is written as a token and resolved when the bundle is placed
(`images.tokens`):

    @ROOT@            the folder that holds all of ours on the machine, e.g. /opt/crossover
    @BIND@            the address that services listen on (127.0.0.1 on `local`)
    @PORT:name@       the machine's port for a named service, e.g. @PORT:vllm@
    @ENV:name@        the folder of a Python environment of the bundle
    @SECRET:name@     the path (never the content) of a secret's file
    @WEIGHTS@         the folder of models' files: a volume's, where the vendor mounts one, else @ROOT@/models

Secrets are no part of a bundle. Their *names* are; the contents travel separately, to files of mode 0600.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from typing import Any, Literal

from pydantic import TypeAdapter

LATER = {"later": True}
"""Metadata of a field that came after the first stacks: it is written only where it says something, so that a bundle
that has no use for it stays as it is in a state."""

RuntimeKind = Literal["environment", "image", "machine"]
"""Where an engine's program comes from: a Python environment that the bundle brings, the image that a container was
made of, or the machine's own owner."""


@dataclass(frozen=True, slots=True)
class File:
    """A rendered text file. `path` is relative to @ROOT@."""

    path: str
    content: str
    mode: int = 0o644


@dataclass(frozen=True, slots=True)
class Source:
    """A file taken as it is from this repository, by reference so that diffs and state stay small.

    `path` is relative to @ROOT@, `source` to the repository's root; `sha256` is of its bytes.
    """

    path: str
    source: str
    sha256: str
    mode: int = 0o644


@dataclass(frozen=True, slots=True)
class PythonEnvironment:
    """A virtual environment from a hash-locked requirements file, cached on the machine by that file's hash."""

    name: str
    requirements: Source
    disk_bytes: int = field(default=0, metadata=LATER)
    """What its download and installation take on the disk; 0: nothing worth asking for."""
    installer: Source | None = field(default=None, metadata=LATER)
    """The lock of uv, brought first to a machine that has none; without it pip does."""


@dataclass(frozen=True, slots=True)
class Service:
    """A supervised process. `command` is an argument list, tokens allowed.

    `secret_environment` maps a variable to a secret's name: the launcher reads the file when the process starts, so
    the value stands in no argument list and no rendered file.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    secret_environment: Mapping[str, str] = field(default_factory=dict)
    stop_timeout_s: int = 30
    reload_signal: str | None = None
    """Sent instead of a restart when only files named in `reload_files` changed (e.g. "HUP", "USR2")."""
    reload_files: tuple[str, ...] = ()
    speaks: str = field(default="", metadata=LATER)
    """Name of the engine (`images/engines`) whose words its log holds: what they mean is told while we wait for it."""
    has_workers: bool = field(default=False, metadata=LATER)
    """It starts processes that may outlive it and hold what it needs: those of its last run end before it starts."""
    after: tuple[str, ...] = field(default=(), metadata=LATER)
    """systemd units that are started before it, on a machine that has them."""
    locks_memory: bool = field(default=False, metadata=LATER)
    """It may pin as much memory as it wants."""
    own_user: bool = field(default=False, metadata=LATER)
    """Under systemd a user who exists for it alone runs it, and finds below @ROOT@ what it names and nothing else."""


REFUSED = 0
"""`HttpCheck.expect_status` of a server that must not even speak: curl's own status of no answer."""


@dataclass(frozen=True, slots=True)
class HttpCheck:
    """One request that must succeed on the machine before the role counts as ready. Run over SSH with curl."""

    name: str
    port: str
    """The port's name, as in @PORT:name@."""
    path: str
    method: str = "GET"
    body: str | None = None
    bearer_secret: str | None = None
    """Name of the secret sent as `Authorization: Bearer …`; with a `user`, of his password."""
    tls_ca: str | None = None
    """Path (tokens allowed) of the CA certificate; None means plain HTTP."""
    tls_server_name: str | None = None
    expect_status: int = 200
    """Of every path; REFUSED: there is no answer, because the handshake fails."""
    deadline_s: int = 60
    client_certificate: str | None = field(default=None, metadata=LATER)
    """Name of the secret that is shown: a certificate and its private key in one PEM."""
    user: str = field(default="", metadata=LATER)
    """Of HTTP's basic authentication; empty: the secret is a bearer's."""
    more_paths: tuple[str, ...] = field(default=(), metadata=LATER)
    """Asked on the same connection: each must get the expected status, too."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """How the machine comes by the Python program that it is for, and what that must turn out to be."""

    kind: RuntimeKind
    distribution: str
    """Its name among Python's packages, e.g. "vllm"."""
    program: str
    """What starts it: a path, tokens allowed, or a name on the PATH of the machine (of process 1, for an image)."""
    least: str = ""
    """The oldest version that will do; an older one is refused."""
    usual: str = ""
    """The version that this project was read for; another one is told."""
    shared_memory_bytes: int = 0
    """What /dev/shm must hold at least; 0: nobody looks."""


@dataclass(frozen=True, slots=True)
class PromisedGpus:
    """What a SKU is sold as."""

    gpu: str
    """Words of its name as nvidia-smi has it, e.g. "A100 80GB"."""
    count: int

    def __str__(self) -> str:
        return f"{self.count} × {self.gpu}"


@dataclass(frozen=True, slots=True)
class GpuDemand:
    """What GPUs and driver a machine must have. See docs/reference/gpu.md."""

    install: bool
    """Whether a driver may be installed, held and started there; else it is judged and nothing is touched."""
    least_driver: int
    """The oldest branch that will do, e.g. 580."""
    count: int
    """GPUs, at least."""
    least_gb_per_s: float | None = field(default=None, metadata=LATER)
    """Bus bandwidth of an all-reduce over all GPUs, in 10^9 bytes/s, at least; None: what is known of such GPUs, 0:
    nobody measures."""
    promised: tuple[PromisedGpus, ...] = field(default=(), metadata=LATER)
    """One of these it must be; empty: it is not known what was sold."""


@dataclass(frozen=True, slots=True)
class Weights:
    """A model's files, and where a machine gets them. They are there, and verified, before a service starts."""

    kind: str
    """"hf", "s3", or "path": they lie on the machine already."""
    place: str
    """The hub's name of the repository, `s3://bucket/prefix`, or the absolute path."""
    model: str
    """Whose they are: a hub's name."""
    revision: str = "main"
    """A commit, a branch or a tag. One that moves is resolved once, and kept."""
    record: Source | None = None
    """What the files must be (`images/weights/records`); without one, what the source itself says."""
    secret: str = ""
    """Name of the secret that opens the source; empty: it is open, or the machine's role opens it."""
    endpoint: str = ""
    """Of a mirror; empty: the source's own."""
    region: str = ""
    """Of the bucket."""
    unverified: bool = False
    """Whether files may be used that nothing is known of."""
    stall_s: int = 120
    """A download whose bytes do not grow for so long is begun anew."""
    deadline_s: int = 4 * 3600

    @property
    def folder(self) -> str:
        """Where they lie; tokens allowed."""
        name = f"{self.model}/{self.revision}".replace("/", "--")
        return self.place if self.kind == "path" else f"@WEIGHTS@/{name}"


KNOWN_PROMPT, KNOWN_ANSWER = "The capital of France is", "Paris"


@dataclass(frozen=True, slots=True)
class Trial:
    """What a service that serves a model must do before its machine is accepted: give a known answer, then stand a load
    of its own. Secrets by name; tokens allowed in `tls_ca`."""

    model: str
    """The served name."""
    port: str
    bearer_secret: str
    client_certificate: str
    tls_ca: str
    prompt: str = KNOWN_PROMPT
    expect: str = KNOWN_ANSWER
    """In the answer, whatever its case; empty: any that a whole GPU may give."""
    load_s: int = 60
    """0: no load."""
    concurrency: int = 32
    input_tokens: int = 1024
    output_tokens: int = 256


@dataclass(frozen=True, slots=True)
class Bundle:
    """All that one role needs. Equal bundles install nothing twice: see `digest`."""

    role: str
    files: tuple[File, ...] = ()
    sources: tuple[Source, ...] = ()
    environments: tuple[PythonEnvironment, ...] = ()
    services: tuple[Service, ...] = ()
    checks: tuple[HttpCheck, ...] = ()
    secrets: tuple[str, ...] = ()
    """Names of the secrets that must be delivered with it."""
    programs: tuple[str, ...] = ()
    """Programs that the machine must have, e.g. ("haproxy",). A missing one comes by apt, if
    `images.packages.programs` knows its package; else it is an error."""
    directories: tuple[str, ...] = ()
    """Data folders below @ROOT@ that survive a change of the bundle."""
    clients_show: str = field(default="", metadata=LATER)
    """Name of the secret without which its services let nobody in: whoever is to reach them needs it before."""
    weights: Weights | None = field(default=None, metadata=LATER)
    gpu: GpuDemand | None = field(default=None, metadata=LATER)
    """None: nobody looks for GPUs."""
    runtime: Runtime | None = field(default=None, metadata=LATER)
    """None: the environments hold all that its services start."""
    trial: Trial | None = field(default=None, metadata=LATER)

    def __post_init__(self) -> None:
        # Files are a set, not a sequence: sorted, so that equal bundles are equal however they were put together.
        object.__setattr__(self, "files", tuple(sorted(self.files, key=lambda f: f.path)))
        object.__setattr__(self, "sources", tuple(sorted(self.sources, key=lambda s: s.path)))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values: what travels as a resource input. Files and sources are keyed by path, so that a diff
        names the file that changed and not its position."""
        plain: dict[str, Any] = json.loads(json.dumps(_plain(self)))
        for name in ("files", "sources"):
            plain[name] = {item.pop("path"): item for item in plain[name]}
        return plain

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Bundle:
        """The inverse of `to_dict`, also after numbers became floats on the way, and of one that an older version
        wrote. Raises ValueError on a value that is no bundle."""
        paths = {name: [{"path": path, **f} for path, f in value[name].items()] for name in ("files", "sources")}
        return _READER.validate_python({**value, **paths})

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()


def _plain(value: Any) -> Any:
    """A dataclass as a dict, at any depth; a field that is LATER and says nothing is left out."""
    if is_dataclass(value):
        known = {f.name: getattr(value, f.name) for f in fields(value) if not _silent(f, getattr(value, f.name))}
        return {name: _plain(item) for name, item in known.items()}
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _silent(of: Field[Any], value: Any) -> bool:
    """Every LATER field has a default, a value or a maker of one."""
    if "later" not in of.metadata:
        return False
    return bool(value == (of.default if of.default_factory is MISSING else of.default_factory()))


_READER = TypeAdapter(Bundle)
