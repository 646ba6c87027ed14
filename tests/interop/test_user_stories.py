"""A user in a real browser, who signs applications out, and the applications that feel it."""

from playwright.sync_api import expect


def errors(holders):
    """Let everyone refresh, and return what each is refused with, or None."""
    return [holder.refresh().json().get("error") for holder in holders]


def test_user_signs_one_session_out_and_then_all_others(open_page, site, shoot):
    holders = [*site.issue("mia", count=2), *site.issue("mia", client_id="calendar")]
    page = open_page("mia")
    page.goto("/oauth/applications/")
    expect(page.get_by_role("heading", level=2)).to_contain_text(["Calendar", "Photo album"])
    shoot(page, "user-applications")

    page.locator(f"a[href*='{holders[0].pair['grant']}']").click()
    expect(page.get_by_role("heading", name="Sign out of Photo album?")).to_be_visible()
    shoot(page, "user-application")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("status")).to_contain_text("Photo album was signed out.")
    shoot(page, "user-signed-out")
    assert errors(holders) == ["invalid_grant", None, None]

    page.get_by_role("link", name="Sign out of all").click()
    expect(page.get_by_text("2 sessions end at once.")).to_be_visible()
    shoot(page, "user-all")
    page.get_by_role("button", name="Sign out of all").click()
    expect(page.get_by_role("status")).to_have_text("2 sessions were signed out.")
    expect(page.get_by_role("heading", name="No application acts for you")).to_be_visible()
    shoot(page, "user-none-left")
    assert errors(holders) == ["invalid_grant"] * 3
    assert page.locator("script").count() == 0
    assert page.complaints == []
