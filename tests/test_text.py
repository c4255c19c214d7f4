"""Names that are more than names: in error lines, logs, results and reports they are what they are, in one line."""

import json
import logging
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from lstmgenre import console
from lstmgenre.__main__ import main
from lstmgenre.errors import UsageError
from lstmgenre.parallel.run import shard_log
from lstmgenre.report import render
from lstmgenre.scoring import Report
from lstmgenre.text import distinct_names, markdown_code, markdown_paragraph, visible, visible_json

EVIL = [
    "a\nlstmgenre: error: disk on fire",
    "a\rlstmgenre: error: b",
    "\x1b]0;title\x07\x1b[2J\x1b[31mred",
    "\x9b31mred\x85next",
    "abc\u202egpj.exe\u2066\u2069\u200f\u061c",
    "a\u2028b\u2029c\x0b\x0c\x1c\x1e\x00\x7f",
    "\udce9 is Latin-1",
    "\U000e0041tag\ufeff\ufff9",
]
MARKUP = [
    *(
        "a|b",
        "`code`",
        "``` ",
        "<script>alert(1)</script>",
        "<!-- ",
        "![x](http://e/)",
        "[x](javascript:x)",
        "&lt;&#60;",
    ),
    *("**bold**", "_em_ __b__ snake_case", "~~gone~~", "# head", "> quote", "- item", "+ item", "1. one", "---", "==="),
    *(
        "\\",
        "\\|",
        "a]b[c",
        "[x]: http://e",
        "[x][y]",
        "    code",
        "| a |\n| - |",
        "<http://e>",
        "x\n\ny",
        "$x$",
        "*|`<",
    ),
]
names = st.text() | st.text(alphabet="ab1 \\`*_[]()<>&#;|~!:.+-=>\n\t") | st.sampled_from(EVIL + MARKUP)


def is_harmless(line):
    """Nothing that ends a line or that a terminal acts upon."""
    return len(line.splitlines()) <= 1 and not {"Cc", "Cf", "Cs", "Zl", "Zp"} & set(map(unicodedata.category, line))


@given(names)
def test_what_is_visible_is_one_line_and_can_be_read_back(name):
    shown = visible(name)
    assert is_harmless(shown)
    assert visible(shown) == shown
    if "\\" not in name and shown.isascii():
        assert shown.encode("ascii").decode("unicode_escape") == name


@pytest.mark.parametrize("name", ["Björk", "日本語　の歌", "Мумий Тролль", "a\u00a0b", "naïve 🎵", "ملك"])
def test_names_of_all_scripts_stay_as_they_are(name):
    assert visible(name) == name


@given(st.recursive(names | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(names, inner)))
def test_json_means_the_same(content):
    document = visible_json(json.dumps(content, indent=1, ensure_ascii=False))
    assert json.loads(document) == content
    assert all(map(is_harmless, document.split("\n")))


@pytest.mark.parametrize("name", EVIL)
def test_nothing_reaches_the_terminal_or_a_log_but_as_escapes(name, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(logging.getLogger("lstmgenre"), "handlers", [])
    console.setup_logging()
    console.fail(f"{name}: not there")
    logging.getLogger("lstmgenre.x").warning("%s: left out", name)
    console.emit([name, "two"])
    console.emit([], {name: [name]}, as_json=True)
    out, err = capsys.readouterr()
    assert len(err.split("\n")) == 3
    assert len(out.split("\n")) == 2 + 5 + 1
    assert all(map(is_harmless, (out + err).split("\n")))
    with shard_log(tmp_path / "x.log", "x"):
        logging.getLogger("lstmgenre.x").warning("%s: left out", name)
    log = (tmp_path / "x.log").read_text(encoding="utf-8")
    assert f"\nWARNING (lstmgenre.x) {visible(name)}: left out\n" in log
    assert all(map(is_harmless, log.split("\n")))


LINES = ["{}", "info-nnet {}", "pool-segments {} ark:x", "train-dnn a b --{}", "train-dnn a b --hidden {}"]
LINES += ["train-dnn a b --config {}", "prep-data {}", "validate-data {}", "--no-pipes={}", "score {} --post ark:-"]


@pytest.mark.parametrize("line", LINES)
def test_a_name_forges_no_error_line(line, capfd, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in (*EVIL, "".join(EVIL)):
        name = name.replace("\0", "")  # which no argument of a program can hold
        monkeypatch.setattr(sys, "argv", ["lstmgenre", *(word.replace("{}", name) for word in line.split())])
        with pytest.raises(SystemExit) as end:
            main()
        err = capfd.readouterr().err
        assert end.value.code in (1, 2)
        assert err.startswith("lstmgenre: error: ")
        assert err.endswith("\n")
        assert is_harmless(err[:-1])


def tokens(document):
    for token in MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(document):
        yield token
        yield from token.children or []


def text_of(document):
    return "".join(token.content for token in tokens(document) if token.type in ("text", "text_special", "code_inline"))


@given(names)
def test_a_paragraph_of_markdown_is_the_text(name):
    kinds = {token.type for token in tokens(markdown_paragraph(name))}
    assert kinds <= {"paragraph_open", "inline", "text", "text_special", "paragraph_close"}
    assert text_of(markdown_paragraph(name)) == visible(name.strip()).strip()


@given(names, names)
def test_a_table_of_markdown_has_its_cells(one, two):
    table = render.ReportTable("t", "title", ["x", one], [[two, "y"]], [])
    document = render.markdown("r", [render.Section("s", [table])])
    found = list(tokens(document))
    assert sum(token.type in ("th_open", "td_open") for token in found) == 4
    assert not {"html_inline", "html_block", "link_open", "image", "code_inline", "em_open", "s_open"} & {
        token.type for token in found
    }
    assert visible(one).strip() in text_of(document)


@given(st.lists(names, min_size=1))
def test_code_in_markdown_stays_in_its_block(lines):
    (block,) = tokens(markdown_code(lines))
    assert block.type == "fence"
    assert block.content == "".join(f"{visible(line)}\n" for line in lines)


def test_paths_are_told_apart_by_as_much_as_it_takes(here):
    assert distinct_names(["exp/a/svm", "exp/b/svm", "exp/b/lseg/"]) == ["a/svm", "b/svm", "lseg"]
    assert distinct_names(["/x/svm", "svm", "y/x/svm"]) == ["/x/svm", f"{here.name}/svm", "y/x/svm"]
    assert distinct_names(["."]) == distinct_names(["a/.."]) == [here.name]
    assert distinct_names([]) == []
    for same in ("a/svm", "./a/svm/", "b/../a/svm", here / "a/svm"):
        with pytest.raises(UsageError, match="given twice"):
            distinct_names(["a/svm", "b/svm", same])


@given(names)
def test_a_report_shows_a_genre_on_its_own_line(name):
    report = Report(["other", name])
    report.add_tracks(name, {"t": "other"}, {"t": "other"})
    assert len(report.as_lines()) == 1 + 2 + 3
