"""The rules on the verdict, one a file: code, severity, remedy, how it bends, and the function."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from cost_guard.codes import discovered
from cost_guard.verdict.rule import AnyVerdictRule

RULES: Mapping[str, AnyVerdictRule] = {rule.code: rule for rule in discovered(sys.modules[__name__])}
"""By their codes, in the order in which they are told."""
