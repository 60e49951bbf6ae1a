//! Rules on which part of the sources may use what: one table, checked on the text.
//!
//! Comments, the contents of strings and test modules are ignored, and `use a::{b, c}` counts as `a::b` and `a::c`.

use std::ffi::OsStr;
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// The sources, beginning with these …
struct Rule {
    of: &'static [&'static str],
    /// … but not with these …
    except: &'static [&'static str],
    /// … must be like this,
    law: Law,
    /// because:
    why: &'static str,
    /// An example that breaks the rule, to check that it is detected.
    example: &'static str,
}

enum Law {
    /// None of these words or paths occurs.
    Never(&'static [&'static str]),
    /// Every import begins with one of these.
    ImportsOnly(&'static [&'static str]),
    /// This occurs.
    Has(&'static str),
}

use Law::{Has, ImportsOnly, Never};

const LIBRARY: &str = "blockpipe/src/";
const PROGRAM: &str = "duocopy/src/";
/// Tests of the ring under the model checker.
const LOOM: &str = "blockpipe/src/ring/loom_tests.rs";

const RULES: &[Rule] = &[
    Rule {
        of: &[LIBRARY],
        except: &["blockpipe/src/steps.rs"],
        law: Never(&["std::fs", "std::path", "std::env", "std::process::Command", "progress", "clap"]),
        why: "a pipe that knows about files cannot be tested without them",
        example: "use std::{fs::File, io};",
    },
    Rule {
        of: &["blockpipe/src/sys/"],
        except: &[],
        law: Never(&["crate::", "super::super"]),
        why: "a port is written from the contract alone",
        example: "fn f() { crate::layout::fingerprint(&[]); }",
    },
    Rule {
        of: &["blockpipe/src/sys/mod.rs"],
        except: &[],
        law: Never(&["super::"]),
        why: "the contract depends on nothing above it",
        example: "use super::layout::VERSION;",
    },
    Rule {
        of: &["blockpipe/src/ring.rs"],
        except: &[],
        law: ImportsOnly(&["crate::sync::", "std::time::Duration"]),
        why: "a model checker drives it",
        example: "use crate::sys::Side;",
    },
    Rule {
        of: &["blockpipe/src/ring.rs"],
        except: &[],
        law: Never(&["unsafe", "*const", "*mut", "sys", "io::", "crate::layout", "crate::end", "std::sync"]),
        why: "it is the whole protocol, without pointers or a system",
        example: "fn f(words: *const u8) {}",
    },
    Rule {
        of: &[LIBRARY, PROGRAM],
        except: &["blockpipe/src/sys/", "duocopy/src/os/"],
        law: Never(&[
            "libc",
            "rustix",
            "windows_sys",
            "target_os",
            "target_family",
            "cfg(unix)",
            "cfg(windows)",
            "std::os",
        ]),
        why: "what differs between systems is kept in one place",
        example: "#[cfg(target_os = \"linux\")] mod fast;",
    },
    Rule {
        of: &[LIBRARY],
        except: &["blockpipe/src/sys/", "blockpipe/src/memory.rs", "blockpipe/src/block.rs", LOOM],
        law: Never(&["unsafe"]),
        why: "there are three places to audit",
        example: "fn f() { unsafe { g() } }",
    },
    Rule {
        of: &[LIBRARY],
        except: &["blockpipe/src/steps.rs", LOOM],
        law: Never(&[
            "println!",
            "eprintln!",
            "print!",
            "eprint!",
            "dbg!",
            "process::exit",
            "process::abort",
        ]),
        why: "a library neither prints nor exits",
        example: "fn f() { eprintln!(\"oh\"); }",
    },
    Rule {
        of: &[LIBRARY, PROGRAM],
        except: &["blockpipe/src/sys/", "blockpipe/src/block.rs"],
        law: Never(&["Drop for"]),
        why: "a `Drop` cannot report a failure; these two unmap memory and put a block back",
        example: "impl Drop for Sink { fn drop(&mut self) { self.commit(); } }",
    },
    Rule {
        of: &[LIBRARY, PROGRAM],
        except: &["duocopy/src/os/", "blockpipe/src/monitor.rs"],
        law: Never(&["SystemTime", "UNIX_EPOCH"]),
        why: "a clock that somebody sets must change nothing (a monitor only displays it)",
        example: "fn f() { std::time::SystemTime::now(); }",
    },
    Rule {
        of: &["duocopy/src/main.rs"],
        except: &[],
        law: Has("#![forbid(unsafe_code)]"),
        why: "the program has no business with pointers",
        example: "fn main() {}",
    },
    Rule {
        of: &[PROGRAM],
        except: &[
            "duocopy/src/copy.rs",
            "duocopy/src/reader.rs",
            "duocopy/src/writer.rs",
            "duocopy/src/status.rs",
            "duocopy/src/verdict.rs",
        ],
        law: Never(&["blockpipe"]),
        why: "only the copy and the explanation of its end know that there is another process",
        example: "use blockpipe::Producer;",
    },
    Rule {
        of: &[PROGRAM],
        except: &["duocopy/src/main.rs", "duocopy/src/progress.rs", "duocopy/src/exit.rs"],
        law: Never(&["println!", "eprintln!", "print!", "eprint!"]),
        why: "the engine reports, the program shows",
        example: "fn f() { println!(\"{}\", 1); }",
    },
];

