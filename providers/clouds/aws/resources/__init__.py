"""What `pulumi_aws` makes of a stack's machines: the program's side, which stacks alone import."""
