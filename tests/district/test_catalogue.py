"""The authored catalogue, policy and calendar, and what their models refuse."""

import csv
import json
from collections import Counter
from datetime import date

import pytest
from pydantic import ValidationError

from contracts.clocks import is_workday
from contracts.reference import Area, Calendar, Catalogue, Category, Limit, Partner, Partners, Policy, Reference, Units
from tests.district.keyword_rule import KeywordRule

GROUPS = {
    "component": {"public-facilities", "road-traffic", "environment", "greening", "other"},
    "event": {"environment", "advertising", "construction", "emergency", "street-order", "other"},
}
LABEL_OF = {
    "component.road-traffic.surface": "交通运输",
    "dispute.consumer": "商贸旅游",
    "dispute.labour": "劳动和社会保障",
    "dispute.medical": "卫生计生",
    "dispute.property.fee": "商贸旅游",
    "event.construction.dust": "环境保护",
    "event.emergency.elevator": "商贸旅游",
    "event.emergency.gas-leak": "商贸旅游",
    "event.environment": "环境保护",
    "component.environment": "环境保护",
    "event.other.fraud": "商贸旅游",
    "event.other.food-safety": "卫生计生",
    "event.other.indoor-air": "卫生计生",
    "event.street-order.smoking": "卫生计生",
    "event.street-order.taxi": "交通运输",
    "event.street-order.traffic": "交通运输",
    "service.culture": "教育文体",
    "service.education": "教育文体",
    "service.health": "卫生计生",
    "service.social-security": "劳动和社会保障",
    "service.transport.bus": "城乡建设",
    "service.transport": "交通运输",
}


def label(code: str) -> str:
    """The top category of the labelled messages that ours falls under; what is named nowhere is urban construction."""
    kind, group, _ = code.split(".")
    return LABEL_OF.get(code) or LABEL_OF.get(f"{kind}.{group}") or "城乡建设"


def test_every_group_of_the_field_is_there_and_has_a_remainder(catalogue):
    groups: dict[str, set[str]] = {}
    for category in catalogue.categories:
        groups.setdefault(category.kind, set()).add(category.group)
        assert f"{category.kind}.{category.group}.other" in catalogue.by_code, f"{category.code} has no remainder"
    assert groups["component"] == GROUPS["component"]
    assert groups["event"] == GROUPS["event"]
    assert {"dispute", "service"} <= set(groups)


def test_a_burst_main_brings_water_company_street_and_fire_brigade(catalogue):
    burst = catalogue.by_code["event.emergency.water-main"]
    assert burst.priority == 1
    assert burst.lead.unit == "dept:water"
    assert {task.unit for task in burst.supports} == {"street", "dept:fire"}


def test_sensor_alarms_are_checked_by_rule(catalogue):
    by_rule = [category for category in catalogue.categories if category.check.method == "rule"]
    assert by_rule
    assert all("连续" in condition.closing for category in by_rule for condition in category.conditions)


PUBLIC_SAFETY = ("injury", "order", "property")


def test_injury_order_and_property_cases_are_counted_apart(catalogue):
    found = [category for category in catalogue.categories if "public-safety" in category.code]
    assert [category.code for category in found] == [f"event.emergency.public-safety-{each}" for each in PUBLIC_SAFETY]
    assert {category.lead.unit for category in found} == {"dept:police"}
    assert all(len(category.conditions) == 2 and category.supports for category in found)


def test_of_public_safety_words_only_names_of_the_police_stand_in_more_than_one_category(catalogue):
    """They say nothing of the kind of case, so they weigh the same in all three and do not decide between them."""
    weights: dict[str, list[float]] = {}
    for each in PUBLIC_SAFETY:
        for word, weight in catalogue.by_code[f"event.emergency.public-safety-{each}"].keywords.items():
            weights.setdefault(word, []).append(weight)
    shared = {word: found for word, found in weights.items() if len(found) > 1}
    assert set(shared) == {"派出所", "公安局", "公安", "民警", "police"}
    assert all(len(found) == 3 and len(set(found)) == 1 for found in shared.values())


def test_kinds_about_persons_and_remainders_are_personal(catalogue):
    """Of these, two reports of one place are two matters unless one person made both."""
    for category in catalogue.categories:
        if category.kind in ("dispute", "service") or category.code.endswith(".other"):
            assert category.personal, category.code
    others = [one.code for one in catalogue.categories if one.personal and one.kind in ("component", "event")]
    assert [code for code in others if not code.endswith(".other")] == [
        *(f"event.emergency.public-safety-{each}" for each in PUBLIC_SAFETY),
        "event.street-order.taxi",
        "event.other.fraud",
    ]


