"""The explanation of what an action did, for readers who do not know RFC 6749."""

from dataclasses import dataclass

from oauth_refresh.models import Grant, RevocationReason


@dataclass(frozen=True, kw_only=True)
class Caption:
    """``tone`` is a CSS class: good, neutral, warning or danger. ``next`` is the button to suggest.

    ``starts_far_api``: whether the command that starts the far API is shown.
    """

    title: str
    text: str
    tone: str = "good"
    next: str = ""
    starts_far_api: bool = False


SINGLE_REFRESHES = {"refresh", "narrow", "replay", "steal", "thief-refresh"}
"""The actions that refresh once. If one succeeds and the generation stays the same, the pair was issued before."""


def outcome_of(action: str, *, before: Grant, after: Grant, succeeded: bool) -> str:
    """Return the outcome of an action, which selects its caption, from the grant before and after it."""
    if not before.is_live:
        return "late" if succeeded and action == "far" else "inactive"
    if after.revoked_reason == RevocationReason.REUSE_DETECTED:
        return "reuse"
    if not succeeded:
        return "refused"
    return "repeated" if action in SINGLE_REFRESHES and after.generation == before.generation else "succeeded"


def caption(action: str, outcome: str) -> Caption:
    return _CAPTIONS.get((action, outcome)) or _DEFAULTS[outcome]


