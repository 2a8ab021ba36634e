from tests.support.scripts import sandbox as sandbox
