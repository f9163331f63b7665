"""The shipped alert rules, with thresholds in place of the marks that the chart replaces."""

from pathlib import Path

RULES = Path(__file__).resolve().parents[2] / "deploy/helm/clientcert-operator/files/rules.yaml"


def render_rules(warning_days: int = 28, critical_days: int = 14) -> str:
    """The rule file as the chart writes it for these values."""
    text = RULES.read_text()
    return text.replace("__WARNING_DAYS__", str(warning_days)).replace("__CRITICAL_DAYS__", str(critical_days))
