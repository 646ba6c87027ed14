"""The rules once more, as short as they can be said: how each request is answered and what is dead afterwards.

Times are milliseconds. Nothing of the package is used, so that no mistake of its own can be found right.
"""

from dataclasses import dataclass

OK, GRANT, SCOPE, CLIENT = "ok", "invalid_grant", "invalid_scope", "invalid_client"
ACCESS, IDLE, CAP = 600_000, 3_600_000, 9_000_000


@dataclass(eq=False)
class Party:
    """A user, or an application with its rules."""

    active: bool = True
    password: int = 0
    rotates: bool = True
    keeps_access_tokens: bool = False


class Family:
    """A grant, and each access token that it has given out: its generation, its scope and its end."""

    def __init__(self, application, user, start, scope):
        self.application, self.user, self.start, self.scope = application, user, start, scope
        self.password = user and user.password
        self.idle = start + (ACCESS if user is None else IDLE)
        self.generation, self.floor, self.revoked, self.access_tokens = 1, 1, False, []
        self.give_out(start, scope)

    def give_out(self, now, scope):
        self.access_tokens.append((self.generation, scope, min(now + ACCESS, self.idle)))

    def is_over(self, now):
        return self.revoked or now >= self.idle

    def has_other_password(self):
        return self.user is not None and self.user.password != self.password

    def is_live(self, now):
        is_user_active = self.user is None or self.user.active
        return not (self.is_over(now) or self.has_other_password()) and self.application.active and is_user_active

    def is_live_access_token(self, now, number):
        generation, _scope, end = self.access_tokens[number]
        return generation >= self.floor and now < end and self.is_live(now)

    def refresh(self, now, caller, generation, scope):
        if not caller.active:
            return CLIENT
        if caller is not self.application or self.is_over(now):
            return GRANT
        if generation < self.generation:
            self.revoked = True
            return GRANT
        if not self.is_live(now):
            return GRANT
        if not scope <= self.scope:
            return SCOPE
        if self.application.rotates:
            self.generation += 1
            self.idle = min(now + IDLE, self.start + CAP)
            self.floor = self.floor if self.application.keeps_access_tokens else self.generation
        self.give_out(now, scope)
        return OK

    def revoke(self, caller):
        if not caller.active:
            return CLIENT
        self.revoked = self.revoked or caller is self.application
        return OK if caller is self.application else GRANT


def saved(party, families):
    """A user or application was saved: what is inactive, or has another password now, loses what was begun before."""
    for family in families:
        if party is family.application or party is family.user:
            family.revoked |= not party.active or (party is family.user and family.has_other_password())
