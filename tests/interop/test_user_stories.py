"""A user in a real browser disconnects applications, and the applications can no longer refresh."""

from playwright.sync_api import expect


def refresh_errors(holders):
    """Let each application refresh, and return the error of each, or None."""
    return [holder.refresh().json().get("error") for holder in holders]


def test_user_disconnects_one_application_and_then_all(open_page, site, shoot):
    holders = [*site.issue("mia", count=2), *site.issue("mia", client_id="calendar")]
    page = open_page("mia")
    page.goto("/oauth/applications/")
    expect(page.get_by_role("heading", level=2)).to_contain_text(["Calendar", "Photo album"])
    shoot(page, "user-applications")

    page.locator(f"a[href*='{holders[0].pair['grant']}']").click()
    expect(page.get_by_role("heading", name="Disconnect Photo album?")).to_be_visible()
    shoot(page, "user-application")
    page.get_by_role("button", name="Disconnect").click()
    expect(page.get_by_role("status")).to_have_text("One connection of Photo album was ended. The others stay.")
    shoot(page, "user-disconnected")
    assert refresh_errors(holders) == ["invalid_grant", None, None]

    page.get_by_role("link", name="Disconnect all").click()
    expect(page.get_by_text("2 connections end at once.")).to_be_visible()
    shoot(page, "user-all")
    page.get_by_role("button", name="Disconnect all").click()
    expect(page.get_by_role("status")).to_have_text("2 connections were ended.")
    expect(page.get_by_role("heading", name="No connected applications")).to_be_visible()
    shoot(page, "user-none-left")
    assert refresh_errors(holders) == ["invalid_grant"] * 3
    assert page.locator("script").count() == 0
    assert page.complaints == []
