//! The order of the house: a module imports only from those before it in `lib.rs`.

use std::fs;
use std::path::{Path, PathBuf};

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The modules of `lib.rs` in the order of their lines.
fn modules() -> Vec<String> {
    let text = fs::read_to_string(source().join("lib.rs")).expect("lib.rs is there");
    text.lines()
        .filter_map(|line| line.strip_prefix("pub mod "))
        .filter_map(|rest| rest.split_once(';'))
        .map(|(name, _)| name.to_owned())
        .collect()
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The top-level modules that a source text names by `crate::`, also in a `use crate::{a, b}`.
fn named(text: &str) -> Vec<String> {
    let word = |text: &str| -> String {
        text.chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect()
    };
    let mut names = Vec::new();
    for (at, prefix) in text.match_indices("crate::") {
        let rest = &text[at + prefix.len()..];
        match rest.strip_prefix('{') {
            Some(list) => names.extend(top_level_items(list).iter().map(|item| word(item))),
            None => names.push(word(rest)),
        }
    }
    names
}

/// The items of a brace list up to its closing brace, split at commas outside inner braces.
fn top_level_items(list: &str) -> Vec<String> {
    let (mut depth, mut items) = (0, vec![String::new()]);
    for c in list.chars() {
        match c {
            '}' if depth == 0 => break,
            ',' if depth == 0 => items.push(String::new()),
            _ => {
                depth += i32::from(c == '{') - i32::from(c == '}');
                let last = items.len() - 1;
                if !(c.is_whitespace() && items[last].is_empty()) {
                    items[last].push(c);
                }
            }
        }
    }
    items
}

/// Tests may look at a module from where it is used.
fn is_test(file: &Path) -> bool {
    file.components().any(|c| c.as_os_str() == "tests") || file.ends_with("tests.rs")
}

/// Imports of a module that comes later than the file's own.
fn violations(own: &str, text: &str, order: &[String]) -> Vec<String> {
    let place = |name: &str| order.iter().position(|module| module == name);
    let own_place = place(own).unwrap_or_else(|| panic!("`{own}` is not in lib.rs"));
    named(text)
        .into_iter()
        .filter(|name| place(name).is_some_and(|at| at > own_place))
        .collect()
}

#[test]
fn every_module_imports_only_from_those_before_it() {
    let order = modules();
    assert!(order.len() >= 10, "lib.rs was read: {order:?}");
    let (root, mut files) = (source(), Vec::new());
    rust_files(&root, &mut files);
    let mut wrong = Vec::new();
    for file in files {
        let inside = file.strip_prefix(&root).unwrap();
        let first = inside.components().next().unwrap().as_os_str();
        let own = first.to_str().unwrap().trim_end_matches(".rs").to_owned();
        if own == "lib" || own == "main" || is_test(inside) {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        for name in violations(&own, &text, &order) {
            wrong.push(format!("{} imports {name}", inside.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_store_touches_the_files_of_a_run() {
    for module in ["engine", "plan", "train", "metrics", "report", "study"] {
        let mut files = Vec::new();
        rust_files(&source().join(module), &mut files);
        for file in files {
            let text = fs::read_to_string(&file).unwrap();
            let inside = file.strip_prefix(source()).unwrap();
            let reads_the_machine = file.ends_with("cpu/description.rs");
            let touches = text.contains("std::fs") || text.contains("File::");
            assert!(
                !touches || reads_the_machine || is_test(inside),
                "{} touches files",
                file.display()
            );
        }
    }
}

#[test]
fn a_wrong_import_is_noticed() {
    let order = modules();
    for text in [
        "use crate::study::Study;",
        "use crate::{seed::Seed, study};",
        "fn f() { crate::cli::main(x) }",
    ] {
        assert_eq!(violations("data", text, &order).len(), 1, "{text}");
    }
    assert!(violations("study", "use crate::{seed::{Seed, Stream}, data};", &order).is_empty());
}
