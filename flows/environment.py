"""The environment that Prefect reads when it is imported. Import this, export it, and only then import prefect."""

from collections.abc import Mapping

from radloop.settings import Settings


def server_environment(settings: Settings) -> Mapping[str, str]:
    """For every process that holds Prefect, its server too: nothing leaves the machine, and logs stay quiet.

    A log of Prefect's quotes what a flow raised; what matters of it is in our own log, without patient data.
    """
    return {
        "PREFECT_HOME": str(settings.home / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
        "PREFECT_SERVER_EPHEMERAL_ENABLED": "false",
        "PREFECT_LOGGING_LEVEL": "CRITICAL",
        "PREFECT_LOGGING_TO_API_ENABLED": "false",
        "PREFECT_CLI_PROMPT": "false",
    }


def client_environment(settings: Settings, url: str) -> Mapping[str, str]:
    """For a process that calls flows. `url` is the server's base URL.

    Few retries and no handshakes: the server is ours and of the same build, and a flow may not wait for it.
    """
    return {
        **server_environment(settings),
        "PREFECT_API_URL": f"{url}/api",
        "PREFECT_CLIENT_MAX_RETRIES": "1",
        "PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED": "false",
        "PREFECT_CLIENT_CSRF_SUPPORT_ENABLED": "false",
        "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "false",
    }
