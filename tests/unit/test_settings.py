"""Settings come from flags, variables and files; contradictions end the process at its start."""

from datetime import timedelta

import pytest

from clientcert.errors import SettingsError
from clientcert.settings import load_settings


def test_flags_override_variables():
    environment = {"CLIENTCERT_PORT": "9000", "CLIENTCERT_NAMESPACE": "a, b", "CLIENTCERT_RESYNC": "1m"}
    settings = load_settings({"port": 9001, "namespaces": ()}, environment)
    assert settings.port == 9001
    assert settings.namespaces == ("a", "b")
    assert settings.resync == timedelta(minutes=1)


def test_a_secret_from_a_file(tmp_path):
    """A secret is read from a mounted file, without the line break at the end."""
    (tmp_path / "token").write_text("xoxb-1\n")
    environment = {"CLIENTCERT_SLACK_TOKEN_FILE": str(tmp_path / "token"), "CLIENTCERT_SLACK_CHANNEL": "#a"}
    settings = load_settings({}, environment)
    assert settings.slack_token == "xoxb-1"
    assert "xoxb" not in repr(settings)


MAIL = {"CLIENTCERT_SMTP_HOST": "mail.example", "CLIENTCERT_SMTP_FROM": "certificates@example.com"}


@pytest.mark.parametrize(
    "environment",
    [
        {"CLIENTCERT_SMTP_USERNAME": "operator", "CLIENTCERT_SMTP_PASSWORD": "secret"},
        {"CLIENTCERT_SMTP_PASSWORD": "secret"},
        {**MAIL, "CLIENTCERT_SMTP_USERNAME": "operator", "CLIENTCERT_SMTP_PASSWORD": "secret"},
        {**MAIL, "CLIENTCERT_SMTP_USERNAME": "operator"},
        MAIL,
    ],
)
def test_a_login_without_a_mail_server(environment):
    """The Secret with the login is optional, and so are its keys (deploy/kustomize/base/deployment.yaml)."""
    settings = load_settings({}, environment)
    assert settings.smtp_host == environment.get("CLIENTCERT_SMTP_HOST", "")
    assert "secret" not in repr(settings)


def test_allowed_recipient_domains():
    environment = {
        "CLIENTCERT_MAIL_DOMAINS": "NHS.example, courts-1.gov.example,",
        "CLIENTCERT_MAIL_NAMESPACES": "integration-api, 1",
        "CLIENTCERT_SLACK_NAMESPACES": "integration-api",
    }
    settings = load_settings({}, environment)
    assert settings.mail_domains == {"nhs.example", "courts-1.gov.example"}
    assert settings.mail_namespaces == {"integration-api", "1"}
    assert settings.slack_namespaces == {"integration-api"}


def test_internationalized_recipient_domains():
    """They are compared in ASCII, as they are sent; either form may be written."""
    settings = load_settings({}, {"CLIENTCERT_MAIL_DOMAINS": "München.example,xn--fsqu00a.xn--0zwm56d,उदाहरण.example"})
    assert settings.mail_domains == {"xn--mnchen-3ya.example", "xn--fsqu00a.xn--0zwm56d", "xn--p1b6ci4b4b3a.example"}


@pytest.mark.parametrize(
    "wrong",
    [
        "@nhs.example; x",
        "nhs.example moj.example",
        "*.nhs.example",
        "jo@nhs.example",
        "x",
        "jo@mün.example",
        "-ü.example",
    ],
)
def test_a_domain_that_matches_nobody(wrong):
    """An invalid domain is refused; the message does not repeat it, because it may be an address."""
    with pytest.raises(SettingsError, match="CLIENTCERT_MAIL_DOMAINS cannot be used: entry 2 of 2 is not") as raised:
        load_settings({}, {"CLIENTCERT_MAIL_DOMAINS": f"moj.example,{wrong}"})
    assert wrong not in raised.value.message.split()


