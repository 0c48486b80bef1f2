"""The end of a run: how good the model became, as a table, a picture and ``summary.json``."""

import json
import math
from pathlib import Path
from typing import Any

import torch

from phase_07.model import GPT
from phase_08.checkpoint import RunState
from phase_08.data import Data
from phase_08.device import peak_memory_gib
from phase_08.evaluate import evaluate, probe_accuracy
from phase_08.generate import sample_texts
from phase_08.report import draw_curves
from phase_08.run_folder import CURVE, SUMMARY
from shared.stories import log_probability

STORIES = 1000  # validation stories in the last evaluation
SAMPLES = 200  # stories that the model writes
PROBES = 100  # for each phenomenon


def summarize(run: Path, state: RunState, model: GPT, data: Data, device: torch.device) -> None:
    """Measure the trained model, print the table and write the summary and the curve."""
    print("\nmeasuring the trained model ...")
    width = model.config.block_size if device.type == "mps" else 0
    evaluation = evaluate(model, data, STORIES, device, width)
    summary: dict[str, Any] = {
        "parameters": model.n_parameters(),
        "device": device.type,
        "steps": state.step,
        "tokens": state.tokens,
        "seconds": round(state.seconds, 1),
        "tokens_per_second": round(state.tokens / state.seconds),
        "peak_memory_gib": round(peak_memory_gib(device), 2),
        "bits_per_character": evaluation.bits_per_character,
    }
    texts = sample_texts(model, data.tokenizer, SAMPLES if evaluation.story_score else 3, 0, device)
    if score := evaluation.story_score:
        told = [text for text in texts if log_probability(text) > -math.inf]
        summary |= {
            "floor": score.floor,
            "gap": score.gap,
            "standard_error": score.standard_error,
            "leak": score.leaks,
            "valid_stories": len(told),
            "samples": len(texts),
            "probes": probe_accuracy(model, data.tokenizer, PROBES, device, width),
        }
    draw_curves([run], run / CURVE)
    (run / SUMMARY).write_text(json.dumps(summary, indent=1))
    for text in texts[:5]:
        verdict = "" if not score else "  [a story]" if text in told else "  [not a story]"
        print(f"\n  {text}{verdict}")
    print(f"\n{table(summary)}\n\ncurve   {run / CURVE}\nfolder  {run}")


def table(summary: dict[str, Any]) -> str:
    """Return a summary as lines to read."""
    rows = [
        ("parameters", f"{summary['parameters']:,}"),
        ("device", summary["device"]),
        ("steps", f"{summary['steps']:,}"),
        ("tokens read", f"{summary['tokens']:,}"),
        ("training time", f"{summary['seconds']:.0f} s"),
        ("speed", f"{summary['tokens_per_second']:,} tokens/s"),
        ("peak memory", f"{summary['peak_memory_gib']:.2f} GiB"),
        ("validation", f"{summary['bits_per_character']:.4f} bits per character"),
    ]
    if "floor" in summary:
        share = summary["valid_stories"] / summary["samples"]
        rows += [
            ("floor", f"{summary['floor']:.4f} bits per character"),
            ("gap", f"{summary['gap']:+.5f} ± {summary['standard_error']:.5f}"),
            ("leak", "YES: below the floor by over 3 errors" if summary["leak"] else "none"),
            ("valid stories", f"{summary['valid_stories']} of {summary['samples']} ({share:.1%})"),
        ]
        rows += [(f"probe: {name}", f"{value:.0%}") for name, value in summary["probes"].items()]
    width = max(len(name) for name, _ in rows)
    line = "-" * (width + 2 + max(len(value) for _, value in rows))
    return "\n".join([line, *(f"{name:<{width}}  {value}" for name, value in rows), line])
