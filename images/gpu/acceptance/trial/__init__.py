"""What a service that serves a model does before its machine is accepted: a known answer, then a load of its own."""
