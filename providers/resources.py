"""The program's side of `gpucloud`: typed resources to write stacks with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi

from strict import names


class Credentials(pulumi.CustomResource):
    """SSH keys, a private CA with one certificate per server name, API keys. Raise `generation` to renew all but
    `stack_id`, the stack's identity; what is `former` is accepted beside it until `retired` names its generation."""

    sshPublicKey: pulumi.Output[str]
    sshPrivateKey: pulumi.Output[str]
    caCertificate: pulumi.Output[str]
    nodeCertificates: pulumi.Output[dict[str, dict[str, str]]]
    clientCertificate: pulumi.Output[str]
    endpointKey: pulumi.Output[str]
    vllmApiKey: pulumi.Output[str]
    litellmMasterKey: pulumi.Output[str]
    redisPassword: pulumi.Output[str]
    standInKey: pulumi.Output[str]
    former: pulumi.Output[dict[str, Any]]

    def __init__(
        self,
        name: str,
        *,
        nodes: Sequence[str],
        generation: int,
        retired: int = 0,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        made = (
            "sshPublicKey", "sshPrivateKey", "caCertificate", "caPrivateKey", "nodeCertificates",
            "clientCertificate", "endpointKey", "vllmApiKey", "litellmMasterKey", "redisPassword", "standInKey",
            "former",
        )  # fmt: skip
        props: dict[str, Any] = {"nodes": sorted(nodes), "generation": generation, **dict.fromkeys(made)}
        if retired:
            props["retired"] = retired
        super().__init__(names.CREDENTIALS, name, props, opts)

    @property
    def stack_id(self) -> pulumi.Output[str]:
        """What marks tell the stack by among those of its name: of the resource's id, so that every state has it."""
        return self.id.apply(names.stack_id_of)


class Node(pulumi.CustomResource):
    """One rented machine. `machine` is what an Install needs to know of it.

    `delete_before_replace` is set here, as an option, because taint and --replace obey the option and ignore what a
    provider's diff says; and names hash the generation, so that the new machine never meets the old one's name.
    """

    machine: pulumi.Output[dict[str, Any]]
    failureDomain: pulumi.Output[str]
    usdPerHour: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        key: str,
        role: str,
        candidates: Sequence[Mapping[str, Any]],
        ports: Mapping[str, int],
        ssh_public_key: pulumi.Input[str],
        ssh_private_key: pulumi.Input[str],
        stack_id: pulumi.Input[str],
        generation: int = 1,
        max_per_failure_domain: int = 1,
        deadline_s: int = 1800,
        on_no_capacity: str = "fail",
        settings: Mapping[str, Mapping[str, Any]] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {
            "key": key,
            "role": role,
            "project": pulumi.get_project(),
            "stack": pulumi.get_stack(),
            "stackId": stack_id,
            "generation": generation,
            "candidates": [dict(candidate) for candidate in candidates],
            "ports": dict(ports),
            "sshPublicKey": ssh_public_key,
            "sshPrivateKey": pulumi.Output.secret(ssh_private_key),
            "maxPerFailureDomain": max_per_failure_domain,
            "deadlineS": deadline_s,
            "onNoCapacity": on_no_capacity,
            "settings": {cloud: dict(section) for cloud, section in (settings or {}).items()},
            "machine": None,
            "failureDomain": None,
            "usdPerHour": None,
        }
        replace_in_order = pulumi.ResourceOptions(delete_before_replace=True)
        super().__init__(names.NODE, name, props, pulumi.ResourceOptions.merge(opts, replace_in_order))


class FirstContact(pulumi.CustomResource):
    """First contact with a machine that no Node rented. `machine` is what an Install needs to know of it: `reported`,
    with the durable host key that the machine was given, and its supervision. Replaced when the machine is another
    one; its deletion does nothing."""

    machine: pulumi.Output[dict[str, Any]]

    def __init__(
        self,
        name: str,
        *,
        reported: pulumi.Input[Mapping[str, Any]],
        machine_name: str,
        ssh_private_key: pulumi.Input[str],
        deadline_s: int = 1800,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {
            "reported": reported,
            "name": machine_name,
            "sshPrivateKey": pulumi.Output.secret(ssh_private_key),
            "deadlineS": deadline_s,
            "machine": None,
        }
        replace_in_order = pulumi.ResourceOptions(delete_before_replace=True)
        super().__init__(names.FIRST_CONTACT, name, props, pulumi.ResourceOptions.merge(opts, replace_in_order))


class Install(pulumi.CustomResource):
    """A bundle on a machine, running and checked. Replaced when the machine is another one."""

    machine: pulumi.Output[dict[str, Any]]

    def __init__(
        self,
        name: str,
        *,
        machine: pulumi.Input[Mapping[str, Any]],
        role: str,
        fleet: str,
        server_name: str,
        bundle: pulumi.Input[Mapping[str, Any]],
        secrets: Mapping[str, pulumi.Input[str]],
        ssh_private_key: pulumi.Input[str],
        stack_id: pulumi.Input[str],
        deadline_s: int = 900,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        props = {
            "machine": machine,
            "role": role,
            "fleet": fleet,
            "serverName": server_name,
            "bundle": bundle,
            "secrets": pulumi.Output.secret(secrets),
            "sshPrivateKey": pulumi.Output.secret(ssh_private_key),
            "stackId": stack_id,
            "deadlineS": deadline_s,
        }
        replace_in_order = pulumi.ResourceOptions(delete_before_replace=True)
        super().__init__(names.INSTALL, name, props, pulumi.ResourceOptions.merge(opts, replace_in_order))
