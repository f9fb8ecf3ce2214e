//! `docs/safety.md` names the proof of each rule of removal safety: every name in it is a test whose doc comment names the rule.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::layering::sources;

/// R21 is about the helper user of a set-up that is not built yet.
fn rules() -> BTreeSet<String> {
    (1..=22).filter(|number| *number != 21).map(|number| format!("R{number}")).collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// `plan::tests::guarding` of `src/plan/tests/guarding.rs`, `it::leaving` of `tests/it/leaving.rs`.
fn module(file: &Path) -> String {
    let place = file.strip_prefix(root()).unwrap().with_extension("");
    let names = place.iter().map(|name| name.to_str().unwrap()).skip(1);
    names.filter(|name| *name != "mod").collect::<Vec<_>>().join("::")
}

/// The words of a text that name a rule, ranges (`R12 to R14`) not spelled out.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|character: char| !character.is_alphanumeric());
    words.map(str::to_owned).filter(|word| rules().contains(word)).collect()
}

/// The tests of a source and the rules that the doc comment of each names. A macro's facts have the comment in the macro.
fn tests_of(source: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut tests = BTreeMap::new();
    let (mut doc, mut of_macro, mut is_test) = (String::new(), None, false);
    for line in source.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("///") {
            doc.push_str(text);
        } else if line.starts_with("#[test") || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if line.starts_with("fn $fact") {
            of_macro = is_test.then(|| named(&doc));
            (doc, is_test) = (String::new(), false);
        } else if let Some((_, name)) = line.split_once("fn ") {
            if is_test {
                let name = name.split(['(', '<']).next().unwrap_or_default();
                tests.insert(name.to_owned(), named(&doc));
            }
            (doc, is_test) = (String::new(), false);
        } else if let (Some(rules), Some((name, _))) = (&of_macro, line.split_once(':')) {
            if !name.is_empty() && name.chars().all(|it| it.is_ascii_lowercase() || it == '_' || it.is_ascii_digit()) {
                tests.insert(name.to_owned(), rules.clone());
            }
        } else if !line.starts_with("#[") {
            doc.clear();
        }
    }
    tests
}

fn all_tests() -> BTreeMap<String, BTreeSet<String>> {
    let mut files = Vec::new();
    sources(&root().join("src"), &mut files);
    sources(&root().join("tests"), &mut files);
    let of_file = |file: PathBuf| {
        let source = std::fs::read_to_string(&file).unwrap();
        let module = module(&file);
        tests_of(&source).into_iter().map(move |(name, rules)| (format!("{module}::{name}"), rules))
    };
    files.into_iter().flat_map(of_file).collect()
}

/// Each row of the table: the rule, and the tests in its last column.
fn table() -> BTreeMap<String, Vec<String>> {
    let text = std::fs::read_to_string(root().join("docs/safety.md")).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| R") && !line.starts_with("| Rule"));
    let row = |line: &str| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let tests = cells[cells.len() - 1].split('`').filter(|it| it.contains("::")).map(str::to_owned).collect();
        (cells[0].to_owned(), tests)
    };
    rows.map(row).collect()
}

#[test]
fn every_rule_has_its_row_and_its_tests_exist_and_name_it() {
    let (table, tests) = (table(), all_tests());
    assert!(tests.len() > 500, "the tests were not found");
    assert_eq!(table.keys().cloned().collect::<BTreeSet<_>>(), rules());
    let mut wrong = Vec::new();
    for (rule, proofs) in table {
        if proofs.is_empty() {
            wrong.push(format!("{rule} has no test"));
        }
        for proof in proofs {
            match tests.get(&proof) {
                None => wrong.push(format!("{rule}: there is no test {proof}")),
                Some(named) if !named.contains(&rule) => wrong.push(format!("{rule}: {proof} does not name it")),
                Some(_) => {}
            }
        }
    }
    assert!(wrong.is_empty(), "docs/safety.md:\n{}", wrong.join("\n"));
}

#[test]
fn a_test_is_found_with_the_rules_of_its_comment_alone() {
    let source = "/// R3, and more:\n/// R4.\n#[test]\nfn first() {\n    let fn_of = 1;\n}\n/// R5\nfn helper() {}\n#[test]\nfn second() {}\n";
    let expected = [
        ("first".to_owned(), BTreeSet::from(["R3".to_owned(), "R4".to_owned()])),
        ("second".to_owned(), BTreeSet::new()),
    ];
    assert_eq!(tests_of(source), BTreeMap::from(expected));
    let facts = "macro_rules! m {\n($($fact:ident: $d:expr;)*) => {\n/// R4\n#[test]\nfn $fact() {}\n};\n}\nm! {\n    a_fact: |it| it;\n}\n";
    assert_eq!(tests_of(facts), BTreeMap::from([("a_fact".to_owned(), BTreeSet::from(["R4".to_owned()]))]));
}
