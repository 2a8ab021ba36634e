"""Where files come from: the hub, a bucket; and how both are asked."""
