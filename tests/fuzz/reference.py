"""The rules once more, as short as they can be said: how each request is answered and what is dead afterwards.

Times are milliseconds. Nothing of the package is used, so that no mistake of its own can be found right.
"""

OK, SAME, GRANT, SCOPE, CLIENT = "ok", "the same pair again", "invalid_grant", "invalid_scope", "invalid_client"
ACCESS, IDLE, CAP, RETRY_WINDOW, RETRY_LIMIT = 600_000, 3_600_000, 9_000_000, 30_000, 2


class Party:
    """A user, or an application with its rules."""

    def __init__(self, *, rotates=True, keeps_access_tokens=False, retry_window=0):
        self.active, self.password = True, 0
        self.rotates, self.keeps_access_tokens, self.retry_window = rotates, keeps_access_tokens, retry_window


class Family:
    """A grant, and each access token that it has given out: its generation, its scope and its end."""

    def __init__(self, application, user, start, scope):
        self.application, self.user, self.start, self.scope = application, user, start, scope
        self.password, self.idle = user and user.password, start + (IDLE if user else ACCESS)
        self.generation, self.floor, self.revoked, self.access_tokens = 1, 1, False, []
        self.give_out(start, scope)

    def give_out(self, now, scope):
        self.refreshed, self.retries = now, 0
        self.access_tokens.append((self.generation, scope, min(now + ACCESS, self.idle)))

    def is_over(self, now):
        return self.revoked or now >= self.idle

    def has_barred_user(self):
        return self.user is not None and not (self.user.active and self.user.password == self.password)

    def is_live(self, now):
        return self.application.active and not self.has_barred_user() and not self.is_over(now)

    def is_live_access_token(self, now, number):
        generation, _scope, end = self.access_tokens[number]
        return generation >= self.floor and now < end and self.is_live(now)

    def refresh(self, now, caller, generation, scope):
        if not caller.active:
            return CLIENT
        if caller is not self.application or self.is_over(now):
            return GRANT
        if generation < self.generation:
            return self.present_again(now, generation, scope)
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

    def present_again(self, now, generation, scope):
        if generation < self.generation - 1 or now >= self.refreshed + self.application.retry_window:
            self.revoked = True
            return GRANT
        if self.retries < RETRY_LIMIT and not scope <= self.scope:
            return SCOPE
        if self.retries == RETRY_LIMIT or scope != self.access_tokens[-1][1] or not self.is_live_access_token(now, -1):
            return GRANT
        self.retries += 1
        return SAME

    def revoke(self, caller):
        if not caller.active:
            return CLIENT
        self.revoked = self.revoked or caller is self.application
        return OK if caller is self.application else GRANT


def saved(party, families):
    """A user or application was saved: what is inactive, or has another password now, loses what was begun before."""
    for family in families:
        family.revoked |= party is family.application and not party.active
        family.revoked |= party is family.user and family.has_barred_user()
