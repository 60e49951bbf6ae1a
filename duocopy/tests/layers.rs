//! What each folder of the sources may know. That `cli` imports the engine and never the reverse is kept by the compiler,
//! because the program is a crate of its own; so is the ban on `unsafe` and on printing.

use harness::layers::{Rule, Sources};

const PACKAGE: &str = env!("CARGO_MANIFEST_DIR");

const RULES: &[Rule] = &[
    Rule {
        of: &["sys/"],
        except: &[],
        never: &[
            "crate::api",
            "crate::engine",
            "crate::session",
            "crate::source",
            "crate::dest",
            "crate::record",
        ],
        why: "a port is written from the contract alone",
    },
    Rule {
        of: &["source/", "dest/"],
        except: &[],
        never: &["crate::session", "crate::engine", "crate::process", "blockpipe"],
        why: "a source or a destination works without another process",
    },
    Rule {
        of: &["session/"],
        except: &[],
        never: &["crate::engine", "crate::dest"],
        why: "what the two say to each other does not depend on what they do with it",
    },
    Rule {
        of: &["api/"],
        except: &[],
        never: &[
            "crate::engine",
            "crate::session",
            "crate::source",
            "crate::dest",
            "crate::sys",
            "crate::record",
        ],
        why: "the vocabulary depends on nothing",
    },
    Rule {
        of: &[
            "main.rs",
            "lib.rs",
            "api/",
            "cli/",
            "dest/",
            "engine/",
            "source/",
            "sys/",
            "record.rs",
            "cache.rs",
            "times.rs",
        ],
        except: &[],
        never: &["blockpipe"],
        why: "only the session knows the pipe",
    },
    Rule {
        of: &[
            "main.rs", "lib.rs", "api/", "cli/", "dest/", "engine/", "session/", "source/", "cache.rs",
            "times.rs",
        ],
        except: &[],
        never: &["libc", "rustix", "target_os", "cfg(unix)", "cfg(windows)", "std::os", "SystemTime"],
        why: "what differs between systems is in sys/",
    },
    Rule {
        of: &[
            "main.rs", "lib.rs", "api/", "cli/", "dest/", "engine/", "session/", "source/", "sys/",
            "cache.rs", "times.rs",
        ],
        except: &[],
        never: &["Drop for"],
        why: "nobody hears a `Drop` fail",
    },
    Rule {
        of: &["main.rs", "cli/"],
        except: &["cli/progress.rs", "cli/status.rs"],
        never: &["println!", "eprintln!", "print!", "eprint!"],
        why: "standard error may be closed, and printing there must not end the process",
    },
];

#[test]
fn the_sources_keep_the_rules() {
    let broken = Sources::read(PACKAGE).broken(RULES);
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn no_file_imports_itself_through_others() {
    assert_eq!(Sources::read(PACKAGE).circle(), None);
}

#[test]
fn no_source_file_is_longer_than_500_lines() {
    assert_eq!(Sources::longer_than(PACKAGE, 500), [""; 0]);
}

/// `sys` may not import blockpipe, so both have the list.
#[test]
fn both_packages_know_the_same_network_file_systems() {
    let numbers = |path: &str| {
        let text = std::fs::read_to_string(format!("{PACKAGE}/{path}")).expect("the file exists");
        let entries = text.lines().filter(|line| line.trim_start().starts_with("0x") && line.contains("// "));
        entries.map(str::to_owned).collect::<Vec<_>>()
    };
    let ours = numbers("src/sys/unix/system/linux/files.rs");
    assert!(ours.len() == 19 && ours == numbers("../blockpipe/src/sys/network.rs"), "{ours:?}");
}
