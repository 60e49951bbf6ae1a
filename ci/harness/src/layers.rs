//! Rules on what a part of the sources may use, where the compiler cannot keep them: checked on the text.
//!
//! Comments and test modules are ignored. Strings are not: a rule that finds one in a string is easily obeyed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Words that must not occur in a part of the sources.
#[derive(Debug)]
pub struct Rule {
    /// The files whose paths begin with one of these …
    pub of: &'static [&'static str],
    /// … but not with one of these …
    pub except: &'static [&'static str],
    /// … contain none of these words.
    pub never: &'static [&'static str],
    /// Why.
    pub why: &'static str,
}

/// The sources of a package: path below `src/`, and code without comments and tests.
#[derive(Debug)]
pub struct Sources(BTreeMap<String, String>);

impl Sources {
    /// Reads the sources of the package in this folder.
    ///
    /// # Panics
    /// If they cannot be read.
    pub fn read(package: &str) -> Self {
        let (mut files, root) = (BTreeMap::new(), Path::new(package).join("src"));
        collect(&root, &root, &mut files);
        assert!(!files.is_empty(), "there are sources in {package}");
        Self(files)
    }

    /// Returns every place where a rule is broken. A rule that matches no file is reported, too.
    pub fn broken(&self, rules: &[Rule]) -> Vec<String> {
        let mut broken = Vec::new();
        for rule in rules {
            let begins = |path: &str, parts: &[&str]| parts.iter().any(|part| path.starts_with(part));
            let mut files = self.0.iter().filter(|(path, _)| begins(path, rule.of)).peekable();
            if files.peek().is_none() {
                broken.push(format!("{:?}: no such files", rule.of));
            }
            for (path, code) in files.filter(|(path, _)| !begins(path, rule.except)) {
                let words = rule.never.iter().filter(|word| contains(code, word));
                broken.extend(words.map(|word| format!("{path}: `{word}`: {}", rule.why)));
            }
        }
        broken
    }

    /// Returns a circle of files that import each other, if there is one. A file that declares a module does not import
    /// it by that.
    pub fn circle(&self) -> Option<Vec<String>> {
        let modules: BTreeMap<String, &String> = self.0.keys().map(|path| (module_of(path), path)).collect();
        let imports = |path: &String| -> BTreeSet<&String> {
            let own = module_of(path);
            let target = |full: String| {
                // The deepest module that the import leads to.
                let parts: Vec<&str> = full.split("::").collect();
                let modules =
                    (1..=parts.len()).rev().find_map(|length| modules.get(&parts[..length].join("::")));
                modules.copied().filter(|other| *other != path)
            };
            let of_children = children_used(&self.0[path]).map(|child| format!("{own}::{child}"));
            let paths = imports_of(&self.0[path]).into_iter().filter_map(|import| absolute(&own, &import));
            of_children.chain(paths).filter_map(target).collect()
        };
        let graph: BTreeMap<&String, BTreeSet<&String>> =
            self.0.keys().map(|path| (path, imports(path))).collect();
        let mut done = BTreeSet::new();
        graph.keys().find_map(|start| walk(start, &graph, &mut Vec::new(), &mut done))
    }

    /// Returns the files that are longer than this, as `path: lines`.
    pub fn longer_than(package: &str, lines: usize) -> Vec<String> {
        let mut long = Vec::new();
        for folder in ["src", "tests"] {
            each_file(&Path::new(package).join(folder), &mut |path, text| {
                let count = text.lines().count();
                if count > lines {
                    long.push(format!("{}: {count}", path.display()));
                }
            });
        }
        long
    }
}

fn walk<'a>(
    path: &'a String,
    graph: &BTreeMap<&'a String, BTreeSet<&'a String>>,
    way: &mut Vec<&'a String>,
    done: &mut BTreeSet<&'a String>,
) -> Option<Vec<String>> {
    if let Some(start) = way.iter().position(|other| *other == path) {
        return Some(way[start..].iter().map(|path| (*path).clone()).collect());
    }
    if !done.contains(path) {
        way.push(path);
        for next in &graph[path] {
            if let Some(circle) = walk(next, graph, way, done) {
                return Some(circle);
            }
        }
        way.pop();
        done.insert(path);
    }
    None
}

/// `engine/reader.rs` is `crate::engine::reader`, and `engine/mod.rs` is `crate::engine`.
fn module_of(path: &str) -> String {
    let name = path.trim_end_matches(".rs").trim_end_matches("/mod");
    let name = if ["lib", "main"].contains(&name) { "" } else { name };
    format!("crate/{name}").trim_end_matches('/').replace('/', "::")
}

/// Makes an import of a module a path from the crate's root; `None` if it leads out of the crate.
fn absolute(own: &str, import: &str) -> Option<String> {
    if import.starts_with("crate::") {
        return Some(import.into());
    }
    let (mut base, mut rest) = (own, import.strip_prefix("super::").map(|rest| (1, rest))?);
    while let Some(deeper) = rest.1.strip_prefix("super::") {
        rest = (rest.0 + 1, deeper);
    }
    for _ in 0..rest.0 {
        base = base.rsplit_once("::")?.0;
    }
    Some(format!("{base}::{}", rest.1))
}

