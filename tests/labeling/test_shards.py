import subprocess

import pytest

from labeling import LabelingError
from labeling.shards import Shard

QUERIES = [f"q{number}" for number in range(1000)]


@pytest.mark.parametrize("count", [1, 3, 8, 64])
def test_each_query_is_in_one_share_and_shares_are_about_equal(count):
    shares = [[q for q in QUERIES if Shard(index, count).holds(q)] for index in range(1, count + 1)]
    assert sorted(sum(shares, [])) == sorted(QUERIES)
    # binomial: the mean 1000 / count, a standard deviation of at most its root
    assert all(abs(len(share) - 1000 / count) < 5 * (1000 / count) ** 0.5 for share in shares)


def test_a_share_does_not_depend_on_the_machine():
    """Another program's hash of the id, divided by hand."""
    digest = subprocess.run(["sha256sum"], input=b"q0", capture_output=True, check=True).stdout[:16]
    assert Shard(int(digest, 16) % 7 + 1, 7).holds("q0")


def test_any_id_has_a_share():
    assert sum(Shard(index, 3).holds("\ud800\x00\u202e") for index in (1, 2, 3)) == 1


def test_a_shard_is_read_as_it_is_written():
    assert Shard.parse("3/8") == Shard(3, 8)
    for text in ("0/8", "9/8", "8", "", "1/", "a/b", "-1/2", "1/0"):
        with pytest.raises(LabelingError, match="a share is written I/N with I from 1 to N, as in 3/8; got"):
            Shard.parse(text)
