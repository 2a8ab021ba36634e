from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from images.simulator import tokens
from images.simulator.tokens import generate, prompt_from_ids, prompt_from_text

TEXT = st.text(max_size=200)


@given(TEXT)
def test_a_token_is_four_characters_rounded_up_and_there_is_at_least_one(text: str) -> None:
    assert prompt_from_text(text, 16).tokens == max(1, (len(text) + 3) // 4)


@given(TEXT, TEXT, TEXT, st.integers(1, 8))
def test_prompts_share_exactly_the_hashes_of_their_common_full_blocks(a: str, b: str, c: str, block: int) -> None:
    first, second = prompt_from_text(a + b, block), prompt_from_text(a + c, block)
    width = block * 4
    common = 0
    while (a + b)[common * width : (common + 1) * width] == (a + c)[common * width : (common + 1) * width] != "":
        common += 1
    shared = min(common, len(first.block_hashes), len(second.block_hashes))
    assert first.block_hashes[:shared] == second.block_hashes[:shared]
    assert not set(first.block_hashes[shared:]) & set(second.block_hashes[shared:])


@given(st.lists(st.integers(0, 2**17), min_size=1, max_size=100), st.integers(1, 16))
def test_token_ids_count_one_each_and_have_a_hash_for_each_full_block(ids: list[int], block: int) -> None:
    prompt = prompt_from_ids(ids, block)
    assert (prompt.tokens, len(prompt.block_hashes)) == (len(ids), len(ids) // block)


def test_a_block_depends_on_all_blocks_before_it() -> None:
    assert prompt_from_ids([1, 2, 9, 9], 2).block_hashes[1] != prompt_from_ids([3, 4, 9, 9], 2).block_hashes[1]


@given(TEXT, st.integers(1, 300), st.integers(1, 100), st.integers(0, 5))
def test_an_answer_keeps_its_limit_and_counts_by_the_same_rule_as_a_prompt(
    text: str, limit: int, mean: int, seed: int
) -> None:
    output = generate(prompt_from_text(text, 16), limit=limit, mean_tokens=mean, seed=seed)
    assert 1 <= output.tokens <= limit
    assert output.tokens <= max(1, mean // 2 + mean - 1)
    assert prompt_from_text(output.text, 16).tokens == output.tokens
    assert output.finish_reason == "stop" if output.tokens < limit else output.finish_reason in ("stop", "length")


def test_the_same_request_has_the_same_answer_and_another_seed_or_prompt_another() -> None:
    prompt, other = prompt_from_text("hello", 16), prompt_from_text("hallo", 16)
    answer = generate(prompt, limit=50, mean_tokens=64)
    assert answer == generate(prompt, limit=50, mean_tokens=64)
    assert answer.text != generate(prompt, limit=50, mean_tokens=64, seed=1).text
    assert answer.text != generate(other, limit=50, mean_tokens=64).text


def test_a_shorter_limit_cuts_the_same_text() -> None:
    prompt = prompt_from_text("hello", 16)
    long = generate(prompt, limit=40, mean_tokens=64, ignore_eos=True)
    short = generate(prompt, limit=10, mean_tokens=64, ignore_eos=True)
    assert long.text.startswith(short.text)
    assert (short.tokens, short.finish_reason) == (10, "length")


def test_min_tokens_and_ignore_eos_lengthen_an_answer() -> None:
    prompt = prompt_from_text("hello", 16)
    assert generate(prompt, limit=100, mean_tokens=1).tokens == 1
    assert generate(prompt, limit=100, mean_tokens=1, min_tokens=30).tokens == 30
    assert generate(prompt, limit=100, mean_tokens=1, ignore_eos=True).tokens == 100


@given(TEXT, st.integers(1, 20), st.integers(0, 76), st.integers(1, 9))
def test_a_stop_string_ends_the_answer_before_itself_at_the_token_that_completes_it(
    text: str, limit: int, start: int, length: int
) -> None:
    prompt = prompt_from_text(text, 16)
    whole = generate(prompt, limit=limit, mean_tokens=64, ignore_eos=True)
    stop = whole.text[start : start + length]
    cut = generate(prompt, limit=limit, mean_tokens=64, ignore_eos=True, stop=("absent", stop))
    if not stop:
        assert cut == whole
        return
    found = whole.text.index(stop)
    assert (cut.text, cut.finish_reason, cut.stop_reason) == (whole.text[:found], "stop", stop)
    assert cut.tokens == (found + len(stop) + 3) // 4


def test_the_pieces_of_an_answer_are_the_answer() -> None:
    output = generate(prompt_from_text("hello", 16), limit=50, mean_tokens=64, ignore_eos=True)
    bounds = [0, 1, 2, 7, 30, 50]
    assert "".join(output.between(*pair) for pair in pairwise(bounds)) == output.text


def test_the_vocabulary_has_64_different_tokens_of_four_characters() -> None:
    assert len(tokens._VOCABULARY) == 64 * 4
    assert len(set(tokens._VOCABULARY.split())) == 64
