"""The cost gate as a library: scenario and catalogue in, verdict out. The rules that need Pulumi are in `rules/`."""

from .errors import ScenarioError, parse_baseline, parse_scenario
from .evaluate import evaluate
from .prices import Catalogue, CatalogueError, load_catalogue
from .scenario import Baseline, Scenario
from .usage import Usage, parse_usage
from .verdict import Level, Reason, Verdict, explain

__all__ = [
    "Baseline",
    "Catalogue",
    "CatalogueError",
    "Level",
    "Reason",
    "Scenario",
    "ScenarioError",
    "Usage",
    "Verdict",
    "evaluate",
    "explain",
    "load_catalogue",
    "parse_baseline",
    "parse_scenario",
    "parse_usage",
]
