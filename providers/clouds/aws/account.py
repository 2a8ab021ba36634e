"""One AWS account over all its regions: where our machines are, and how they end."""

from __future__ import annotations

from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

from providers.base import Machine
from providers.clouds.aws import machines
from providers.clouds.aws.client import AwsClient
from providers.clouds.aws.tags import MARK
from providers.errors import CloudError, Incomplete, NotFound, RateLimited, TerminateFailed, Unavailable

NOT_TERMINATED = ("pending", "running", "stopping", "stopped", "shutting-down")
REGIONS_AT_ONCE = 16
TERMINATE_PATIENCE_S = 15 * 60.0
TERMINATE_POLL_S = 3.0
MARKED = {"Name": "tag-key", "Values": [MARK]}
Found = TypeVar("Found")
Seen = tuple[str, dict[str, Any]]
"""A region, and what EC2 says of a thing there."""


class Account:
    """Asks every region at once, and remembers where it saw what: EC2's ids do not tell their region."""

    def __init__(self, client: AwsClient) -> None:
        self.client = client
        self._regions: tuple[str, ...] = ()
        self._region_of: dict[str, str] = {}

    def regions(self) -> tuple[str, ...]:
        """Where machines may be. A region that was disabled cannot be asked, and what is there goes on billing."""
        if not self._regions:
            self._regions = self.client.config.regions or self._enabled()
        return self._regions

    def _enabled(self) -> tuple[str, ...]:
        answer = self.client.ask("ec2", "describe_regions", self.client.config.home)
        return tuple(sorted(region["RegionName"] for region in answer["Regions"]))

    def everywhere(self, ask: Callable[[str], list[Found]], regions: Collection[str]) -> list[Found]:
        """All answers. Raises Incomplete with the answers of the others where a region failed; where all failed with
        the same words, what the first raised."""

        def one(region: str) -> list[Found] | CloudError:
            try:
                return ask(region)
            except CloudError as e:
                return e

        with ThreadPoolExecutor(min(REGIONS_AT_ONCE, max(1, len(regions)))) as pool:
            answers = dict(zip(regions, pool.map(one, regions), strict=True))
        found = [item for answer in answers.values() if not isinstance(answer, CloudError) for item in answer]
        failed = {region: answer for region, answer in answers.items() if isinstance(answer, CloudError)}
        words: dict[str, list[str]] = {}
        for region, error in failed.items():
            words.setdefault(str(error).removeprefix(f"aws {region}: "), []).append(region)
        if failed and len(failed) == len(regions) and len(words) == 1:
            raise next(iter(failed.values()))
        if failed:
            raise Incomplete("; ".join(f"aws {', '.join(names)}: {text}" for text, names in words.items()), found)
        return found

    def instances(self, project: str | None) -> list[Machine]:
        """Those with our mark that are not terminated. Raises Incomplete."""
        living = {"Name": "instance-state-name", "Values": [*NOT_TERMINATED]}

        def one(region: str) -> list[Machine]:
            answer = self.client.ask("ec2", "describe_instances", region, Filters=[MARKED, living])
            return [machines.machine(found, region) for found in machines.instances(answer)]

        return self._ours(project, one)

    def lone_volumes(self, project: str | None) -> list[Machine]:
        """Those with our mark that no machine has. Raises Incomplete."""
        alone = {"Name": "status", "Values": ["available"]}

        def one(region: str) -> list[Machine]:
            answer = self.client.ask("ec2", "describe_volumes", region, Filters=[MARKED, alone])
            return [machines.volume(found, region) for found in answer["Volumes"]]

        return self._ours(project, one)

    def _ours(self, project: str | None, ask: Callable[[str], list[Machine]]) -> list[Machine]:
        def one(region: str) -> list[Machine]:
            # A mark that cannot be read is shown to every project.
            found = [m for m in ask(region) if m.owner is None or project in (None, m.owner.project)]
            self._region_of.update({m.id: region for m in found})
            return found

        return self.everywhere(one, self.regions())

    def find(self, machine_id: str) -> Seen:
        """An instance or a volume. Raises NotFound where every region says so, Unavailable where one cannot say."""

        def one(region: str) -> list[Seen]:
            with suppress(NotFound):
                return [(region, found) for found in self._described(machine_id, region)]
            return []

        if region := self._region_of.get(machine_id):
            found = self.everywhere(one, [region])
        else:
            found = self._likely(one) or self._anywhere(one, machine_id)
        if not found:
            raise NotFound(f"aws has no {machine_id}; asked were {', '.join(self.regions())}")
        self._region_of[machine_id] = found[0][0]
        return found[0]

    def _likely(self, ask: Callable[[str], list[Seen]]) -> list[Seen]:
        """A stack has one region: what was not seen yet is where something was seen last, or in the home region."""
        region = next(reversed(self._region_of.values()), self.client.config.home)
        with suppress(CloudError):
            return ask(region)
        return []

    def _anywhere(self, ask: Callable[[str], list[Seen]], machine_id: str) -> list[Seen]:
        try:
            return self.everywhere(ask, self.regions())
        except Incomplete as e:
            if e.found:
                return list(e.found)
            raise Unavailable(f"cannot tell whether {machine_id} exists: {e}") from e

    def _described(self, machine_id: str, region: str) -> list[dict[str, Any]]:
        if machine_id.startswith(machines.VOLUME):
            volumes = self.client.ask("ec2", "describe_volumes", region, VolumeIds=[machine_id])["Volumes"]
            return [volume for volume in volumes if volume["State"] != "deleted"]
        return machines.instances(self.client.ask("ec2", "describe_instances", region, InstanceIds=[machine_id]))

    def end(self, machine_id: str, hidden_s: float = 0.0) -> None:
        """Lifts the protection and ends an instance, or deletes a volume; returns when EC2 no longer has it. For
        `hidden_s` one that was not seen may be there although no region knows it. Raises TerminateFailed with the
        commands that end it by hand."""
        hidden_until = self.client.clock() + hidden_s
        deadline = self.client.clock() + TERMINATE_PATIENCE_S
        asked, pause_s = False, 0.0
        while True:
            try:
                region, found = self.find(machine_id)
                state = machines.state(found)
                if state == "terminated":
                    return
                if not asked and state not in ("shutting-down", "deleting"):
                    self._ask_to_end(machine_id, region)
                    asked = True
                problem = f"it is {state}"
            except NotFound as e:
                if asked or self.client.clock() >= hidden_until:
                    return
                problem = str(e)
            except (Unavailable, RateLimited) as e:
                problem = str(e)
            except CloudError as e:
                raise self._not_ended(machine_id, str(e)) from e
            if self.client.clock() + pause_s > deadline:
                raise self._not_ended(machine_id, f"after {TERMINATE_PATIENCE_S:g} s: {problem}")
            self.client.sleep(pause_s)
            pause_s = TERMINATE_POLL_S

    def _ask_to_end(self, machine_id: str, region: str) -> None:
        if machine_id.startswith(machines.VOLUME):
            self.client.ask("ec2", "delete_volume", region, VolumeId=machine_id)
            return
        unprotected = {"Value": False}
        self.client.ask(
            "ec2", "modify_instance_attribute", region, InstanceId=machine_id, DisableApiTermination=unprotected
        )
        self.client.ask("ec2", "terminate_instances", region, InstanceIds=[machine_id])

    def _not_ended(self, machine_id: str, reason: str) -> TerminateFailed:
        commands = by_hand(machine_id, self._region_of.get(machine_id, "REGION"))
        return TerminateFailed(f"{machine_id} is not ended: {reason}. It goes on billing; by hand: {commands}")


def by_hand(machine_id: str, region: str) -> str:
    """The commands that end it."""
    if machine_id.startswith(machines.VOLUME):
        return f"aws ec2 delete-volume --region {region} --volume-id {machine_id}"
    return (
        f"aws ec2 modify-instance-attribute --region {region} --instance-id {machine_id} --no-disable-api-termination "
        f"&& aws ec2 terminate-instances --region {region} --instance-ids {machine_id}"
    )
