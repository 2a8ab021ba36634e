"""Rule type-allowed: a stack of ours makes nothing that nobody has thought of.

A resource is of a type that this project makes, in the component that makes it; or of a kind that the catalogue
prices; or of a type in allowed-types.toml. Components make nothing themselves, and are not looked at. It is asked about
the whole plan, because only at its end it is known whose program it is: in one without an Install of ours, it warns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from cost_guard.codes import Severity
from cost_guard.pack.rule import CannotJudge, StackRule, unknown_value
from strict import names
from strict.toml import CatalogueError

if TYPE_CHECKING:  # to start faster: see `pack.rule`
    from pulumi_policy import PolicyResource

ANYWHERE = ""
MADE: Mapping[str, str] = {
    names.CREDENTIALS: ANYWHERE,
    names.FIRST_CONTACT: ANYWHERE,
    names.INSTALL: ANYWHERE,
    names.NODE: ANYWHERE,  # node-outside-fleet says where
    names.AWS_INSTANCE: names.AWS_NODE,
    "aws:ec2/internetGateway:InternetGateway": names.AWS_NETWORK,
    "aws:ec2/keyPair:KeyPair": names.AWS_NETWORK,
    "aws:ec2/route:Route": names.AWS_NETWORK,
    "aws:ec2/routeTable:RouteTable": names.AWS_NETWORK,
    "aws:ec2/routeTableAssociation:RouteTableAssociation": names.AWS_NETWORK,
    "aws:ec2/securityGroup:SecurityGroup": names.AWS_NETWORK,
    "aws:ec2/subnet:Subnet": names.AWS_NETWORK,
    "aws:ec2/vpc:Vpc": names.AWS_NETWORK,
    "aws:iam/instanceProfile:InstanceProfile": names.AWS_NETWORK,
    "aws:iam/role:Role": names.AWS_NETWORK,
    "aws:iam/rolePolicy:RolePolicy": names.AWS_NETWORK,
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": names.AWS_NETWORK,
}
"""What this project makes: resource type → the component right above it."""


def _is_made_here(kind: str, urn: str) -> bool:
    return kind in MADE and (MADE[kind] == ANYWHERE or names.parents_of(urn)[-1:] == [MADE[kind]])


def _wanted(resource: Any) -> bool:
    """Of the engine's own message: what has a provider, as no component has, and is not made here, or is and has a
    price by its kind."""
    made = _is_made_here(resource.type, resource.urn) and resource.type != names.AWS_INSTANCE
    return resource.HasField("provider") and not made


def _check(resources: list[PolicyResource]) -> Iterable[tuple[str, str]]:
    from cost_guard.pack import priced  # when something passes, to start faster
    from cost_guard.verdict.facts.beside import NoPrice

    later: Exception | None = None
    for resource in resources:
        try:
            known = priced.costs(resource) or _is_made_here(resource.resource_type, resource.urn)
            if not known:
                yield resource.urn, _unknown(resource.resource_type)
        except NoPrice as error:
            yield resource.urn, str(error)
        except CatalogueError as error:
            raise CannotJudge(error.lines[0]) from None
        except unknown_value() as error:  # the others are judged all the same
            later = error
    if later is not None:
        raise later


def _unknown(kind: str) -> str:
    where = f" outside {MADE[kind]}" if kind in MADE else ""
    return (
        f"nothing says what {kind}{where} costs: this project makes none, and the catalogue has no price for it; take "
        "it out, or add the type to policies/allowed-types.toml with what it costs a month"
    )


RULE = StackRule(
    code="type-allowed",
    position=125,
    severity=Severity.HIGH,
    demand="A stack makes only what this project makes, what the catalogue prices, and what allowed-types.toml names.",
    remedy="Take the resource out, or add its type to policies/allowed-types.toml with its cost, source and reason.",
    looks_at=("*",),
    check=_check,
    select=_wanted,
    elsewhere="warns",
)