def test_no_keyword_is_a_category_s_only_by_half(catalogue):
    weak = [
        category.code
        for category in catalogue.categories
        if not category.code.endswith(".other") and max(category.keywords.values()) < 5
    ]
    assert weak == [], "each needs a word that decides for it"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("双桥路施工挖断水管，水管爆裂，大面积没水", "event.emergency.water-main"),
        ("A water main has burst on Shuangqiao Road", "event.emergency.water-main"),
        ("小区消防通道被车堵了", "event.emergency.fire-lane"),
        ("Fire lane blocked by parked cars", "event.emergency.fire-lane"),
        ("楼上漏水，渗水到我家", "dispute.neighbour.leak"),
        ("和隔壁邻居争吵", "dispute.neighbour.quarrel"),
        ("路灯不亮", "component.public-facilities.street-light"),
        ("Noise - Residential Loud Music/Party", "event.environment.noise-residential"),
        ("Pothole on Main Street", "component.road-traffic.surface"),
        ("小区门口有人打架，一人被打伤流血", "event.emergency.public-safety-injury"),
        ("邻居持刀砍伤保安，民警已到", "event.emergency.public-safety-injury"),
        ("打架斗殴，已有两人被打伤", "event.emergency.public-safety-injury"),
        ("Two men are fighting, one is bleeding", "event.emergency.public-safety-injury"),
        ("A man was stabbed, police are on their way", "event.emergency.public-safety-injury"),
        ("烧烤店门口聚众打架斗殴", "event.emergency.public-safety-order"),
        ("广场上有人酗酒后寻衅滋事", "event.emergency.public-safety-order"),
        ("麻将馆赌博，派出所多次未查处", "event.emergency.public-safety-order"),
        ("小区治安很差", "event.emergency.public-safety-order"),
        ("A drunken brawl outside the bar", "event.emergency.public-safety-order"),
        ("Non-Emergency Police Matter Trespassing", "event.emergency.public-safety-order"),
        ("昨晚家里被小偷入室盗窃，派出所民警已登记，公安局未破案", "event.emergency.public-safety-property"),
        ("电动车的电瓶被偷", "event.emergency.public-safety-property"),
        ("路口手机被抢，已报警", "event.emergency.public-safety-property"),
        ("My bicycle was stolen from the courtyard", "event.emergency.public-safety-property"),
        ("Burglary in building 3, police report filed", "event.emergency.public-safety-property"),
        ("派出所民警说归公安局管", None),
        ("operation generation", None),
        ("", None),
    ],
)
def test_the_keywords_recognise(catalogue, policy, text, code):
    assert KeywordRule(catalogue, policy).pick(text) == code


def test_the_keywords_sort_real_labelled_messages(catalogue, policy, real_material, record_property):
    rule = KeywordRule(catalogue, policy)
    outcome: Counter[str] = Counter()
    with (real_material / "zh_labelled_train.jsonl").open(encoding="utf-8") as lines:
        # Every other message: the vocabulary was chosen while looking at the rest.
        for row in (json.loads(line) for line in lines):
            if row["row"] % 2:
                code = rule.pick(row["tokens"].replace(" ", ""))
                outcome["person" if code is None else "right" if label(code) == row["label"] else "wrong"] += 1
    record_property("outcome", dict(outcome))
    assert outcome["right"] / (outcome["right"] + outcome["wrong"]) > 0.81
    assert outcome["person"] / outcome.total() < 0.10


def test_the_keywords_know_real_city_reports(catalogue, policy, real_material, record_property):
    rule = KeywordRule(catalogue, policy)
    unknown: Counter[str] = Counter()
    total = 0
    with (real_material / "nyc_311_sample.csv").open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            total += 1
            if rule.pick(f"{row['complaint_type']}\n{row['descriptor']}") is None:
                unknown[row["complaint_type"]] += 1
    record_property("unknown", dict(unknown))
    assert unknown.total() / total < 0.01


