"""Entry of the resource plugin `gpucloud`."""

import sys

from providers import registry
from providers.plugin.contact import FirstContactHandler
from providers.plugin.credentials import CredentialsHandler
from providers.plugin.install import InstallHandler, SshInstaller
from providers.plugin.node import NodeHandler
from providers.plugin.server import serve
from providers.plugin.turns.replacing import Replacements
from strict import names

if __name__ == "__main__":
    installs = InstallHandler(SshInstaller(registry.cloud), registry.cloud, registry.NAMES)
    serve(
        {
            names.NODE: NodeHandler(registry.cloud),
            names.INSTALL: installs,
            names.FIRST_CONTACT: FirstContactHandler(registry.cloud),
            names.CREDENTIALS: CredentialsHandler(),
        },
        sys.argv[1:],
        Replacements(lambda node, waiting: installs.out_of_rotation(node, node, waiting)),
    )
