"""The section that tells how to do it again: commands, versions, machine, fingerprints."""

from pathlib import Path

from core.home import demo_dir
from core.report.blocks import Cell, facts, paragraphs, section
from core.report.content import Content, Trained
from core.report.markup import Markup, tag
from core.report.words import Words
from core.training import runs
from core.training.demo_run import is_demo
from core.windows import command_line


def reproduction_section(content: Content, words: Words, version: str) -> Markup:
    """Return the commands that do it again, and the versions, machine and fingerprints they were run with."""
    commands = _commands(content, words)
    return section(
        8, "reproduction", words("reproduction"),
        paragraphs(words("reproduction intro"), words("reproduction folder")),
        tag("pre", tag("code", "\n".join(commands)), tabindex=0, aria_label=words("commands")),
        facts(words("versions caption"), _versions(content, words, version)),
    )  # fmt: skip


def _commands(content: Content, words: Words) -> list[str]:
    """Return the commands that make the runs, their scores and this report again, `RUN` standing for a run's folder."""
    runs_named = [f"RUN_{k}" for k in range(1, len(content.trained) + 1)] if len(content.trained) > 1 else ["RUN"]
    is_drawn = Path(content.evaluation.data) == demo_dir() and not all(is_demo(each.run) for each in content.trained)
    lines = [f"python -m core demo   # {words('demo comment')}"] if is_drawn else []
    for trained, name in zip(content.trained, runs_named, strict=True):
        lines += _commands_of(trained, content, f"checkpoints/{name}")
    report = " ".join(f"checkpoints/{name}" for name in runs_named)
    return [*lines, f"python -m core report {report} --language {words.language}"]


def _commands_of(trained: Trained, content: Content, folder: str) -> list[str]:
    targets = [int(leg.config["epochs"]) for leg in trained.log.legs]
    later = sorted({target for target in targets if target > trained.run.config.epochs})
    train = [runs.command(trained.run), *(f"python -m core train {folder} --extend {target}" for target in later)]
    on = command_line(["--data", content.evaluation.data, "--split", content.split])
    return [
        *(["python -m core demo"] if is_demo(trained.run) else train),
        *(f"python -m core evaluate {folder}/{judged.file.name} {on}" for judged in content.of_run(trained)),
    ]


def _versions(content: Content, words: Words, version: str) -> list[tuple[str, str | Cell]]:
    rows: list[tuple[str, str | Cell]] = []
    for trained in content.trained:
        rows.append((words("lineage", run=trained.name), tag("code", trained.run.path.name)))
        if trained.log.legs:
            leg = trained.log.legs[-1]
            versions = ", ".join(f"{name} {number}" for name, number in leg.versions.items())
            rows += [
                (words("versions run", run=trained.name), versions or words("unknown")),
                (words("device"), f"{leg.device}, {leg.precision}"),
                (words("data trained", run=trained.name), tag("code", leg.fingerprint, class_="hash")),
            ]
    for label, judged in zip(words.labels(content), content.judged, strict=True):
        rows.append((words("weights", label=label), tag("code", judged.evaluation.checkpoint_hash, class_="hash")))
    return [*rows, (words("report version"), f"Atrous {version}")]
