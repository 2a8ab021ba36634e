"""Entry of the resource plugin `gpucloud`."""

import sys

from providers import registry
from providers.plugin.contact import FirstContactHandler
from providers.plugin.credentials import CredentialsHandler
from providers.plugin.install import InstallHandler, SshInstaller
from providers.plugin.node import NodeHandler
from providers.plugin.server import serve
from strict import names

if __name__ == "__main__":
    serve(
        {
            names.NODE: NodeHandler(registry.cloud),
            names.INSTALL: InstallHandler(SshInstaller(registry.cloud), registry.cloud, registry.NAMES),
            names.FIRST_CONTACT: FirstContactHandler(registry.cloud),
            names.CREDENTIALS: CredentialsHandler(),
        },
        sys.argv[1:],
    )
