"""AWS: ordinary `pulumi_aws` resources behind the outputs of a gpucloud Node (`resources.node.AwsNode`)."""

NAME = "aws"
"""What stacks and states call this cloud."""
