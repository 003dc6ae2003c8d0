"""Write the generated parts of the reference: docs/cli.md from the commands, docs/python-api.md from the docstrings.

usage: python -m docs.generate [--check]

Everything below the marker of a page is replaced. With --check nothing is written, and the exit status is 1 where a
page is out of date.
"""

import argparse
import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import click

import whalecam
from whalecam.cli import cli

FOLDER = Path(__file__).resolve().parent
MARKER = "<!-- Everything below is written by `python -m docs.generate`. -->\n"
SECTIONS: Mapping[str, Sequence[str]] = {
    "Data sets": ("open_dataset", "Dataset", "check", "unpack"),
    "Training and audit": ("train", "TrainOptions", "audit", "AuditOptions", "cues"),
    "Runs": ("open_run", "Run", "compare", "remask", "step_mask", "Thresholds"),
    "Remedies": ("simulate", "retrain", "embed"),
    "Individuals": ("matches", "MatchOptions", "match_table", "open_encoder"),
    "Maps of a network in memory": ("explain", "open_model", "inspect", "Cams"),
    "Columns of the CSV": ("Columns",),
    "Errors": ("WhalecamError", "DatasetError", "ModelError", "RunError", "ReviewError"),
}
"""The public names in the order of the page."""
WITH_METHODS = ("Dataset", "Run")
"""Classes whose public methods the page lists."""
TYPES = {"integer": "a whole number", "float": "a number", "path": "a path"}
"""Words for what click calls the types of values."""
LINE = 90
"""Characters of a signature that stands on one line."""
HEADS = ("Args:", "Attributes:", "Raises:", "Returns:")


def python_page() -> str:
    """The public API, from signatures and docstrings."""
    lines = []
    for title, names in SECTIONS.items():
        lines.append(f"## {title}\n")
        lines += [part for name in names for part in _entry(name, getattr(whalecam, name))]
    return "\n".join(lines)


def cli_page() -> str:
    """Every command, from what `--help` prints."""
    lines = []
    for name, verb in sorted(cli.commands.items()):
        if verb.hidden:
            continue
        context = click.Context(verb, info_name=f"whalecam {name}")
        usage = " ".join(verb.collect_usage_pieces(context))
        lines += [f"## {name}\n", f"```text\nwhalecam {name} {usage}\n```\n", _prose(verb.help or "") + "\n"]
        options = [
            parameter for parameter in verb.params if isinstance(parameter, click.Option) and not parameter.hidden
        ]
        lines += ["| option | values | default | what it does |", "|---|---|---|---|"]
        lines += [_option_row(option, context) for option in options]
        lines.append("")
    return "\n".join(lines)


PAGES: Mapping[str, Callable[[], str]] = {"python-api.md": python_page, "cli.md": cli_page}


def outdated() -> Iterator[tuple[Path, str]]:
    """Each page whose generated part is not what would be written now, with its whole new text."""
    for name, write in PAGES.items():
        page = FOLDER / name
        text = page.read_text(encoding="utf-8")
        written = text.partition(MARKER)[0] + MARKER + "\n" + write().rstrip() + "\n"
        if written != text:
            yield page, written


def _entry(name: str, value: Any) -> Iterator[str]:
    """A function, or a class with its fields and its public methods."""
    yield f"### {name}\n"
    if inspect.isfunction(value):
        yield f"```text\n{name}{_signature(value)}\n```\n"
    yield _docstring(value)
    if is_dataclass(value) and all(_has_default(field) for field in fields(value)):
        yield _field_table(value)
    for method, member in vars(value).items() if name in WITH_METHODS else ():
        function = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
        if not method.startswith("_") and inspect.isfunction(function) and inspect.getdoc(function):
            shown = _signature(function)
            shown = shown.removeprefix("()") if isinstance(member, property) else shown
            yield f"#### {name}.{method}\n"
            yield f"```text\n{name}.{method}{shown}\n```\n"
            yield _docstring(function)


def _has_default(field: Any) -> bool:
    return isinstance(field.default, str | int | float | tuple | bool | None)


def _field_table(value: Any) -> str:
    rows = [f"| `{field.name}` | {_type_words(field.type)} | `{field.default!r}` |" for field in fields(value)]
    return "\n".join(["| field | type | default |", "|---|---|---|", *rows, ""])


def _type_words(kind: Any) -> str:
    """A type without bars, which end the cell of a table."""
    return " or ".join(f"`{part}`" for part in getattr(kind, "__name__", str(kind)).split(" | "))