/// The modules that this file declares and uses something of.
fn children_used(code: &str) -> impl Iterator<Item = &str> {
    let declared = code.lines().filter_map(|line| {
        let line = line.trim_start_matches("pub ").strip_prefix("mod ")?;
        line.strip_suffix(';')
    });
    declared.filter(|child| contains(code, &format!("{child}::")))
}

/// All paths that begin with `crate::` or `super::`, in imports and in code, with groups taken apart.
fn imports_of(code: &str) -> Vec<String> {
    let mut imports = Vec::new();
    for start in ["crate::", "super::"] {
        for (at, _) in code.match_indices(start) {
            let before = code[..at].chars().next_back();
            if !before.is_some_and(|c| c == ':' || c == '$' || c == '_' || c.is_alphanumeric()) {
                flatten("", &code[at..], &mut imports);
            }
        }
    }
    imports
}

/// Takes `a::{b, c::{d}}`, which something may follow, apart into `a::b` and `a::c::d`.
fn flatten(prefix: &str, text: &str, into: &mut Vec<String>) {
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap_or(text.len());
    let (path, rest) = text.split_at(end);
    let Some(group) = rest.strip_prefix('{').filter(|_| path.ends_with("::")) else {
        return into.push(format!("{prefix}{path}"));
    };
    let (mut depth, mut start) = (0, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            ',' | '}' if depth == 0 => {
                flatten(&format!("{prefix}{path}"), group[start..at].trim(), into);
                start = at + 1;
                if c == '}' {
                    return;
                }
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
}

fn collect(root: &Path, folder: &Path, files: &mut BTreeMap<String, String>) {
    each_file(folder, &mut |path, text| {
        let name = path.strip_prefix(root).expect("it is below").to_str().expect("sources have plain names");
        let name = name.replace('\\', "/");
        let is_test = name.ends_with("tests.rs") || name.contains("tests/") || name.ends_with("fake.rs");
        if !is_test {
            files.insert(name, code_of(text));
        }
    });
}

fn each_file(folder: &Path, act: &mut dyn FnMut(&Path, &str)) {
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("a folder of sources").path();
        if path.is_dir() {
            each_file(&path, act);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            act(&path, &fs::read_to_string(&path).expect("a source is text"));
        }
    }
}

/// The code without comments, and without the tests at the end.
fn code_of(text: &str) -> String {
    let line = |line: &str| -> String {
        let comment = line.find("//").filter(|at| !line[..*at].ends_with(':'));
        line[..comment.unwrap_or(line.len())].into()
    };
    let is_tests = |line: &&str| line.starts_with("#[cfg(test)]") || line.starts_with("#[cfg(all(test");
    let tests_come = text.contains("mod tests {");
    text.lines().take_while(|line| !(tests_come && is_tests(line))).map(|text| line(text) + "\n").collect()
}

/// Returns whether the word occurs, and not only as a part of a longer one.
fn contains(code: &str, word: &str) -> bool {
    let letter = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    code.match_indices(word).any(|(at, _)| {
        let (before, after) = (code[..at].chars().next_back(), code[at + word.len()..].chars().next());
        let are_one_word = |left, right| letter(left) && letter(right);
        !are_one_word(before, word.chars().next()) && !are_one_word(word.chars().next_back(), after)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(files: &[(&str, &str)]) -> Sources {
        Sources(files.iter().map(|(path, text)| ((*path).into(), code_of(text))).collect())
    }

    #[test]
    fn a_broken_rule_is_found_in_code_and_not_in_comments_or_tests() {
        let rule = Rule { of: &["a/"], except: &["a/d.rs"], never: &["b::c"], why: "so" };
        let found = |text: &str| sources(&[("a/x.rs", text)]).broken(std::slice::from_ref(&rule)).len();
        assert_eq!(found("use b::c;"), 1);
        assert_eq!(found("fn f() { b::c::g() }"), 1);
        assert_eq!(found("// b::c\nuse b::call; #[x] fn f() {}\n#[cfg(test)]\nmod tests { use b::c; }"), 0);
        assert_eq!(sources(&[("e.rs", "")]).broken(&[rule]).len(), 1, "a rule about nothing");
    }

    #[test]
    fn a_circle_is_found_through_groups_and_parents() {
        let straight =
            [("a/mod.rs", "mod b; pub use b::x;"), ("a/b.rs", "use crate::{c::{d, e}};"), ("c.rs", "")];
        assert_eq!(sources(&straight).circle(), None);
        let round = [("a/b.rs", "use super::super::c::d;"), ("c.rs", "fn f() { crate::a::b::g() }")];
        assert_eq!(sources(&round).circle().map(|circle| circle.len()), Some(2));
        let front = [("a/mod.rs", "mod b;\npub use b::x;"), ("a/b.rs", "use super::Y;")];
        assert!(sources(&front).circle().is_some(), "a child that imports from its front");
    }
}
