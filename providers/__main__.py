"""Entry of the resource plugin `gpucloud`."""

import sys

from providers import registry
from providers.plugin.contact import FirstContactHandler
from providers.plugin.credentials import CredentialsHandler
from providers.plugin.install import InstallHandler, SshInstaller
from providers.plugin.node import NodeHandler
from providers.plugin.server import serve

if __name__ == "__main__":
    serve(
        {
            "gpucloud:index:Node": NodeHandler(registry.cloud),
            "gpucloud:index:Install": InstallHandler(SshInstaller(registry.cloud), registry.cloud, registry.NAMES),
            "gpucloud:index:FirstContact": FirstContactHandler(registry.cloud),
            "gpucloud:index:Credentials": CredentialsHandler(),
        },
        sys.argv[1:],
    )
