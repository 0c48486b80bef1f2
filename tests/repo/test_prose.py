"""Prose is executed: Python blocks run, printed results are compared, links lead somewhere.

A block fenced as `python` runs; an `output` block below it is what it prints. The blocks of one
document share their names, from top to bottom. A `console` block shows the run of a lesson script,
`$ .venv/bin/python phase-.../code/x.py`, and what it prints; `...` stands for what always differs,
and the other numbers may differ as much as another processor's rounding makes them.
"""

import contextlib
import io
import re
from collections import Counter
from pathlib import Path

import pytest
from lessons import LESSON_PHASES, lessons, run
from repository import ROOT, plant, tracked_files
from sybil import Example
from sybil.document import Document
from sybil.evaluators.python import PythonEvaluator
from sybil.example import SybilFailure
from sybil.parsers.markdown import CodeBlockParser

# What may stand behind a fence. Python has one spelling, or a block would escape its execution.
EXECUTED = ("python", "output")
SHOWN = ("bash", "console", "json", "math", "mermaid", "text", "yaml")

FENCE = re.compile(r"(?:[\s>*+-]*|\s*\d+[.)]\s+)(?P<fence>`{3,}|~{3,})\s*(?P<info>[^`]*)$")
LINK = re.compile(
    r"\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)|<(?:img|a)\b[^>]*?(?:src|href)=\"([^\"]+)\""
)
REFERENCE = re.compile(r"^\s{0,3}\[[^\]]+\]:\s*(\S+)", re.MULTILINE)


def run_document(path: Path) -> None:
    """Run the Python blocks of a Markdown file and compare what they print."""
    evaluate = PythonEvaluator()
    last_output: list[str] = []  # of the block just run; empty when an output block has taken it

    def run_block(example: Example) -> None:
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            evaluate(example)
        last_output[:] = [printed.getvalue()]

    def compare_output(example: Example) -> str | None:
        if not last_output:
            return "an output block stands below the python block that prints it"
        printed, expected = last_output.pop().rstrip(), str(example.parsed).rstrip()
        return None if printed == expected else f"printed:\n{printed}\n\nbut says:\n{expected}"

    document = Document.parse(
        str(path), CodeBlockParser("python", run_block), CodeBlockParser("output", compare_output)
    )
    document.namespace["__name__"] = path.stem
    for example in document.examples():
        example.evaluate()


CONSOLE = re.compile(r"^```console\n\$ (?P<command>.*)\n(?P<shown>(?:.*\n)*?)```$", re.MULTILINE)
COMMAND = re.compile(r"\.venv/bin/python (?P<script>phase-\S+/code/\w+\.py)")


NUMBER = re.compile(r"[-−]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?")


def same_number(shown: str, printed: str) -> bool:
    """Whether counts are equal, other numbers agree to 1% or to a last digit, or are noise."""
    first, second = (float(text.replace(",", "").replace("−", "-")) for text in (shown, printed))
    digits, _, exponent = shown.partition("e")
    if "." not in digits and not exponent:
        return first == second
    if exponent and all(abs(number) < 1e-8 for number in (first, second)):
        return True
    unit = 10.0 ** (int(exponent or 0) - len(digits.partition(".")[2]))
    return abs(first - second) <= max(1.001 * unit, 0.01 * abs(first))


def same_output(shown: str, printed: str) -> bool:
    """Whether lines are equal but for `...` and for the last digits of numbers with a point."""
    shown_lines, printed_lines = shown.rstrip().splitlines(), printed.rstrip().splitlines()
    if len(shown_lines) != len(printed_lines):
        return False
    for line, got in zip(shown_lines, printed_lines, strict=True):
        parts = [re.escape(part) for part in NUMBER.split(line.rstrip())]
        pattern = f"({NUMBER.pattern})".join(parts).replace(re.escape("..."), ".*")
        match = re.fullmatch(pattern, got.rstrip())
        if not match or not all(map(same_number, NUMBER.findall(line), match.groups())):
            return False
    return True


def console_problems(text: str) -> list[str]:
    """Console blocks that show no run of a lesson script, or another output than it prints."""
    problems = []
    blocks = list(CONSOLE.finditer(text))
    if len(blocks) != text.count("```console"):
        problems.append("a console block begins with one line `$ command`")
    for block in blocks:
        command = COMMAND.fullmatch(block["command"])
        if command is None or Path(command["script"]) not in lessons(ROOT):
            problems.append(f"{block['command']}: not the command of a lesson script")
            continue
        printed = run(Path(command["script"])).output
        if not same_output(block["shown"], printed):
            problems.append(f"{block['command']}: prints\n{printed}")
    return problems


def fences(text: str) -> tuple[list[tuple[int, str, str]], str]:
    """The opening fences as (line number, line, language), and the text outside the blocks."""
    opened, outside, closing = [], [], ""
    for number, line in enumerate(text.splitlines(), start=1):
        match = FENCE.match(line)
        if not closing and match:
            opened.append((number, line, match["info"].strip()))
            closing = match["fence"]
        elif not closing:
            outside.append(line)
        elif match and match["fence"].startswith(closing) and not match["info"]:
            closing = ""
    return opened, "\n".join(outside)


