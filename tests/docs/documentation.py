"""What the documentation shows, read from its Markdown: blocks of Python, commands, links, names of files."""

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from tests.conftest import ROOT
from whalecam.cli import cli

DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
FRONT = tuple(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"))
WRITTEN = (*(page for page in FRONT if page.name != "CHANGELOG.md"), *PAGES)
"""Pages about the present version; the changelog also names what there was."""
PROGRAMS = ("pip", "ray", "make", "python", "git", "jupyter", "mkdocs", "streamlit", "source", "export", "cd")
"""First words of code that is no verb of WhaleCAM."""
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.S | re.M)
PYTHON = re.compile(r"(?:<!-- not run: ([^\n]*) -->\n)?^```python\n(.*?)^```", re.S | re.M)
LINK = re.compile(r"\]\(([^)\s]+)\)|^\[[^\]]+\]: (\S+)", re.M)
SPAN = re.compile(r"`([^`\n]+)`")
FILE = re.compile(r"^(?:whalecam|docs|tests|benchmarks|training|pages)/[\w./*-]+$")


@dataclass(frozen=True)
class Block:
    """One block of Python: its code, and why it does not run ("" where it does)."""

    code: str
    reason: str


def python_blocks(text: str) -> list[Block]:
    return [Block(found[2], found[1] or "") for found in PYTHON.finditer(text)]


def without_blocks(text: str) -> str:
    """The text between the blocks of code."""
    return FENCE.sub("", text)


def spans(text: str) -> list[str]:
    """The code within the lines, bars of table cells as they are meant."""
    return [span.replace(r"\|", "|") for span in SPAN.findall(without_blocks(text))]


def command_lines(text: str) -> Iterator[list[str]]:
    """The words after `whalecam` of each line of a block that calls it."""
    for _, block in FENCE.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            stripped = line.strip().removeprefix("- run: ").removeprefix("$ ")
            if words := called(stripped):
                yield words


def called(line: str) -> list[str]:
    """The words after `whalecam` or `python -m whalecam`; none where the line calls something else."""
    try:
        words = shlex.split(line, comments=True)
    except ValueError:  # output that is no command
        return []
    while words and re.match(r"^[A-Z_]+=", words[0]):
        words = words[1:]
    if words[1:3] == ["-m", "whalecam"] and Path(words[0]).name.startswith("python"):
        return words[3:]
    return words[1:] if words and Path(words[0]).name == "whalecam" and "/whalecam/" not in words[0] else []


def fault_of(words: Sequence[str]) -> str:
    """What is wrong with a whole command, as click says it; "" where nothing is."""
    verb, *arguments = words
    if verb not in cli.commands:
        return f"there is no verb {verb}"
    try:
        cli.commands[verb].make_context(verb, list(arguments))
    except click.ClickException as error:
        return f"{verb}: {error.format_message()}"
    return ""


def fault_in_span(span: str) -> str:
    """What is wrong with code within a line: an unknown verb, or an option that its verb does not have."""
    words = span.split()
    if words[0] == "whalecam" and len(words) > 1:
        words = words[1:]
    elif words[:3] == ["python", "-m", "whalecam"] and len(words) > 3:
        words = words[3:]
    elif words[0].startswith("--"):
        name = words[0].partition("=")[0]
        known = name in every_option() or name == "--" or name.startswith("--server.")
        return "" if known else f"no verb has an option {name}"
    elif words[0] not in cli.commands and not is_call(words):
        return ""
    verb = words[0]
    if verb in ("VERB", "…") or verb.startswith("--"):
        return ""
    if verb not in cli.commands:
        return f"there is no verb {verb}"
    mine = [*words[1 : words.index("--")]] if "--" in words else words[1:]
    unknown = [word for word in mine if word.startswith("--") and word.partition("=")[0] not in options_of(verb)]
    return f"{verb} has no option {unknown[0]}" if unknown else ""


def fault_of_module(line: str) -> str:
    """What is wrong with `python -m …` of a module of ours: it is not there, or does not name an option."""
    name, *words = line.split()
    source = ROOT / f"{name.replace('.', '/')}.py"
    if not source.is_file():
        return f"there is no {name}"
    code = source.read_text(encoding="utf-8")
    shared = [ROOT / "benchmarks" / f"{part}.py" for part in re.findall(r"^from benchmarks\.(\w+) import", code, re.M)]
    known = code + "".join(path.read_text(encoding="utf-8") for path in shared if path.is_file())
    unknown = [word for word in words if word.startswith("--") and f'"{word}"' not in known]
    return f"{name} has no option {unknown[0]}" if unknown else ""


def modules_called(text: str) -> list[str]:
    """What follows `python -m` where it is a module of ours, without the brackets of usage lines."""
    lines = re.findall(r"python -m ((?:benchmarks|training|docs)\.[^`\n#]*)", text)
    return [re.sub(r"[\[\]|…]", " ", line) for line in lines]


def is_call(words: Sequence[str]) -> bool:
    """Whether words look like a verb with a run or an option after it."""
    called_alike = bool(re.fullmatch(r"[a-z][a-z-]+", words[0])) and words[0] not in PROGRAMS
    return called_alike and len(words) > 1 and (words[1] == "RUN" or words[1].startswith("--"))


def options_of(verb: str) -> set[str]:
    return {name for option in cli.commands[verb].params for name in (*option.opts, *option.secondary_opts)} | {
        "--help"
    }


def every_option() -> set[str]:
    return {name for verb in cli.commands for name in options_of(verb)} | {"--version"}


def links(text: str) -> list[str]:
    """The targets of all links that stay within the project."""
    found = (first or second for first, second in LINK.findall(without_blocks(text)))
    return [target for target in found if not re.match(r"^[a-z]+:", target)]


def anchors(page: Path) -> set[str]:
    """The names by which links reach the headings of a page."""
    heads = re.findall(r"^#+ (.*)$", without_blocks(page.read_text(encoding="utf-8")), re.M)
    return {re.sub(r"[\s]+", "-", re.sub(r"[^\w\s-]", "", head).strip().lower()) for head in heads}


def broken_links(page: Path) -> list[str]:
    """The links of a page that lead to no file, or to no heading of it."""
    found = []
    for target in links(page.read_text(encoding="utf-8")):
        name, _, anchor = target.partition("#")
        goal = (page.parent / name).resolve() if name else page
        if not goal.exists() or (anchor and anchor not in anchors(goal)):
            found.append(target)
    return found


def missing_files(text: str) -> list[str]:
    """Paths of the project that a text names and that are not there."""
    named = [span for span in spans(text) if FILE.match(span) and Path(span).stem != "yours"]
    return [name for name in named if not any(ROOT.glob(name.rstrip("/")))]
