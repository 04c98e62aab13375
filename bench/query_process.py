"""`pkn query` as a whole process, by a Python that imports what any such command needs."""

from __future__ import annotations

import subprocess
import sys
import time
from statistics import median

from bench.daemons import ask, client_of, filled, folder_of_documents
from bench.report import Figure
from tests.e2e.harness import PKN

ROUNDS = 25
LIMIT = 2.0
WORDS = "boundary layer transition"


def run() -> list[Figure]:
    with folder_of_documents() as (folder, documents, name, count), filled(folder, documents) as node:
        client = client_of(node)
        ratios, whole, bare, answers = [], [], [], []
        for number in range(ROUNDS + 2):
            began = time.perf_counter()
            subprocess.run([sys.executable, "-c", "import click, http.client"], check=True)
            python = time.perf_counter() - began
            began = time.perf_counter()
            ask(client, WORDS, scope="horizon")
            answer = time.perf_counter() - began
            began = time.perf_counter()
            subprocess.run(
                [PKN, "query", *WORDS.split()], check=True, capture_output=True, env=node.environment
            )
            command = time.perf_counter() - began
            if number < 2:
                continue  # The first ones fill the caches of the disk.
            bare.append(python)
            answers.append(answer)
            whole.append(command)
            ratios.append((command - answer) / python)
    details = {
        "documents": f"{count} of {name}",
        "python_seconds": bare,
        "answer_seconds": answers,
        "command_seconds": whole,
    }
    return [
        Figure(
            "pkn query less the answer", median(ratios), "× python", LIMIT, samples=ratios, details=details
        ),
        Figure("pkn query, whole", median(whole) * 1000, "ms"),
        Figure("the daemon's answer to it", median(answers) * 1000, "ms"),
    ]
