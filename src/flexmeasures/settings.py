"""Every setting once: its name, type, default, unit and meaning."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any, Literal

from flexmeasures.setting_types import (
    DatabaseAddress,
    ListenAddress,
    LogLevel,
    Mode,
    MqttAddress,
    NotNegative,
    NotNegativeDuration,
    PositiveDuration,
    PositiveNumber,
    Rate,
    RedisAddress,
    Setting,
    ZoneName,
)

__all__ = ["SETTINGS"]


_MAIL_SENDER = ("FlexMeasures", "no-reply@example.com")

SETTINGS: tuple[Setting, ...] = (
    # Basic functionality
    Setting("DEBUG", bool, False, "Whether Flask shows its debugger.", {"development": True}),
    Setting(
        "LOGGING_LEVEL",
        LogLevel,
        logging.WARNING,
        "Level from which messages are logged, as a number or a name of the logging package.",
        {"production": logging.ERROR, "development": logging.DEBUG, "testing": logging.INFO},
    ),
    Setting(
        "FLEXMEASURES_MODE",
        Mode,
        "",
        'Extra behaviour: "demo" or "play", see the page about modes.',
        {"development": "development", "testing": "test"},
    ),
    Setting(
        "FLEXMEASURES_LP_SOLVER",
        str,
        "highs",
        'Solver for schedules: "highs" works in process, any other name is the command of a solver.',
    ),
    Setting(
        "FLEXMEASURES_HOSTS_AND_AUTH_START",
        dict[str, str],
        {"flexmeasures.io": "2021-01"},
        "Domains on which the platform runs, each with the month (YYYY-MM) since when it has its owner.",
    ),
    Setting("FLEXMEASURES_PLUGIN_PATHS", list[str], [], "Absolute paths of plugin folders."),
    Setting(
        "FLEXMEASURES_INSTALLED_PLUGINS",
        list[str] | None,
        None,
        "Names of the plugins installed with pip that are loaded; unset: all of them, empty: none.",
    ),
    Setting(
        "FLEXMEASURES_DB_BACKUP_PATH",
        str,
        "migrations/dumps",
        "Folder for backups made with `flexmeasures db-ops save`.",
    ),
    Setting(
        "FLEXMEASURES_PROFILE_REQUESTS",
        bool,
        False,
        "Whether to log how long each request takes.",
        {"development": True},
    ),
    Setting(
        "FLEXMEASURES_INSTANCE_PATH",
        str | None,
        None,
        "Folder for the embedded data, the configuration and the logs; read from the environment only.",
    ),
    Setting(
        "FLEXMEASURES_FORCE_HTTPS",
        bool,
        True,
        "Whether plain HTTP is sent on to HTTPS; never for localhost, nor in debug mode.",
        {"documentation": False, "development": False, "testing": False},
    ),
    Setting(
        "FLEXMEASURES_TRUSTED_PROXIES",
        int,
        0,
        "Number of reverse proxies in front of the server whose X-Forwarded headers are believed.",
    ),
    Setting(
        "FLEXMEASURES_MAX_VALUES_PER_REQUEST",
        int,
        1_000_000,
        "Largest number of values that one request may post or ask for.",
    ),
    Setting(
        "FLEXMEASURES_ACCESS_LOG",
        str,
        "logs/access.log",
        "Where each request is noted: a file (in the instance folder), - for standard output; empty: nowhere.",
        {"testing": ""},
    ),
    Setting(
        "FLEXMEASURES_LOG_FORMAT",
        Literal["text", "json"],
        "text",
        "How messages are logged: as text for people, or as json, one object a line with ids of requests and jobs.",
    ),
    Setting(
        "FLEXMEASURES_METRICS",
        bool,
        False,
        "Whether requests, jobs and beliefs are counted, and /metrics shows the figures in the format of Prometheus.",
    ),
    Setting(
        "FLEXMEASURES_METRICS_TOKEN",
        str | None,
        None,
        "The bearer token that /metrics asks for; unset: anybody who reaches it may read the figures.",
    ),
    Setting(
        "SENTRY_DSN",
        str | None,
        None,
        "Where errors are told, as Sentry writes it (package extra `sentry`); unset: nowhere.",
    ),
    Setting(
        "FLEXMEASURES_SENTRY_CONFIG",
        dict[str, Any],
        {},
        "Further options of sentry_sdk.init, such as traces_sample_rate.",
    ),
    Setting(
        "FLEXMEASURES_OPENTELEMETRY_URL",
        str | None,
        None,
        "OpenTelemetry collector to which traces of requests and jobs are sent, by OTLP over HTTP, such as "
        "http://localhost:4318 (package extra `opentelemetry`); unset: none.",
    ),
    Setting("MAX_CONTENT_LENGTH", int, 32 * 1024 * 1024, "Largest body of a request [bytes]."),
    # UI
    Setting("FLEXMEASURES_PLATFORM_NAME", str, "FlexMeasures", "Name used in headings."),
    Setting("FLEXMEASURES_HIDE_NAN_IN_UI", bool, False, 'Whether to hide "nan" in tables of metrics.'),
    Setting("RQ_DASHBOARD_POLL_INTERVAL", int, 3000, "How often the page of job queues refreshes [ms]."),
    Setting(
        "FLEXMEASURES_LISTED_VIEWS",
        list[str],
        ["dashboard", "analytics", "portfolio", "assets", "users"],
        "Views listed in the menu.",
    ),
    Setting(
        "FLEXMEASURES_JS_VERSIONS",
        dict[str, str],
        {"vega": "5", "vegaembed": "6.17.0", "vegalite": "5.0.0"},
        "Versions of the chart libraries named in chart specifications.",
    ),
    # Timing
    Setting("FLEXMEASURES_TIMEZONE", ZoneName, "Asia/Seoul", "Time zone in which the platform operates."),
    Setting(
        "FLEXMEASURES_PLANNING_TTL",
        timedelta,
        timedelta(days=7),
        "How long the outcome of a scheduling job is kept; negative: forever.",
    ),
    Setting(
        "FLEXMEASURES_PLANNING_HORIZON", timedelta, timedelta(hours=48), "How far ahead schedules are made."
    ),
    # Schedules
    Setting(
        "FLEXMEASURES_SCHEDULING_TIME_LIMIT",
        PositiveDuration,
        timedelta(seconds=20),
        "How long a schedule may take to compute; then the best one found is used, with its gap.",
    ),
    Setting(
        "FLEXMEASURES_SCHEDULING_GAP",
        NotNegative,
        1e-6,
        "Proven distance from the lowest cost at which to stop, as a share of the cost; for schedules with choices.",
    ),
    Setting(
        "FLEXMEASURES_PREFER_CHARGING_SOONER",
        bool,
        True,
        "Whether to charge early and discharge late among equal prices, where a flex model does not say.",
    ),
    Setting(
        "FLEXMEASURES_REPLANNING_PRICE",
        NotNegative,
        0.0,
        "What must be gained by a change of the previous schedule [currency/MWh], where a flex model does not say.",
    ),
    Setting(
        "FLEXMEASURES_DEVIATION_PRICE",
        NotNegative,
        1000.0,
        "What deviating from an ordered activation is taken to cost when schedules are made [currency/MWh].",
    ),
    Setting(
        "FLEXMEASURES_SCHEDULES_KEPT",
        PositiveNumber,
        50,
        "How many schedules of an asset are kept with their value and reasons; older ones are deleted.",
    ),
    Setting(
        "FLEXMEASURES_SUPERSEDED_KEPT",
        PositiveDuration,
        timedelta(days=30),
        "How far back `flexmeasures db-ops thin` leaves everything as it was believed. Before that it deletes what "
        "schedulers and forecasters said and had superseded.",
    ),
    Setting(
        "FLEXMEASURES_THIN_EVERY",
        PositiveDuration | None,
        timedelta(days=1),
        "How often workers do the same by themselves, in steps of some seconds beside other jobs; None: never.",
    ),
    Setting(
        "FLEXMEASURES_QUEUE_WARNING",
        PositiveNumber,
        10_000,
        "From so many waiting jobs in a queue on, the log says so once a minute.",
    ),
    Setting(
        "FLEXMEASURES_QUEUE_LIMIT",
        PositiveNumber,
        100_000,
        "So many forecasts wait at most; then the oldest are dropped, and the log says so. Schedules never are.",
    ),
    Setting(
        "FLEXMEASURES_TRUSTED_ROLES",
        dict[str, list[str]],
        {},
        'Roles whose prices count in plans, by market, such as {"epex_da": ["Supplier"]}; a market that is not named '
        "trusts Aggregator, Supplier, MDC, DSO and ESCo. Programs, admins and the owner of an asset always count.",
    ),
    # Forecasts
    Setting(
        "FLEXMEASURES_FORECASTER",
        str,
        "ensemble",
        "The model of forecasts: ensemble, recent-days, linear-OLS (as in version 0.4), naive, or a plugin's.",
    ),
    Setting(
        "FLEXMEASURES_FORECAST_PAST",
        NotNegativeDuration | None,
        None,
        "Posts are not answered with forecasts of events that ended longer ago than this; None: with all of them.",
    ),
    Setting(
        "FLEXMEASURES_HOLIDAYS",
        str | None,
        None,
        "Whose public holidays forecasts know, such as NL or DE-BW; an asset's attribute country comes before it.",
    ),
    Setting(
        "FLEXMEASURES_CLOCK_TOLERANCE",
        NotNegativeDuration,
        timedelta(minutes=1),
        "How far the clock of a sender may be ahead; what claims to be recorded later is refused.",
    ),
    Setting(
        "FLEXMEASURES_UDI_EVENT_AHEAD",
        PositiveDuration,
        timedelta(days=20 * 365),
        "How far ahead the state of charge of a UDI event may lie; later ones are refused.",
    ),
    # Tokens
    Setting(
        "OPEN_METEO_URL",
        str,
        "https://api.open-meteo.com",
        "Where `flexmeasures add external-weather-forecasts` asks; any service with the JSON format of Open-Meteo.",
    ),
    Setting(
        "OPEN_METEO_API_KEY",
        str | None,
        None,
        "Key of a customer of that service; it may be asked without one.",
    ),
    Setting("DARK_SKY_API_KEY", str | None, None, "Token for the DarkSky weather service."),
    Setting("MAPBOX_ACCESS_TOKEN", str | None, None, "Token for maps by MapBox."),
    Setting(
        "FLEXMEASURES_TASK_CHECK_AUTH_TOKEN",
        str | None,
        None,
        "Token with which other services may ask when recurring tasks last ran.",
    ),
    # Coordination
    Setting(
        "FLEXMEASURES_OPENADR_CLIENTS",
        dict[str, dict[str, Any]],
        {},
        "Clients of coordination that need not be added: by id, each with secret and, if wanted, role (bl or ven), "
        "scopes and environment (sandbox or production).",
    ),
    Setting(
        "FLEXMEASURES_ELIGIBILITY_INTERVAL",
        PositiveDuration,
        timedelta(minutes=10),
        "For how long changes of eligibility are gathered before a partner is told of them at once.",
    ),
    # Monitoring
    Setting(
        "FLEXMEASURES_MONITORING_INTERVAL",
        NotNegativeDuration,
        timedelta(minutes=15),
        "How often a worker looks for what needs attention in measurements; zero: never.",
        {"testing": timedelta(0)},
    ),
    Setting(
        "FLEXMEASURES_MAIL_ALERTS",
        bool,
        False,
        "Whether owners of assets are told of new alerts by mail, see the settings `MAIL_...`.",
    ),
    # Database
    Setting(
        "SQLALCHEMY_DATABASE_URI",
        DatabaseAddress | None,
        None,
        "The PostgreSQL database, as postgresql://<user>:<password>@<host>[:<port>]/<db>; unset: the embedded one.",
    ),
    Setting(
        "SQLALCHEMY_ENGINE_OPTIONS",
        dict[str, Any],
        {"pool_recycle": 299, "pool_pre_ping": True, "connect_args": {"options": "-c timezone=utc"}},
        "Options of the SQLAlchemy engine.",
    ),
    Setting("SQLALCHEMY_TRACK_MODIFICATIONS", bool, False, "Whether Flask-SQLAlchemy signals changes."),
    # Security
    Setting(
        "SECRET_KEY",
        str | None,
        None,
        "Signs sessions and tokens. With the embedded database one is made and kept in the instance folder.",
    ),
    Setting("SECURITY_PASSWORD_SALT", str | None, None, "Extra salt of passwords; unset: SECRET_KEY."),
    Setting("SECURITY_PASSWORD_HASH", str, "bcrypt", "How passwords are hashed."),
    Setting(
        "SECURITY_TOKEN_AUTHENTICATION_HEADER", str, "Authorization", "The header that carries the token."
    ),
    Setting("SECURITY_TOKEN_MAX_AGE", int, 6 * 60 * 60, "How long a token is valid [s]."),
    Setting(
        "FLEXMEASURES_LOGIN_RATE_LIMIT",
        Rate,
        "10 per minute",
        "How often logging in may fail, by client address and account, and five times as often by address alone; "
        "empty: as often as anybody likes.",
        {"testing": ""},
    ),
    Setting(
        "FLEXMEASURES_API_RATE_LIMIT",
        Rate,
        "",
        'How often a user (or address without one) may ask the API, like "100 per second"; empty: no limit.',
    ),
    Setting(
        "FLEXMEASURES_OIDC_ISSUER", str, "", "OpenID Connect issuer whose JWTs are accepted; empty: none."
    ),
    Setting("FLEXMEASURES_OIDC_AUDIENCE", str, "flexmeasures", "The audience that its tokens must be for."),
    Setting("FLEXMEASURES_OIDC_JWKS_URL", str, "", "Where its keys are; empty: as its discovery says."),
    Setting("FLEXMEASURES_OIDC_USER_CLAIM", str, "preferred_username", "The claim that names the user."),
    Setting("SECURITY_TRACKABLE", bool, False, "Whether Flask-Security keeps its own login statistics."),
    Setting("SECURITY_REGISTERABLE", bool, False, "Whether anybody may register."),
    Setting("SECURITY_RECOVERABLE", bool, True, "Whether users may reset a forgotten password."),
    Setting(
        "SECURITY_EMAIL_SUBJECT_PASSWORD_RESET",
        str,
        "FlexMeasures: Password reset instructions",
        "Subject of the mail with the link for a new password.",
    ),
    Setting(
        "SECURITY_EMAIL_SUBJECT_PASSWORD_NOTICE",
        str,
        "FlexMeasures: Your password has been reset",
        "Subject of the mail which says that the password has changed.",
    ),
    Setting("CORS_ORIGINS", list[str] | str, [], 'Origins that may call the API from a browser; "*": all.'),
    Setting("CORS_RESOURCES", list[str] | str | dict[str, Any], [r"/api/*"], "What other origins may call."),
    Setting("CORS_SUPPORTS_CREDENTIALS", bool, True, "Whether other origins may send cookies."),
    # Mail
    Setting("MAIL_SERVER", str, "localhost", "Host of the mail server."),
    Setting("MAIL_PORT", int, 25, "Port of the mail server."),
    Setting("MAIL_USE_TLS", bool, False, "Whether to start TLS with the mail server."),
    Setting("MAIL_USE_SSL", bool, False, "Whether to talk TLS with the mail server from the start."),
    Setting("MAIL_USERNAME", str | None, None, "Login at the mail server."),
    Setting("MAIL_DEFAULT_SENDER", tuple[str, str] | str, _MAIL_SENDER, "Shown name and address of senders."),
    Setting("MAIL_PASSWORD", str | None, None, "Password at the mail server."),
    # Redis
    Setting(
        "FLEXMEASURES_REDIS_URL",
        RedisAddress | None,
        None,
        'Host (documented default "localhost") or URL of the Redis or Valkey server; unset: the embedded one.',
    ),
    Setting("FLEXMEASURES_REDIS_PORT", int, 6379, "Port of the Redis server."),
    Setting("FLEXMEASURES_REDIS_DB_NR", int, 0, "Number of the Redis database, 0 to 15."),
    Setting("FLEXMEASURES_REDIS_PASSWORD", str | None, None, "Password of the Redis server."),
    # Streams
    Setting(
        "FLEXMEASURES_OPENADR_ECHO",
        bool,
        True,
        "Whether callbacks of OpenADR 3.1.0 in the sandbox must repeat the value of `echo`, as the standard has it. "
        "Set to False for clients that cannot; in production they always must.",
    ),
    Setting(
        "FLEXMEASURES_STREAMS_ADDRESS",
        ListenAddress,
        "127.0.0.1:5001",
        "Where `flexmeasures streams` listens for WebSocket, as host:port; port 0: a free one.",
    ),
    Setting(
        "FLEXMEASURES_STREAMS_CONNECTIONS",
        PositiveNumber,
        2000,
        "How many connections it keeps open at once, and a tenth of that for one client; more are refused with 503.",
    ),
    Setting(
        "FLEXMEASURES_MQTT_BROKER_URL",
        MqttAddress | None,
        None,
        "The MQTT broker to which notifications are published, as mqtt[s]://[user:password@]host[:port]; unset: none.",
    ),
    Setting(
        "FLEXMEASURES_MQTT_URIS",
        list[str],
        [],
        "Addresses of the broker that clients are told; empty: that of FLEXMEASURES_MQTT_BROKER_URL without password.",
    ),
    Setting(
        "FLEXMEASURES_MQTT_AUTHENTICATION",
        Literal["ANONYMOUS", "OAUTH2_BEARER_TOKEN", "CERTIFICATE"],
        "ANONYMOUS",
        "How clients log in to the broker; with a token the client id is their user name, and the token the password.",
    ),
    Setting(
        "FLEXMEASURES_MQTT_CERTIFICATES",
        dict[str, str],
        {},
        "Files in PEM: `ca` of the broker, `certificate` and `key` for our own login, `client_certificate` and "
        "`client_key` for clients.",
    ),
    Setting(
        "FLEXMEASURES_CALLBACK_URL",
        str | None,
        None,
        "Address at which upstreams reach the web server, such as https://flex.example.com: they are asked to tell of "
        "changes by webhook; unset: they are asked for them only.",
    ),
    Setting(
        "FLEXMEASURES_MDNS_URL",
        str | None,
        None,
        "Address of the web server in the local network, announced there by mDNS (package extra `mdns`); unset: not.",
    ),
    # Demonstrations
    Setting(
        "FLEXMEASURES_PUBLIC_DEMO_CREDENTIALS",
        tuple[str, str] | None,
        None,
        "E-mail address and password shown on the login page in demo mode.",
    ),
    Setting(
        "FLEXMEASURES_DEMO_YEAR", int | None, None, "Year whose data are shown as if current in demo mode."
    ),
    Setting("JSONIFY_PRETTYPRINT_REGULAR", bool, False, "Whether JSON is indented.", {"development": True}),
)
