"""The command line. Commands parse and print; what they do lives in the modules beside this one."""

from __future__ import annotations

import os
import time
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Column

from shapegym.experiments.commands.audit import audit
from shapegym.experiments.commands.check import check
from shapegym.experiments.commands.collect import collect
from shapegym.experiments.commands.compare import compare
from shapegym.experiments.commands.design import design
from shapegym.experiments.commands.encoder import encoder
from shapegym.experiments.commands.record import record
from shapegym.experiments.commands.report import report
from shapegym.experiments.commands.study import study
from shapegym.experiments.commands.suites import suites
from shapegym.experiments.commands.sweep import sweep
from shapegym.experiments.commands.verify import verify
from shapegym.experiments.console import (
    Imports,
    Pay,
    Trust,
    as_options,
    err,
    explained,
    out,
    pairs,
    refuse_others,
    require_recorded,
    say,
    say_changes,
    warn,
    was_given,
)
from shapegym.experiments.errors import RunError
from shapegym.experiments.named import known_algorithm, require_env, reward_paying
from shapegym.experiments.tables import table
from shapegym.shaping.limited_files import read_object

app = typer.Typer(
    help="Sparse-reward environments and reward shaping: look, train, compare.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)


def _show_version(asked: bool) -> None:
    if asked:
        out.print(f"shapegym {version('shapegym')}")
        raise typer.Exit


@app.callback()
def _shapegym(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    pass


@app.command()
def envs(
    pattern: Annotated[
        str, typer.Argument(help="Show ids that contain this text; a full id shows everything about it.")
    ] = "",
    _imports: Imports = None,
) -> None:
    """List the environments, or show one."""
    from shapegym.experiments import catalogue
    from shapegym.experiments.named import hint

    with explained():
        rows, others = catalogue.rows(pattern), catalogue.others(pattern)
        if not rows and not others:  # those that come with Gymnasium are too many to list beside ours
            others = catalogue.others(pattern, ready=True)
        exact = [row for row in rows if row.id.removeprefix("shapegym/") == pattern.removeprefix("shapegym/")]
        if exact or (len(rows) == 1 and not others):
            catalogue.show((exact or rows)[0], out)
        elif len(others) == 1 and (not rows or others[0].id == pattern):
            catalogue.show_other(others[0], out)
        elif rows or others:
            out.print(catalogue.listing(rows, others))
            out.print(
                "[dim]Other environments train too: any id that gymnasium.make knows, such as MiniGrid-DoorKey-6x6-v0.[/]"
            )
        else:
            raise RunError(f"No environment matches {pattern!r}.{hint(pattern)}")


@app.command()
def terms(
    name: Annotated[str, typer.Argument(help="Show all about one of them.")] = "",
    _imports: Imports = None,
) -> None:
    """List what rewards are made of: terms, combinators, state functions."""
    from shapegym.experiments import catalogue

    with explained():
        if name:
            catalogue.show_node(name, out)
        else:
            catalogue.list_nodes(out)


@app.command()
def train(
    context: typer.Context,
    env: Annotated[str, typer.Argument(help="Id of the environment; with --resume it may be left out.")] = "",
    reward: Annotated[
        str,
        typer.Option(help="A reward file (YAML), or the name of a ready one; the task reward by default."),
    ] = "",
    pay: Pay = "both",
    algo: Annotated[
        str,
        typer.Option(
            help="PPO, A2C, DQN, SAC, TD3, RecurrentPPO, QRDQN, ConstrainedPPO, TwoHeadPPO, RAPID or BARFI."
        ),
    ] = "ppo",
    steps: Annotated[
        int, typer.Option(help="Budget in environment steps; with --resume, a larger one for the run.")
    ] = 100_000,
    seed: Annotated[int, typer.Option(help="Of everything.")] = 0,
    out_dir: Annotated[
        Path | None, typer.Option("--out", help="Run folder; runs/ENV-REWARD-ALGO-SEED by default.")
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="A hyper-parameter, as KEY=VALUE; repeatable.")
    ] = None,
    env_arg: Annotated[
        list[str] | None, typer.Option("--env-arg", help="An argument of the environment, as KEY=VALUE.")
    ] = None,
    train_arg: Annotated[
        list[str] | None, typer.Option("--train-arg", help="One for training alone, such as a teacher.")
    ] = None,
    eval_arg: Annotated[
        list[str] | None, typer.Option("--eval-arg", help="One for evaluation alone.")
    ] = None,
    eval_every: Annotated[
        int | None,
        typer.Option(help="Steps between evaluations on the task; 0: at the end only."),
    ] = None,
    eval_episodes: Annotated[
        int | None,
        typer.Option(help="Episodes of each; by default, evaluations take at most a fifth of the steps."),
    ] = None,
    checkpoint_every: Annotated[int, typer.Option(help="Steps between checkpoints; 0: none.")] = 10_000,
    learn_every: Annotated[
        int | None,
        typer.Option(help="Steps between fits of what the reward learns, for agents with a replay buffer."),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(
            help="Continue the run in this folder, as it was asked for; a finished one with more --steps."
        ),
    ] = None,
    checkpoint: Annotated[
        int | None, typer.Option(help="With --resume: from the checkpoint of this step, not from the last.")
    ] = None,
    trust: Trust = False,
    profile: Annotated[
        bool, typer.Option("--profile", help="Show where the time went, the reward term by term.")
    ] = False,
    wandb: Annotated[
        str, typer.Option(metavar="PROJECT", help="Show the run on Weights & Biases too (extra `wandb`).")
    ] = "",
    imports: Imports = None,
) -> None:
    """Train an agent on a task with a reward, and judge it by the task alone."""
    from shapegym.agents.callbacks import ALARMS_FILE, ShapingCallback
    from shapegym.agents.checkpoint import checkpoints
    from shapegym.agents.policies import policy_name
    from shapegym.experiments.runs import costs, run_folder
    from shapegym.experiments.runs.request import RunConfig
    from shapegym.experiments.runs.run import prolong
    from shapegym.experiments.runs.run import train as run
    from shapegym.shaping.files.reward_files import is_yaml

    with explained():
        if resume is not None:
            refuse_others(context, "resume", "steps", "checkpoint", "trust", "profile", "wandb", "imports")
            config, folder = RunConfig.from_folder(resume), resume
            require_recorded(imports, config.modules, folder)
            say_changes(run_folder.changed_versions(folder))
            if was_given(context, "steps"):
                config, differences = prolong(folder, steps)
                for difference in differences:
                    warn(f"not quite a run of {steps:,} steps: {difference}")
        elif checkpoint is not None:
            raise RunError("--checkpoint says where --resume goes on: add --resume FOLDER, or leave it out.")
        elif not env:
            raise RunError("Which environment? Give its id (`shapegym envs` lists them), or --resume FOLDER.")
        else:
            require_env(env)
            part = None if pay == "both" else reward_paying(pay, reward)
            config = RunConfig(
                env=env,
                steps=steps,
                algo=known_algorithm(algo),
                reward=part.expression if part else reward or None,
                seed=seed,
                env_kwargs=pairs("--env-arg", env_arg),
                train_kwargs=pairs("--train-arg", train_arg),
                eval_kwargs=pairs("--eval-arg", eval_arg),
                settings=pairs("--set", set_),
                eval_every=eval_every,
                eval_episodes=eval_episodes,
                checkpoint_every=checkpoint_every,
                imports=(*(imports or ()), *(part.imports if part else ())),
                learn_every=learn_every,
            )
            name = env.replace(":", "/").split("/")[-1]
            shaped = "reward" if is_yaml(reward) else Path(reward).stem or "task"
            paid = f"-{pay.replace(':', '')}" if part else ""
            folder = out_dir or Path("runs") / f"{name}-{shaped}{paid}-{algo.lower()}-{seed}"
        whole = Column(no_wrap=True)  # so that a narrow terminal has a shorter bar, and no cut numbers
        shown = (
            BarColumn(bar_width=None, table_column=Column(ratio=1)),
            TextColumn("{task.completed:,}/{task.total:,} steps", table_column=whole),
            TimeRemainingColumn(table_column=whole),
            TextColumn("{task.fields[news]}", table_column=whole),
        )
        with Progress(*shown, console=err, expand=True) as bar:
            task = bar.add_task("", total=config.steps, news="")

            agent = config.algo

            def report(step: int, episodes: ShapingCallback) -> None:
                nonlocal agent
                agent = f"{config.algo}, {policy_name(episodes.model)}"
                first = episodes.steps_to_first_success
                news = "" if first is None else f"solved first at {first:,}"
                bar.update(task, completed=step, news=news)

            try:
                result = run(
                    config,
                    folder,
                    resume=resume is not None,
                    checkpoint=checkpoint,
                    trust=trust,
                    progress=report,
                    wandb=wandb,
                )
            except KeyboardInterrupt:
                bar.stop()
                begun = checkpoints(folder / run_folder.CHECKPOINTS)
                go_on = f"Continue with: shapegym train --resume {folder}{as_options(config.modules)}"
                say(f"\nStopped. {go_on if begun else 'There was no checkpoint yet.'}", err)
                raise typer.Exit(130) from None
        summary = read_object(folder / run_folder.RESULT, RunError)
        first, spent, told = summary["steps_to_first_success"], costs.read(folder), result.success_rate
        solved = "the task does not tell success" if told is None else f"{told:.0%} of episodes"
        never = "the task does not tell success" if told is None else "never"
        rows = [
            ("agent", agent),
            ("success", solved),
            ("task return", f"{result.mean_return:.3f}"),
            ("episode length", f"{result.mean_length:.1f}"),
            ("steps to first success", never if first is None else f"{first:,}"),
            *(
                ("alarm", f"{kind}, at step {step:,}: see {ALARMS_FILE}")
                for kind, step in summary["alarms"].items()
            ),
            ("training", costs.summary(spent)),
        ]
        judged = f"{config.env}, judged by the task alone in {len(result.returns)} episodes"
        out.print(table(rows=rows, show_header=False, title=judged))
        say(f"Run folder: {folder}")
        if profile:
            out.print(costs.breakdown(spent))


@app.command()
def demo(
    out_dir: Annotated[Path, typer.Option("--out", help="Where runs and picture go.")] = Path("demo"),
    workers: Annotated[int, typer.Option(help="Processes; each trains one agent at a time.")] = 2,
    quick: Annotated[
        bool, typer.Option(help="A fraction of the budget: see it work; the numbers mean nothing.")
    ] = False,
) -> None:
    """Compare four rewards on two sparse tasks: a table and a picture in a few minutes."""
    from shapegym.experiments.demo import demonstration
    from shapegym.experiments.demo.demo_figure import draw
    from shapegym.experiments.demo.demo_tasks import TASKS

    with explained():
        if workers < 1:
            raise RunError(f"--workers must be at least 1, got {workers}.")
        if out_dir.exists() and (not out_dir.is_dir() or any(out_dir.iterdir())):
            raise RunError(f"{out_dir} is not empty; choose another folder with --out.")
        tasks = demonstration.quick() if quick else TASKS
        seeds = demonstration.SEEDS[:1] if quick else demonstration.SEEDS
        budget = {task.name: task.steps for task in tasks}
        total = sum(task.steps * len(task.strategies) * len(seeds) for task in tasks)
        agents = sum(len(task.strategies) for task in tasks) * len(seeds)
        out.print(f"Training {agents} PPO agents, {total / 1e6:.1f} million steps.")
        start = time.monotonic()
        columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
        with Progress(*columns, console=err) as bar:
            line = bar.add_task("training", total=total)

            def done(run: demonstration.DemoOutcome) -> None:
                said = f"{run.task}: {run.strategy} {run.seed}"
                bar.update(line, advance=budget[run.task], description=said)

            outcomes = demonstration.run_all(tasks, seeds, out_dir, workers, done)
        elapsed = time.monotonic() - start
        for task in tasks:
            out.print(demonstration.comparison(task, outcomes))
            for warning in demonstration.warnings(task, outcomes):
                say(warning)
        out.print(
            "Success and task return: 32 fresh episodes of the plain task. Shaped return: the last 100 training episodes.\n"
            f"Training took {elapsed / 60:.1f} minutes with {workers} processes.",
            style="dim",
        )
        if quick:
            out.print(
                "[bold]--quick trains for a twentieth of the budget, one seed: these numbers say nothing about the rewards.[/]"
            )
        episodes: dict[tuple[str, str], list[Any]] = {}
        for outcome in outcomes:
            episodes.setdefault((outcome.task, outcome.strategy), []).append(outcome.episodes)
        draw(tasks, episodes, out_dir / "demo.png")
        say(f"Picture: {out_dir / 'demo.png'}")


@app.command()
def play(
    context: typer.Context,
    env: Annotated[str, typer.Argument(help="Id of a grid world; `shapegym envs MiniGrid` lists them.")],
    seed: Annotated[int, typer.Option(help="Of the first episode; the others follow from it.", min=0)] = 0,
    env_arg: Annotated[
        list[str] | None, typer.Option("--env-arg", help="An argument of the environment, as KEY=VALUE.")
    ] = None,
    record: Annotated[
        Path | None, typer.Option(help="Write an animated picture (GIF) instead of opening a window.")
    ] = None,
    policy: Annotated[str, typer.Option(help="Who plays in the recording: random or planner.")] = "random",
    episodes: Annotated[int, typer.Option(help="Episodes of the recording.", min=1)] = 1,
    fps: Annotated[int, typer.Option(help="Its steps a second.", min=1, max=50)] = 8,
    max_steps: Annotated[int, typer.Option(help="Steps after which it leaves an episode.", min=1)] = 300,
    _imports: Imports = None,
) -> None:
    """Play a grid world yourself, or record how a policy plays it."""
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    from shapegym.experiments.play import gif as recording
    from shapegym.experiments.play import window as playing
    from shapegym.experiments.play.scene import Scene, open_grid_world

    with explained():
        require_env(env)
        arguments = pairs("--env-arg", env_arg)
        if record is None:
            for option in ("policy", "episodes", "fps", "max_steps"):
                if was_given(context, option):
                    raise RunError(
                        f"--{option.replace('_', '-')} is for recordings: add --record FILE.gif, or leave it out."
                    )
            scene = Scene(open_grid_world(env, arguments, playing.SIDE), playing.HELP)
            returns = playing.play(scene, seed)
            if returns:
                out.print(f"Returns: {', '.join(f'{value:.2f}' for value in returns)}")
            return
        outcomes = recording.record(
            Scene(open_grid_world(env, arguments, recording.SIDE)),
            policy,
            record,
            seed=seed,
            episodes=episodes,
            fps=fps,
            max_steps=max_steps,
        )
        for number, (solved, total, steps) in enumerate(outcomes, start=1):
            end = "solved" if solved else "not solved"
            out.print(f"Episode {number}: {end}, {steps} steps, return {total:.2f}")
        say(f"Recording: {record}")


app.command()(check)
app.command()(audit)
app.command()(record)
app.command()(sweep)
app.command()(collect)
app.command()(report)
app.command()(compare)
app.command()(suites)
app.command()(study)
app.command()(design)
app.command()(encoder)
app.command()(verify)
