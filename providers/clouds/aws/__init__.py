"""AWS: ordinary `pulumi_aws` resources behind the outputs of a gpucloud Node. `node.AwsNode` is the way in."""
