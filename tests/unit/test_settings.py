"""Settings come from flags, variables and files, and contradictions end the process before it does anything."""

from datetime import timedelta

import pytest

from clientcert.errors import SettingsError
from clientcert.settings import load_settings


def test_flags_win_over_variables():
    environment = {"CLIENTCERT_PORT": "9000", "CLIENTCERT_NAMESPACE": "a, b", "CLIENTCERT_RESYNC": "1m"}
    settings = load_settings({"port": 9001, "namespaces": ()}, environment)
    assert settings.port == 9001
    assert settings.namespaces == ("a", "b")
    assert settings.resync == timedelta(minutes=1)


def test_a_secret_from_a_file(tmp_path):
    """As a mounted Secret has it, with the line end that editors leave."""
    (tmp_path / "token").write_text("xoxb-1\n")
    environment = {"CLIENTCERT_SLACK_TOKEN_FILE": str(tmp_path / "token"), "CLIENTCERT_SLACK_CHANNEL": "#a"}
    settings = load_settings({}, environment)
    assert settings.slack_token == "xoxb-1"
    assert "xoxb" not in repr(settings)


@pytest.mark.parametrize(
    ("environment", "word"),
    [
        ({"CLIENTCERT_PORT": "http"}, "CLIENTCERT_PORT cannot be used: .http. is no port"),
        ({"CLIENTCERT_PORT": "65536"}, "from 1 to 65535"),
        ({"CLIENTCERT_SLACK_TOKEN": "x"}, "CLIENTCERT_SLACK_CHANNEL"),
        (
            {"CLIENTCERT_SLACK_TOKEN": "x", "CLIENTCERT_SLACK_WEBHOOK_URL": "y", "CLIENTCERT_SLACK_CHANNEL": "#a"},
            "both",
        ),
        ({"CLIENTCERT_SLACK_TOKEN_FILE": "/nowhere"}, "CLIENTCERT_SLACK_TOKEN_FILE"),
        ({"CLIENTCERT_IDENTITY_BUCKETS": "bucket"}, "namespace=bucket/prefix"),
        ({"CLIENTCERT_X509_METRICS": "maybe"}, "CLIENTCERT_X509_METRICS"),
        ({"CLIENTCERT_CLOCK_OFFSET": "tomorrow"}, "CLIENTCERT_CLOCK_OFFSET"),
    ],
)
def test_what_cannot_be_used_is_named(environment, word):
    with pytest.raises(SettingsError, match=word):
        load_settings({}, environment)
