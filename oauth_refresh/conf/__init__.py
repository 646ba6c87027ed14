"""The project's ``OAUTH_REFRESH`` dict, read late and typed: one attribute per key."""

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any

from django.conf import settings as django_settings

from oauth_refresh.conf.receivers import Receiver, alarm_recipients, receivers
from oauth_refresh.conf.values import (
    Resource,
    Setting,
    boolean,
    callables,
    count,
    duration,
    host_names,
    lifetime,
    names,
    optional_boolean,
    optional_callable,
    optional_lifetime,
    optional_rate,
    optional_text,
    resources,
    scheme_names,
    scope_texts,
    token_prefix,
)


def user_settings() -> Mapping[str, Any]:
    """Return the project's own dict, as written; nothing if it is not a dict, which a check reports."""
    configured = getattr(django_settings, "OAUTH_REFRESH", {})
    return configured if isinstance(configured, Mapping) else {}


class AppSettings:
    """Every key that ``OAUTH_REFRESH`` may hold. Read attributes of the one instance, ``conf.app_settings``."""

    access_token_lifetime = Setting(timedelta(hours=1), lifetime, "How long an access token is valid.")
    refresh_token_lifetime = Setting(
        timedelta(days=14),
        lifetime,
        "How long a refresh token may stay unused (idle limit); each rotation restarts it.",
    )
    grant_lifetime = Setting[timedelta | None](
        timedelta(days=90),
        optional_lifetime,
        "How long a grant may last in all, however often it is refreshed; None: no limit.",
    )
    remember_consent = Setting(
        True,
        boolean,
        "Whether users with an active grant are not asked again for the same scopes, until the redirect URIs change.",
    )
    allow_localhost_ports = Setting(
        False, boolean, "Whether http://localhost matches on any port, as the addresses 127.0.0.1 and [::1] always do."
    )
    redirect_schemes = Setting[tuple[str, ...]](
        (), scheme_names, "Schemes of redirect URIs that have no period, such as cursor in cursor://callback."
    )
    code_lifetime = Setting(
        timedelta(seconds=60), lifetime, "How long an authorization code may wait for its redemption."
    )
    rotate_refresh_tokens = Setting(
        True, boolean, "Whether a refresh spends the refresh token. Public applications always rotate."
    )
    revoke_on_reuse = Setting(
        True, boolean, "Whether a spent refresh token that is used again revokes the whole grant."
    )
    retry_window = Setting(
        timedelta(0),
        duration,
        "How long a spent refresh token is answered with the current pair, and the old access token accepted; 0: no.",
    )
    retry_limit = Setting(20, count, "How many spent refresh tokens are answered between two refreshes.")
    revoke_access_tokens_on_refresh = Setting(
        True, boolean, "Whether a rotation revokes the access token that came with the spent refresh token."
    )
    revoke_grant_with_access_token = Setting(
        True, boolean, "Whether revoking an access token revokes its whole grant, or that token alone."
    )
    revoke_on_password_change = Setting(True, boolean, "Whether a changed password revokes the user's grants.")
    grant_types = Setting[tuple[str, ...]](
        ("authorization_code", "client_credentials", "refresh_token"),
        names,
        "The grant types this server offers at all.",
    )
    refresh_token_grant_types = Setting[tuple[str, ...]](
        ("authorization_code", "password", "jwt-bearer"), names, "The grant types that yield a refresh token."
    )
    scopes = Setting[Mapping[str, str]]({}, scope_texts, "Scope name to the text that a user reads.")
    default_scopes = Setting[tuple[str, ...]]((), names, "Granted when none is named; empty: the application's list.")
    resources = Setting[Mapping[str, Resource]](
        {}, resources, "Identifiers of the APIs that tokens are issued for (RFC 8707), each with its name and scopes."
    )
    scope_policy = Setting[Callable[..., Any] | None](
        None,
        optional_callable,
        "Callable (user, application, scopes): the scopes that the user may grant now; asked again at each refresh.",
    )
    token_response_fields = Setting[Callable[..., Any] | None](
        None, optional_callable, "Callable (grant, grant_type): a dict of further members of the token response."
    )
    introspection_fields = Setting[Callable[..., Any] | None](
        None, optional_callable, "Callable (token): a dict of further members of the answer about an active token."
    )
    issuer = Setting[str | None](None, optional_text, "The issuer URL of this server.")
    clock_skew = Setting(timedelta(seconds=30), duration, "How far the clocks of other parties may differ from ours.")
    assertion_lifetime = Setting(timedelta(hours=1), lifetime, "How far ahead an assertion may expire.")
    accept_token_endpoint_as_audience = Setting(
        False,
        boolean,
        "Whether a client assertion may name the token endpoint as audience, as before draft-ietf-oauth-rfc7523bis.",
    )
    jwks_cache_lifetime = Setting(timedelta(minutes=10), lifetime, "How long a fetched key set is used.")
    jwks_allow_private_addresses = Setting(
        False, boolean, "Whether key sets and metadata documents may be fetched from private addresses."
    )
    client_id_metadata_documents = Setting(
        False,
        boolean,
        "Whether an https URL may be a client ID: the metadata document there describes the application.",
    )
    client_id_metadata_hosts = Setting[tuple[str, ...] | None](
        None, host_names, "The hosts whose metadata documents are accepted, without port; None: any."
    )
    openid_configuration_alias = Setting(
        False, boolean, "Whether /.well-known/openid-configuration answers with the server metadata, too."
    )
    revocation_receivers = Setting[tuple[Receiver, ...]](
        (), receivers, "Where revocations are posted by oauth_push_revocations, and the secret that signs each post."
    )
    foreign_tokens = Setting[tuple[Callable[[str], object], ...]](
        (),
        callables,
        "Importers, called with a token of another server that is presented here, to move its session to this one.",
    )
    alarm_recipients = Setting[tuple[str, ...] | Callable[..., Any]](
        (), alarm_recipients, "Whom oauth_report_alarms tells of alarms: mail addresses, or a callable (events)."
    )
    alarm_interval = Setting(timedelta(minutes=15), duration, "How long after a report of alarms the next may follow.")
    mail_users_on_alarm = Setting(
        False, boolean, "Whether oauth_report_alarms also tells the users whose grants an alarm ended, by mail."
    )
    require_https = Setting[bool | None](None, optional_boolean, "Whether plain http is refused; default: not DEBUG.")
    failure_rate = Setting[str | None](
        "20/min",
        optional_rate,
        "How many wrong secrets or passwords one address may send for one client or user; None: no limit.",
    )
    num_proxies = Setting(0, count, "How many trusted proxies append to X-Forwarded-For; 0: the header is not read.")
    record_client_info = Setting(True, boolean, "Whether address and user agent are stored with grants and refreshes.")
    authorization_code_prefix = Setting("oac_", token_prefix, "What every authorization code begins with.")
    access_token_prefix = Setting(
        "oat_", token_prefix, "What every access token begins with (secret scanners key on it)."
    )
    refresh_token_prefix = Setting("ort_", token_prefix, "What every refresh token begins with.")

    @property
    def https_is_required(self) -> bool:
        return not django_settings.DEBUG if self.require_https is None else self.require_https

    @staticmethod
    def declared() -> Iterator[Setting[Any]]:
        """Yield every setting there is."""
        return (member for member in vars(AppSettings).values() if isinstance(member, Setting))


app_settings = AppSettings()