@pytest.mark.parametrize(
    ("environment", "word"),
    [
        ({"CLIENTCERT_PORT": "http"}, "CLIENTCERT_PORT cannot be used: .http. is not a port"),
        ({"CLIENTCERT_PORT": "65536"}, "from 1 to 65535"),
        ({"CLIENTCERT_SLACK_TOKEN": "x"}, "CLIENTCERT_SLACK_CHANNEL"),
        (
            {"CLIENTCERT_SLACK_TOKEN": "x", "CLIENTCERT_SLACK_WEBHOOK_URL": "y", "CLIENTCERT_SLACK_CHANNEL": "#a"},
            "both",
        ),
        ({"CLIENTCERT_SLACK_TOKEN_FILE": "/nowhere"}, "CLIENTCERT_SLACK_TOKEN_FILE"),
        ({"CLIENTCERT_IDENTITY_BUCKETS": "bucket"}, "namespace=bucket/prefix"),
        (
            {"CLIENTCERT_IDENTITY_WRITE_BUCKETS": "bucket"},
            "_IDENTITY_WRITE_BUCKETS: 'bucket' is not namespace=",
        ),
        (
            {"CLIENTCERT_CLUSTER_ISSUERS": "issuer"},
            "_CLUSTER_ISSUERS cannot be used: 'issuer' is not",
        ),
        ({"CLIENTCERT_CLUSTER_ISSUERS": "a=b, *=c"}, "'\\*=c' is not namespace=name"),
        ({"CLIENTCERT_CLUSTER_ISSUERS": "a=B"}, "'a=B' is not namespace=name"),
        ({"CLIENTCERT_CLUSTER_ISSUERS": "a="}, "'a=' is not namespace=name"),
        (
            {"CLIENTCERT_SLACK_NAMESPACES": "Foo Bar"},
            "CLIENTCERT_SLACK_NAMESPACES cannot be used: 'Foo Bar' is not a namespace name",
        ),
        (
            {"CLIENTCERT_MAIL_NAMESPACES": "a;b"},
            "CLIENTCERT_MAIL_NAMESPACES cannot be used: 'a;b' is not a name",
        ),
        ({"CLIENTCERT_SMTP_FROM": "a@example.com"}, "so CLIENTCERT_SMTP_HOST must be"),
        ({"CLIENTCERT_SMTP_HOST": "mail.example"}, "so CLIENTCERT_SMTP_FROM must be"),
        ({**MAIL, "CLIENTCERT_SMTP_PASSWORD": "x"}, "so CLIENTCERT_SMTP_USERNAME must be"),
        ({"CLIENTCERT_X509_METRICS": "maybe"}, "CLIENTCERT_X509_METRICS"),
        ({"CLIENTCERT_CLOCK_OFFSET": "tomorrow"}, "CLIENTCERT_CLOCK_OFFSET"),
        ({"CLIENTCERT_OBSERVE_ONLY": "mostly"}, "CLIENTCERT_OBSERVE_ONLY cannot be used: write true or false"),
        ({"CLIENTCERT_CLUSTER": "x" * 101}, "CLIENTCERT_CLUSTER cannot be used: .* at most 100 printable characters"),
        ({"CLIENTCERT_CLUSTER": "live\nWRONG"}, "CLIENTCERT_CLUSTER cannot be used"),
        ({"CLIENTCERT_CLUSTER": "live\u202eue"}, "CLIENTCERT_CLUSTER cannot be used"),
    ],
)
def test_an_invalid_setting_is_named(environment, word):
    with pytest.raises(SettingsError, match=word):
        load_settings({}, environment)


def test_what_the_operator_is_for():
    """By default it does everything, and its cluster has no name."""
    settings = load_settings({}, {})
    assert (settings.observe_only, settings.cluster) == (False, "")
    settings = load_settings({}, {"CLIENTCERT_OBSERVE_ONLY": "true", "CLIENTCERT_CLUSTER": " Büro 2, live "})
    assert (settings.observe_only, settings.cluster) == (True, "Büro 2, live")


def test_what_the_operator_may_do_for_a_namespace():
    """Nothing by default: both are rights of the operator itself, which a tenant would use."""
    settings = load_settings({}, {})
    assert (settings.identity_write_buckets, settings.cluster_issuers) == ((), frozenset())
    environment = {
        "CLIENTCERT_IDENTITY_WRITE_BUCKETS": "team-a=backup/a, team-b=backup",
        "CLIENTCERT_CLUSTER_ISSUERS": "team-a=clients.example, team-a=others",
    }
    settings = load_settings({}, environment)
    assert settings.identity_write_buckets == ("team-a=backup/a", "team-b=backup")
    assert settings.cluster_issuers == {("team-a", "clients.example"), ("team-a", "others")}


@pytest.mark.parametrize(
    ("name", "prefix"),
    [("", "clientcert"), ("team-a-clientcert-operator", "team-a-clientcert"), ("certificates", "certificates")],
)
def test_the_name_of_the_installation(name, prefix):
    """The names of roles and admission policies begin as in the chart's template `clientcert-operator.prefix`."""
    settings = load_settings({}, {"CLIENTCERT_INSTALLATION": name})
    assert (settings.name_prefix, settings.role("view")) == (prefix, f"{prefix}-view")


def test_an_invalid_name_of_the_installation():
    with pytest.raises(SettingsError, match="CLIENTCERT_INSTALLATION"):
        load_settings({}, {"CLIENTCERT_INSTALLATION": "Team A"})


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, []),
        ({"CLIENTCERT_CLOCK_OFFSET": "1d"}, ["alerts are sent as if it was true"]),
        ({"CLIENTCERT_OBSERVE_ONLY": "true"}, ["OBSERVE ONLY"]),
        (
            {"CLIENTCERT_OBSERVE_ONLY": "true", "CLIENTCERT_CLOCK_OFFSET": "1d"},
            ["no alert is sent", "OBSERVE ONLY", "stays ended"],
        ),
        (
            {"CLIENTCERT_OBSERVE_ONLY": "true", "CLIENTCERT_HEARTBEAT_URL": "https://switch.example/x"},
            ["OBSERVE ONLY", "is not called"],
        ),
    ],
)
def test_the_log_says_what_nobody_expects(environment, said):
    warnings = list(load_settings({}, environment).warnings())
    assert len(warnings) == len(said)
    assert all(words in warning for words, warning in zip(said, warnings, strict=True))