#[test]
fn the_sources_follow_the_rules() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package is in a workspace");
    let mut sources = Vec::new();
    for folder in [LIBRARY, PROGRAM] {
        collect(root, folder, &mut sources);
    }
    let mut broken = String::new();
    for rule in RULES {
        let files: Vec<_> = sources.iter().filter(|(path, _)| rule.is_about(path)).collect();
        // The program may be split into files in any way.
        let needed = rule.of.iter().filter(|prefix| prefix.starts_with(LIBRARY));
        for prefix in needed {
            assert!(files.iter().any(|(path, _)| path.starts_with(prefix)), "there is no {prefix}");
        }
        for (path, text) in files {
            if let Some(found) = rule.broken_by(text) {
                writeln!(broken, "{path}: {found}: {}", rule.why).expect("a string grows");
            }
        }
    }
    assert!(broken.is_empty(), "\n{broken}");
}

/// Checks that every test file is listed: one that is not would never run.
#[test]
fn every_test_file_is_run() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package is in a workspace");
    for folder in ["blockpipe/tests", "duocopy/tests"] {
        let suite = fs::read_to_string(root.join(folder).join("main.rs")).expect("a suite");
        for entry in fs::read_dir(root.join(folder)).expect("a folder of tests") {
            let path = entry.expect("an entry").path();
            // The second has no harness, and is listed in Cargo.toml.
            let itself = ["main", "one_memory"].map(OsStr::new).contains(&path.file_stem().expect("a name"));
            let module = format!("mod {};", path.file_stem().expect("a name").display());
            let is_test = path.extension() == Some(OsStr::new("rs")) && !itself;
            assert!(!is_test || suite.contains(&module), "{folder}/main.rs lacks `{module}`");
        }
    }
}

#[test]
fn every_rule_detects_a_violation() {
    for rule in RULES {
        assert!(rule.broken_by(rule.example).is_some(), "`{}` was not detected", rule.example);
        let quoted = format!("// {}\nfn f() {{ g({:?}) }}", rule.example, rule.example);
        let ignored = rule.broken_by(&quoted).is_none();
        assert!(ignored || matches!(rule.law, Has(_)), "`{}` is not code here", rule.example);
    }
}

#[test]
fn text_is_read_as_code() {
    let code = "use a::{self, b::{c, d as e}, f}; // unsafe\nfn g<'a>(_: &'a str) { h('\"', r#\"unsafe \" \"#, \"\\\"unsafe\") }\n\
                #[cfg(test)]\nmod tests { unsafe {} }";
    let (imports, rest) = read(code);
    assert_eq!(imports, ["a::self", "a::b::c", "a::b::d as e", "a::f"]);
    assert!(!rest.contains("unsafe") && rest.contains("fn g<'a>") && rest.contains("h("), "{rest}");
    assert!(contains("a unsafe {", "unsafe") && !contains("allow(unsafe_code)", "unsafe"));
}

impl Rule {
    fn is_about(&self, path: &str) -> bool {
        let begins_with = |prefixes: &[&str]| prefixes.iter().any(|prefix| path.starts_with(prefix));
        begins_with(self.of) && !begins_with(self.except)
    }

