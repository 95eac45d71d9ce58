//! Every sentence of a contract that names a case has one, and no case is without its sentence.

use std::collections::BTreeSet;

use chat_testkit::case::StoreCase;

#[test]
fn every_sentence_of_message_store_is_a_case() {
    let contract = include_str!("../../chat-core/src/ports/message_store.rs");
    assert_same(contract, &names(chat_testkit::message_store::CASES));
}

#[test]
fn every_sentence_of_inbox_store_is_a_case() {
    let contract = include_str!("../../chat-core/src/ports/inbox_store.rs");
    assert_same(contract, &names(chat_testkit::inbox_store::CASES));
}

#[test]
fn every_sentence_of_user_store_is_a_case() {
    let contract = include_str!("../../chat-core/src/ports/user_store.rs");
    assert_same(contract, &names(chat_testkit::user_store::CASES));
}

#[test]
fn every_sentence_of_accounts_is_a_case() {
    let contract = include_str!("../../chat-core/src/ports/accounts.rs");
    assert_same(contract, &names(chat_testkit::accounts::CASES));
}

#[test]
fn every_sentence_of_id_generator_is_a_case() {
    let contract = include_str!("../../chat-core/src/ports/id_generator.rs");
    assert_same(contract, chat_testkit::id_generator::CASES);
}

#[test]
fn every_sentence_of_presence_bus_is_a_case() {
    let contract = include_str!("../../chat-core/src/ports/presence_bus.rs");
    let cases = chat_testkit::presence_bus::CASES.iter();
    assert_same(contract, &cases.map(|case| case.name).collect::<Vec<_>>());
}

#[test]
fn every_sentence_of_router_is_a_case() {
    let contract = include_str!("../../chat-core/src/ports/router.rs");
    let cases = chat_testkit::router::CASES.iter();
    assert_same(contract, &cases.map(|case| case.name).collect::<Vec<_>>());
}

fn names(cases: &[StoreCase]) -> Vec<&'static str> {
    cases.iter().map(|case| case.name).collect()
}

fn assert_same(source: &str, cases: &[&str]) {
    let sentences = names_in_contract(source);
    assert!(!sentences.is_empty(), "the contract names its cases");
    let cases: BTreeSet<String> = cases.iter().map(ToString::to_string).collect();
    assert_eq!(
        cases, sentences,
        "cases on the left, sentences on the right"
    );
}

/// The names in brackets, as (`one_name`, `another_name`), of the contract in a trait's documentation.
fn names_in_contract(source: &str) -> BTreeSet<String> {
    let contract = source
        .lines()
        .skip_while(|line| !line.starts_with("/// # Contract"));
    let text: String = contract
        .map_while(|line| line.strip_prefix("///"))
        .collect::<Vec<_>>()
        .join(" ");
    let groups = text.split("(`").skip(1);
    groups
        .filter_map(|group| group.split_once("`)"))
        .flat_map(|(names, _)| names.split("`,").map(|name| name.trim().trim_matches('`')))
        .map(ToOwned::to_owned)
        .collect()
}

#[test]
fn names_are_found_over_line_ends() {
    let source = "/// About `x` (`not_a_name`).\n///\n/// # Contract\n/// - It MUST (`one`, `two`,\n///   `three`).\n/// - It MAY.\npub trait";
    let expected = ["one", "three", "two"].map(ToOwned::to_owned);
    assert_eq!(names_in_contract(source), BTreeSet::from(expected));
}
