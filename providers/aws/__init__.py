"""AWS: ordinary `pulumi_aws` resources behind the outputs of a gpucloud Node. `node.aws_node` is the way in."""
