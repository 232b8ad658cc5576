"""``shapegym design``."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shapegym.experiments.console import (
    Imports,
    Trust,
    as_options,
    err,
    explained,
    out,
    pairs,
    refuse_others,
    require_recorded,
    say,
)
from shapegym.experiments.errors import DesignError
from shapegym.experiments.named import known_algorithm, require_env
from shapegym.shaping.errors import UnansweredError

if TYPE_CHECKING:
    from shapegym.experiments.design.brief import Brief
    from shapegym.experiments.design.candidate import Candidate
    from shapegym.experiments.design.designer import Precedent
    from shapegym.experiments.design.folder import DesignFolder
    from shapegym.experiments.design.loop import Round
    from shapegym.experiments.design.proposer import Proposer
    from shapegym.experiments.design.session import Session

_GOING_ON = ("budget_calls", "budget_tokens", "workers", "yes", "trust", "imports", "timeout", "feedback")
"""Options that are no part of the brief."""


def design(
    context: typer.Context,
    env: Annotated[
        str, typer.Argument(help="Id of the environment; with --resume or --replay it is known.")
    ] = "",
    task: Annotated[
        str,
        typer.Option(help="What the agent is to do, in a sentence; by default as the environment says it."),
    ] = "",
    preset: Annotated[
        str, typer.Option(help="text2reward, eureka, auto_mc, revolve, or a file of your own (.yaml).")
    ] = "eureka",
    model: Annotated[
        str, typer.Option(help="Who writes: a model of an OpenAI-compatible endpoint (extra `llm`).")
    ] = "",
    base_url: Annotated[
        str,
        typer.Option(
            help="Of the endpoint, up to /v1; $OPENAI_BASE_URL by default. The key is $OPENAI_API_KEY."
        ),
    ] = "",
    grammar: Annotated[
        bool,
        typer.Option("--grammar", help="Who writes: random programs, mutated and crossed; needs no model."),
    ] = False,
    rounds: Annotated[int | None, typer.Option(help="In place of the preset's.", min=1)] = None,
    candidates: Annotated[int | None, typer.Option(help="Programs of a round.", min=1)] = None,
    examples: Annotated[
        int | None, typer.Option(help="Reference programs of other tasks that are shown.", min=0)
    ] = None,
    repairs: Annotated[int | None, typer.Option(help="Times that a blamed program goes back.", min=0)] = None,
    mends: Annotated[
        int | None,
        typer.Option(
            help="Times that the grammar then changes a part of what is still blamed; costs no answers.",
            min=0,
        ),
    ] = None,
    guidance: Annotated[
        float | None,
        typer.Option(
            help="How far the critic must find that a program leads, or it is changed.", min=0, max=1
        ),
    ] = None,
    finalists: Annotated[
        int | None,
        typer.Option(help="Programs that are trained again in the end, with three other seeds.", min=0),
    ] = None,
    temperature: Annotated[float | None, typer.Option(help="Of sampling.", min=0, max=2)] = None,
    steps: Annotated[int, typer.Option(help="Budget of each training run.", min=1)] = 100_000,
    seeds: Annotated[int, typer.Option(help="Training runs of each program.", min=1)] = 1,
    algo: Annotated[str, typer.Option(help="Who learns.")] = "ppo",
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="A hyper-parameter, as KEY=VALUE; repeatable.")
    ] = None,
    env_arg: Annotated[
        list[str] | None, typer.Option("--env-arg", help="An argument of the environment, as KEY=VALUE.")
    ] = None,
    feature: Annotated[
        list[str] | None,
        typer.Option(
            "--feature", help="Show the designer this one although it gives the task away; repeatable."
        ),
    ] = None,
    advice: Annotated[str, typer.Option(help="Words of your own for the first prompt.")] = "",
    feedback: Annotated[
        str,
        typer.Option(
            metavar="FILE|-",
            help="What you say of the agents: a line for each later round; -: you are asked.",
        ),
    ] = "",
    prompts: Annotated[Path | None, typer.Option(help="Folder with templates of your own.")] = None,
    max_tokens: Annotated[int, typer.Option(help="Of an answer.", min=1)] = 600,
    timeout: Annotated[float, typer.Option(help="Seconds that an answer may take.", min=1)] = 300.0,
    budget_calls: Annotated[int | None, typer.Option(help="Answers at most.", min=1)] = None,
    budget_tokens: Annotated[
        int | None, typer.Option(help="Tokens at most, read and written.", min=1)
    ] = None,
    workers: Annotated[int, typer.Option(help="Training runs at a time.", min=1)] = 2,
    seed: Annotated[int, typer.Option(help="Of what the design draws.", min=0)] = 0,
    out_dir: Annotated[
        Path | None, typer.Option("--out", help="Folder of the design; designs/ENV by default.")
    ] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with the design in this folder.")] = None,
    replay: Annotated[
        Path | None, typer.Option(help="Do the design in this folder again from its transcript, and compare.")
    ] = None,
    recorded: Annotated[
        bool,
        typer.Option("--recorded", help="With --replay: take over what came of training, train nothing."),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before it spends.")] = False,
    trust: Trust = False,
    imports: Imports = None,
) -> None:
    """Let a language model, or a grammar, design the reward of a task: written, criticised, trained, improved."""
    with explained():
        if replay is not None:
            refuse_others(context, "replay", "out_dir", "recorded", "workers", "trust", "imports")
            _replayed(replay, out_dir, recorded, workers, trust)
            return
        if recorded:
            raise DesignError("--recorded says what --replay does: add --replay FOLDER, or leave it out.")
        from shapegym.experiments.design.brief import Brief
        from shapegym.experiments.design.folder import begin_design, read_design
        from shapegym.experiments.design.preset import load_preset
        from shapegym.experiments.design.prompting import Prompts
        from shapegym.shaping.asking.endpoint import Endpoint

        if resume is not None:
            refuse_others(context, "resume", *_GOING_ON)
            folder = read_design(resume)
            require_recorded(imports, folder.brief.imports, resume)
            described = folder.brief.proposer
        else:
            if not env:
                raise DesignError(
                    "Which environment? Give its id (`shapegym envs` lists them), or --resume FOLDER."
                )
            require_env(env)
            if grammar == bool(model):
                raise DesignError(
                    "Who writes the programs? Give --model NAME (and --base-url), or --grammar."
                )
            described = {"grammar": 1} if grammar else Endpoint(model, base_url).described
            lines = _lines(feedback)
            chosen = load_preset(
                preset,
                rounds=rounds if rounds is not None or lines is None else lines + 1,
                candidates=candidates,
                examples=examples,
                repairs=repairs,
                mends=mends,
                finalists=finalists,
                guidance=guidance,
                temperature=temperature,
            )
            brief = Brief(
                env=env,
                preset=chosen,
                steps=steps,
                task=task,
                env_kwargs=pairs("--env-arg", env_arg),
                features=tuple(feature or ()),
                advice=advice,
                algo=known_algorithm(algo),
                settings=pairs("--set", set_),
                seeds=tuple(range(seeds)),
                seed=seed,
                most_tokens=max_tokens,
                proposer=described,
                imports=tuple(imports or ()),
            )
            place = out_dir or Path("designs") / env.replace(":", "/").split("/")[-1]
            folder = begin_design(place, brief, Prompts.read(prompts), _examples(brief))
        session = _session(
            folder, described, timeout, feedback, (budget_calls, budget_tokens), workers, trust
        )
        _confirm(session, yes)
        _run(session)


def _session(
    folder: DesignFolder,
    described: Any,
    timeout: float,
    feedback: str,
    budget: tuple[int | None, int | None],
    workers: int,
    trust: bool,
) -> Session:
    from shapegym.experiments.design.person import TypedFeedback, WrittenFeedback
    from shapegym.experiments.design.session import Session, grammar_for
    from shapegym.shaping.asking.endpoint import Endpoint
    from shapegym.shaping.asking.transcript import Budget

    proposer: Proposer = (
        grammar_for(folder.brief)
        if "grammar" in described
        else Endpoint(described["model"], described["base_url"], timeout=timeout)
    )
    session = Session(folder, proposer, budget=Budget(*budget), workers=workers, watch=_told, trust=trust)
    if feedback == "-":
        session.designer.person = TypedFeedback(_asked)
    elif feedback:
        heard = sum(each.place.endswith("/person") for each in session.transcript.exchanges)
        session.designer.person = WrittenFeedback(Path(feedback), heard)
    return session


def _run(session: Session) -> None:
    from shapegym.experiments.design.session import REPORT

    path = session.folder.path
    again = f"shapegym design --resume {path}{as_options(session.folder.brief.imports)}"
    try:
        session.run(_tell)
    except UnansweredError as error:
        say(str(error), err, label="Stopped:", style="bold red")
        say(f"What is finished is kept. Report: {path / REPORT}\nGo on with: {again}", err)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        say(f"\nStopped. Go on with: {again}", err)
        raise typer.Exit(130) from None
    _conclude(session)


def _replayed(recorded: Path, out_dir: Path | None, take: bool, workers: int, trust: bool) -> None:
    from shapegym.experiments.design.folder import read_design, versions_of
    from shapegym.experiments.design.replay import begin_replay, differences
    from shapegym.experiments.design.session import Session
    from shapegym.experiments.runs import run_folder

    with _place(out_dir) as place:
        original = read_design(recorded)
        folder = begin_replay(original, place)
        session = Session(
            folder, None, workers=workers, recorded=recorded if take else None, watch=_told, trust=trust
        )
        try:
            session.run(_tell)
        except UnansweredError as error:
            say(str(error), err, label="Note:", style="bold")
        found = differences(recorded, place)
        if not found:
            told = "programs, findings and choices" if take else "programs, findings, choices and results"
            out.print(f"The same to the last bit: {told}.")
            return
        for what, names in found.items():
            say(f"{what} differ: {', '.join(names[:5])}{' ...' * (len(names) > 5)}", err, style="bold red")
        then, now = versions_of(recorded), run_folder.versions()
        changed = [f"{name} {then.get(name)} -> {now[name]}" for name in now if then.get(name) != now[name]]
        if changed:
            say(f"It was recorded with other versions: {', '.join(changed)}.", err)
        raise typer.Exit(1)


@contextmanager
def _place(out_dir: Path | None) -> Iterator[Path]:
    if out_dir is not None:
        yield out_dir
        return
    with tempfile.TemporaryDirectory(prefix="shapegym-replay-") as name:
        yield Path(name)


def _confirm(session: Session, yes: bool) -> None:
    """Say what it will cost at most, and ask where somebody can answer."""
    brief = session.folder.brief
    runs = brief.most_runs
    say(f"At most {session.plan}; {runs} training runs of {brief.steps:,} steps. (Minutes are a guess.)", err)
    if session.transcript.exchanges:
        say(f"Of these, {len(session.transcript.exchanges):,} answers are there already.", err)
    if not yes and err.is_terminal and not typer.confirm("Go on?", default=True, err=True):
        raise typer.Exit(0)


def _tell(news: Candidate | Round) -> None:
    from shapegym.experiments.design.loop import Round

    if not isinstance(news, Round):
        first = news.attempt.faults.partition("\n")[0]
        same = f" (the same as {news.same_as})" * bool(news.same_as)
        tries = f"{len(news.attempts)} attempt{'s' * (len(news.attempts) > 1)}"
        leads = (
            "" if news.attempt.guidance is None else f", leads {max(news.attempt.guidance, 0):.0%} of the way"
        )
        say(f"{news.id}: {news.attempt.fate} after {tries}{leads}{same}. {first}".rstrip(), err)
        return
    best = news.best
    if best is None or best.outcome is None:
        say(f"Round {news.number}: nothing could be trained.", err)
        return
    success = "" if best.outcome.success is None else f"success {best.outcome.success[0]:.2f}, "
    say(
        f"Round {news.number}: best so far {best.id}, {success}task return {best.outcome.task_return[0]:.3g}",
        err,
    )


def _conclude(session: Session) -> None:
    from shapegym.experiments.design.loop import BEST
    from shapegym.experiments.design.session import REPORT

    path, best = session.folder.path, session.rounds[-1].best
    say(f"It took {session.spent}. Report: {path / REPORT}", err)
    if best is None:
        say("No program could be trained.", err, style="bold red")
        raise typer.Exit(1)
    out.print(best.source, markup=False, soft_wrap=True)
    say(f"Train on it: shapegym train {session.folder.brief.env} --reward {path / BEST}", err)


def _lines(feedback: str) -> int | None:
    """How many lines of feedback a file has."""
    if feedback in ("", "-"):
        return None
    if not Path(feedback).is_file():
        raise DesignError(f"--feedback takes a text file or -, and {feedback} is no file.")
    return sum(bool(line.strip()) for line in Path(feedback).read_text(encoding="utf-8").splitlines())


def _asked(shown: str) -> str:
    if not err.is_terminal:
        raise DesignError("--feedback - asks in a terminal, and this is none. Give a file of lines.")
    say(shown, err)
    return str(
        typer.prompt(
            "What should the agent do otherwise? (Enter: nothing)", default="", show_default=False, err=True
        )
    )


def _examples(brief: Brief) -> list[Precedent]:
    """Reference programs of other tasks, as many as the preset shows."""
    from shapegym.experiments.design.examples import examples_for

    return examples_for(brief.env, brief.preset.examples)


def _told(workspace: Any) -> Any:
    """What a sweep tells while it goes on."""
    from shapegym.experiments.commands.sweep import shown

    return shown([], workspace)
