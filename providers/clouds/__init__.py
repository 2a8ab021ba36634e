"""One folder a cloud, the same names in each: config, client, cloud."""
