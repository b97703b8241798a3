//! What filters say of records, and which of their terms an index may answer.

use proptest::prelude::*;

use super::*;
use crate::document::{Json, parse};

fn path(text: &str) -> Operand {
    Operand::Path(Path(text.split('.').map(str::to_owned).collect()))
}

fn text(value: &str) -> Operand {
    Operand::Literal(Literal::Text(value.to_owned()))
}

fn number(value: f64) -> Operand {
    Operand::Literal(Literal::Number(value))
}

fn compare(left: Operand, how: Comparison, right: Operand) -> Filter {
    Filter::Compare(left, how, right)
}

fn not(filter: Filter) -> Filter {
    Filter::Not(Box::new(filter))
}

fn row() -> Json {
    parse(
        r#"{"deviceId":"Dev1","status":"enabled","n":10,"half":0.5,"spelt":"12","nothing":null,
            "yes":true,"tags":{"a.b":{"c":"deep"},"same":10.0,"o":{"x":1,"y":2}},"p":{"y":2,"x":1},
            "list":[1]}"#,
    )
    .expect("json")
}

#[test]
fn comparison_with_a_missing_value_is_false_and_its_negation_true() {
    use Comparison::*;
    for how in [Equal, NotEqual, Less, LessOrEqual, Greater, GreaterOrEqual] {
        for (left, right) in [
            (path("absent"), text("x")),
            (text("x"), path("tags.absent.deeper")),
            (path("absent"), path("absent")),
        ] {
            let filter = compare(left, how, right);
            assert!(!filter.matches(&row()), "{filter:?}");
            assert!(not(filter).matches(&row()));
        }
    }
    for negated in [true, false] {
        let filter = Filter::In(path("absent"), vec![Literal::Null], negated);
        assert!(!filter.matches(&row()));
        assert!(not(filter).matches(&row()));
    }
}

#[test]
fn numbers_compare_as_numbers_and_texts_by_code_point() {
    use Comparison::*;
    for (left, how, right, holds) in [
        (path("n"), Greater, number(9.0), true),
        (path("n"), Equal, path("tags.same"), true),
        (path("half"), LessOrEqual, number(0.5), true),
        (path("spelt"), Less, text("9"), true),
        (path("deviceId"), Equal, text("dev1"), false),
        (path("deviceId"), Less, text("dev1"), true),
        (text("é"), Greater, text("z"), true),
    ] {
        let filter = compare(left, how, right);
        assert_eq!(filter.matches(&row()), holds, "{filter:?}");
    }
}

#[test]
fn values_of_two_types_are_unequal_and_without_order() {
    use Comparison::*;
    for other in [
        path("spelt"),
        path("yes"),
        path("nothing"),
        path("tags"),
        path("list"),
    ] {
        assert!(!compare(path("n"), Equal, other.clone()).matches(&row()));
        assert!(compare(path("n"), NotEqual, other.clone()).matches(&row()));
        for how in [Less, LessOrEqual, Greater, GreaterOrEqual] {
            assert!(!compare(path("n"), how, other.clone()).matches(&row()));
        }
    }
    assert!(
        compare(path("nothing"), Equal, Operand::Literal(Literal::Null)).matches(&row()),
        "null is a value"
    );
    assert!(compare(path("tags.o"), Equal, path("p")).matches(&row()));
    assert!(!compare(path("yes"), LessOrEqual, path("yes")).matches(&row()));
}

#[test]
fn lists_types_and_texts_are_tested() {
    let listed = |negated| {
        Filter::In(
            path("status"),
            vec![
                Literal::Text("disabled".into()),
                Literal::Text("enabled".into()),
            ],
            negated,
        )
    };
    assert!(listed(false).matches(&row()));
    assert!(!listed(true).matches(&row()));

    let is = |test, name: &str| {
        let Operand::Path(path) = path(name) else {
            unreachable!()
        };
        Filter::Is(test, path).matches(&row())
    };
    assert!(is(TypeTest::Defined, "nothing") && !is(TypeTest::Defined, "absent"));
    assert!(is(TypeTest::Null, "nothing") && !is(TypeTest::Null, "absent"));
    assert!(is(TypeTest::Text, "spelt") && !is(TypeTest::Text, "n"));
    assert!(is(TypeTest::Number, "half") && !is(TypeTest::Number, "spelt"));
    assert!(is(TypeTest::Bool, "yes") && !is(TypeTest::Bool, "nothing"));
    assert!(is(TypeTest::Object, "tags") && !is(TypeTest::Object, "list"));

    let stands = |test, part| Filter::Text(test, path("deviceId"), text(part)).matches(&row());
    assert!(stands(TextTest::StartsWith, "Dev") && !stands(TextTest::StartsWith, "ev1"));
    assert!(stands(TextTest::EndsWith, "ev1") && !stands(TextTest::EndsWith, "Dev"));
    assert!(stands(TextTest::Contains, "ev") && !stands(TextTest::Contains, "EV"));
    assert!(!Filter::Text(TextTest::Contains, path("n"), text("1")).matches(&row()));
}

