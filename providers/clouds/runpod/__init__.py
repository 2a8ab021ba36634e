"""RunPod: containers ("pods") on secure-cloud GPUs, through REST v2, and through the SDK what v2 lacks.

This folder has the name of the PyPI package `runpod`, which `interruptible` alone imports; see `_sdk` there.
"""