def escaping_fences(path: Path) -> list[str]:
    """Fences that the execution would pass over, or that name no language."""
    problems = []
    opened, _ = fences(path.read_text(encoding="utf-8"))
    for number, line, language in opened:
        if language not in EXECUTED + SHOWN:
            known = ", ".join(EXECUTED + SHOWN)
            problems.append(f"{path.name}:{number}: {language!r} is none of {known}")
        elif language in (*EXECUTED, "console") and line != f"```{language}":
            problems.append(f"{path.name}:{number}: write ```{language} and nothing else")
    to_run = sum(language in EXECUTED for _, _, language in opened)
    parsers = [CodeBlockParser(language, lambda example: None) for language in EXECUTED]
    if not problems and len(list(Document.parse(str(path), *parsers))) != to_run:
        problems.append(f"{path.name}: a block that runs stands inside another")
    return problems


def anchors(path: Path) -> set[str]:
    """The `#names` that a Markdown file offers: its headings, as GitHub spells them."""
    _, text = fences(path.read_text(encoding="utf-8"))
    seen: Counter[str] = Counter()
    names = set(re.findall(r"<a (?:id|name)=\"([^\"]+)\"", text))
    for heading in re.findall(r"^#{1,6}\s+(.+?)\s*#*$", text, re.MULTILINE):
        heading = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        name = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        names.add(f"{name}-{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return names


def broken_links(root: Path, file: Path) -> list[str]:
    """Relative links and images of one document that lead nowhere in a fresh clone."""
    root = root.resolve()
    files = {root / name for name in tracked_files(root)}
    folders = {folder for path in files for folder in path.parents}
    existing = files | {folder for folder in folders if folder.is_relative_to(root)}
    _, text = fences((root / file).read_text(encoding="utf-8"))
    text = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", text)  # code is no link
    targets = [link or tag for link, tag in LINK.findall(text)] + REFERENCE.findall(text)
    problems = []
    for target in targets:
        if re.match(r"[a-z]+:", target):
            continue  # the web
        name, _, anchor = target.partition("#")
        path = (root / file.parent / name).resolve() if name else (root / file).resolve()
        if path not in existing or name.startswith("/"):
            problems.append(f"{file}: {target} is not there")
        elif anchor and path.suffix == ".md" and anchor not in anchors(path):
            problems.append(f"{file}: {target}: no such heading")
    return problems


DOCUMENTS = tracked_files(ROOT, ".md")


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_every_block_runs_and_prints_what_the_document_says(document, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where scratch output lands
    run_document(ROOT / document)


@pytest.mark.slow
@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_console_blocks_show_what_the_scripts_print(document):
    assert console_problems((ROOT / document).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_no_fence_escapes(document):
    assert escaping_fences(ROOT / document) == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_no_link_is_broken(document):
    assert broken_links(ROOT, document) == []


LESSON_DOCUMENTS = [file for file in DOCUMENTS if file.parts[0] in LESSON_PHASES]
POSTS = [file for file in LESSON_DOCUMENTS if file.parts[1] == "blog"]
NOTES = [file for file in LESSON_DOCUMENTS if file.parts[1] == "notes"]
DICTIONARY = Path("phase-00-python-math/notes/symbols.md")


def post_problems(text: str) -> list[str]:
    """What a blog post lacks: its length, its pictures, its call-outs, its outlook."""
    problems = []
    words = len(text.split())
    if not 1500 <= words <= 3000:
        problems.append(f"{words} words instead of 1,500 to 3,000")
    if len(re.findall(r"^!\[", text, re.MULTILINE)) < 3:
        problems.append("fewer than three pictures")
    problems += [
        f"no {mark}" for mark in ("> **Aha.**", "> **Predict.**", "**Next:**") if mark not in text
    ]
    return problems


@pytest.mark.parametrize("post", POSTS, ids=str)
def test_post_has_what_a_reader_expects(post):
    assert post_problems((ROOT / post).read_text(encoding="utf-8")) == []


def test_planted_poor_post_is_seen():
    assert len(post_problems("Read this.")) == 5
    good = "word " * 1500 + "\n![a](a.png)" * 3 + "\n> **Aha.**\n> **Predict.**\n**Next:**"
    assert post_problems(good) == []


@pytest.mark.parametrize("note", NOTES, ids=str)
def test_note_links_to_the_symbol_dictionary(note):
    text = (ROOT / note).read_text(encoding="utf-8")
    targets = {(ROOT / note.parent / link).resolve() for link, _ in LINK.findall(text)}
    assert note == DICTIONARY or (ROOT / DICTIONARY).resolve() in targets


@pytest.mark.parametrize("phase", sorted({file.parts[0] for file in LESSON_DOCUMENTS}))
def test_phase_has_posts_notes_and_a_notebook(phase):
    assert any(file.parts[0] == phase for file in POSTS)
    assert any(file.parts[0] == phase for file in NOTES)
    assert list((ROOT / phase / "code").glob("*.ipynb"))


def block(language: str, *lines: str) -> str:
    return "\n".join(["", f"```{language}", *lines, "```", ""])


SCRIPT = "phase-00-python-math/code/softmax.py"


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        ("loss 0.0271 → 0.0004", "loss 0.0270 → 0.0005", True),
        ("loss 0.0271 → 0.0004", "loss 0.0271 → 0.0009", False),
        ("error 1.7e-11", "error 1.8e-11", True),
        ("error 1.7e-11", "error 4.7e-11", True),  # rounding noise
        ("error 1.7e-11", "error 1.7e-07", False),
        ("error 1.7e-03", "error 4.7e-03", False),
        ("1,000 epochs", "1,000 epochs", True),
        ("1,000 epochs", "1,015 epochs", False),
        ("right 99.1%", "right 97.3%", False),
        ("x 0.1", "x 0.3", False),
        ("difference 5e-15", "difference 6e-15", True),
        ("w [2 1]", "w [2 2]", False),
        ("4 of 4", "4 of 3", False),
        ("took ... s, 3 times", "took 12.5 s, 3 times", True),
        ("took ... s, 3 times", "took 12.5 s, 5 times", False),
        ("one", "one\ntwo", False),
    ],
)
def test_outputs_agree_to_what_rounding_allows(shown, printed, same):
    assert same_output(shown, printed) == same


def test_planted_wrong_console_block_is_seen():
    command = f"$ .venv/bin/python {SCRIPT}"
    printed = run(Path(SCRIPT)).output.splitlines()
    assert console_problems(block("console", command, *printed)) == []
    timed = [printed[0][:12] + "...", *printed[1:]]
    assert console_problems(block("console", command, *timed)) == []
    for wrong in (
        block("console", command, *printed[1:]),
        block("console", command, *printed[:-1], "wrote nothing"),
        block("console", "$ ls", "README.md"),
        block("console", *printed),
    ):
        assert len(console_problems(wrong)) == 1


def write(folder: Path, text: str) -> Path:
    path = folder / "planted.md"
    path.write_text(text, encoding="utf-8")
    return path


def test_blocks_of_a_document_share_their_names(tmp_path):
    run_document(write(tmp_path, block("python", "x = 2") + block("python", "print(x + 1)")
                       + block("output", "3")))  # fmt: skip


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        (block("python", "print(1 + 1)") + block("output", "3"), SybilFailure, "printed:\n2"),
        (block("python", "x = 1 / 0"), ZeroDivisionError, None),
        (block("python", "assert 1 == 2"), AssertionError, None),
        (block("output", "3"), SybilFailure, "below the python block"),
    ],
)
def test_planted_wrong_block_is_seen(text, error, message, tmp_path):
    with pytest.raises(error, match=message):
        run_document(write(tmp_path, text))


