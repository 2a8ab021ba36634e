from images.simulator.kvcache import KvCache


def cache(capacity: int = 10, *, prefix_caching: bool = True) -> KvCache:
    return KvCache(capacity, 16, prefix_caching=prefix_caching)


def test_a_request_holds_the_blocks_of_prompt_and_answer_rounded_up() -> None:
    kv = cache()
    lease = kv.take((1, 2), 16 * 3 + 1)
    assert lease is not None
    assert (kv.used, lease.private, kv.usage) == (4, 2, 0.4)


def test_what_does_not_fit_is_refused_and_changes_nothing() -> None:
    kv = cache()
    assert kv.take((1, 2), 16 * 11) is None
    assert (kv.used, kv.cached) == (0, 0)


def test_a_shared_prompt_counts_once() -> None:
    kv = cache()
    first, second = kv.take((1, 2), 48), kv.take((1, 2), 48)
    assert first is not None
    assert second is not None
    assert (first.hit_blocks, second.hit_blocks, kv.used) == (0, 2, 4)


def test_only_a_leading_run_of_blocks_is_a_hit() -> None:
    kv = cache()
    lease = kv.take((1, 2, 3), 48)
    assert lease is not None
    kv.give_back(lease)
    later = kv.take((1, 9, 3), 48)
    assert later is not None
    assert later.hit_blocks == 1


def test_given_back_blocks_are_free_but_stay_cached_until_their_room_is_needed() -> None:
    kv = cache(4)
    lease = kv.take((1, 2, 3), 64)
    assert lease is not None
    kv.give_back(lease)
    assert (kv.used, kv.cached) == (0, 3)
    other = kv.take((7,), 48)
    assert other is not None
    assert (kv.used, kv.cached) == (3, 1)


def test_the_end_of_a_prompt_is_evicted_before_its_beginning() -> None:
    kv = cache(3)
    lease = kv.take((1, 2, 3), 48)
    assert lease is not None
    kv.give_back(lease)
    filler = kv.take((), 32)
    assert filler is not None
    kv.give_back(filler)
    later = kv.take((1, 2, 3), 48)
    assert later is not None
    assert later.hit_blocks == 1


def test_without_prefix_caching_nothing_is_shared_or_kept() -> None:
    kv = cache(prefix_caching=False)
    first, second = kv.take((1, 2), 48), kv.take((1, 2), 48)
    assert first is not None
    assert second is not None
    assert (second.hit_blocks, kv.used) == (0, 6)
    kv.give_back(first)
    kv.give_back(second)
    assert (kv.used, kv.cached) == (0, 0)
