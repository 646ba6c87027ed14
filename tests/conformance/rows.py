"""The rows of the conformance checklist: which there are, and which are not tested here and why."""

import re

SECTIONS = {
    "§1 client authentication": ["CA"],
    "§2 token endpoint transport": ["T"],
    "§3 responses": ["S", "E"],
    "§4 refresh token": ["RT"],
    "§7 password, client credentials": ["PW", "CC"],
    "§10 revocation": ["RV"],
}

NUMBERS = {
    "CA": range(1, 34),
    "T": range(1, 30),
    "S": range(1, 11),
    "E": range(1, 7),
    "RT": [*range(1, 28), *range(30, 43)],
    "PW": range(1, 10),
    "CC": range(1, 6),
    "RV": range(1, 21),
}

NOT_TESTED = {
    "CA-024": "later: throttling",
    "T-028": "later: CORS",
    "T-029": "out of scope: endpoints are addressed by the URLconf, which knows no fragment",
    "RT-026": "later: bearer authentication",
    "RT-034": "later: retry window",
    "RT-038": "out of scope: resource indicators",
    "PW-005": "later: throttling",
    "PW-007": "out of scope: second factor",
    "RV-008": "out of scope: revocation of access tokens cannot be switched off",
    "RV-016": "later: throttling",
    "RV-017": "later: CORS",
    "RV-018": "later: authorization code",
    "RV-020": "out of scope: DPoP",
}

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
