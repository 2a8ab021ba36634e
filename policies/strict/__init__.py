"""The ground floor: how data is read, and how what is wrong with it is told. It imports nothing of ours."""

import os

# We use no plugin of pydantic's. To look for one, it reads the metadata of every package in the environment when the
# first model is built: 15 to 25 ms of each command, program and pack.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
