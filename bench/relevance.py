"""How good a ranking is, and the ranking to compare with: BM25 over all texts in one place."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from bench.documents import Collection
from pkn_protocol.text.analysis import analyse

K1, B = 1.2, 0.75


def ndcg(ranked: Sequence[str], grades: Mapping[str, int]) -> float:
    """Normalised discounted cumulative gain of the first ten (Järvelin and Kekäläinen 2002)."""
    gain = sum((2 ** grades.get(d, 0) - 1) / math.log2(n + 2) for n, d in enumerate(ranked[:10]))
    best = sorted(grades.values(), reverse=True)[:10]
    most = sum((2**grade - 1) / math.log2(n + 2) for n, grade in enumerate(best))
    return gain / most if most else 0.0


def central_ndcg(held: Collection, *, repeated: bool = True) -> float:
    """The mean nDCG@10 of BM25 over all full texts in one place, with exact frequencies.

    `repeated`: a word that stands twice in a query counts twice.
    """
    results = central_scores(held, repeated=repeated)
    return sum(results) / len(results)


def central_scores(held: Collection, *, repeated: bool = True) -> list[float]:
    """The same for each query, in order."""
    frequencies = {d: Counter(analyse(text, "en")) for d, text in held.documents.items()}
    lengths = {d: sum(counts.values()) or 1 for d, counts in frequencies.items()}
    mean = sum(lengths.values()) / len(lengths)
    inverted: dict[int, list[tuple[str, int]]] = defaultdict(list)
    for document, counts in frequencies.items():
        for stem, count in counts.items():
            inverted[stem].append((document, count))
    results = []
    for number, text in held.queries.items():
        scores: dict[str, float] = defaultdict(float)
        for stem, times in Counter(analyse(text, "en")).items():
            found = inverted.get(stem, [])
            weight = math.log(1 + (len(lengths) - len(found) + 0.5) / (len(found) + 0.5))
            for document, count in found:
                norm = K1 * (1 - B + B * lengths[document] / mean)
                scores[document] += (times if repeated else 1) * weight * count * (K1 + 1) / (count + norm)
        ranked = sorted(scores, key=lambda d: (-scores[d], d))
        results.append(ndcg(ranked, held.grades.get(number, {})))
    return results