    /// Returns the part of the text that breaks the rule, if any.
    fn broken_by(&self, text: &str) -> Option<String> {
        let (imports, code) = read(text);
        match self.law {
            Never(words) => {
                let all = imports.iter().map(|import| format!("use {import};")).chain([code]);
                all.into_iter().find_map(|part| {
                    let word = words.iter().find(|word| contains(&part, word))?;
                    Some(format!("`{word}`"))
                })
            }
            ImportsOnly(allowed) => {
                imports.into_iter().find(|import| !allowed.iter().any(|start| import.starts_with(start)))
            }
            Has(needed) => (!contains(&code, needed)).then(|| format!("no `{needed}`")),
        }
    }
}

/// Collects every source file below a folder, with its path from the root.
fn collect(root: &Path, folder: &str, into: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(root.join(folder)).expect("a folder of sources") {
        let entry = entry.expect("a folder of sources");
        let path = format!("{folder}{}", entry.file_name().to_str().expect("sources have plain names"));
        if entry.path().is_dir() {
            collect(root, &format!("{path}/"), into);
        } else if entry.path().extension() == Some(OsStr::new("rs")) {
            into.push((path, fs::read_to_string(entry.path()).expect("a source is text")));
        }
    }
}

/// Returns whether the word occurs, and not only as part of a longer one.
fn contains(text: &str, word: &str) -> bool {
    let joins = |one: Option<char>, other: Option<char>| {
        let letter = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        letter(one) && letter(other)
    };
    text.match_indices(word).any(|(at, _)| {
        let (before, after) = (text[..at].chars().next_back(), text[at + word.len()..].chars().next());
        !joins(before, word.chars().next()) && !joins(word.chars().next_back(), after)
    })
}

/// Returns all imports, one path each, and the rest of the code, without test modules (they are at the end).
fn read(text: &str) -> (Vec<String>, String) {
    let mut code = without_comments_and_strings(text);
    let tests = ["#[cfg(test)]", "#[cfg(all(test"].iter().filter_map(|start| code.find(start)).min();
    code.truncate(tests.unwrap_or(code.len()));
    let (mut imports, mut rest) = (Vec::new(), String::new());
    for (number, statement) in code.split("use ").enumerate() {
        // The first piece comes before the first `use`; a word that merely ends in "use" is not one.
        let is_import = number > 0 && !rest.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        match statement.split_once(';') {
            Some((tree, after)) if is_import => {
                flatten("", tree.trim(), &mut imports);
                rest.push_str(after);
            }
            _ => rest.push_str(statement),
        }
    }
    (imports, rest)
}

/// Splits `a::{b, c::{d}}` into `a::b` and `a::c::d`.
fn flatten(prefix: &str, tree: &str, into: &mut Vec<String>) {
    let Some((path, group)) = tree.split_once('{') else {
        return into.push(format!("{prefix}{tree}"));
    };
    let (mut depth, mut start) = (0, 0);
    let group = group.strip_suffix('}').expect("groups are closed").trim_end().trim_end_matches(',');
    for (at, c) in group.char_indices().chain([(group.len(), ',')]) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                flatten(&format!("{prefix}{path}"), group[start..at].trim(), into);
                start = at + 1;
            }
            _ => {}
        }
    }
}

fn without_comments_and_strings(text: &str) -> String {
    let mut code = String::new();
    let mut left = text;
    while let Some(c) = left.chars().next() {
        let raw = left
            .strip_prefix('r')
            .map(|left| left.trim_start_matches('#'))
            .filter(|left| left.starts_with('"'));
        let skipped = if left.starts_with("//") {
            left.find('\n').unwrap_or(left.len())
        } else if left.starts_with("/*") {
            left.find("*/").map_or(left.len(), |end| end + 2)
        } else if let Some(string) = raw.filter(|_| !code.ends_with(|c: char| c.is_alphanumeric())) {
            let start = left.len() - string.len();
            let close = format!("\"{}", "#".repeat(start - 1));
            start + 1 + string[1..].find(&close).expect("strings are closed") + close.len()
        } else if c == '"' {
            let mut escaped = false;
            let end = left[1..].find(|c| {
                let ends = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                ends
            });
            end.expect("strings are closed") + 2
        } else if left.starts_with("'\\") {
            // A character with an escape; without one, its second quote distinguishes it from a lifetime.
            3 + left[3..].find('\'').expect("characters are closed") + 1
        } else if c == '\'' && left.chars().nth(2) == Some('\'') {
            left.char_indices().nth(3).map_or(left.len(), |(at, _)| at)
        } else {
            code.push(c);
            c.len_utf8()
        };
        left = &left[skipped..];
    }
    code
}