def test_units_score_weights_and_grades_are_the_published_ones(policy):
    weights = policy.unit_score.weights
    assert (weights.volume, weights.closing, weights.on_time, weights.rework) == (0.1, 0.3, 0.3, 0.3)
    assert [grade.at_least for grade in policy.unit_score.grades] == [90, 75, 60, 40, 0]
    assert policy.escalation_ladder == ("grid", "community", "street", "district")


@pytest.mark.parametrize(
    ("day", "works"),
    [
        (date(2026, 5, 1), False),
        (date(2026, 5, 9), True),
        (date(2026, 5, 10), False),
        (date(2026, 2, 17), False),
        (date(2026, 2, 14), True),
        (date(2025, 1, 28), False),
        (date(2025, 10, 11), True),
        (date(2025, 10, 13), True),
    ],
)
def test_the_calendar_knows_holidays_and_make_up_workdays(calendar, day, works):
    assert is_workday(day, calendar) is works


def broken(model: Reference, **changes: object) -> dict[str, object]:
    return model.model_dump(mode="json") | changes


def test_a_model_names_the_field_and_the_rule_it_breaks(catalogue, policy, calendar):
    category = catalogue.by_code["event.emergency.water-main"]
    light = catalogue.by_code["component.public-facilities.street-light"]
    quarrel = catalogue.by_code["dispute.neighbour.quarrel"]
    unit = {"id": "grid:CH/a/b/g001", "name": "x", "name_en": "x", "kind": "grid", "area": "CH/a/b/g001"}
    unit["competences"] = []  # pyright: ignore[reportArgumentType] - JSON of mixed types
    square = [[104, 30], [105, 30], [105, 31], [104, 30]]
    area = {"path": "CH/a", "level": "street", "name": "x", "name_en": "x", "households": 1, "polygon": square}
    score = policy.unit_score.model_dump(mode="json")
    heavy = score["weights"] | {"volume": 0.2}
    partner = {"id": "fire", "name": "x", "units": ["dept:fire"], "says": ["steps"]}
    double = [calendar.holidays[0].model_dump(mode="json")]
    cases: list[tuple[type[Reference], object, str]] = [
        (Policy, broken(policy, unit_score=score | {"weights": heavy}), "weights must sum to one"),
        (Policy, broken(policy, yellow_percent=100), "yellow_percent 100 must be below red_percent"),
        (Policy, broken(policy, check_hour=3), "Extra inputs are not permitted"),
        (Catalogue, {"version": "1", "categories": [broken(category)] * 2}, "categories.code must be unique"),
        (Category, broken(category, claimable=True), "urgent cases are not claimed"),
        (Category, broken(category, code="event.other.water-main"), "must start with its kind and group"),
        (Category, broken(category, keywords={"Burst": 1}), "must be lower case"),
        (Category, broken(light, lead={"unit": "grid", "task": "x", "task_en": "x"}), "never checks it"),
        (Category, broken(light, check={"method": "rule", "by": "grid"}), "by must be rule exactly where"),
        (Category, broken(quarrel, personal=False), "personal of dispute.neighbour.quarrel must be true"),
        (Category, broken(light, supports=[light.lead.model_dump()]), "lead and supports of"),
        (Limit, {"amount": 2, "unit": "hours", "clock": "working_days"}, "unit of a working_days limit must be days"),
        (Limit, {"amount": 2, "unit": "days", "clock": "working_hours"}, "must be minutes or hours"),
        (Units, {"version": "1", "units": [unit | {"superior": "street:CH/a"}]}, "street:CH/a, above grid:CH/a/b/g001"),
        (Units, {"version": "1", "units": [unit | {"superior": unit["id"]}]}, "runs in a circle"),
        (Units, {"version": "1", "units": [unit | {"kind": "street"}]}, "must match the prefix of its id"),
        (Area, area | {"level": "grid"}, "level of CH/a must be street"),
        (Area, area | {"polygon": square[:3]}, "closed ring"),
        (Partner, partner | {"units": ["*"]}, "String should match pattern"),
        (Partners, {"partners": [partner, partner | {"id": "other"}]}, "partners.units must be unique"),
        (Calendar, broken(calendar, time_zone="Asia/Chengdu"), "not a known zone"),
        (Calendar, broken(calendar, years=[2026]), "holidays must lie in one of the years"),
        (Calendar, broken(calendar, make_up_workdays=double), "a day in holidays and make_up_workdays"),
    ]
    for model, value, message in cases:
        with pytest.raises(ValidationError) as caught:
            model.model_validate_json(json.dumps(value))
        assert message in str(caught.value)