@pytest.mark.parametrize(
    "text",
    [
        *(
            block(name, "x = 1")
            for name in ("py", "python3", "Python", "pycon", "", "python title")
        ),
        "- a list\n\n  ```python\n  x = 1\n  ```\n",
        "> ```python\n> x = 1\n> ```\n",
        "~~~python\nx = 1\n~~~\n",
        "~~~console\n$ ls\n~~~\n",
        "``` console\n$ ls\n```\n",
        "````python\nx = 1\n````\n",
        "````text\n```python\nx = 1\n```\n````\n",
    ],
)
def test_planted_escape_is_seen(text, tmp_path):
    assert len(escaping_fences(write(tmp_path, text))) == 1


@pytest.mark.parametrize(
    "text",
    [
        "[a](missing.md)",
        "![a](figures/missing.png)",
        '<img src="missing.png" width="300">',
        "[a](#no-such-heading)",
        "[a](other.md#no-such-heading)",
        "[a](/other.md)",
        "[a](../../)",
        "[a][b]\n\n[b]: missing.md\n",
        "[a](ignored.md)",
    ],
)
def test_planted_broken_link_is_seen(text, tmp_path):
    files = {
        "notes/a.md": text,
        "notes/other.md": "",
        "notes/ignored.md": "",
        ".gitignore": "ignored.md",
    }
    assert len(broken_links(plant(tmp_path, files), Path("notes/a.md"))) == 1


def test_links_that_lead_somewhere_pass(tmp_path):
    text = """
[a](../README.md) [b](other.md#two-words-1) [c](#softmax-what-it-is) [d](../notes/)
[e](https://example.com/x) `[f](missing.md)` ![g](<other.md> "title")

## Softmax: what it is
""" + block("text", "[h](missing.md)")
    other = "# Two words\n## Two words\n"
    plant(tmp_path, {"README.md": "", "notes/a.md": text, "notes/other.md": other})
    assert broken_links(tmp_path, Path("notes/a.md")) == []
