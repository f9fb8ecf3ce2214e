//! The layers of the code, read from the sources. `docs/architecture.md` draws them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What the sources of one layer may not name.
struct Layer {
    /// Folder or file below `src/`.
    place: &'static str,
    /// Modules of this crate.
    modules: &'static [&'static str],
    /// Anything else, as it would be written.
    words: &'static [&'static str],
}

/// Pure code: its results depend on its arguments alone.
const IMPURE: &[&str] = &[
    "async fn",
    "async move",
    ".await",
    "kube::Client",
    "kube::Api",
    "kube_client",
    "kube::runtime",
    "reqwest",
    "hyper",
    "axum",
    "tokio",
    "now()",
    "SystemTime",
    "Instant",
    "rand::",
    "getrandom",
    "new_v4",
    "std::fs",
    "std::env",
    "std::net",
    "std::process",
    "std::thread",
];

/// The one source of the pure layers that may read and write files: the test that compares `crds/` with the types.
const DRIFT_CHECK: &str = "api/generated.rs";
const FILES: [&str; 2] = ["std::fs", "std::env"];

/// A client knows the wire, never Kubernetes. Time comes from `k8s_openapi::jiff`, which is why that crate is not here whole.
const KUBERNETES: &[&str] = &[
    "kube::",
    "kube_runtime",
    "kube_client",
    "k8s_openapi::api::",
    "k8s_openapi::apimachinery",
    "k8s_openapi::apiextensions",
];

const LAYERS: &[Layer] = &[
    Layer {
        place: "domain",
        modules: &["api", "plan", "clients", "controllers", "runtime", "settings", "clock", "cli", "sim", "devenv"],
        words: IMPURE,
    },
    Layer { place: "domain", modules: &[], words: KUBERNETES },
    Layer {
        place: "api",
        modules: &["plan", "clients", "controllers", "runtime", "settings", "clock", "cli", "sim", "devenv"],
        words: IMPURE,
    },
    Layer {
        place: "plan",
        modules: &["clients", "controllers", "runtime", "settings", "clock", "cli", "sim", "devenv"],
        words: IMPURE,
    },
    Layer {
        place: "clients",
        modules: &["api", "plan", "controllers", "runtime", "settings", "cli", "sim", "devenv"],
        words: KUBERNETES,
    },
    Layer {
        place: "clock.rs",
        modules: &["api", "plan", "clients", "controllers", "runtime", "settings", "cli", "sim"],
        words: KUBERNETES,
    },
    Layer { place: "runtime", modules: &["plan", "controllers", "cli", "sim", "devenv"], words: &[] },
    Layer { place: "controllers", modules: &["cli", "sim", "devenv"], words: &[] },
    Layer { place: "cli", modules: &["sim", "devenv"], words: &[] },
    Layer { place: "settings.rs", modules: &["sim", "devenv"], words: &[] },
    Layer { place: "main.rs", modules: &["sim", "devenv"], words: &[] },
    // The simulator shares the wire types and nothing else: an oracle that calls the product proves nothing.
    Layer {
        place: "sim",
        modules: &["api", "plan", "controllers", "runtime", "settings", "cli", "devenv"],
        words: &[],
    },
    Layer { place: "devenv", modules: &["plan", "clients", "controllers", "runtime", "settings", "cli"], words: &[] },
];

/// Removes comments and the contents of strings; line breaks stay, so that lines can be counted.
fn code_only(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let skipped = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            'r' if rest.starts_with("r#\"") => rest[3..].find("\"#").map_or(rest.len(), |end| end + 5),
            '"' => string_length(rest),
            '\'' if rest.starts_with("'\"'") => 3,
            _ => 0,
        };
        if skipped == 0 {
            code.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            code.extend(rest[..skipped].chars().filter(|&character| character == '\n'));
            rest = &rest[skipped..];
        }
    }
    code
}

/// The length of a string literal, quotes included.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The modules of this crate that the code of a place names, with the line: after `crate::`, after the crate's own name, after
/// a chain of `super::` that reaches the root, and within braces such as `use crate::{plan, clients::http}`.
fn named_modules(place: &str, code: &str) -> BTreeSet<(usize, String)> {
    let mut found = BTreeSet::new();
    for (at, after) in roots(place, code) {
        let line = code[..at].matches('\n').count() + 1;
        let names = if let Some(list) = after.strip_prefix('{') { top_level(list) } else { vec![after] };
        found.extend(names.into_iter().map(|name| (line, first_word(name.trim_start()))));
    }
    found
}

/// Where the root of the crate is named, and what follows.
fn roots<'a>(place: &str, code: &'a str) -> Vec<(usize, &'a str)> {
    let named = ["crate::", "teams_connector_operator::"];
    let named =
        named.into_iter().flat_map(|root| code.match_indices(root).map(move |(at, _)| (at, &code[at + root.len()..])));
    let chains = code.match_indices("super::").filter(|(at, _)| !code[..*at].ends_with("super::"));
    let above = chains.filter_map(|(at, _)| {
        let after = code[at..].trim_start_matches("super::");
        let chain = (code.len() - at - after.len()) / "super::".len();
        (chain >= depth(place)).then_some((at, after))
    });
    named.chain(above).collect()
}

