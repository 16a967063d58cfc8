"""How the value of a setting is read."""

import logging
from datetime import timedelta

import pytest

from flexmeasures.setting_types import SettingsError
from flexmeasures.settings import SETTINGS

BY_NAME = {setting.name: setting for setting in SETTINGS}


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_defaults_are_of_their_type(setting):
    """Each default, those of environments included, is a value that the setting accepts as it is."""
    for value in (setting.default, *setting.by_environment.values()):
        assert setting.parse(value) == value
    assert setting.meaning.endswith(".")


def test_settings_have_unique_names():
    """No setting is defined twice."""
    assert len(BY_NAME) == len(SETTINGS)


# The defaults that the documentation of 0.4.0 names; where ours differ, the reason stands beside them.
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("LOGGING_LEVEL", logging.WARNING),
        ("FLEXMEASURES_MODE", ""),
        ("FLEXMEASURES_LP_SOLVER", "highs"),  # "cbc" needs a program that must be installed
        ("FLEXMEASURES_HOSTS_AND_AUTH_START", {"flexmeasures.io": "2021-01"}),
        ("FLEXMEASURES_PLUGIN_PATHS", []),
        ("FLEXMEASURES_DB_BACKUP_PATH", "migrations/dumps"),
        ("FLEXMEASURES_PROFILE_REQUESTS", False),
        ("FLEXMEASURES_PLATFORM_NAME", "FlexMeasures"),
        ("FLEXMEASURES_HIDE_NAN_IN_UI", False),
        ("RQ_DASHBOARD_POLL_INTERVAL", 3000),
        ("FLEXMEASURES_TIMEZONE", "Asia/Seoul"),
        ("FLEXMEASURES_PLANNING_TTL", timedelta(days=7)),
        ("FLEXMEASURES_PLANNING_HORIZON", timedelta(hours=48)),
        ("DARK_SKY_API_KEY", None),
        ("MAPBOX_ACCESS_TOKEN", None),
        ("FLEXMEASURES_TASK_CHECK_AUTH_TOKEN", None),
        ("SQLALCHEMY_DATABASE_URI", None),
        (
            "SQLALCHEMY_ENGINE_OPTIONS",
            {"pool_recycle": 299, "pool_pre_ping": True, "connect_args": {"options": "-c timezone=utc"}},
        ),
        ("SECRET_KEY", None),
        ("SECURITY_PASSWORD_SALT", None),
        ("SECURITY_TOKEN_AUTHENTICATION_HEADER", "Authorization"),
        ("SECURITY_TOKEN_MAX_AGE", 60 * 60 * 6),
        ("SECURITY_TRACKABLE", False),
        ("CORS_ORIGINS", []),
        ("CORS_RESOURCES", [r"/api/*"]),
        ("CORS_SUPPORTS_CREDENTIALS", True),
        ("MAIL_SERVER", "localhost"),
        ("MAIL_PORT", 25),
        ("MAIL_USE_TLS", False),
        ("MAIL_USE_SSL", False),
        ("MAIL_USERNAME", None),
        ("MAIL_DEFAULT_SENDER", ("FlexMeasures", "no-reply@example.com")),
        ("MAIL_PASSWORD", None),
        ("FLEXMEASURES_REDIS_URL", None),  # unset means the embedded one
        ("FLEXMEASURES_REDIS_PORT", 6379),
        ("FLEXMEASURES_REDIS_DB_NR", 0),
        ("FLEXMEASURES_REDIS_PASSWORD", None),
    ],
)
def test_defaults_are_the_documented_ones(name, expected):
    """Every setting of the documentation exists, with its default."""
    assert BY_NAME[name].default == expected


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        pytest.param("DEBUG", "true", True, id="truth"),
        pytest.param("MAIL_USE_TLS", "False", False, id="falsehood as Python writes it"),
        pytest.param("MAIL_PORT", "587", 587, id="a number"),
        pytest.param("SECRET_KEY", "12345", "12345", id="a text that looks like a number"),
        pytest.param("FLEXMEASURES_DEMO_YEAR", "null", None, id="nothing, as JSON writes it"),
        pytest.param("FLEXMEASURES_PLUGIN_PATHS", '["/a/b", "/c"]', ["/a/b", "/c"], id="a list as JSON"),
        pytest.param("FLEXMEASURES_PLUGIN_PATHS", "['/a/b']", ["/a/b"], id="a list as Python"),
        pytest.param(
            "FLEXMEASURES_HOSTS_AND_AUTH_START", '{"a.b": "2021-01"}', {"a.b": "2021-01"}, id="a mapping"
        ),
        pytest.param(
            "SQLALCHEMY_ENGINE_OPTIONS", '{"pool_pre_ping": true}', {"pool_pre_ping": True}, id="nested"
        ),
        pytest.param("CORS_ORIGINS", '["https://a.b"]', ["https://a.b"], id="a list where a text would do"),
        pytest.param("CORS_ORIGINS", "*", "*", id="a text where a list would do"),
        pytest.param("MAIL_DEFAULT_SENDER", '["A", "a@b.c"]', ("A", "a@b.c"), id="a pair"),
        pytest.param("FLEXMEASURES_PLANNING_TTL", "P7D", timedelta(days=7), id="a duration in ISO 8601"),
        pytest.param("FLEXMEASURES_PLANNING_HORIZON", "PT36H", timedelta(hours=36), id="hours"),
        pytest.param("FLEXMEASURES_PLANNING_TTL", "3600", timedelta(hours=1), id="seconds as text"),
        pytest.param("FLEXMEASURES_PLANNING_TTL", 3600, timedelta(hours=1), id="seconds"),
        pytest.param("FLEXMEASURES_PLANNING_TTL", "-1", timedelta(seconds=-1), id="forever"),
        pytest.param("LOGGING_LEVEL", "info", logging.INFO, id="a level by name"),
        pytest.param("LOGGING_LEVEL", "20", logging.INFO, id="a level by number"),
        pytest.param(
            "SQLALCHEMY_DATABASE_URI", "postgresql://u:p@h/d", "postgresql://u:p@h/d", id="an address"
        ),
        pytest.param("FLEXMEASURES_REDIS_URL", "localhost", "localhost", id="a host for an address"),
    ],
)
def test_values_are_read_from_text(name, value, expected):
    """What stands in the environment means what it looks like."""
    assert BY_NAME[name].parse(value) == expected


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        pytest.param("MAIL_PORT", "smtp", "'smtp'.*integer", id="a word for a number"),
        pytest.param("DEBUG", "perhaps", "'perhaps'.*boolean", id="a word for a truth"),
        pytest.param("FLEXMEASURES_PLUGIN_PATHS", "/a/b", "'/a/b'.*list", id="a text for a list"),
        pytest.param("FLEXMEASURES_PLANNING_TTL", "a week", "'a week'", id="words for a duration"),
        pytest.param("FLEXMEASURES_TIMEZONE", "Europe/Amsterdm", "Europe/Amsterdam", id="no time zone"),
        pytest.param("LOGGING_LEVEL", "loud", "'loud'.*DEBUG", id="no level"),
        pytest.param("FLEXMEASURES_PUBLIC_DEMO_CREDENTIALS", '["only one"]', "only one", id="half a pair"),
        pytest.param("SQLALCHEMY_DATABASE_URI", "sqlite://", "postgresql://", id="another database"),
        pytest.param("SQLALCHEMY_DATABASE_URI", "my-database", "postgresql://user", id="no address"),
        pytest.param("FLEXMEASURES_REDIS_URL", "http://localhost", "redis://", id="another protocol"),
    ],
)
def test_wrong_values_are_named(name, value, told):
    """A value of a wrong type is refused with the name of the setting, what is wrong and what it means."""
    with pytest.raises(SettingsError, match=f"{name} is set to.*{told}.*It means: ") as refused:
        BY_NAME[name].parse(value)
    assert refused.value.details == {"setting": name}


@pytest.mark.parametrize(
    ("name", "value"), [("SECRET_KEY", 12345), ("SQLALCHEMY_DATABASE_URI", "mysql://u:12345@h/d")]
)
def test_secrets_are_not_shown(name, value):
    """A refused value that is or may hold a secret is not repeated."""
    with pytest.raises(SettingsError) as refused:
        BY_NAME[name].parse(value)
    assert "12345" not in str(refused.value)
