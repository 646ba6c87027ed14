"""The rows of the conformance checklist: which there are, and which are not tested here and why."""

import re

SECTIONS = {
    "§1 client authentication": ["CA"],
    "§2 token endpoint transport": ["T"],
    "§3 responses": ["S", "E"],
    "§4 refresh token": ["RT"],
    "§5 authorization code": ["AC"],
    "§6 authorization endpoint": ["AZ", "RU", "PK", "IS"],
    "§7 password, client credentials": ["PW", "CC"],
    "§8 assertions": ["JW", "JB"],
    "§9 bearer": ["BR"],
    "§10 revocation": ["RV"],
    "§11 introspection": ["IN"],
    "§12 metadata": ["MD", "PR"],
    "§16 resource indicators": ["RI", "RS"],
    "§22 shared tokens, scopes, gateways, metadata documents": ["SH", "CM", "RF"],
}

NUMBERS = {
    "CA": range(1, 34),
    "T": range(1, 30),
    "S": range(1, 11),
    "E": range(1, 7),
    "RT": [*range(1, 28), *range(30, 43)],
    "AC": [*range(1, 11), *range(20, 25)],
    "AZ": range(1, 25),
    "RU": range(1, 10),
    "PK": range(1, 12),
    "IS": range(1, 6),
    "PW": range(1, 10),
    "CC": range(1, 6),
    "JW": range(1, 29),
    "JB": range(1, 13),
    "BR": range(1, 17),
    "RV": range(1, 21),
    "IN": range(1, 21),
    "MD": range(1, 20),
    "SH": range(1, 13),
    "CM": range(1, 7),
    "RF": range(1, 8),
    "PR": range(1, 7),
    "RI": range(1, 9),
    "RS": range(101, 111),
}

NOT_TESTED = {
    "T-029": "out of scope: endpoints are addressed by the URLconf, which knows no fragment",
    "PK-011": "out of scope: a challenge that comes again is accepted, and not noted",
    "IS-005": "out of scope: one deployment has one issuer",
    "PW-007": "out of scope: second factor",
    "JW-025": "out of scope: client_secret_jwt",
    "RV-008": "out of scope: revocation of access tokens cannot be switched off",
    "RV-020": "out of scope: DPoP",
    "IN-015": "out of scope: access tokens are opaque",
    "IN-017": "out of scope: DPoP",
    "IN-020": "out of scope: the server signs nothing",
    "MD-017": "out of scope: the server signs nothing",
}

DIFFERENCES = {
    "AZ-016": "`X-Frame-Options` is sent; the Content-Security-Policy is that of the project, as on Django's own pages",
    "CA-013": "a client must not send its secret twice; sent twice and identical, it is accepted",
    "T-011": "RFC 6749 forbids to repeat any parameter; as in OAuth 2.1, only the defined ones are refused",
}
"""Rows that are tested, and where the server does less than the clause asks for, or is more lenient."""

_TEST_NAME = re.compile(r"\btest_([a-z]+)_(\d{3})_")


def rows_of(section: str) -> list[str]:
    """Return the ids of all rows of the section, in order."""
    return [f"{prefix}-{number:03}" for prefix in SECTIONS[section] for number in NUMBERS[prefix]]


def row_of(test_name: str) -> str | None:
    """Return the id of the row that a test, given by its name or node id, belongs to."""
    match = _TEST_NAME.search(test_name)
    return f"{match[1].upper()}-{match[2]}" if match else None


def is_tested(row: str) -> bool:
    return row not in NOT_TESTED
