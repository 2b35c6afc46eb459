"""What the words of a report point to, and how the explanation says so."""

from collections.abc import Mapping

import pytest

from services.triage.domain.recognition import Recognition, Recognizer
from tests.domain.triage_story import CATALOGUE, MAIN, POLICY, POSTER, POTHOLE


def recognizer(
    words: Mapping[str, Mapping[str, float]], minimum: float = POLICY.classify_minimum, margin: float = 1
) -> Recognizer:
    """Of a catalogue whose categories have these keywords."""
    categories = tuple(
        CATALOGUE.by_code[code].model_copy(update={"keywords": keywords}) for code, keywords in words.items()
    )
    policy = POLICY.model_copy(update={"classify_minimum": minimum, "classify_margin": margin})
    return Recognizer(CATALOGUE.model_copy(update={"categories": categories}), policy)


TWO = recognizer({MAIN: {"burst": 2, "water main": 4, "爆裂": 5}, POTHOLE: {"hole": 3, "坑": 1.5, "爆裂": 1}})


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("all is well", Recognition(None, "no category: none of the words is known")),
        ("it burst", Recognition(None, f"no category: the words point to {MAIN} with 2 points, 3 are needed")),
        ("a hole", Recognition(POTHOLE, f"category {POTHOLE} by the words hole 3: 3 points")),
        ("a hole, hole, hole", Recognition(POTHOLE, f"category {POTHOLE} by the words hole 3: 3 points")),
        (
            "the water main burst",
            Recognition(MAIN, f"category {MAIN} by the words burst 2, water main 4: 6 points"),
        ),
        (
            "water main, a hole",
            Recognition(MAIN, f"category {MAIN} by the words water main 4: 4 points, before {POTHOLE} with 3"),
        ),
        (
            "water main, a hole, 坑",
            Recognition(None, f"no category: the words point to {POTHOLE} with 4.5 points and to {MAIN} with 4"),
        ),
        ("爆裂", Recognition(MAIN, f"category {MAIN} by the words 爆裂 5: 5 points, before {POTHOLE} with 1")),
    ],
)
def test_the_category_with_the_most_points_is_found_if_it_has_enough_and_a_margin(
    text: str, found: Recognition
) -> None:
    assert TWO.recognize(text) == found


def test_of_two_categories_with_equal_points_neither_is_found_and_the_first_by_code_is_named_first() -> None:
    equal = recognizer({MAIN: {"burst": 3}, POTHOLE: {"hole": 3}})
    why = f"no category: the words point to {POTHOLE} with 3 points and to {MAIN} with 3"
    assert equal.recognize("a burst hole") == Recognition(None, why)
    assert (
        recognizer({MAIN: {"burst": 3}, POTHOLE: {"hole": 3}}, margin=0).recognize("a burst hole").category == POTHOLE
    )


def test_the_rival_that_is_named_is_the_strongest() -> None:
    three = recognizer({MAIN: {"burst": 5}, POTHOLE: {"hole": 3}, POSTER: {"poster": 1}})
    why = f"category {MAIN} by the words burst 5: 5 points, before {POTHOLE} with 3"
    assert three.recognize("a burst hole in a poster") == Recognition(MAIN, why)


def test_a_category_without_a_rival_needs_only_the_minimum() -> None:
    alone = recognizer({MAIN: {"burst": 1}}, minimum=1, margin=1)
    assert alone.recognize("burst") == Recognition(MAIN, f"category {MAIN} by the words burst 1: 1 points")


def test_the_texts_of_a_report_count_together_and_no_word_runs_from_one_into_the_next() -> None:
    assert TWO.recognize("a hole", "no more").category == POTHOLE
    assert TWO.recognize("爆", "裂").category is None
    assert TWO.recognize("the WATER MAIN", "").category == MAIN


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("burst main", True),
        ("(burst main)", True),
        ("水burst main水", True),
        ("burst  main", False),
        ("burst mains", False),
        ("burst main1", False),
        ("burst main1 again", False),
        ("outburst main", False),
        ("burst-main", False),
        ("the main burst", False),
    ],
)
def test_a_keyword_of_letters_matches_whole_words_only(text: str, known: bool) -> None:
    found = recognizer({MAIN: {"burst main": 8}}).recognize(text)
    assert (found.category is not None) == known


@pytest.mark.parametrize("word", ["坑", "爆管", "水管爆裂", "#1管", "1号", "#1"])
@pytest.mark.parametrize("text", ["{}", "路上{}", "{}了", "路{}了", "x{}", "{}x"])
def test_any_other_keyword_matches_anywhere_in_the_text(word: str, text: str) -> None:
    rules = recognizer({MAIN: {word: 8}, POSTER: {"墙": 3, "墙上": 3}})
    assert rules.recognize(text.format(word)).category == MAIN
    assert rules.recognize(text.format(word[:-1] or "路")).category is None


@pytest.mark.parametrize(("count", "shown"), [(8, ""), (9, " ...")])
def test_an_explanation_shows_at_most_eight_words(count: int, shown: str) -> None:
    words = {f"word{n}": 1.0 for n in range(count)}
    found = recognizer({MAIN: words}).recognize(" ".join(words))
    first = ", ".join(f"word{n} 1" for n in range(8))
    assert found == Recognition(MAIN, f"category {MAIN} by the words {first}{shown}: {count} points")
