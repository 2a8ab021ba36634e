"""The resource plugin `gpucloud`: what the Pulumi engine talks to."""
