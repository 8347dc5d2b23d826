"""In a browser: the switch shows one language at a time, also without scripts, and nothing overflows."""

import html as html_module
import json
import re
import shutil
import subprocess

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND",
    "--virtual-time-budget=8000", "--dump-dom",
]  # fmt: skip

# The report stands in a frame of a page that clicks its labels and writes down what can be seen.
HARNESS = """<!DOCTYPE html><meta charset="utf-8">
<iframe id="frame" sandbox="{sandbox}" width="{width}" height="900" srcdoc="{report}"></iframe>
<pre id="result"></pre><script>
window.addEventListener("load", function () {{
  var doc = document.getElementById("frame").contentDocument, seen = [];
  function visible(lang) {{
    return Array.from(doc.querySelectorAll('[lang="' + lang + '"]')).filter(function (e) {{
      return e !== doc.documentElement && e.ownerDocument.defaultView.getComputedStyle(e).display !== "none";
    }}).length;
  }}
  function note() {{
    seen.push({{en: visible("en"), zh: visible("zh"), title: doc.title, lang: doc.documentElement.lang,
      wide: doc.documentElement.scrollWidth - doc.documentElement.clientWidth}});
  }}
  note();
  ["zh", "en"].forEach(function (lang) {{
    doc.querySelector('label[for="show-' + lang + '"]').click();
    note();
  }});
  document.getElementById("result").textContent = JSON.stringify(seen);
}});
</script>"""

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        CHROMIUM is None, reason="no Chromium: the language switch is not tested in a browser"
    ),
]


def watch(tmp_path, report, *, sandbox, width=1200):
    page = tmp_path / "harness.html"
    page.write_text(HARNESS.format(sandbox=sandbox, width=width, report=html_module.escape(report)), "utf-8")
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=True)
    result = re.search(r'<pre id="result">(.*?)</pre>', done.stdout, re.S)
    assert result is not None
    return json.loads(html_module.unescape(result[1]))


def test_switch_shows_one_language_at_a_time(tmp_path, html):
    first, chinese, english = watch(tmp_path, html, sandbox="allow-scripts allow-same-origin")
    assert first["zh"] == 0 < first["en"]
    assert chinese["en"] == 0 < chinese["zh"]
    assert english == first
    assert (chinese["title"], chinese["lang"]) == ("信用卡客户联合评分卡", "zh-Hans")
    assert (english["title"], english["lang"]) == ("A joint scorecard for card clients", "en")


def test_switch_needs_no_script(tmp_path, html):
    first, chinese, english = watch(tmp_path, html, sandbox="allow-same-origin")
    assert first["zh"] == chinese["en"] == english["zh"] == 0
    assert chinese["zh"] > 300 < first["en"]
    assert chinese["title"] == first["title"]


@pytest.mark.parametrize("width", [360, 820])
def test_narrow_pages_do_not_scroll_sideways(tmp_path, html, width):
    seen = watch(tmp_path, html, sandbox="allow-same-origin", width=width)
    assert [step["wide"] for step in seen] == [0, 0, 0]
