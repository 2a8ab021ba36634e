"""What machines may do at AWS: read weights below one prefix, answer Session Manager; nothing else."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pulumi_aws as aws

from providers.clouds.aws.config import AwsSettings
from strict.names import INFERENCE_ROLE


def partition(region: str) -> str:
    """The ARN partition of a region: "aws", "aws-cn", "aws-us-gov", …"""
    prefixes = {"cn-": "aws-cn", "us-gov-": "aws-us-gov", "us-iso-": "aws-iso", "us-isob-": "aws-iso-b"}
    prefixes["eu-isoe-"] = "aws-iso-e"
    return next((name for prefix, name in prefixes.items() if region.startswith(prefix)), "aws")


def trust(region: str) -> dict[str, Any]:
    """EC2 alone may take the role."""
    service = "ec2.amazonaws.com.cn" if region.startswith("cn-") else "ec2.amazonaws.com"
    return _document({"Action": "sts:AssumeRole", "Principal": {"Service": service}})


def weights_policy(weights_bucket: str, region: str) -> dict[str, Any]:
    """Lists and reads what lies below the prefix of `bucket/prefix`."""
    bucket, _, prefix = weights_bucket.partition("/")
    arn = f"arn:{partition(region)}:s3:::{bucket}"
    below = {"StringLike": {"s3:prefix": [f"{prefix}/*"]}}
    return _document(
        {"Action": "s3:ListBucket", "Resource": arn, "Condition": below},
        {"Action": "s3:GetObject", "Resource": f"{arn}/{prefix}/*"},
    )


def _document(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement} for statement in statements]}


def instance_profile(
    role: str, settings: AwsSettings, tags: dict[str, str], opts: pulumi.ResourceOptions
) -> aws.iam.InstanceProfile:
    """The profile of all machines of a role, with a role that has only what the settings ask for."""
    iam_role = aws.iam.Role(f"{role}-role", assume_role_policy=json.dumps(trust(settings.region)), tags=tags, opts=opts)
    if settings.weights_bucket and role == INFERENCE_ROLE:
        policy = json.dumps(weights_policy(settings.weights_bucket, settings.region))
        aws.iam.RolePolicy(f"{role}-weights", role=iam_role.id, policy=policy, opts=opts)
    if settings.access.ssm:
        core = f"arn:{partition(settings.region)}:iam::aws:policy/AmazonSSMManagedInstanceCore"
        aws.iam.RolePolicyAttachment(f"{role}-ssm", role=iam_role.name, policy_arn=core, opts=opts)
    return aws.iam.InstanceProfile(f"{role}-profile", role=iam_role.name, tags=tags, opts=opts)