def _signature(function: Any) -> str:
    """The arguments and the result as the source has them, one argument a line where that is long.

    Without `self` and `cls`.
    """
    source = ast.parse(textwrap.dedent(inspect.getsource(function)))
    node = next(part for part in ast.walk(source) if isinstance(part, ast.FunctionDef))
    words = [word for word in _arguments(node.args) if word not in ("self", "cls")]
    result = ast.unparse(node.returns).replace("'", "") if node.returns else "None"
    line = f"({', '.join(words)}) -> {result}"
    return line if len(line) < LINE else "(\n" + "".join(f"    {word},\n" for word in words) + f") -> {result}"


def _arguments(given: ast.arguments) -> Iterator[str]:
    """Each argument with its type and its default, and the star before those that need their name."""
    missing: list[ast.expr | None] = [None] * (len(given.args) - len(given.defaults))
    for argument, default in zip(given.args, [*missing, *given.defaults], strict=True):
        yield _argument(argument, default)
    if given.vararg:
        yield f"*{_argument(given.vararg, None)}"
    elif given.kwonlyargs:
        yield "*"
    for argument, default in zip(given.kwonlyargs, given.kw_defaults, strict=True):
        yield _argument(argument, default)
    if given.kwarg:
        yield f"**{_argument(given.kwarg, None)}"


def _argument(argument: ast.arg, default: ast.expr | None) -> str:
    kind = f": {ast.unparse(argument.annotation)}".replace("'", "") if argument.annotation else ""
    equals = " = " if kind else "="
    return argument.arg + kind + (f"{equals}{ast.unparse(default)}" if default else "")


def _docstring(value: Any) -> str:
    """A docstring as Markdown: its sections become lists."""
    blocks = []
    for block in re.split(r"\n\s*\n", inspect.getdoc(value) or ""):
        head, _, rest = block.partition("\n")
        if head.strip() in HEADS:
            blocks.append(f"**{head.strip().removesuffix(':')}**\n\n{_items(rest)}")
        else:
            blocks.append(_prose(block))
    return "\n\n".join(blocks) + "\n"


def _items(block: str) -> str:
    """`name: text` lines, some of them over several lines, as a list."""
    items: list[str] = []
    for line in inspect.cleandoc(block).split("\n"):
        if line.startswith(" ") and items:
            items[-1] += f" {line.strip()}"
        else:
            name, colon, text = line.partition(": ")
            items.append(f"- `{name}`: {text}" if colon else f"- {line}")
    return "\n".join(_safe(item) for item in items)


def _prose(text: str) -> str:
    """Paragraphs on one line each."""
    return "\n\n".join(_safe(" ".join(part.split())) for part in re.split(r"\n\s*\n", text))


def _safe(text: str) -> str:
    """Angle brackets and bars outside of code would become markup."""
    parts = text.split("`")
    parts[::2] = [part.replace("<", "&lt;").replace("|", "\\|") for part in parts[::2]]
    return "`".join(parts)


def _option_row(option: click.Option, context: click.Context) -> str:
    """Names with their values, the default, and the help."""
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    default = "required" if option.required else ""
    shown = option.get_default(context, call=False)
    if option.secondary_opts:
        default = f"`{(option.opts if shown else option.secondary_opts)[0]}`"
    elif option.show_default and shown is not None:
        default = f"`{shown}`"
    return f"| {names} | {_values(option)} | {default} | {_safe(' '.join((option.help or '').split()))} |"


def _values(option: click.Option) -> str:
    """What may follow the option; empty where nothing does."""
    kind = option.type
    if option.is_flag:
        return ""
    if isinstance(kind, click.Choice):
        return ", ".join(f"`{choice}`" for choice in kind.choices)
    if isinstance(kind, click.IntRange | click.FloatRange):
        return f"{kind.min} or more" if kind.max is None else f"{kind.min} to {kind.max}"
    return TYPES.get(kind.name, kind.name)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing, exit with 1 where a page is out of date")
    given = parser.parse_args()
    stale = list(outdated())
    for page, text in stale:
        if not given.check:
            page.write_text(text, encoding="utf-8")
        print(f"{'out of date' if given.check else 'written'}: {page.relative_to(FOLDER.parent)}")
    return 1 if stale and given.check else 0


if __name__ == "__main__":
    sys.exit(main())