/// How many modules deep a source is: `plan/mod.rs` 1, `plan/guard.rs` 2.
fn depth(place: &str) -> usize {
    let names = place.trim_end_matches(".rs").split('/');
    names.filter(|name| !matches!(*name, "mod" | "lib" | "main")).count()
}

/// The items of a braced list, those within inner braces left out.
fn top_level(list: &str) -> Vec<&str> {
    let mut depth = 0;
    let mut starts = vec![0];
    for (at, character) in list.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => starts.push(at + 1),
            _ => {}
        }
    }
    starts.into_iter().map(|start| &list[start..]).collect()
}

fn first_word(text: &str) -> String {
    text.chars().take_while(|character| character.is_alphanumeric() || *character == '_').collect()
}

/// What a source of a place breaks, as `line: what`.
fn violations(place: &str, source: &str) -> Vec<String> {
    let code = code_only(source);
    let layers: Vec<&Layer> = LAYERS.iter().filter(|layer| place.split('/').next() == Some(layer.place)).collect();
    let modules = named_modules(place, &code);
    let named =
        modules.iter().filter(|(_, module)| layers.iter().any(|layer| layer.modules.contains(&module.as_str())));
    let mut broken: Vec<String> = named.map(|(line, module)| format!("{line}: the module {module}")).collect();
    for (number, line) in (1..).zip(code.lines()) {
        let words = layers.iter().flat_map(|layer| layer.words);
        let words = words.filter(|word| place != DRIFT_CHECK || !FILES.contains(*word));
        broken.extend(words.filter(|word| line.contains(**word)).map(|word| format!("{number}: {word}")));
    }
    broken.extend(beyond_the_wire(place, &code));
    broken
}

/// Of the clients the simulator may use the wire types only.
fn beyond_the_wire(place: &str, code: &str) -> Vec<String> {
    if place.split('/').next() != Some("sim") {
        return Vec::new();
    }
    let uses = code.match_indices("crate::clients::");
    let other =
        uses.filter(|(at, root)| !code[at + root.len()..].split(';').next().is_some_and(|path| path.contains("wire")));
    other.map(|(at, _)| format!("{}: a client beyond its wire types", code[..at].matches('\n').count() + 1)).collect()
}

/// Every Rust source below the folder.
pub(crate) fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn every_source_stays_within_its_layer() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    assert!(files.len() > 10, "the sources were not found");
    let mut broken = Vec::new();
    for file in files {
        let place = file.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
        let source = std::fs::read_to_string(&file).unwrap();
        broken.extend(violations(&place, &source).into_iter().map(|what| format!("src/{place}:{what}")));
    }
    assert!(broken.is_empty(), "forbidden by the layers:\n{}", broken.join("\n"));
}

#[test]
fn the_source_that_may_write_files_is_a_test() {
    let api = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/api/mod.rs")).unwrap();
    assert!(api.contains("#[cfg(test)]\nmod generated;"));
}

#[test]
fn a_planted_violation_is_found_however_it_is_written() {
    let planted = [
        ("plan/user_sync.rs", "use crate::clients::goto::wire::User;"),
        ("plan/user_sync.rs", "use crate::{domain::UserKey, clients};"),
        ("plan/user_sync.rs", "use crate::{\n    domain::{self, UserKey},\n    clients::http,\n};"),
        ("plan/mod.rs", "use super::clients::http;"),
        ("plan/guard.rs", "use super::super::controllers::context;"),
        ("plan/guard.rs", "fn f() { let t = Timestamp::now(); }"),
        ("plan/guard.rs", "pub async fn plan() {}"),
        ("api/conditions.rs", "fn f(client: kube::Client) {}"),
        ("domain/ids.rs", "let id = Uuid::new_v4();"),
        ("clients/http.rs", "use crate::plan::Plan;"),
        ("clients/http.rs", "use kube::ResourceExt;"),
        ("controllers/observer.rs", "let sim = crate::sim::Sim::start(config);"),
        ("main.rs", "use teams_connector_operator::sim::Sim;"),
        ("sim/card5.rs", "use crate::plan::counters;"),
        ("sim/card5.rs", "use crate::clients::connector::Connector;"),
    ];
    for (place, source) in planted {
        assert!(!violations(place, source).is_empty(), "not found in {place}: {source}");
    }
}

#[test]
fn what_the_layers_allow_is_not_complained_about() {
    let allowed = [
        (
            "plan/user_sync.rs",
            "//! Knows nothing of crate::clients.\nuse crate::domain::UserKey;\nconst TEXT: &str = \"crate::sim\";",
        ),
        ("clients/http.rs", "use k8s_openapi::jiff::Timestamp;\nuse crate::clock::Clock;"),
        ("clients/goto/mod.rs", "use super::http;\nuse crate::domain::UserKey;"),
        ("controllers/policy/act.rs", "use crate::{clients::connector, plan};"),
        ("sim/connector/mod.rs", "use crate::clients::connector::wire::{User, Page};\nlet now = Timestamp::now();"),
        ("devenv/simulator.rs", "use crate::sim::Endpoints;"),
        ("sim/world/edit.rs", "use super::settings::after;"),
        ("api/generated.rs", "std::fs::write(path, text);"),
    ];
    for (place, source) in allowed {
        assert_eq!(violations(place, source), Vec::<String>::new(), "{place}");
    }
}
