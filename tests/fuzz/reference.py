"""The rules once more, as short as possible: how each request is answered, and which tokens are valid afterwards.

Times are milliseconds. Nothing of the package is used, so that a mistake in it is not repeated here.
"""

OK, SAME, GRANT, SCOPE, CLIENT = "ok", "the current pair again", "invalid_grant", "invalid_scope", "invalid_client"
WAIT, MOST_SLOTS = "temporarily_unavailable", 8
ACCESS, IDLE, CAP, RETRY_WINDOW, RETRY_LIMIT = 600_000, 3_600_000, 9_000_000, 30_000, 2


class Actor:
    """A user, or an application with its settings."""

    def __init__(self, *, rotates=True, keeps_access_tokens=False, retry_window=0):
        self.active, self.password = True, 0
        self.rotates, self.keeps_access_tokens, self.retry_window = rotates, keeps_access_tokens, retry_window


class Family:
    """A grant, and each access token that was issued for it: its generation, its scope and when it expires.

    ``spent``: when each generation was spent; ``slots``: those of which a salt is stored.
    """

    def __init__(self, application, user, start, scope):
        self.application, self.user, self.start, self.scope = application, user, start, scope
        self.password, self.idle = user and user.password, start + (IDLE if user else ACCESS)
        self.generation, self.floor, self.revoked, self.access_tokens = 1, 1, False, []
        self.spent, self.slots = {}, []
        self.issue(start, scope)

    def issue(self, now, scope):
        self.refreshed, self.retries = now, 0
        self.access_tokens.append((self.generation, scope, min(now + ACCESS, self.idle)))

    def has_ended(self, now):
        return self.revoked or now >= self.idle

    def has_blocked_user(self):
        return self.user is not None and not (self.user.active and self.user.password == self.password)

    def is_live(self, now):
        return self.application.active and not self.has_blocked_user() and not self.has_ended(now)

    def is_live_access_token(self, now, number):
        generation, _scope, end = self.access_tokens[number]
        return (generation >= self.floor or self.has_open_slot(now, generation)) and now < end and self.is_live(now)

    def has_open_slot(self, now, generation):
        return generation in self.slots and now < self.spent[generation] + self.application.retry_window

    def refresh(self, now, caller, generation, scope):
        if not caller.active:
            return CLIENT
        if caller is not self.application or self.has_ended(now):
            return GRANT
        if generation < self.generation:
            return self.present_spent_token(now, generation, scope)
        if not self.is_live(now):
            return GRANT
        if scope and not scope <= self.scope:
            return SCOPE
        if self.application.rotates:
            self.spent[self.generation] = now
            kept = [*(slot for slot in self.slots if self.has_open_slot(now, slot)), self.generation]
            self.slots = kept[-MOST_SLOTS:] if self.application.retry_window else []
            self.generation += 1
            self.idle = min(now + IDLE, self.start + CAP)
            self.floor = self.floor if self.application.keeps_access_tokens else self.generation
        self.issue(now, scope or self.scope)
        return OK

    def present_spent_token(self, now, generation, scope):
        if now >= self.spent[generation] + self.application.retry_window:
            was_told_to_wait = generation in self.slots and self.retries == RETRY_LIMIT
            self.revoked = self.revoked or not was_told_to_wait
            return GRANT
        if self.retries == RETRY_LIMIT and not self.has_blocked_user():
            return WAIT
        if generation not in self.slots or not self.is_live_access_token(now, -1):
            return GRANT
        if scope and scope != self.access_tokens[-1][1]:
            return GRANT if scope <= self.scope else SCOPE
        self.retries += 1
        return SAME

    def prune(self, now):
        self.slots = self.slots if now <= self.refreshed + RETRY_WINDOW else []

    def revoke(self, caller):
        if not caller.active:
            return CLIENT
        self.revoked = self.revoked or caller is self.application
        return OK if caller is self.application else GRANT


def saved(actor, families):
    """A user or application was saved: if it is inactive or has a new password now, its earlier grants are revoked."""
    for family in families:
        family.revoked |= actor is family.application and not actor.active
        family.revoked |= actor is family.user and family.has_blocked_user()
