"""RunPod: containers ("pods") on secure-cloud GPUs, through REST v2, and through the SDK what v2 lacks."""
