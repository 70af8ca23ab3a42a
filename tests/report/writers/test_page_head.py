from __future__ import annotations

from selftaught.report.writers.page_head import POLICY, own_text, page_head


def test_a_page_begins_with_its_policy_escaped_title_and_style_sheets() -> None:
    head = page_head("a < b", "style.css", "explore.css", kind="explore")
    assert head.startswith("<!DOCTYPE html>")
    assert f'http-equiv="Content-Security-Policy" content="{POLICY}"' in head
    assert "default-src 'none'" in POLICY, "nothing is loaded from elsewhere"
    assert "<title>a &lt; b</title>" in head
    assert f"<style>{own_text('style.css')}{own_text('explore.css')}</style>" in head
    assert '<body class="explore">' in head
    assert "<body>" in page_head("a", "style.css")
