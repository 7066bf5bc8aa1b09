"""The command line: `ct-widgets trace PROMPT --out FILE`, and `evaluate`, `info` and `train`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ct_widgets
from ct_widgets.errors import CTWidgetsError

if TYPE_CHECKING:
    from ct_widgets.graph import AttributionGraph
    from ct_widgets.replacement_model import ReplacementModel

OUT_SUFFIXES = (".ctgraph", ".json", ".html")
FAILED, WRONG_USE, INTERRUPTED = 1, 2, 130
TOP = 5


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code. Whatever a user can fix is one line on stderr, never a traceback."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        if options.command == "trace":
            _trace(parser, options)
        elif options.command == "evaluate":
            _evaluate(parser, options)
        elif options.command == "train":
            return _train(options.config)
        else:
            _info(options.what)
    except (CTWidgetsError, OSError) as error:
        print(f"ct-widgets: {' '.join(str(error).split())}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ct-widgets", description="Attribution graphs of language models.")
    parser.add_argument("--version", action="version", version=f"ct-widgets {ct_widgets.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    trace = commands.add_parser("trace", help="compute the attribution graph of a prompt")
    trace.add_argument("prompt")
    trace.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="FILE",
        help=".ctgraph, .json (for circuit-tracer's and Neuronpedia's viewers) or .html (interactive, self-contained)",
    )
    evaluate = commands.add_parser("evaluate", help="measure a transcoder and its graphs, beside others and neurons")
    evaluate.add_argument(
        "texts", nargs="?", metavar="TEXTS", help="a file with one text per line; default: what the demo has not seen"
    )
    evaluate.add_argument("--out", type=Path, required=True, metavar="FILE", help="an .html page, self-contained")
    evaluate.add_argument(
        "--beside",
        action="append",
        default=[],
        metavar="NAME=DIRECTORY",
        help="another transcoder of the same model; can be given several times",
    )
    for command in (trace, evaluate):
        command.add_argument(
            "--model", metavar="MODEL", help="name on the Hugging Face hub or directory; default: demo"
        )
        command.add_argument(
            "--transcoder", metavar="TRANSCODER", help="name or directory of the transcoder of --model"
        )
    info = commands.add_parser("info", help="what is in a graph file, or what the demo model is")
    info.add_argument("what", metavar="FILE", help="a .ctgraph, .json or .pt file, or `demo`")
    train = commands.add_parser("train", help="train a transcoder, or resume one that was interrupted")
    train.add_argument("config", type=Path, metavar="FILE", help="TOML: model, texts, directory, [training]")
    return parser


def _trace(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    out: Path = options.out
    if out.suffix not in OUT_SUFFIXES:
        parser.error(f"--out {out}: expected a file that ends in {', '.join(OUT_SUFFIXES)}")
    _check(parser, options)
    graph = _model(options.model, options.transcoder).attribute(options.prompt)
    if out.suffix == ".html":
        graph.to_html(out)
    else:
        graph.save(out)
    print(f"{out}: {_size(graph)}; {_prediction(graph, 1)}; {_scores(graph)}")


def _check(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Refuse what can be seen to be wrong before any work."""
    if (options.model is None) != (options.transcoder is None):
        parser.error("--model and --transcoder go together: a transcoder fits the one model it was trained on")
    if not options.out.absolute().parent.is_dir():
        raise NotADirectoryError(f"--out {options.out}: the directory {options.out.parent} does not exist")


def _evaluate(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    out: Path = options.out
    if out.suffix != ".html":
        parser.error(f"--out {out}: expected a file that ends in .html")
    named = [one.partition("=") for one in options.beside]
    if any(not (name and where) for name, _, where in named):
        parser.error("--beside takes NAME=DIRECTORY, e.g. --beside PLT=transcoders/plt")
    if options.model is not None and options.texts is None:
        parser.error("give a file of texts to evaluate --model on")
    _check(parser, options)
    if options.texts is not None and not Path(options.texts).is_file():
        raise FileNotFoundError(f"{options.texts}: no such file; give one with one text per line")
    beside = {name: ct_widgets.Transcoder.load(where) for name, _, where in named}
    if options.model is None and options.texts is None and not beside:
        beside = {"PLT": ct_widgets.load_demo("plt").transcoder}
    found = _model(options.model, options.transcoder).evaluate(_texts(options.texts), beside=beside)
    found.to_html(out)
    print(f"{found}\n\n{out}: all tables and figures")


def _texts(path: str | None) -> list[Any]:
    if path is None:
        from ct_widgets.demo import load_texts

        return load_texts()
    from ct_widgets.language_model.corpus import read_texts

    return list(read_texts(path))


def _train(config: Path) -> int:
    from ct_widgets.cli.train import train_from_file

    training = train_from_file(config)
    if not training.finished:
        print(f"stopped after {len(training.history):,} steps; the same command resumes", file=sys.stderr)
        return INTERRUPTED
    if os.environ.get("RANK", "0") != "0":
        return 0  # of several processes, one tells
    last = training.evaluations[-1]
    print(
        f"{training.name}: {len(training.history):,} steps in {training.seconds / 60:.1f} min; normalised MSE "
        f"{last.normalised_mse:.3f} at L0 {last.l0:.1f}, top-1 agreement {last.top1_agreement:.1%}, KL {last.kl:.3f}"
    )
    return 0


def _model(model: str | None, transcoder: str | None) -> ReplacementModel:
    if model is None or transcoder is None:
        return ct_widgets.load_demo()
    return ct_widgets.ReplacementModel.from_pretrained(model, transcoder)


def _info(what: str) -> None:
    if what == "demo":
        print(ct_widgets.load_demo())
        return
    graph = ct_widgets.AttributionGraph.load(what)
    kinds = ", ".join(f"{int(graph.is_kind(kind).sum()):,} {kind}" for kind in _kinds(graph))
    made_by = ", ".join(
        f"{name} {graph.provenance[name]}" for name in ("model", "transcoder") if name in graph.provenance
    )
    rows = {
        "prompt": graph.prompt,
        "tokens": str(len(graph.tokens)),
        "next token": _prediction(graph, TOP),
        "graph": f"{_size(graph)} ({kinds})",
        "scores": _scores(graph),
        "made with": made_by or "-",
    }
    print("\n".join(f"{name:<12}{value}" for name, value in rows.items()))
    print(f"\n{graph.audit()}")


def _kinds(graph: AttributionGraph) -> list[str]:
    from ct_widgets.graph import KIND_NAMES

    return [kind for kind in KIND_NAMES if graph.is_kind(kind).any()]


def _size(graph: AttributionGraph) -> str:
    return f"{graph.n_nodes:,} nodes, {graph.n_edges:,} edges"


def _prediction(graph: AttributionGraph, top: int) -> str:
    rows = [row for row in range(graph.n_nodes) if graph.node(row).kind == "logit"][:top]
    return ", ".join(f"{graph.node_token[row]!r} {graph.probability[row]:.3f}" for row in rows)


def _scores(graph: AttributionGraph) -> str:
    scores = graph.scores()
    return f"replacement {scores.replacement:.3f}, completeness {scores.completeness:.3f}"
