#!/usr/bin/env python3
"""Opens report.html of a real run in headless Chromium and uses it as people do: search, filter, sort, keyboard, print,
dark, narrow; audits it with axe, and sees to it that nothing is asked of anybody.

    python3 -m venv venv && venv/bin/pip install playwright==1.* axe-playwright-python==0.1.*
    venv/bin/python scripts/page_check.py target/release/flowbatch [FOLDER FOR SCREENSHOTS]
"""
import os
import pathlib
import subprocess
import sys
import tempfile

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]
JOB = """
[job]
name = "triage <b>&amp;</b>"
description = "Enable the triage workflows after the July review"
[target]
simulator = true
[run]
rate = "400/s"
concurrency = 16
[rows]
file = "rows.csv"
[simulator]
seed = 7
rate_limit = "150/s"
[simulator.faults]
reset = 0.03
503 = 0.03
"""
WELL = 300


def made(program, folder):
    """The page of a run of which three rows need a person."""
    rows = ["workflow_id,workflow_name,name,enabled,expect_name"]
    rows += [f'w{row:03},,"Tier {row} <script>alert(1)</script>",true,' for row in range(1, WELL + 1)]
    rows += ["w901,,New,,Something else", ",No such workflow,New,,", "w902,,Newer,,Other"]
    (folder / "rows.csv").write_text("\n".join(rows) + "\n")
    (folder / "job.toml").write_text(JOB)
    command = [program, "run", "job.toml", "--progress", "none", "--ticket", "CHG-4711", "--html", "page.html"]
    environment = {**os.environ, "FLOWBATCH_STATE_DIR": str(folder / "state"), "USER": "tester"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode != 1:
        sys.exit(f"the run ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return folder / "page.html"


def expect(what, found, wanted):
    if found != wanted:
        sys.exit(f"{what}: found {found!r}, wanted {wanted!r}")
    print(f"ok: {what}")


def visible(page):
    """The numbers of the rows that are shown, in their order."""
    return page.eval_on_selector_all(
        "#table tbody tr:not([hidden])", "rows => rows.map(row => parseInt(row.cells[0].textContent))"
    )


def use(page):
    expect("verdict", page.text_content(".verdict"), "3 rows need a person")
    expect("all rows", len(visible(page)), WELL + 3)
    page.fill("#search", "Tier w299")
    expect("search", visible(page), [299])
    expect("the count is told", page.text_content("#shown"), "1 row")
    page.fill("#search", "")
    page.select_option("#status", "conflict")
    expect("filter", visible(page), [301, 303])
    page.fill("#search", "other")
    expect("filter and search", visible(page), [303])
    page.fill("#search", "")
    page.select_option("#status", "")
    row = page.locator("#table thead th").first
    expect("sorted at first", row.get_attribute("aria-sort"), "ascending")
    row.locator("button").click()
    expect("sorted down", visible(page)[:2], [WELL + 3, WELL + 2])
    expect("which is told", row.get_attribute("aria-sort"), "descending")
    row.locator("button").click()
    page.locator("#table thead button", has_text="status").click()
    expect("sorted by status", visible(page)[:3], [301, 303, 302])


def by_keyboard(page):
    page.reload()
    page.focus("#search")
    page.keyboard.type("w902")
    expect("typed", visible(page), [303])
    page.keyboard.press("Tab")
    expect("then the filter", page.evaluate("document.activeElement.id"), "status")
    page.keyboard.press("Tab")
    expect("then the table", page.evaluate("document.activeElement.className"), "scroll")
    page.keyboard.press("Tab")
    expect("then the first column", page.evaluate("document.activeElement.textContent"), "row")
    page.keyboard.press("Enter")
    sort = page.locator("#table thead th").first.get_attribute("aria-sort")
    expect("sorted by a key", sort, "descending")
    ring = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    expect("the focus is seen", ring, "solid")


def on_paper(page):
    page.reload()
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    expect("no controls on paper", page.is_visible(".controls"), False)
    closed = page.evaluate("document.querySelectorAll('details:not([open])').length")
    expect("everything is open on paper", closed, 0)
    expect("a document of pages", page.pdf(format="A4")[:5], b"%PDF-")
    page.emulate_media(media="screen")
    page.evaluate("dispatchEvent(new Event('afterprint'))")


def audited(page, name):
    result = Axe().run(page)
    for violation in result.response["violations"]:
        print(violation["id"], violation["help"], [node["html"] for node in violation["nodes"][:3]])
    expect(f"axe, {name}", result.violations_count, 0)
    wide, window = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    expect(f"nothing beyond the edge, {name}", wide <= window, True)


def main():
    program = os.path.abspath(sys.argv[1])
    shots = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else None
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = made(program, pathlib.Path(folder))
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for name, width, scheme in [("light", 1200, "light"), ("dark", 1200, "dark"), ("narrow", 400, "light")]:
            context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
            page = context.new_page()
            asked, said = [], []
            page.on("request", lambda request: asked.append(request.url))
            page.on("console", lambda message: said.append(message.text))
            page.on("pageerror", lambda error: said.append(str(error)))
            page.on("dialog", lambda dialog: said.append(dialog.message))
            page.goto(path.as_uri())
            if shots:
                page.screenshot(path=shots / f"{name}.png", full_page=True, clip={"x": 0, "y": 0, "width": width, "height": 2400})
            audited(page, name)
            if name == "light":
                use(page)
                by_keyboard(page)
                on_paper(page)
            expect(f"no request but for the page, {name}", set(asked), {path.as_uri()})
            expect(f"nothing said, {name}", said, [])
        browser.close()


if __name__ == "__main__":
    main()
