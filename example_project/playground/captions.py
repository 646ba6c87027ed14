"""What just happened, in words for somebody who has never read RFC 6749."""

from dataclasses import dataclass

from oauth_refresh.models import Grant, RevocationReason


@dataclass(frozen=True, kw_only=True)
class Caption:
    """``tone`` is its look: good, calm, warning or alarm. ``next`` names the button to press now."""

    title: str
    text: str
    tone: str = "good"
    next: str = ""


RENEWING = {"refresh", "narrow", "replay", "steal", "thief-refresh"}
"""The actions that ask for a new pair once: if they get one and the session stands still, it was handed out before."""


def ending(action: str, *, before: Grant, after: Grant, worked: bool) -> str:
    """Return how an action ended, by what became of the session; together they choose the caption."""
    if not before.is_live:
        return "dead"
    if after.revoked_reason == RevocationReason.REUSE_DETECTED:
        return "alarm"
    if not worked:
        return "refused"
    return "repeated" if action in RENEWING and after.generation == before.generation else "worked"


def caption(action: str, how: str) -> Caption:
    return _CAPTIONS.get((action, how)) or _ANY[how]


WELCOME = Caption(
    title="Connected: this is a session's first pair",
    text="You signed in and agreed; the client got a code, and traded it for two tokens. The access token opens the "
    "API for two minutes. The refresh token does one thing only, once: fetch the next pair.",
    next="read",
)
UNREACHABLE = Caption(
    title="No answer that helps",
    text="The server did not answer in time, or had a fault of its own; the client cannot know whether its request "
    "arrived. A site that takes one request at a time can never answer itself: start it by manage.py demo.",
    tone="warning",
)
GONE = Caption(
    title="The server no longer knows this session",
    text="The database was reset, or the session's rows were pruned long after its end. Connect again.",
    tone="calm",
)
_ANY = {
    "repeated": Caption(
        title="The same pair went out once more",
        text="The token had been spent a moment ago, and inside the retry window that counts as a retry. So client "
        "and thief may hold the same pair now: that is what the window costs. The alarm rings when one of "
        "them comes back after it is over. A signal told your project that the retry came from another program.",
        tone="warning",
        next="refresh",
    ),
    "unreachable": UNREACHABLE,
    "worked": Caption(title="It worked", text="See below what went over the wire."),
    "refused": Caption(
        title="Refused",
        text="The server said no, and nothing else changed. See below what went over the wire.",
        tone="warning",
        next="refresh",
    ),
    "dead": Caption(
        title="Refused: the session is over",
        text="Every token of the family is dead, whoever holds it, and nothing brings it back. The user signs in "
        "again and has a new session; a thief cannot.",
        tone="calm",
    ),
    "alarm": Caption(
        title="Alarm: a spent token came back",
        text="Two parties hold what only one should. The server cannot know which of them is the thief, so it ended "
        "the session for both, at once. The answer is a bland invalid_grant that gives nothing away.",
        tone="alarm",
        next="read",
    ),
}
_CAPTIONS = {
    ("connect", "worked"): WELCOME,
    ("read", "worked"): Caption(
        title="The API answered",
        text="It looked the access token up in the database just now; no answer is cached. That is why a token that "
        "dies is refused at the very next call.",
        next="refresh",
    ),
    ("read", "refused"): Caption(
        title="401: this access token is dead",
        text="Its two minutes are over, or a refresh replaced it: a refresh kills the old access token too. If it "
        "was not you who refreshed, somebody else did.",
        tone="warning",
        next="refresh",
    ),
    ("write", "worked"): Caption(
        title="The API took the note",
        text="The access token carries notes:write. A narrower one would have been refused with 403.",
        next="narrow",
    ),
    ("write", "refused"): Caption(
        title="Refused: this access token may not write",
        text="403 insufficient_scope: it was narrowed to notes:read, and the answer names what is missing. (With 401 "
        "it has expired or was replaced.) The refresh token still carries the whole scope.",
        tone="warning",
        next="refresh",
    ),
    ("refresh", "worked"): Caption(
        title="A new pair; the old one is dead",
        text="One statement in the database spent the old refresh token, killed its access token and locked the "
        "session. Each refresh token works once. What if somebody kept a copy?",
        next="replay",
    ),
    ("narrow", "worked"): Caption(
        title="A new pair, with a narrower access token",
        text="The new access token may only read. That holds for this one alone: the next refresh may ask for the "
        "whole again.",
        next="write",
    ),
    ("twice", "alarm"): Caption(
        title="Alarm: the client stole from itself",
        text="One request won. The other came with a token that was spent a moment before, and to the server that is "
        "a thief. A client must let its refreshes wait for each other, or be given a retry window.",
        tone="alarm",
        next="read",
    ),
    ("twice", "worked"): Caption(
        title="Both got the same pair",
        text="One request won; the other came within the retry window and was given the very same pair. The family "
        "did not fork: there is only one token 2 to every token 1.",
        next="refresh",
    ),
    ("lose", "alarm"): Caption(
        title="Alarm: a retry looks like a theft",
        text="The first request had arrived and spent the token; only its answer was lost. Sent again, it is a spent "
        "token that came back. This client is strict, so its session is over and the user signs in again. "
        "Connect the one with a retry window to see the other way.",
        tone="alarm",
        next="read",
    ),
    ("lose", "worked"): Caption(
        title="The very same pair came back",
        text="The retry came within the window, from the same client, and nobody had used the new pair. The server "
        "keeps no copy of it: it derives the pair again from the old token, which only the client has.",
        next="replay",
    ),
    ("replay", "repeated"): Caption(
        title="Inside the window it counts as a retry",
        text="The server gave out the same pair again. That is the price of the window: a thief with a copy would "
        "have got it, too. Refresh once more, or wait until the window is over, and replay again.",
        tone="warning",
        next="refresh",
    ),
    ("replay", "refused"): Caption(
        title="Refused, but no alarm",
        text="The window allows only so many retries. The session lives on, and the refusal is in its timeline.",
        tone="warning",
        next="refresh",
    ),
    ("steal", "worked"): Caption(
        title="Nobody has noticed yet",
        text="A thief copied the refresh token, and was first to use it: the thief's pair is alive, and yours is "
        "spent. Now do what your client would do sooner or later.",
        tone="warning",
        next="refresh",
    ),
    ("refresh", "alarm"): Caption(
        title="Alarm: the theft is noticed",
        text="You came with a token that somebody else had spent. The server cannot know which of you is the thief, "
        "so the session is over for both. Look: the thief's tokens are dead as well.",
        tone="alarm",
        next="thief-read",
    ),
    ("revoke", "worked"): Caption(
        title="Signed out: the session is over",
        text="One update ended the whole family, however many tokens it had. The answer is an empty 200, for an "
        "unknown token too, so that nobody learns anything by guessing. Try the API now.",
        tone="calm",
        next="read",
    ),
    ("revoke", "dead"): Caption(
        title="It was over already",
        text="To revoke a dead token is no error (RFC 7009): what the client wants is already so.",
        tone="calm",
    ),
    ("thief-read", "worked"): Caption(
        title="The thief reads the notes",
        text="Until somebody notices. A refresh by the owner is enough; where there is a retry window, one that comes "
        "after it is over.",
        tone="warning",
        next="refresh",
    ),
    ("thief-refresh", "worked"): Caption(
        title="The thief goes on",
        text="The family grows on the thief's side. It only takes the owner to come back once; where there is a retry "
        "window, after it is over.",
        tone="warning",
        next="refresh",
    ),
    ("thief-read", "dead"): Caption(
        title="The thief has nothing",
        text="The stolen access token is refused like every other of the family, although its two minutes may not be "
        "over. Connect again: that is all the owner has to do.",
        tone="calm",
    ),
    ("thief-refresh", "dead"): Caption(
        title="The thief has nothing",
        text="The stolen refresh token is dead with its family. A new session needs the user, who signs in again.",
        tone="calm",
    ),
}