#[test]
fn a_member_name_with_a_dot_is_one_step_of_a_path() {
    let odd = Operand::Path(Path(vec!["tags".into(), "a.b".into(), "c".into()]));
    assert!(compare(odd, Comparison::Equal, text("deep")).matches(&row()));
    assert!(!compare(path("tags.a.b.c"), Comparison::Equal, text("deep")).matches(&row()));
}

#[test]
fn arithmetic_is_missing_where_it_gives_no_number() {
    let made = |left, how, right| Operand::Arithmetic(Box::new(left), how, Box::new(right));
    let sum = made(path("n"), Arithmetic::Add, path("half"));
    assert!(compare(sum.clone(), Comparison::Equal, number(10.5)).matches(&row()));
    assert_eq!(sum.evaluate(&row()).as_deref(), Some(&Json::from(10.5)));
    let by_zero = made(path("n"), Arithmetic::Divide, number(0.0));
    assert!(!compare(by_zero.clone(), Comparison::NotEqual, number(1.0)).matches(&row()));
    assert_eq!(by_zero.evaluate(&row()), None);
    let texts = made(path("status"), Arithmetic::Add, path("status"));
    assert_eq!(texts.evaluate(&row()), None);
    let spelt = Operand::AsNumber(Box::new(path("spelt")));
    assert!(compare(spelt, Comparison::Equal, number(12.0)).matches(&row()));
    let product = made(path("n"), Arithmetic::Multiply, number(2.0));
    assert_eq!(
        product.evaluate(&row()).expect("number").to_string(),
        "20",
        "whole numbers are written without a fraction"
    );
}

#[test]
fn only_equalities_that_must_hold_are_offered_to_an_index() {
    let equal = |name: &str, value: &str| compare(path(name), Comparison::Equal, text(value));
    let term = |name: &str, value: &str| IndexedTerm {
        path: Path(name.split('.').map(str::to_owned).collect()),
        value: Literal::Text(value.into()),
    };
    let both = |a, b| Filter::And(Box::new(a), Box::new(b));
    let either = Filter::Or(Box::new(equal("x", "1")), Box::new(equal("y", "2")));
    let filter = both(
        both(
            equal("tags.environment", "test"),
            compare(text("enabled"), Comparison::Equal, path("status")),
        ),
        both(
            both(either, not(equal("z", "3"))),
            compare(path("n"), Comparison::Less, number(1.0)),
        ),
    );
    assert_eq!(
        filter.indexed_terms(),
        [term("tags.environment", "test"), term("status", "enabled")]
    );
    assert_eq!(Filter::Always.indexed_terms(), []);
    assert!(
        compare(path("a"), Comparison::Equal, path("b"))
            .indexed_terms()
            .is_empty()
    );
}

fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        "[ab1]{0,3}".prop_map(Json::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Json::from),
            prop::collection::vec(("[abc]", inner), 0..4)
                .prop_map(|members| Json::Object(members.into_iter().collect())),
        ]
    })
}

fn any_operand() -> impl Strategy<Value = Operand> {
    let leaf = prop_oneof![
        prop::collection::vec("[abc]", 1..4).prop_map(|names| Operand::Path(Path(names))),
        any::<f64>().prop_map(number),
        "[ab1]{0,3}".prop_map(|value| text(&value)),
        Just(Operand::Literal(Literal::Null)),
    ];
    leaf.prop_recursive(3, 8, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(left, right)| Operand::Arithmetic(
                Box::new(left),
                Arithmetic::Remainder,
                Box::new(right)
            )),
            inner.prop_map(|inner| Operand::AsNumber(Box::new(inner))),
        ]
    })
}

proptest! {
    #[test]
    fn an_order_is_the_same_seen_from_both_sides(
        row in any_json(), left in any_operand(), right in any_operand(),
    ) {
        use Comparison::*;
        for (how, mirrored) in
            [(Equal, Equal), (NotEqual, NotEqual), (Less, Greater), (LessOrEqual, GreaterOrEqual)]
        {
            prop_assert_eq!(
                compare(left.clone(), how, right.clone()).matches(&row),
                compare(right.clone(), mirrored, left.clone()).matches(&row)
            );
        }
    }

    #[test]
    fn a_present_value_is_in_a_list_or_not_in_it(row in any_json(), operand in any_operand()) {
        let list = vec![Literal::Null, Literal::Number(1.0), Literal::Text("a".into())];
        let present = operand.evaluate(&row).is_some();
        let inside = Filter::In(operand.clone(), list.clone(), false).matches(&row);
        let outside = Filter::In(operand, list, true).matches(&row);
        prop_assert_eq!(inside || outside, present);
        prop_assert!(!(inside && outside));
    }
}
