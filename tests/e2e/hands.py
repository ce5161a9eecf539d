"""What a person's hands and eyes do on any page: type a number, follow a link, look whether anything went wrong."""

from collections.abc import Sequence

from playwright.sync_api import Locator, Page, expect

from tests.e2e.conftest import AT_REST, Dashboard, Visit


def set_number(page: Page, label: str, value: str) -> None:
    """Type into a number input and hand it over, once the page is at rest.

    Typed while the settings of a preset were still being drawn, the preset's own value came back.
    """
    box = page.get_by_label(label, exact=True).first
    type_into(box, value)
    expect(box).to_have_value(value)


def type_into(box: Locator, text: str) -> None:
    """Type into a box and hand it over, once the page is at rest."""
    box.page.wait_for_selector(AT_REST)
    box.fill(text)
    box.press("Enter")


def choose(page: Page, label: str, option: str) -> None:
    """Choose in a box with a list by keyboard, once the page is at rest.

    A list that a click had opened while an expander was still unfolding around it was closed again.
    """
    page.wait_for_selector(AT_REST)
    box = page.get_by_role("combobox", name=label)
    box.press("ArrowDown")
    box.press_sequentially(option)
    box.press("Enter")
    expect(box).to_have_value(option)


def pick(page: Page, label: str, *, beside: str = "") -> None:
    """Press one of the buttons that stand in a row, in the row that also has `beside`."""
    page.get_by_test_id("stButtonGroup").filter(has_text=beside).get_by_text(label, exact=True).click()


def click(button: Locator) -> None:
    """Press a button once it is there and the page at rest: one that is about to be drawn anew hears nothing."""
    expect(button).to_be_visible()
    button.page.wait_for_selector(AT_REST)
    button.click()


def go_to(page: Page, name: str) -> None:
    """Follow the link to another page once this one is at rest.

    Leaving while pictures were still on their way, the browser asked for some that the server had forgotten by then.
    """
    rest(page)
    page.get_by_role("link", name=name).first.click()


def rest(page: Page) -> None:
    """Wait until the page is at rest and has its pictures."""
    page.wait_for_selector(AT_REST)
    page.wait_for_load_state("networkidle")


def press(page: Page, key: str) -> None:
    """Press a key that a button listens to, once the page is at rest and the browser has nothing left to do.

    React lets a button that is drawn listen in a task of its own, which a key overtakes: where the browser was busy,
    the first one was lost.
    """
    page.wait_for_selector(AT_REST)
    page.wait_for_load_state("networkidle")
    page.evaluate("() => new Promise((resolve) => requestIdleCallback(resolve))")
    page.keyboard.press(key)


def expect_no_trouble(dashboard: Dashboard, visit: Visit, *, ignored: Sequence[str] = ()) -> None:
    """Check that neither the browser nor the server complained; `ignored` are texts of complaints that may be."""
    assert [each for each in visit.complaints if not any(text in each for text in ignored)] == []
    log = dashboard.log.read_text()
    assert "Traceback" not in log, log
    assert "Exception" not in log, log
