"""The smaller form of `bench.people_quality`: eight daemons, a part of a collection, dealt both ways."""

from __future__ import annotations

import pytest

from bench.documents import collection
from bench.people_quality import LEAST_ASKED, LEAST_LOCAL, judged_part, measure


@pytest.mark.needs("shared:data/cran")
@pytest.mark.timeout(300)
@pytest.mark.parametrize("dealing", ["by chance", "by topic"])
def test_one_of_eight_answers_as_one_index_of_all_texts_would(dealing: str) -> None:
    held = judged_part(collection("cran"), documents=400, queries=40)
    found = measure(held, dealing)
    everything = list(held.queries)
    assert found.ratio(found.local, everything) >= LEAST_LOCAL
    assert found.ratio(found.asked, everything) >= LEAST_ASKED
