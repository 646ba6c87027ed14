"""One factory per model. ``raw_*`` parameters are the secrets; the rows hold their digests."""

import uuid
from datetime import timedelta

import factory
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import make_password
from django.utils import timezone

from oauth_refresh import crypto
from oauth_refresh.models import (
    AccessToken,
    Application,
    AuthMethod,
    AuthorizationCode,
    Grant,
    GrantEvent,
    RefreshToken,
    RevocationNotice,
    RevocationReason,
    RevocationReceiver,
    TrustedIssuer,
    UsedAssertion,
    password_fingerprints,
)

PASSWORD = "correct horse battery staple"
SECRET = "a-client-secret-of-more-than-22-characters"


class UserFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = get_user_model()

    class Params:
        raw_password = PASSWORD

    username = factory.Sequence(lambda n: f"user{n}")
    password = factory.LazyAttribute(lambda o: make_password(o.raw_password))


class ApplicationFactory(factory.django.DjangoModelFactory):
    """A confidential application that may do everything; ``public`` for one without a secret."""

    class Meta:
        model = Application

    class Params:
        raw_secret = factory.Sequence(lambda n: f"application-secret-{n:032}")
        public = factory.Trait(
            auth_method=AuthMethod.NONE, secret_digest="", grant_types="authorization_code password refresh_token"
        )

    client_id = factory.Sequence(lambda n: f"client{n:08}")
    name = factory.Sequence(lambda n: f"Application {n}")
    secret_digest = factory.LazyAttribute(lambda o: crypto.digest(o.raw_secret))
    grant_types = "authorization_code client_credentials password refresh_token"


class GrantFactory(factory.django.DjangoModelFactory):
    """A grant that has just been started; ``refreshed`` once more, ``expired``, ``revoked``."""

    class Meta:
        model = Grant

    class Params:
        revoked = factory.Trait(
            revoked_at=factory.LazyFunction(timezone.now),
            revoked_reason=RevocationReason.STAFF_REQUEST,
            revocation_id=factory.LazyFunction(uuid.uuid4),
        )
        expired = factory.Trait(
            created_at=factory.LazyFunction(lambda: timezone.now() - timedelta(days=30)),
            idle_expires_at=factory.LazyFunction(lambda: timezone.now() - timedelta(days=16)),
        )
        refreshed = factory.Trait(generation=2, access_floor=2, refreshed_at=factory.LazyFunction(timezone.now))
        without_user = factory.Trait(user=None, grant_type="client_credentials")

    application = factory.SubFactory(ApplicationFactory)
    user = factory.SubFactory(UserFactory)
    grant_type = "password"
    scope = "notes:read notes:write"
    generation = 1
    access_floor = 1
    created_at = factory.LazyFunction(timezone.now)
    idle_expires_at = factory.LazyAttribute(lambda o: o.created_at + timedelta(days=14))
    expires_at = factory.LazyAttribute(lambda o: o.created_at + timedelta(days=90))
    password_fingerprint = factory.LazyAttribute(lambda o: next(password_fingerprints(o.user), ""))


class RefreshTokenFactory(factory.django.DjangoModelFactory):
    """The refresh token of its grant's generation; ``spent``: the one before, of a grant that was refreshed."""

    class Meta:
        model = RefreshToken

    class Params:
        raw = factory.LazyAttribute(
            lambda o: crypto.mint_refresh_token(
                public_id=o.grant.public_id, generation=o.generation, mac_key=bytes(o.grant.mac_key), prefix="ort_"
            )
        )
        spent = factory.Trait(grant=factory.SubFactory(GrantFactory, refreshed=True), generation=1)
        expired = factory.Trait(
            created_at=factory.LazyFunction(lambda: timezone.now() - timedelta(days=20)),
            expires_at=factory.LazyFunction(lambda: timezone.now() - timedelta(days=6)),
        )

    grant = factory.SubFactory(GrantFactory)
    generation = factory.SelfAttribute("grant.generation")
    digest = factory.LazyAttribute(lambda o: crypto.digest(o.raw))
    created_at = factory.SelfAttribute("grant.created_at")
    expires_at = factory.SelfAttribute("grant.idle_expires_at")


class AccessTokenFactory(factory.django.DjangoModelFactory):
    """A live access token of its grant; ``expired``, ``revoked``."""

    class Meta:
        model = AccessToken

    class Params:
        raw = factory.LazyFunction(lambda: crypto.mint_opaque_token(prefix="oat_"))
        expired = factory.Trait(
            created_at=factory.LazyFunction(lambda: timezone.now() - timedelta(hours=2)),
            expires_at=factory.LazyFunction(lambda: timezone.now() - timedelta(hours=1)),
        )
        revoked = factory.Trait(revoked_at=factory.LazyFunction(timezone.now))

    grant = factory.SubFactory(GrantFactory)
    generation = factory.SelfAttribute("grant.generation")
    digest = factory.LazyAttribute(lambda o: crypto.digest(o.raw))
    scope = factory.SelfAttribute("grant.scope")
    created_at = factory.SelfAttribute("grant.created_at")
    expires_at = factory.LazyAttribute(lambda o: o.created_at + timedelta(hours=1))


class GrantEventFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = GrantEvent

    grant = factory.SubFactory(GrantFactory)
    kind = GrantEvent.Kind.REUSED
    generation = 1


class AuthorizationCodeFactory(factory.django.DjangoModelFactory):
    """A code still out, of a grant that is not started."""

    class Meta:
        model = AuthorizationCode

    class Params:
        raw = factory.LazyFunction(lambda: crypto.mint_opaque_token(prefix="oac_"))

    grant = factory.SubFactory(
        GrantFactory,
        grant_type="authorization_code",
        generation=0,
        access_floor=0,
        idle_expires_at=factory.LazyAttribute(lambda o: o.created_at + timedelta(seconds=60)),
    )
    digest = factory.LazyAttribute(lambda o: crypto.digest(o.raw))
    redirect_uri = "https://app.example/callback"
    created_at = factory.SelfAttribute("grant.created_at")


class TrustedIssuerFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = TrustedIssuer

    issuer = factory.Sequence(lambda n: f"https://issuer{n}.example")
    jwks = factory.LazyFunction(lambda: {"keys": []})


class UsedAssertionFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = UsedAssertion

    digest = factory.Sequence(lambda n: crypto.digest(f"assertion {n}"))
    expires_at = factory.LazyFunction(timezone.now)


class RevocationNoticeFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = RevocationNotice

    class Params:
        settled = factory.Trait(created_at=factory.LazyFunction(lambda: timezone.now() - timedelta(minutes=1)))

    grant_id = factory.LazyFunction(uuid.uuid4)


class RevocationReceiverFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = RevocationReceiver

    class Params:
        url = factory.Sequence(lambda n: f"https://gateway-{n}.example/purge")

    url_digest = factory.LazyAttribute(lambda row: crypto.digest(row.url))
