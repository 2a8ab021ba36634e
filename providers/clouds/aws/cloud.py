"""The cloud `aws` in the words of every other cloud, but for launching: its machines are resources of the program."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any

from providers.base import Machine, NodeSpec, Offer
from providers.clouds.aws import NAME, machines, offering, session
from providers.clouds.aws.account import Account
from providers.clouds.aws.client import AwsClient
from providers.clouds.aws.config import DEFAULT_HOME, AwsConfig, parse
from providers.clouds.aws.preflight.checks import checks
from providers.errors import Gone, Incomplete, InvalidRequest
from providers.preflight import Check, Plan


class AwsCloud:
    """EC2 instances in all regions that the account has enabled, or in those of CROSSOVER_AWS_REGIONS."""

    name = NAME
    visibility_s = 300.0
    """docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html: wait up to about five minutes."""

    def __init__(self, client: AwsClient) -> None:
        self.account = Account(client)

    @classmethod
    def from_environment(cls) -> AwsCloud:
        """One for the whole process. Asks nobody, and imports nothing of AWS'."""
        return _cloud(AwsConfig.from_environment())

    @property
    def api_url(self) -> str:
        """Where EC2 is in the home region: `crossover doctor` tries the way there."""
        config = self.account.client.config
        return config.endpoint or f"https://ec2.{config.home}.amazonaws.com{'.cn' * config.home.startswith('cn-')}"

    def check_settings(self, settings: Mapping[str, Any]) -> None:
        """Raises InvalidRequest that names `clouds.aws.<key>`. The region may be left to the candidates."""
        zones = settings.get("zones")
        of_zones = [str(zone)[:-1] for zone in zones] if isinstance(zones, list) else []
        parse(settings, [*of_zones, DEFAULT_HOME])

    def preflight(self, plan: Plan) -> list[Check]:
        """All that `up` refuses, and the runner's way in."""
        return checks(self.account.client, plan)

    def offers(self) -> list[Offer]:
        """The types with eight A100, wherever they are offered."""
        return offering.offers(self.account)

    def offers_of(self, places: Collection[tuple[str, str]]) -> list[Offer]:
        """Any types, by "(region, type)": EC2 has too many to list them all."""
        return offering.offers_of(self.account, places)

    def launch(self, spec: NodeSpec) -> Machine:
        """Never: raises InvalidRequest."""
        raise InvalidRequest(f"aws: the plugin rents no machine there ({spec.name}): it is a resource of the program")

    def get(self, machine_id: str) -> Machine:
        """Raises NotFound where every region says so, Gone where EC2 lists it as terminated."""
        region, found = self.account.find(machine_id)
        if machines.state(found) == "terminated":
            raise Gone(f"aws {region}: {machine_id} is terminated")
        return machines.machine(found, region)

    def start(self, machine_id: str) -> Machine:
        """Unchanged: the program's own resources say whether a machine runs."""
        return self.get(machine_id)

    def terminate(self, machine_id: str, age_s: float = 0.0) -> None:
        """Termination protection is lifted first. Of a volume that outlived its machine too. What no region knows is
        called gone only once it cannot be too young to be shown."""
        self.account.end(machine_id, max(0.0, self.visibility_s - age_s))

    def tunnel(self, way: str, port: int) -> tuple[str, ...]:
        """See `Tunnelled`: a session of AWS' Session Manager."""
        session.require_programs()
        return session.command(way, port)

    def refused(self, said: str) -> bool:
        """See `Tunnelled`."""
        return session.refused(said)

    def billed(self, owner_project: str | None = None) -> list[Machine]:
        """All of ours that bills: machines, and volumes that outlived theirs."""
        found: list[Machine] = []
        missed: dict[str, None] = {}
        for part in (self.account.instances, self.account.lone_volumes):
            try:
                found += part(owner_project)
            except Incomplete as e:
                found += e.found
                missed[str(e)] = None
        if missed:
            raise Incomplete("; ".join(missed), found)
        return found

    def inventory(self) -> list[Machine]:
        """The same: EC2 shows an instance's tags with it (they are part of RunInstances)."""
        return self.list()

    def list(self, owner_project: str | None = None) -> list[Machine]:
        """Every instance with our mark that is not terminated."""
        return self.account.instances(owner_project)


@lru_cache(maxsize=4)
def _cloud(config: AwsConfig) -> AwsCloud:
    return AwsCloud(AwsClient(config))