CONNECTED = Caption(
    title="Connected: the client has its first tokens",
    text="You signed in and allowed access, and the client exchanged an authorization code for two tokens. The access "
    "token is for the API, and valid for two minutes. The refresh token can be used once, to get the next pair. All "
    "these tokens belong to one grant: this application acts for you.",
    next="read",
)
UNREACHABLE = Caption(
    title="No usable response",
    text="The server did not respond in time, or had an error. The client cannot know whether its request was "
    "processed. (A server that handles one request at a time cannot respond to its own playground. Start the site "
    "with manage.py demo.)",
    tone="warning",
)
ACCESS_TOKEN_REFUSED = Caption(
    title="401: this access token is not valid",
    text="Its two minutes are over, or a refresh has replaced it. If your client did not refresh, another party did.",
    tone="warning",
    next="refresh",
)
FAR_API_SILENT = Caption(
    title="The far API does not respond",
    text="It is not running, or it cannot reach this server. Start it in a second terminal, in the project's folder:",
    tone="warning",
    next="far",
    starts_far_api=True,
)
FAR_API_ELSEWHERE = Caption(
    title="The far API asks another server",
    text="It refused a token that this server accepts. End it, and start it for this server:",
    tone="warning",
    next="far",
    starts_far_api=True,
)
GRANT_MISSING = Caption(
    title="The server does not know this grant",
    text="The database was reset, or the grant was pruned some time after its end. Connect again.",
    tone="neutral",
)
_DEFAULTS = {
    "repeated": Caption(
        title="The server returned the current pair",
        text="The token was spent only a moment ago, so within the retry window this counts as a retry. Client and "
        "thief may have the same pair now: that is the cost of a retry window. Reuse is detected when one of them "
        "sends a spent token after the window. The signal refresh_retried says that the retry came from another "
        "program.",
        tone="warning",
        next="refresh",
    ),
    "unreachable": UNREACHABLE,
    "succeeded": Caption(title="Done", text="The request and the response are shown below."),
    "refused": Caption(
        title="Refused",
        text="The server refused the request and changed nothing. The response below says why.",
        tone="warning",
        next="refresh",
    ),
    "inactive": Caption(
        title="Refused: the grant is no longer active",
        text="All its tokens are invalid, for the client and for a thief, and stay so. The user can sign in and "
        "connect again, which starts a new grant; a thief cannot.",
        tone="neutral",
    ),
    "reuse": Caption(
        title="Reuse detected: the grant is revoked",
        text="A spent refresh token was used again, so two parties have a token that only one should have. The server "
        "cannot know which of them is the thief, so it revoked the grant of both. The response is a plain "
        "invalid_grant, which tells an attacker nothing.",
        tone="danger",
        next="read",
    ),
}
_CAPTIONS = {
    ("connect", "succeeded"): CONNECTED,
    ("read", "succeeded"): Caption(
        title="The API responded",
        text="It looked up the access token in the database for this request. Nothing is cached, so a token that is "
        "revoked now is refused at the next request.",
        next="refresh",
    ),
    ("read", "refused"): ACCESS_TOKEN_REFUSED,
    ("write", "succeeded"): Caption(
        title="The API saved the note",
        text="The access token has the scope notes:write. Without it, the API would have responded with 403.",
        next="narrow",
    ),
    ("write", "refused"): Caption(
        title="Refused: this access token may not write",
        text="403 insufficient_scope: the token has only the scope notes:read, and the response names the missing one. "
        "(401 means that it has expired or was replaced.) The refresh token still has the full scope.",
        tone="warning",
        next="refresh",
    ),
    ("tool", "succeeded"): Caption(
        title="The MCP server responded",
        text="It is an API of its own, for agents. The token works there because the client asked for both at the "
        "beginning (the parameter resource), and you allowed both. A token for one of them only is refused by the "
        "other.",
        next="refresh",
    ),
    ("tool", "refused"): Caption(
        title="401: this access token is not valid",
        text="Its two minutes are over, or a refresh has replaced it. The response says where an agent reads which "
        "server issues tokens for this address.",
        tone="warning",
        next="refresh",
    ),
    ("refresh", "succeeded"): Caption(
        title="New pair issued: the old tokens are invalid",
        text="One update in the database spent the old refresh token and invalidated its access token. Each "
        "refresh token works once. What if a thief copies the new one, and uses it first?",
        next="steal",
    ),
    ("narrow", "succeeded"): Caption(
        title="New pair issued, with a read-only access token",
        text="Only this access token is limited to notes:read. The next refresh may request the full scope again.",
        next="write",
    ),
    ("twice", "reuse"): Caption(
        title="Reuse detected: the client used one token twice",
        text="One of the two requests succeeded. For the other the token was already spent, which looks the same as a "
        "theft. A client must send one refresh at a time, or be given a retry window.",
        tone="danger",
        next="read",
    ),
    ("twice", "succeeded"): Caption(
        title="Both requests received the same pair",
        text="One request refreshed. The other arrived within the retry window, and received the same pair. There is "
        "still only one current refresh token.",
        next="refresh",
    ),
    ("lose", "reuse"): Caption(
        title="Reuse detected: a retry looks like a theft",
        text="The first request reached the server and spent the token; only its response was lost. The second request "
        "sent a spent token. This client has no retry window, so the grant is revoked, and the user has to sign in "
        "again. Connect the client with a retry window to see the difference.",
        tone="danger",
        next="read",
    ),
    ("lose", "succeeded"): Caption(
        title="The retry received the same pair",
        text="It came within the retry window, and got the current pair. The server stores no copy of the pair: it "
        "derives it again from the old token, which only the client has.",
        next="replay",
    ),
    ("replay", "repeated"): Caption(
        title="Within the retry window this is a retry",
        text="The server returned the current pair. That is the cost of a retry window: a thief with a copy of the "
        "token would have received it too. Wait until the window is over, and replay again.",
        tone="warning",
        next="refresh",
    ),
    ("replay", "refused"): Caption(
        title="Refused, but not treated as a theft",
        text="The number of retries is limited until the next refresh. The grant stays active, and the newest tokens "
        "work: refresh.",
        tone="warning",
        next="refresh",
    ),
    ("steal", "succeeded"): Caption(
        title="The theft is not detected yet",
        text="A thief copied the refresh token and used it first. The thief's tokens are valid now, and your client's "
        "are not. Refresh, as your client would do sooner or later.",
        tone="warning",
        next="refresh",
    ),
    ("refresh", "reuse"): Caption(
        title="Reuse detected: the theft is discovered",
        text="Your client sent a refresh token that was spent already. The server cannot know which of the two is the "
        "thief, so it revoked the grant. The thief's tokens are invalid as well: try them.",
        tone="danger",
        next="thief-read",
    ),
    ("revoke", "succeeded"): Caption(
        title="Disconnected: the grant is revoked",
        text="One update revoked all its tokens, however many there are. The response is 200 for an unknown token too, "
        "so it does not reveal which tokens exist. Now call the API.",
        tone="neutral",
        next="read",
    ),
    ("revoke", "inactive"): Caption(
        title="The grant was already inactive",
        text="To revoke an invalid token is not an error (RFC 7009 §2.2): the client wanted it to be invalid.",
        tone="neutral",
    ),
    ("far", "succeeded"): Caption(
        title="The far API responded",
        text="It has no database. It asked this server about the token once (introspection), keeps the answer for at "
        "most thirty seconds, and reads every half second what was revoked. How soon does it refuse a revoked token?",
        next="watch",
    ),
    ("far", "refused"): ACCESS_TOKEN_REFUSED,
    ("far", "late"): Caption(
        title="The far API still accepts the token",
        text="The grant has ended, but the far API has not read that yet. It reads every half second: call it again.",
        tone="warning",
        next="far",
    ),
    ("far", "silent"): FAR_API_SILENT,
    ("far", "elsewhere"): FAR_API_ELSEWHERE,
    ("watch", "succeeded"): Caption(
        title="Revoked: both APIs refuse the token",
        text="Both were called with the access token until they refused it. This server's API looks it up for each "
        "request, so it refused the first one. The far API accepted it until it read the revocation.",
        tone="neutral",
    ),
    ("watch", "accepted"): Caption(
        title="Revoked, but not refused everywhere",
        text="An API sent no refusal for five seconds. Is this machine very busy? While the far API cannot read the "
        "revocations in time, it asks about each token, or responds with 503.",
        tone="danger",
    ),
    ("watch", "refused"): ACCESS_TOKEN_REFUSED,
    ("watch", "silent"): FAR_API_SILENT,
    ("watch", "elsewhere"): FAR_API_ELSEWHERE,
    ("thief-read", "succeeded"): Caption(
        title="The thief reads the notes",
        text="This works until the theft is detected: when the client refreshes or, with a retry window, when it "
        "refreshes after the window.",
        tone="warning",
        next="refresh",
    ),
    ("thief-refresh", "succeeded"): Caption(
        title="The thief has the newest pair",
        text="The theft is detected as soon as the client refreshes or, with a retry window, when it refreshes after "
        "the window.",
        tone="warning",
        next="refresh",
    ),
    ("thief-read", "inactive"): Caption(
        title="The thief's access token is refused",
        text="It is revoked with its grant, even if its two minutes are not over. The user only has to connect again. "
        "See what the admin and the user learn of the theft.",
        tone="neutral",
    ),
    ("thief-refresh", "inactive"): Caption(
        title="The thief's refresh token is refused",
        text="It is revoked with its grant. To start a new grant, the user has to sign in.",
        tone="neutral",
    ),
}
