"""A host and a small bundle to lay out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from images.bundle import Bundle, File, HttpCheck, PythonEnvironment, Service, Source
from images.remote.host import Host
from images.vehicles.ssh.layout.layout import Layout, make_layout

REQUIREMENTS = Source("requirements/app.txt", "requirements/app.txt", "ab" * 32)
SUPERVISOR = Source("supervisor.txt", "requirements/supervisor.txt", "cd" * 32)

PLACEMENT = Host(
    address="192.0.2.7",
    ssh_port=22,
    ssh_user="ubuntu",
    host_key="ssh-ed25519 AAAA",
    root="/opt/crossover",
    cache="/var/cache/crossover",
    bind="0.0.0.0",
    ports={"web": 8000},
    supervision="supervisor",
    server_name="a.nodes.crossover.internal",
)
BUNDLE = Bundle(
    role="sample",
    files=(File("web/web.conf", "listen @BIND@:@PORT:web@\nkey @SECRET:key@\n"), File("tls/ca.pem", "PEM")),
    sources=(Source("lib/web.py", "images/web.py", "ef" * 32),),
    environments=(PythonEnvironment("app", REQUIREMENTS),),
    services=(
        Service(
            name="web",
            command=("@ENV:app@/bin/python", "-m", "web", "@ROOT@/web/web.conf"),
            environment={"PYTHONPATH": "@ROOT@/lib", "NOTE": "it's $HOME"},
            secret_environment={"API_KEY": "key"},
            stop_timeout_s=40,
        ),
    ),
    checks=(
        HttpCheck(
            "web", "web", "/health", bearer_secret="key", tls_ca="@ROOT@/tls/ca.pem", tls_server_name="@SERVER_NAME@"
        ),
    ),
    secrets=("key",),
)


def layout(bundle: Bundle = BUNDLE, **host: Any) -> Layout:
    """The sample's layout; sources are one byte each."""
    return make_layout(bundle, replace(PLACEMENT, **host), lambda _: b"x", SUPERVISOR)
